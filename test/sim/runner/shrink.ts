/**
 * Delta debugging (Zeller and Hildebrandt 2002, ddmin) over the faults of a plan: the smallest list
 * found, in a bounded number of runs, that still breaks the same invariant. Each fault is played
 * at its own time whatever else is left out, which is what makes leaving out mean something.
 */
import type { FaultPlan } from "../faults/plan.ts";

export interface ShrinkOptions {
  readonly plan: FaultPlan;
  /** Whether the run with that plan fails as the first one did. */
  readonly fails: (plan: FaultPlan) => Promise<boolean>;
  readonly runsMax: number;
  /** Asked before each run. */
  readonly outOfTime: () => boolean;
}

export interface Shrunk {
  readonly plan: FaultPlan;
  readonly runsCount: number;
  /** Nothing more can be left out; otherwise the bound ended it. */
  readonly minimal: boolean;
}

class OutOfRuns extends Error {
  override readonly name = "OutOfRuns";
}

export async function shrinkPlan(options: ShrinkOptions): Promise<Shrunk> {
  let best = options.plan;
  let runsCount = 0;
  /** Keeps the plan if it fails too. */
  const keeps = async (plan: FaultPlan): Promise<boolean> => {
    if (runsCount >= options.runsMax || options.outOfTime()) throw new OutOfRuns();
    runsCount++;
    if (!(await options.fails(plan))) return false;
    best = plan;
    return true;
  };
  try {
    if (best.heal.mode === "core") await keeps({ ...best, heal: { mode: "whole" } });
    if (await keeps({ ...best, faults: [] })) return { plan: best, runsCount, minimal: true };
    let parts = 2;
    while (best.faults.length >= 2) {
      const size = Math.ceil(best.faults.length / parts);
      if (await leaveOneOut(best, size, keeps)) {
        parts = Math.max(2, parts - 1);
      } else if (size === 1) break;
      else parts = Math.min(best.faults.length, parts * 2);
    }
  } catch (thrown) {
    if (!(thrown instanceof OutOfRuns)) throw thrown;
    return { plan: best, runsCount, minimal: false };
  }
  return { plan: best, runsCount, minimal: true };
}

/** True once some piece of that many faults was left out. The latest go first: most come after. */
async function leaveOneOut(
  plan: FaultPlan,
  size: number,
  keeps: (plan: FaultPlan) => Promise<boolean>,
): Promise<boolean> {
  const { faults } = plan;
  for (let to = faults.length; to > 0; to -= size) {
    const from = Math.max(0, to - size);
    const rest = [...faults.slice(0, from), ...faults.slice(to)];
    if (rest.length > 0 && (await keeps({ ...plan, faults: rest }))) return true;
  }
  return false;
}
