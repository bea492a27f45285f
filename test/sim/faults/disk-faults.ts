/** Faults of disks and of the store on them; which shapes they take is the world's matter. */
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

/** The next operation of that sort fails, once. */
function armed(kind: DiskFault): FaultKind {
  return defineFault({
    kind,
    class: "disk",
    params: { on: target },
    draw: (draw) => ({ on: draw.target(), durationMs: 0 }),
    begin(stage, { on }) {
      const broker = stage.resolve(on);
      if (broker === undefined) return false;
      stage.note(`broker ${broker.id}: next ${kind}`);
      broker.node.disk.arm(kind);
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
  fullDisk,
  wipe,
];
