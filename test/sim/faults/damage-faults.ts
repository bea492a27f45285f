/**
 * Damage that nobody is told of: bits that flip at rest, and ends of logs that were fsynced and are
 * gone all the same. It happens to one machine at a time, while its process is down, and as often as
 * the promise covers it.
 */
import { z } from "zod";
import type { SimBroker } from "../cluster/cluster.ts";
import {
  flipSomeBatch,
  flipSomeMetadata,
  flipSomeSnapshot,
  loseSomeMetadata,
  loseSomeTail,
} from "./damage.ts";
import { defineFault, type FaultKind } from "./fault-kind.ts";
import type { Stage } from "./stage.ts";
import { target } from "./target.ts";

const NTH_MAX = 1_000_000;
const LOST_MAX = 8;
const nth = z.number().int().min(0).max(NTH_MAX);

function damaged(stage: Stage, broker: SimBroker, downMs: number, hit: () => boolean): boolean {
  const { atlas, cluster } = stage;
  if (!atlas.mayDamage(broker)) return false;
  const release = stage.down(broker, "crash");
  stage.later(downMs, release);
  cluster.damage(broker);
  if (!hit()) return false;
  atlas.lose(broker);
  // What nobody has read since may lie there for the rest of the run.
  atlas.damage(broker);
  return true;
}

const FLIPS = {
  batch: flipSomeBatch,
  metadata: flipSomeMetadata,
  snapshot: flipSomeSnapshot,
} as const;

const bitRot = defineFault({
  kind: "bit-rot",
  class: "disk",
  params: { on: target, of: z.enum(["batch", "metadata", "snapshot"]), nth },
  draw: (draw) => ({
    on: draw.target(),
    of: draw.prng.pick(["batch", "batch", "metadata", "snapshot"] as const),
    nth: draw.prng.below(NTH_MAX),
    durationMs: draw.prng.between(10, 5_000),
  }),
  begin(stage, { on, of, nth: at, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: a bit of a ${of} flips`);
    return damaged(stage, broker, durationMs, () => FLIPS[of](broker, at));
  },
});

const lostTail = defineFault({
  kind: "lost-tail",
  class: "disk",
  params: {
    on: target,
    of: z.enum(["log", "metadata"]),
    nth,
    count: z.number().int().min(1).max(LOST_MAX),
  },
  draw: (draw) => ({
    on: draw.target(),
    of: draw.prng.pick(["log", "metadata"] as const),
    nth: draw.prng.below(NTH_MAX),
    count: draw.prng.between(1, LOST_MAX),
    durationMs: draw.prng.between(10, 5_000),
  }),
  begin(stage, { on, of, nth: at, count, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: the last ${count} of a ${of} are lost`);
    return damaged(stage, broker, durationMs, () =>
      of === "log" ? loseSomeTail(broker, at, count) : loseSomeMetadata(broker, count),
    );
  },
});

export const damageFaults: readonly FaultKind[] = [bitRot, lostTail];
