/** A broker gets too little: processor, memory, disk, descriptors. */
import type { ChaosCluster } from "../cluster.ts";
import { SMALL_DISK_BYTES } from "../cluster.ts";
import { run } from "../command.ts";
import { someVictim } from "../stage.ts";
import { until } from "../waiting.ts";
import { type FaultKind, NO_OBSTACLE } from "./fault-kind.ts";

const HOLD_MS = [3_000, 12_000] as const;
const MIB = 1024 * 1024;
/** Above what the broker holds now: it can breathe, and no more. */
const SQUEEZE_BYTES = 24 * MIB;
const HOG_ROOM_BYTES = 64 * MIB;
const OOM_MS = 20_000;
const FILL_TRIES = 10;
const DESCRIPTORS_LEFT = [0, 1, 5] as const;

/** Takes memory until the container has none: the kernel then kills its largest process. */
const HOG = `
const held = [];
const more = () => { held.push(Buffer.alloc(${4 * MIB}, 1)); setTimeout(more, 10); };
more();
`;

async function residentBytes(cluster: ChaosCluster, id: number): Promise<number> {
  const { pid } = await cluster.state(id);
  const text = await run(["cat", `/proc/${pid}/status`]);
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1];
  if (kib === undefined) throw new Error(`nobody says what broker ${id} holds in memory`);
  return Number(kib) * 1024;
}

async function startIfEnded(cluster: ChaosCluster, id: number): Promise<string | undefined> {
  const { exitCode, oomKilled, running } = await cluster.state(id);
  if (running) return undefined;
  await cluster.start([id]);
  return oomKilled ? "killed for want of memory" : `ended with exit code ${exitCode}`;
}

/** Leaves so much room; what is written meanwhile may make that refused, then it is tried again. */
async function fill(cluster: ChaosCluster, id: number, left: number): Promise<void> {
  for (let tries = 1; ; tries++) {
    const lines = (await run(["df", "--output=used", "-B1", cluster.dataOf(id)])).split("\n");
    try {
      await cluster.resizeSmall(id, Number(lines[1]) + left);
      return;
    } catch (thrown) {
      if (tries === FILL_TRIES) throw thrown;
    }
  }
}

export const RESOURCE_FAULTS: readonly FaultKind[] = [
  {
    name: "cpu-starved",
    group: "resources",
    obstacle: NO_OBSTACLE,
    inject: async (on) => {
      const { cluster, prng } = on;
      const target = someVictim(on);
      const percent = prng.pick([2, 5, 10, 20]);
      const holdMs = prng.between(...HOLD_MS);
      await cluster.update(target, ["--cpu-period", "100000", "--cpu-quota", `${percent}000`]);
      return {
        targets: [target],
        detail: `${percent} % of one processor`,
        holdMs,
        heal: async () => {
          await cluster.update(target, ["--cpu-quota", "-1"]);
          return undefined;
        },
      };
    },
  },
  {
    name: "memory-squeezed",
    group: "resources",
    obstacle: NO_OBSTACLE,
    inject: async (on) => {
      const { cluster, prng } = on;
      const target = someVictim(on);
      const holdMs = prng.between(...HOLD_MS);
      const bytes = (await residentBytes(cluster, target)) + SQUEEZE_BYTES;
      await cluster.limitMemory(target, bytes);
      return {
        targets: [target],
        detail: `${Math.round(bytes / MIB)} MiB, page cache included`,
        holdMs,
        heal: async () => {
          await cluster.limitMemory(target);
          return await startIfEnded(cluster, target);
        },
      };
    },
  },
  {
    name: "oom-kill",
    group: "resources",
    obstacle: NO_OBSTACLE,
    inject: async (on) => {
      const { cluster, prng } = on;
      const target = someVictim(on);
      const bytes = (await residentBytes(cluster, target)) + HOG_ROOM_BYTES;
      await cluster.limitMemory(target, bytes);
      // The hog may be killed first; then it is not the broker's fault, and another one comes.
      const hogs = async (): Promise<void> => {
        for (let tries = 0; tries < 5 && (await cluster.state(target)).running; tries++) {
          await cluster.exec(target, ["node", "-e", HOG], OOM_MS).catch(() => undefined);
        }
      };
      const eaten = hogs().catch(() => undefined);
      const died = await until(async () => !(await cluster.state(target)).running, {
        timeoutMs: OOM_MS,
      });
      return {
        targets: [target],
        detail: died ? "killed for want of memory" : "it lived on, the other process was killed",
        holdMs: prng.between(1_000, 5_000),
        heal: async () => {
          await cluster.limitMemory(target);
          const how = await startIfEnded(cluster, target);
          await eaten;
          return how;
        },
      };
    },
  },
  {
    name: "disk-full",
    group: "resources",
    obstacle: ({ noMount }) => noMount,
    inject: async ({ cluster, prng }) => {
      const target = cluster.small;
      if (target === undefined) throw new Error("no broker of this run has a small disk");
      const left = prng.pick([4_096, 65_536, MIB]);
      const holdMs = prng.between(...HOLD_MS);
      await fill(cluster, target, left);
      return {
        targets: [target],
        detail: `${left} bytes left`,
        holdMs,
        heal: async () => {
          await cluster.resizeSmall(target, SMALL_DISK_BYTES);
          return await startIfEnded(cluster, target);
        },
      };
    },
  },
  {
    name: "descriptors-exhausted",
    group: "resources",
    obstacle: ({ noShim }) => noShim,
    inject: async (on) => {
      const { cluster, prng } = on;
      const target = someVictim(on);
      const { pid } = await cluster.state(target);
      const open = (await run(["ls", `/proc/${pid}/fd`])).trim().split("\n").length;
      const left = prng.pick(DESCRIPTORS_LEFT);
      const holdMs = prng.between(...HOLD_MS);
      cluster.shim(target).set("descriptors", open + left);
      return {
        targets: [target],
        detail: `${open} open, ${left} more allowed`,
        holdMs,
        heal: async () => {
          cluster.shim(target).set("descriptors", 0);
          return await startIfEnded(cluster, target);
        },
      };
    },
  },
];
