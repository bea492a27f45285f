/** How soon everything is as it was: after an outage of one broker, and after the death of all. */
import { statfsSync, statSync } from "node:fs";
import { filesBelow } from "../shim-control.ts";
import { sleep, until } from "../waiting.ts";
import {
  DRILL_LOAD,
  type Drill,
  type DrillContext,
  type DrillStage,
  type Figure,
  onStage,
  untilFlowing,
} from "./drill.ts";

const OUTAGE_MS = 10_000;
const WHOLE_MS = 120_000;
const OUTAGE_GOAL_MS = 10_000;
const SERVING_GOAL_MS = 10_000;
const GIB = 1024 ** 3;
const DATA_BYTES = 5 * GIB;
/** Three replicas, and as much again left free for whoever shares the disk. */
const FREE_BYTES = DATA_BYTES * 2;
const FILL_MS = 1_200_000;
const SERVED_ACKS = 20;

async function outage(context: DrillContext): Promise<Figure> {
  const wanted = { ...DRILL_LOAD, recordsPerSecond: 10_000 };
  return await onStage(context, wanted, async (on) => {
    const { cluster, load, prng, stage } = on;
    const times: number[] = [];
    const rates: number[] = [];
    const trials = context.trials ?? 5;
    for (let trial = 0; trial < trials && !context.ending(); trial++) {
      await untilFlowing(on);
      const id = prng.pick(cluster.ids);
      await cluster.kill([id]);
      const before = load.acknowledged;
      await sleep(OUTAGE_MS);
      rates.push(((load.acknowledged - before) * 1_000) / OUTAGE_MS);
      const began = performance.now();
      await cluster.start([id]);
      const lacking = await stage.untilWhole(WHOLE_MS);
      if (lacking !== undefined) throw new Error(`after the outage: ${lacking}`);
      times.push(performance.now() - began);
      context.say(
        `broker ${id} was away at ${(rates.at(-1) ?? 0).toFixed(0)} records/s: full ISR ${((times.at(-1) ?? 0) / 1000).toFixed(2)} s after its start`,
      );
    }
    const most = Math.max(...times);
    const least = Math.min(...rates);
    return {
      text: `full ISR after at most ${(most / 1000).toFixed(2)} s, of ${times.length}, at ${least.toFixed(0)} records/s or more`,
      met: most < OUTAGE_GOAL_MS,
      values: times,
    };
  });
}

/** What all brokers hold, replicas counted. */
function bytesOf({ cluster }: DrillStage): number {
  return cluster.ids
    .flatMap((id) => filesBelow(cluster.dataOf(id)))
    .reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}

async function deathOfAll(context: DrillContext): Promise<Figure> {
  const wanted = { recordsPerSecond: 40_000, valueBytes: 1_000, partitions: 6 };
  return await onStage(context, wanted, async (on) => {
    const { cluster, load } = on;
    const { bavail, bsize } = statfsSync(cluster.directory);
    if (bavail * bsize < FREE_BYTES) throw new Error(`less than ${FREE_BYTES} bytes are free`);
    let told = 0;
    const filled = await until(
      () => {
        const bytes = bytesOf(on);
        if (bytes - told > GIB / 2) {
          told = bytes;
          context.say(`${(bytes / GIB).toFixed(1)} of ${DATA_BYTES / GIB} GiB`);
        }
        return bytes >= DATA_BYTES || context.ending();
      },
      { timeoutMs: FILL_MS, periodMs: 2_000 },
    );
    if (!filled) throw new Error(`no ${DATA_BYTES} bytes within ${FILL_MS / 60_000} minutes`);
    const times: number[] = [];
    const trials = context.trials ?? 3;
    for (let trial = 0; trial < trials && !context.ending(); trial++) {
      await untilFlowing(on);
      await cluster.kill(cluster.ids);
      load.resetGaps();
      const began = performance.now();
      await cluster.start(cluster.ids);
      const served = await until(
        () => load.partitions.every((each) => load.acks(each) >= SERVED_ACKS),
        { timeoutMs: WHOLE_MS, periodMs: 20 },
      );
      if (!served) throw new Error(`not every partition takes records after ${WHOLE_MS} ms`);
      times.push(performance.now() - began);
      context.say(
        `every partition written again after ${((times.at(-1) ?? 0) / 1000).toFixed(2)} s`,
      );
    }
    const most = Math.max(...times);
    const held = (bytesOf(on) / GIB).toFixed(1);
    return {
      text: `every partition written again after at most ${(most / 1000).toFixed(2)} s, of ${times.length}, with ${held} GiB`,
      met: most < SERVING_GOAL_MS,
      values: times,
    };
  });
}

export const RECOVERY_DRILLS: readonly Drill[] = [
  { name: "outage", goal: "full ISR within 10 s after 10 s away at 10,000 records/s", run: outage },
  { name: "death-of-all", goal: "every partition written within 10 s, with 5 GB", run: deathOfAll },
];
