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

export const clockFaults: readonly FaultKind[] = [clockJump];
