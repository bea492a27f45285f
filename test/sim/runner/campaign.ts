/** Many runs: which, until when, each hundredth twice, and what is done about a failure. */
import type { FaultPlan } from "../faults/plan.ts";
import type { Job, SeedJob } from "./job.ts";
import { writePlanFile } from "./plan-file.ts";
import type { Played, Pool } from "./pool.ts";
import { nameOf, verdictOf } from "./report.ts";
import { shrinkPlan } from "./shrink.ts";
import type { Tally } from "./tally.ts";

export interface CampaignOptions {
  readonly pool: Pool;
  readonly tally: Tally;
  readonly workersCount: number;
  /** The next run; undefined: there is none any more. */
  readonly next: () => Job | undefined;
  /** The first run and each so many after it are made twice; 0: none. */
  readonly twiceEvery: number;
  readonly onPlayed: (job: Job, played: Played) => void;
}

export const TRACES_DIFFER = "two runs of one seed take the same course";

/** Plays until there is no next run. */
export async function playAll(options: CampaignOptions): Promise<void> {
  const { pool, tally, next, twiceEvery, onPlayed, workersCount } = options;
  let index = 0;
  const lane = async (): Promise<void> => {
    for (let job = next(); job !== undefined; job = next()) {
      const twice = twiceEvery > 0 && index++ % twiceEvery === 0;
      const played = await pool.run(job);
      const compared = twice ? await compare(pool, job, played, tally) : played;
      tally.add(nameOf(job), compared);
      onPlayed(job, compared);
    }
  };
  await Promise.all(Array.from({ length: workersCount }, lane));
}

/** A difference is a failure of its own: nothing that the seed says can then be relied on. */
async function compare(pool: Pool, job: Job, first: Played, tally: Tally): Promise<Played> {
  if (verdictOf(first.result) === "unknown") return first;
  const { result, coreSeconds } = await pool.run(job);
  const both = { ...first, coreSeconds: first.coreSeconds + coreSeconds };
  if (verdictOf(result) === "unknown") return both;
  if (result.traceHash === first.result.traceHash) {
    tally.twiceCount++;
    return both;
  }
  const message = `${TRACES_DIFFER}: hash ${first.result.traceHash} after ${first.result.eventsCount} events, then ${result.traceHash} after ${result.eventsCount}`;
  return {
    coreSeconds: both.coreSeconds,
    result: { ...first.result, failure: { invariant: TRACES_DIFFER, message } },
  };
}

export interface ShrinkFailureOptions {
  readonly pool: Pool;
  readonly job: SeedJob;
  readonly plan: FaultPlan;
  readonly invariant: string;
  readonly commit: string;
  readonly runsMax: number;
  readonly secondsMax: number;
}

/** Writes the smallest plan found to a file; gives what people are told. */
export async function shrinkFailure(options: ShrinkFailureOptions): Promise<string[]> {
  const { pool, job, plan, invariant, commit, runsMax, secondsMax } = options;
  const endMs = performance.now() + secondsMax * 1000;
  const shrunk = await shrinkPlan({
    plan,
    fails: async (tried) => {
      const { result } = await pool.run({ ...job, plan: tried });
      return result.failure?.invariant === invariant;
    },
    runsMax,
    outOfTime: () => performance.now() > endMs,
  });
  const path = writePlanFile({ job, plan: shrunk.plan, commit, violates: invariant });
  const how = shrunk.minimal
    ? "nothing more can be left out"
    : "the bound on runs or time ended it";
  return [
    `shrunk   ${plan.faults.length} faults to ${shrunk.plan.faults.length} in ${shrunk.runsCount} runs (${how})`,
    ...shrunk.plan.faults.map((fault) => `         ${JSON.stringify(fault)}`),
    `plan     ${path}`,
    `         npm run sim -- --plan ${path}`,
  ];
}
