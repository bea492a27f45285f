/**
 * Disks lose, change and refuse data. What no system survives is not made: only one broker of a run is
 * fragile, and only it loses or changes what it had promised; a loss of power takes from everybody
 * what was not synced, and nothing else.
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { relative } from "node:path";
import type { Prng } from "../../../src/base/prng.ts";
import { emptyDirectory, filesBelow, losePower } from "../shim-control.ts";
import type { FaultStage } from "../stage.ts";
import { someBroker, someVictim } from "../stage.ts";
import { until } from "../waiting.ts";
import type { FaultKind, InjectedFault } from "./fault-kind.ts";

const HOLD_MS = [2_000, 10_000] as const;
const FILES_MOST = 3;
const BITS_MOST = 8;
const TAIL_BYTES = [1, 64 * 1024] as const;
/** A broker that says that its disk is damaged, and does not come back, gets a new one. */
const RETURN_MS = 30_000;

function fragileOf({ cluster }: FaultStage): number {
  if (cluster.small === undefined) throw new Error("no broker of this run is fragile");
  return cluster.small;
}

/** Kills the fragile broker, does something to its data, and starts it again when it is healed. */
function damaged(name: string, damage: (on: FaultStage, data: string) => string): FaultKind {
  return {
    name,
    group: "storage",
    // The data belongs to the broker's user.
    obstacle: ({ noMount }) => noMount,
    inject: async (on): Promise<InjectedFault> => {
      const { cluster, prng } = on;
      const target = fragileOf(on);
      const holdMs = prng.between(...HOLD_MS);
      if (prng.chance(1, 2)) await cluster.stop(target);
      else await cluster.kill([target]);
      const detail = damage(on, cluster.dataOf(target));
      return { targets: [target], detail, holdMs, heal: () => comeBack(on, target) };
    },
  };
}

/** Starts a broker; one that refuses its disk gets an empty one, as an operator would give it. */
async function comeBack(
  { cluster, stage }: FaultStage,
  target: number,
): Promise<string | undefined> {
  await cluster.start([target]);
  let ended = false;
  await until(
    async () => {
      ended = !(await cluster.state(target)).running;
      return ended || (await stage.lacking()) === "";
    },
    { timeoutMs: RETURN_MS },
  );
  if (!ended) return undefined;
  const { exitCode } = await cluster.state(target);
  emptyDirectory(cluster.dataOf(target));
  await cluster.start([target]);
  return `it refused its disk with exit code ${exitCode}, and got an empty one`;
}

function drawFiles(prng: Prng, files: readonly string[]): readonly string[] {
  const filled = files.filter((file) => statSync(file).size > 0);
  return prng.shuffle(filled).slice(0, prng.between(1, FILES_MOST));
}

function flipBits(prng: Prng, path: string): number {
  const file = openSync(path, "r+");
  try {
    const { size } = fstatSync(file);
    const count = prng.between(1, BITS_MOST);
    for (let flipped = 0; flipped < count; flipped++) {
      const at = prng.below(size);
      const byte = Buffer.alloc(1);
      readSync(file, byte, 0, 1, at);
      byte[0] = (byte[0] as number) ^ (1 << prng.below(8));
      writeSync(file, byte, 0, 1, at);
    }
    return count;
  } finally {
    closeSync(file);
  }
}

export const STORAGE_FAULTS: readonly FaultKind[] = [
  damaged("data-wiped", (_, data) => {
    const count = filesBelow(data).length;
    emptyDirectory(data);
    return `${count} files are gone`;
  }),
  damaged("bits-flipped", ({ prng }, data) => {
    const files = drawFiles(prng, filesBelow(data));
    const told = files.map((file) => `${flipBits(prng, file)} of ${relative(data, file)}`);
    return `bits: ${told.join(", ")}`;
  }),
  damaged("tail-truncated", ({ prng }, data) => {
    const logs = filesBelow(data).filter((file) => file.endsWith(".log"));
    const told = drawFiles(prng, logs).map((file) => {
      const cut = Math.min(statSync(file).size, prng.between(...TAIL_BYTES));
      truncateSync(file, statSync(file).size - cut);
      return `${cut} bytes of ${relative(data, file)}`;
    });
    return told.join(", ");
  }),
  {
    name: "fsync-fails",
    group: "storage",
    obstacle: ({ noShim }) => noShim,
    inject: async (on) => {
      const { cluster, prng } = on;
      const target = someVictim(on);
      const shim = cluster.shim(target);
      const before = shim.get("syncsFailed");
      const holdMs = prng.between(500, 8_000);
      shim.set("syncFails", 1);
      return {
        targets: [target],
        detail: "every sync fails with EIO",
        holdMs,
        heal: async () => {
          shim.set("syncFails", 0);
          const failed = `${shim.get("syncsFailed") - before} syncs failed`;
          const { exitCode, running } = await cluster.state(target);
          if (running) return failed;
          await cluster.start([target]);
          return `${failed}, it ended with exit code ${exitCode}`;
        },
      };
    },
  },
  {
    name: "fsync-slow",
    group: "storage",
    obstacle: ({ noShim }) => noShim,
    inject: async (on) => {
      const { cluster, prng } = on;
      const target = someVictim(on);
      const delayMs = prng.pick([50, 200, 1_000, 5_000]);
      const holdMs = prng.between(...HOLD_MS);
      cluster.shim(target).set("syncDelayUs", delayMs * 1_000);
      return {
        targets: [target],
        detail: `a sync takes ${delayMs} ms longer`,
        holdMs,
        heal: async () => {
          cluster.shim(target).set("syncDelayUs", 0);
          const { exitCode, running } = await cluster.state(target);
          if (running) return undefined;
          await cluster.start([target]);
          return `it ended with exit code ${exitCode}`;
        },
      };
    },
  },
  {
    name: "power-loss",
    group: "storage",
    obstacle: ({ noMount, noShim }) => noShim ?? noMount,
    inject: async (on) => {
      const { cluster, prng } = on;
      // Mostly everywhere at once; sometimes one machine alone.
      const targets = prng.chance(3, 4) ? cluster.ids : [someBroker(on)];
      await cluster.kill(targets);
      const told = targets.map((id) => {
        const { bytes, cut } = losePower(cluster.dataOf(id), cluster.shim(id).syncedBytes());
        return `${bytes} bytes of ${cut} files of broker ${id}`;
      });
      return {
        targets,
        detail: `not synced were ${told.join(", ")}`,
        holdMs: prng.between(500, 3_000),
        heal: async () => {
          await cluster.start(targets);
          return undefined;
        },
      };
    },
  },
];
