/** How long a partition takes no records when its leader dies, freezes, is cut off, or is restarted. */
import { flush, isolate } from "../faults/network-faults.ts";
import { someLeader } from "../stage.ts";
import { sleep, until } from "../waiting.ts";
import {
  DRILL_LOAD,
  type Drill,
  type DrillContext,
  type DrillStage,
  type Figure,
  onStage,
  percentile,
  untilFlowing,
} from "./drill.ts";

const STEADY_MS = [1_000, 3_000] as const;
const RECOVERED_ACKS = 20;
const RECOVERED_MS = 60_000;
/** It wakes when it has long been replaced. */
const FROZEN_MS = 1_000;

interface Blow {
  /** What is done to the leader. */
  readonly strike: (on: DrillStage, leader: number, trial: number) => Promise<void>;
  readonly heal: (on: DrillStage, leader: number, trial: number) => Promise<void>;
}

function leaderDrill(options: {
  readonly name: string;
  readonly goal: { readonly p50Ms?: number; readonly p99Ms: number };
  readonly trials: number;
  readonly blow: Blow;
}): Drill {
  const { blow, goal, name } = options;
  const half = goal.p50Ms === undefined ? "" : `p50 ${seconds(goal.p50Ms)}, `;
  return {
    name,
    goal: `${half}p99 ${seconds(goal.p99Ms)}`,
    run: (context) =>
      onStage(context, DRILL_LOAD, async (on) => {
        const gaps: number[] = [];
        const trials = context.trials ?? options.trials;
        for (let trial = 0; trial < trials && !context.ending(); trial++) {
          const gap = await oneBlow(on, blow, trial);
          gaps.push(gap);
          context.say(`${name} ${trial + 1} of ${trials}: ${gap.toFixed(0)} ms`);
        }
        return figureOf(gaps, goal);
      }),
  };
}

/** The longest gap of the partitions that the victim led. */
async function oneBlow(on: DrillStage, blow: Blow, trial: number): Promise<number> {
  const { cluster, load, prng, stage } = on;
  await untilFlowing(on);
  await sleep(prng.between(...STEADY_MS));
  const view = await stage.view();
  const leader = someLeader({ cluster, prng, view, stage });
  const orphans = load.partitions.filter((each) => view.leaders[each] === leader);
  load.resetGaps();
  await blow.strike(on, leader, trial);
  const struck = orphans.map((each) => load.acks(each));
  await until(
    () =>
      orphans.every((each, index) => load.acks(each) - (struck[index] as number) >= RECOVERED_ACKS),
    { timeoutMs: RECOVERED_MS, periodMs: 20 },
  );
  const gap = Math.max(...orphans.map((each) => load.longestGapMs(each)));
  await blow.heal(on, leader, trial);
  return gap;
}

function figureOf(
  gaps: readonly number[],
  goal: { readonly p50Ms?: number; readonly p99Ms: number },
): Figure {
  const [p50, p99, most] = [percentile(gaps, 50), percentile(gaps, 99), Math.max(...gaps)];
  return {
    text: `p50 ${seconds(p50)}, p99 ${seconds(p99)}, longest ${seconds(most)} of ${gaps.length}`,
    met: p50 < (goal.p50Ms ?? Number.POSITIVE_INFINITY) && p99 < goal.p99Ms,
    values: gaps,
  };
}

async function rollingRestart(context: DrillContext): Promise<Figure> {
  return await onStage(context, DRILL_LOAD, async (on) => {
    const { cluster, load, prng, stage } = on;
    const gaps: number[] = [];
    const rounds = context.trials ?? 3;
    for (let round = 0; round < rounds && !context.ending(); round++) {
      for (const id of prng.shuffle(cluster.ids)) {
        await untilFlowing(on);
        load.resetGaps();
        await cluster.restart(id);
        const lacking = await stage.untilWhole(RECOVERED_MS);
        if (lacking !== undefined) throw new Error(`after broker ${id}: ${lacking}`);
        const gap = Math.max(...load.partitions.map((each) => load.longestGapMs(each)));
        gaps.push(gap);
        context.say(`broker ${id} restarted: longest gap ${gap.toFixed(0)} ms`);
      }
    }
    const most = Math.max(...gaps);
    return {
      text: `${load.failed} failed sends, longest gap ${seconds(most)}, of ${gaps.length} restarts`,
      met: load.failed === 0 && most < 1_000,
      values: gaps,
    };
  });
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

export const GAP_DRILLS: readonly Drill[] = [
  leaderDrill({
    name: "kill-leader",
    goal: { p50Ms: 600, p99Ms: 1_500 },
    trials: 30,
    blow: {
      strike: ({ cluster }, leader) => cluster.kill([leader]),
      heal: ({ cluster }, leader) => cluster.start([leader]),
    },
  }),
  leaderDrill({
    name: "cut-off-leader",
    goal: { p99Ms: 3_000 },
    trials: 20,
    blow: {
      strike: async ({ cluster }, leader, trial) => {
        if (trial % 2 === 0) await cluster.pause(leader);
        else await isolate(cluster, leader);
      },
      heal: async ({ cluster }, leader, trial) => {
        if (trial % 2 === 0) {
          await sleep(FROZEN_MS);
          await cluster.unpause(leader);
        } else await flush(cluster);
      },
    },
  }),
  { name: "rolling-restart", goal: "0 failed sends, longest gap 1.00 s", run: rollingRestart },
];
