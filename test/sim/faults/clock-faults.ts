/** Faults of wall clocks: nothing that is promised may depend on what they show. */
import { z } from "zod";
import { defineFault, type FaultKind } from "./fault-kind.ts";
import { target } from "./target.ts";

const HOUR_MS = 3_600_000;

/** Off by up to an hour, until it is set right again. */
const clockJump = defineFault({
  kind: "clock-jump",
  class: "clock",
  params: {
    on: target,
    offsetMs: z
      .number()
      .int()
      .min(-24 * HOUR_MS)
      .max(24 * HOUR_MS),
  },
  draw: (draw) => ({
    on: draw.target(),
    offsetMs: draw.prng.between(-HOUR_MS, HOUR_MS),
    durationMs: draw.prng.between(200, 30_000),
  }),
  begin(stage, { on, offsetMs, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: clock is off by ${offsetMs} ms`);
    stage.later(durationMs, stage.clockOffset(broker, offsetMs));
    return true;
  },
});

/** Runs up to ten per cent too fast or too slowly: timeouts and leases too. */
const clockDrift = defineFault({
  kind: "clock-drift",
  class: "clock",
  params: { on: target, ppm: z.number().int().min(-500_000).max(500_000) },
  draw: (draw) => ({
    on: draw.target(),
    ppm: draw.prng.between(-100_000, 100_000),
    durationMs: draw.prng.between(1_000, 60_000),
  }),
  begin(stage, { on, ppm, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: clock drifts by ${ppm} ppm`);
    stage.later(durationMs, stage.drift(broker, ppm));
    return true;
  },
});

/** Shows the same time, and no timer fires, while everything else goes on. */
const clockFreeze = defineFault({
  kind: "clock-freeze",
  class: "clock",
  params: { on: target },
  draw: (draw) => ({ on: draw.target(), durationMs: draw.prng.between(100, 5_000) }),
  begin(stage, { on, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: clock stands still for ${durationMs} ms`);
    broker.node.clock.freeze(durationMs);
    return true;
  },
});

/** The process ends, and the next one finds that NTP has set the wall clock meanwhile. */
const clockStep = defineFault({
  kind: "clock-step",
  class: "clock",
  params: {
    on: target,
    offsetMs: z
      .number()
      .int()
      .min(-24 * HOUR_MS)
      .max(24 * HOUR_MS),
  },
  draw: (draw) => ({
    on: draw.target(),
    offsetMs: draw.prng.between(-HOUR_MS, HOUR_MS),
    durationMs: draw.prng.between(10, 3_000),
  }),
  begin(stage, { on, offsetMs, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: clock will be off by ${offsetMs} ms when it starts again`);
    broker.node.clock.setOffsetAtNextStart(offsetMs);
    stage.later(durationMs, stage.down(broker, "crash"));
    return true;
  },
});

export const clockFaults: readonly FaultKind[] = [clockJump, clockDrift, clockFreeze, clockStep];
