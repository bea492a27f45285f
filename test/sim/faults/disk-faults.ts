/** Faults of disks and of the store on them; which shapes they take is the world's matter. */
import { z } from "zod";
import type { DiskFault } from "../world/sim-disk.ts";
import { defineFault, type FaultKind, ms } from "./fault-kind.ts";
import { target } from "./target.ts";

const slowDisk = defineFault({
  kind: "slow-disk",
  class: "disk",
  params: { on: target, syncMs: ms },
  draw: (draw) => ({
    on: draw.target(),
    syncMs: draw.prng.between(5, 100),
    durationMs: draw.prng.between(500, 8_000),
  }),
  begin(stage, { on, syncMs, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: disk is slow, ${syncMs} ms a sync`);
    stage.later(durationMs, stage.latency(broker, { readMs: 2, writeMs: 3, syncMs }));
    return true;
  },
});

const hungDisk = defineFault({
  kind: "hung-disk",
  class: "disk",
  params: { on: target },
  draw: (draw) => ({ on: draw.target(), durationMs: draw.prng.between(300, 8_000) }),
  begin(stage, { on, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: disk hangs for ${durationMs} ms`);
    broker.node.disk.hang(durationMs);
    return true;
  },
});

/** Writes of all stores wait for LevelDB's one compaction thread, reads and files do not. */
const stallStores = defineFault({
  kind: "stall-stores",
  class: "disk",
  params: { on: target },
  draw: (draw) => ({ on: draw.target(), durationMs: draw.prng.between(100, 5_000) }),
  begin(stage, { on, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: stores stall for ${durationMs} ms`);
    broker.node.disk.stallStores(durationMs);
    return true;
  },
});

/** Parts of paths: which of a machine's stores and files are hit. */
const PLACES = ["", "", "/raft", "/logs", "/broker"];

/** Some operation to come fails, or several in a row. */
function armed(kind: DiskFault): FaultKind {
  return defineFault({
    kind,
    class: "disk",
    params: {
      on: target,
      path: z.string().max(100),
      nth: z.number().int().min(1),
      times: z.number().int().min(1),
      delayMs: ms,
    },
    draw: (draw) => ({
      on: draw.target(),
      path: draw.prng.pick(PLACES),
      nth: draw.prng.between(1, 1 << draw.prng.below(6)),
      times: draw.prng.pick([1, 1, 1, 2, 10]),
      delayMs: kind === "slow-open" ? draw.prng.between(500, 20_000) : 0,
      durationMs: 0,
    }),
    begin(stage, { on, path, nth, times, delayMs }) {
      const broker = stage.resolve(on);
      if (broker === undefined) return false;
      stage.note(`broker ${broker.id}: ${times} ${kind} from number ${nth} on, at ${path || "/"}`);
      broker.node.disk.arm(kind, { path, nth, times, delayMs });
      return true;
    },
  });
}

const fullDisk = defineFault({
  kind: "full-disk",
  class: "disk",
  params: { on: target },
  draw: (draw) => ({ on: draw.target(), durationMs: draw.prng.between(200, 8_000) }),
  begin(stage, { on, durationMs }) {
    const broker = stage.resolve(on);
    if (broker === undefined) return false;
    stage.note(`broker ${broker.id}: disk is full`);
    const release = stage.full(broker);
    stage.later(durationMs, () => {
      stage.note(`broker ${broker.id}: disk has space again`);
      release();
    });
    return true;
  },
});

/** A new, empty disk; as often as the promise covers it. */
const wipe = defineFault({
  kind: "wipe",
  class: "disk",
  params: { on: target },
  draw: (draw) => ({ on: draw.target(), durationMs: draw.prng.between(10, 5_000) }),
  begin(stage, { on, durationMs }) {
    const { cluster, atlas } = stage;
    const broker = stage.resolve(on);
    if (broker === undefined || !atlas.mayLose(broker)) return false;
    const release = stage.down(broker, "crash");
    cluster.wipe(broker);
    atlas.lose(broker);
    stage.later(durationMs, release);
    return true;
  },
});

export const diskFaults: readonly FaultKind[] = [
  slowDisk,
  hungDisk,
  armed("write-error"),
  armed("sync-error"),
  armed("read-error"),
  armed("open-error"),
  armed("open-locked"),
  armed("slow-open"),
  stallStores,
  fullDisk,
  wipe,
];
