/**
 * Faults that take more than is promised to survive: several disks at once. What they destroy is
 * gone for good; what must hold then is that the loss shows, and that nobody serves wrong bytes or
 * dies again and again over it.
 */
import { z } from "zod";
import { defineFault, type FaultKind, ms } from "./fault-kind.ts";
import { target } from "./target.ts";

/** Of replicas, but of a minority of the voters: the metadata survive, and can tell of the loss. */
const wipeSome = defineFault({
  kind: "wipe-some",
  class: "beyond",
  params: { on: z.array(target).min(1), spreadMs: z.array(ms).min(1) },
  draw: (draw) => {
    const on = draw.order().slice(0, draw.prng.between(1, draw.brokersCount - 1));
    return {
      on,
      spreadMs: on.map(() => draw.prng.between(0, 1_000)),
      durationMs: draw.prng.between(10, 5_000),
    };
  },
  begin(stage, { on, spreadMs, durationMs }) {
    const { cluster, atlas } = stage;
    if (cluster.shape.votersCount < 3) return false;
    const minority = Math.floor((cluster.shape.votersCount - 1) / 2);
    const unwhole = cluster.brokers.filter(
      (broker) => broker.id <= cluster.shape.votersCount && !atlas.isWhole(broker),
    );
    let votersLeft = minority - unwhole.length;
    let hit = false;
    for (const [index, each] of on.entries()) {
      const broker = stage.resolve(each);
      if (broker === undefined) continue;
      const isVoter = broker.id <= cluster.shape.votersCount;
      if (isVoter && votersLeft <= 0) continue;
      if (isVoter) votersLeft--;
      hit = true;
      if (!atlas.mayLose(broker)) atlas.goBeyond();
      const release = stage.down(broker, "crash");
      cluster.wipe(broker);
      atlas.lose(broker);
      stage.later(durationMs + (spreadMs[index] ?? 0), release);
    }
    return hit;
  },
});

export const beyondFaults: readonly FaultKind[] = [wipeSome];
