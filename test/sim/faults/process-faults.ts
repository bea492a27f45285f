/** Faults of processes and of machines' power. Parameters after reliability models of VOPR and Jepsen. */
import { z } from "zod";
import type { SimBroker } from "../cluster/cluster.ts";
import type { PointKind } from "../world/crash-points.ts";
import { defineFault, type FaultDraw, type FaultKind, ms } from "./fault-kind.ts";
import type { Stage } from "./stage.ts";
import { target } from "./target.ts";

const DOWN_MS = [10, 5_000] as const;
const STOP_MS = 8_000;

function down(
  stage: Stage,
  brokers: readonly SimBroker[],
  how: "crash" | "power loss",
  upAfterMs: (index: number) => number,
): void {
  for (const [index, broker] of brokers.entries()) {
    stage.later(upAfterMs(index), stage.down(broker, how));
  }
}

/** One process, or one machine. */
function one(kind: "crash" | "power-loss"): FaultKind {
  return defineFault({
    kind,
    class: "process",
    params: { on: target },
    draw: (draw) => ({ on: draw.target(), durationMs: draw.prng.between(...DOWN_MS) }),
    begin(stage, { on, durationMs }) {
      const broker = stage.resolve(on);
      if (broker === undefined) return false;
      down(stage, [broker], kind === "crash" ? "crash" : "power loss", () => durationMs);
      return true;
    },
  });
}

/** Several at the same instant, each back at its own time. */
function several(
  kind: "crash-all" | "power-loss-all" | "power-loss-some",
  choose: (draw: FaultDraw) => readonly number[],
): FaultKind {
  return defineFault({
    kind,
    class: "process",
    params: { on: z.array(target).min(1), spreadMs: z.array(ms).min(1) },
    draw(draw) {
      const on = choose(draw);
      return {
        on: [...on],
        spreadMs: on.map(() => draw.prng.between(0, 1_000)),
        durationMs: draw.prng.between(...DOWN_MS),
      };
    },
    begin(stage, { on, spreadMs, durationMs }) {
      const brokers = on.map((each) => stage.resolve(each)).filter((each) => each !== undefined);
      const how = kind === "crash-all" ? "crash" : "power loss";
      down(stage, [...new Set(brokers)], how, (index) => durationMs + (spreadMs[index] ?? 0));
      return brokers.length > 0;
    },
  });
}

function pausing(kind: "pause" | "stall", [low, high]: readonly [number, number]): FaultKind {
  return defineFault({
    kind,
    class: "process",
    params: { on: target },
    draw: (draw) => ({ on: draw.target(), durationMs: draw.prng.between(low, high) }),
    begin(stage, { on, durationMs }) {
      const broker = stage.resolve(on);
      if (broker?.running === undefined) return false;
      stage.later(durationMs, stage.paused(broker));
      return true;
    },
  });
}

const gracefulRestart = defineFault({
  kind: "graceful-restart",
  class: "process",
  params: { on: target, stopMs: ms },
  draw: ({ prng, ...draw }) => ({
    on: prng.between(1, draw.brokersCount),
    // Sometimes there is no time to finish.
    stopMs: prng.chance(1, 4) ? prng.between(1, 1_500) : STOP_MS,
    durationMs: prng.between(500, 9_000),
  }),
  begin(stage, { on, stopMs, durationMs }) {
    const broker = stage.resolve(on);
    if (broker?.running === undefined) return false;
    stage.later(durationMs, stage.stopped(broker, stopMs));
    return true;
  },
});

/** One broker after another, as for a new version; the next stops whether or not all is in sync. */
const rollingRestart = defineFault({
  kind: "rolling-restart",
  class: "process",
  params: { order: z.array(target).min(1), gapMs: ms },
  draw: (draw) => {
    const order = draw.order();
    const gapMs = draw.prng.between(1_000, 10_000);
    return { order, gapMs, durationMs: gapMs * order.length };
  },
  begin(stage, { order, gapMs }) {
    for (const [index, on] of order.entries()) {
      stage.later(index * gapMs, () => {
        const broker = stage.resolve(on);
        if (broker?.running === undefined) return;
        stage.later(gapMs, stage.stopped(broker, STOP_MS));
      });
    }
    return true;
  },
});

/** Crashes again while it recovers from the last crash. */
const restartStorm = defineFault({
  kind: "restart-storm",
  class: "process",
  params: {
    on: target,
    crashes: z.array(z.strictObject({ afterMs: ms, downMs: ms })).min(1),
  },
  draw: (draw) => {
    const { prng } = draw;
    let afterMs = 0;
    const crashes = Array.from({ length: prng.between(2, 5) }, () => {
      afterMs += prng.between(20, 1_200);
      return { afterMs, downMs: prng.between(1, 300) };
    });
    return { on: draw.target(), crashes, durationMs: afterMs };
  },
  begin(stage, { on, crashes }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    for (const { afterMs, downMs } of crashes) {
      stage.later(afterMs, () => down(stage, [broker], "crash", () => downMs));
    }
    return true;
  },
});

/** Long collections of garbage, again and again: slow, and yet not dead. */
const stallTrain = defineFault({
  kind: "stall-train",
  class: "process",
  params: { on: target, stallMs: ms.min(1), everyMs: ms.min(1) },
  draw: (draw) => ({
    on: draw.target(),
    stallMs: draw.prng.between(20, 600),
    everyMs: draw.prng.between(700, 2_500),
    durationMs: draw.prng.between(3_000, 15_000),
  }),
  begin(stage, { on, stallMs, everyMs, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    const stall = (atMs: number): void => {
      if (atMs > durationMs) return;
      if (broker.running !== undefined) stage.later(stallMs, stage.paused(broker));
      stage.later(everyMs, () => stall(atMs + everyMs));
    };
    stall(0);
    return true;
  },
});

/** Everything takes ten to a few hundred times as long: a machine that swaps, or shares its core. */
const slowNode = defineFault({
  kind: "slow-node",
  class: "process",
  params: { on: target, times: z.number().int().min(2).max(1_000) },
  draw: (draw) => ({
    on: draw.target(),
    times: draw.prng.pick([10, 30, 100, 300]),
    durationMs: draw.prng.between(1_000, 15_000),
  }),
  begin(stage, { on, times, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id} is ${times} times as slow for ${durationMs} ms`);
    stage.later(durationMs, stage.slow(broker, times));
    return true;
  },
});

/** The operating system kills the process once its queues hold more. */
const outOfMemory = defineFault({
  kind: "out-of-memory",
  class: "process",
  params: { on: target, bytes: z.number().int().min(1_000) },
  draw: (draw) => ({
    on: draw.target(),
    bytes: draw.prng.pick([20_000, 200_000, 2_000_000]),
    durationMs: draw.prng.between(500, 8_000),
  }),
  begin(stage, { on, bytes, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id} may queue ${bytes} bytes for ${durationMs} ms`);
    stage.later(durationMs, stage.memoryCap(broker, bytes));
    return true;
  },
});

const POINTS = [
  "write",
  "sync",
  "store-open",
  "store-close",
  "replace",
  "rename",
  "remove",
  "make-directory",
  "slot",
  "send",
  "deliver",
  "event",
] as const satisfies readonly PointKind[];
/** Parts of paths and channels: where a crash between two steps hurts. */
const DETAILS = ["/raft", "/logs", "/broker", "/snapshots", "raft", "replication", "controller"];

/** Between two steps of the program: just as a write is issued, has completed, a message leaves. */
const crashAt = defineFault({
  kind: "crash-at",
  class: "process",
  params: {
    on: target,
    point: z.enum(POINTS),
    stage: z.enum(["issued", "completed"]),
    detail: z.string().max(100),
    n: z.number().int().min(1),
    inNextLife: z.boolean(),
    powerLoss: z.boolean(),
    downMs: ms,
  },
  draw(draw) {
    const { prng } = draw;
    const point = prng.pick(POINTS);
    return {
      on: draw.target(),
      point,
      stage: prng.pick(["issued", "completed"] as const),
      detail: point === "event" || prng.chance(1, 3) ? "" : prng.pick(DETAILS),
      n: point === "event" ? prng.between(1, 3_000) : prng.between(1, 1 << prng.below(6)),
      inNextLife: prng.chance(1, 3),
      powerLoss: prng.chance(1, 3),
      downMs: prng.between(...DOWN_MS),
      durationMs: 0,
    };
  },
  begin(stage, { on, point, stage: at, detail, n, inNextLife, powerLoss, downMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    const how = powerLoss ? "power loss" : "crash";
    broker.node.crashAt({
      kind: point,
      stage: at,
      detail,
      n,
      inNextLife,
      how,
      // biome-ignore lint/suspicious/noThenProperty: no promise, and nobody awaits it
      then: () => down(stage, [broker], how, () => downMs),
    });
    // A life that has to come for it: the crash is one during recovery.
    if (inNextLife) down(stage, [broker], how, () => downMs);
    return true;
  },
});

export const processFaults: readonly FaultKind[] = [
  one("crash"),
  several("crash-all", (draw) => draw.order()),
  one("power-loss"),
  several("power-loss-some", (draw) =>
    draw.order().slice(0, draw.prng.between(1, draw.brokersCount)),
  ),
  several("power-loss-all", (draw) => draw.order()),
  gracefulRestart,
  rollingRestart,
  restartStorm,
  pausing("pause", [1_000, 6_000]),
  pausing("stall", [20, 900]),
  stallTrain,
  slowNode,
  outOfMemory,
  crashAt,
];
