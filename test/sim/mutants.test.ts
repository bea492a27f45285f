import { describe, expect, test } from "vitest";
import { MUTANTS } from "./mutants/all.ts";
import { applyMutant } from "./mutants/build.ts";
import { type MutantRow, runCampaign } from "./mutants/campaign.ts";
import { SCENARIOS } from "./scenarios/all.ts";

// The test of the tests: a product that is wrong in one line must not pass its scenario. How many
// random seeds find it without the scenario stands in `mutants/RESULTS.md`.

describe("mutants", () => {
  test("every scenario's promise is broken by a mutant", () => {
    const broken = new Set(MUTANTS.map(({ scenario }) => scenario));
    const unbroken = SCENARIOS.map(({ name }) => name).filter((name) => !broken.has(name));
    expect(unbroken).toEqual([]);
  });

  test("each has its own name", () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });

  test("a mutant whose line is gone, or is there twice, is an error", () => {
    const mutant = { ...(MUTANTS[0] as (typeof MUTANTS)[number]), find: "x = 1;", replace: "$&" };
    expect(() => applyMutant("y = 2;", mutant)).toThrow("has no");
    expect(() => applyMutant("x = 1; x = 1;", mutant)).toThrow("has 2");
    expect(applyMutant("a; x = 1; b;", mutant)).toBe("a; $& b;");
  });

  test("each is caught by its scenario", { timeout: 1_200_000 }, async () => {
    const rows = await runCampaign({ root: process.cwd(), mutants: MUTANTS, seeds: 0, atOnce: 2 });
    const isCaught = ({ scenarioFailure }: MutantRow): boolean => scenarioFailure !== undefined;
    expect(rows.filter((row) => !isCaught(row)).map(({ mutant }) => mutant.name)).toEqual([]);
    expect(rows.length).toBe(MUTANTS.length);
  });
});
