import { expect, test } from "vitest";
import type { FaultPlan } from "../faults/plan.ts";
import { shrinkPlan } from "./shrink.ts";

// Delta debugging: the smallest plan that still fails, in a bounded number of runs.

function planOf(count: number, heal: FaultPlan["heal"] = { mode: "whole" }): FaultPlan {
  const faults = Array.from({ length: count }, (_, atMs) => ({
    atMs,
    kind: "crash",
    durationMs: 10,
  }));
  return { durationMs: count, faults, heal };
}

function needs(...wanted: readonly number[]): (plan: FaultPlan) => Promise<boolean> {
  return (plan) => {
    const times = new Set(plan.faults.map(({ atMs }) => atMs));
    return Promise.resolve(wanted.every((atMs) => times.has(atMs)));
  };
}

const unbounded = { runsMax: 1_000, outOfTime: () => false };

test("what has no part in the failure is left out", async () => {
  const shrunk = await shrinkPlan({ plan: planOf(64), fails: needs(3, 40, 41), ...unbounded });
  expect(shrunk.plan.faults.map(({ atMs }) => atMs)).toEqual([3, 40, 41]);
  expect(shrunk.minimal).toBe(true);
  expect(shrunk.runsCount).toBeLessThan(100);
});

test("a run that fails without any fault needs none", async () => {
  const shrunk = await shrinkPlan({ plan: planOf(30), fails: needs(), ...unbounded });
  expect(shrunk.plan.faults).toEqual([]);
  expect(shrunk.runsCount).toBe(1);
});

test("a core that need not heal alone heals with the rest", async () => {
  const core = { mode: "core", draw: 1, rest: "dead" } as const;
  const plan = planOf(4, core);
  const any = await shrinkPlan({ plan, fails: needs(2), ...unbounded });
  expect(any.plan.heal).toEqual({ mode: "whole" });
  const fails = async (tried: FaultPlan): Promise<boolean> =>
    tried.heal.mode === "core" && (await needs(2)(tried));
  expect((await shrinkPlan({ plan, fails, ...unbounded })).plan.heal).toEqual(core);
});

test("the bounds end it with the best so far", async () => {
  let runsCount = 0;
  const fails = (plan: FaultPlan): Promise<boolean> => {
    runsCount++;
    return needs(1, 2, 3, 30, 50)(plan);
  };
  const shrunk = await shrinkPlan({ plan: planOf(64), fails, runsMax: 5, outOfTime: () => false });
  expect(runsCount).toBe(5);
  expect(shrunk.minimal).toBe(false);
  expect(await needs(1, 2, 3, 30, 50)(shrunk.plan)).toBe(true);
  const late = await shrinkPlan({
    plan: planOf(8),
    fails: needs(1),
    runsMax: 100,
    outOfTime: () => true,
  });
  expect(late).toMatchObject({ runsCount: 0, minimal: false });
});
