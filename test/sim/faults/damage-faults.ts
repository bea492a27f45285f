/**
 * Damage that nobody is told of: bits that flip at rest, and ends of logs that were fsynced and are
 * gone all the same. It happens to one machine at a time, while its process is down, and as often as
 * the promise covers it.
 */
import { z } from "zod";
import type { SimBroker } from "../cluster/cluster.ts";
import { flipSomeBatch, flipSomeMetadata, flipSomeSnapshot, loseSomeMetadata } from "./damage.ts";
import { defineFault, type FaultKind } from "./fault-kind.ts";
import type { Stage } from "./stage.ts";
import { target } from "./target.ts";

const NTH_MAX = 1_000_000;
const LOST_MAX = 8;
const nth = z.number().int().min(0).max(NTH_MAX);

function damaged(
  stage: Stage,
  broker: SimBroker,
  how: { readonly what: string; readonly downMs: number; readonly hit: () => boolean },
): boolean {
  const { atlas, cluster } = stage;
  const { what, downMs, hit } = how;
  if (!atlas.mayDamage(broker)) return false;
  stage.note(`broker ${broker.id}: ${what}`);
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
    return damaged(stage, broker, {
      what: `a bit of a ${of} flips`,
      downMs: durationMs,
      hit: () => FLIPS[of](broker, at),
    });
  },
});

/**
 * The end of the metadata log, whose mark vouches for every entry. Of a partition's log the newest
 * batches lie above its mark, and nobody could miss them.
 */
const lostTail = defineFault({
  kind: "lost-tail",
  class: "disk",
  params: { on: target, count: z.number().int().min(1).max(LOST_MAX) },
  draw: (draw) => ({
    on: draw.target(),
    count: draw.prng.between(1, LOST_MAX),
    durationMs: draw.prng.between(10, 5_000),
  }),
  begin(stage, { on, count, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    return damaged(stage, broker, {
      what: `the last ${count} entries of its metadata log are lost`,
      downMs: durationMs,
      hit: () => loseSomeMetadata(broker, count),
    });
  },
});

export const damageFaults: readonly FaultKind[] = [bitRot, lostTail];
