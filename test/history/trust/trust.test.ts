/**
 * May the checker be believed? It accuses none of 10,000 valid histories, and finds the right
 * anomaly in each of 1,000 histories broken in each of forty ways.
 */
import { describe, expect, it } from "vitest";
import { Prng } from "../../../src/base/prng.ts";
import { checkHistory } from "../check.ts";
import { ANOMALIES } from "../findings.ts";
import { Site } from "./editing.ts";
import { LOG_MUTATORS } from "./mutate-log.ts";
import { METADATA_MUTATORS } from "./mutate-metadata.ts";
import { perfectHistory } from "./perfect-run.ts";

const VALID_COUNT = 10_000;
const MUTANTS_COUNT = 1_000;
/** Of those that offer no place for a mutation the next is taken; so many at most. */
const TRIED_MAX = 60_000;
const MUTATORS = { ...LOG_MUTATORS, ...METADATA_MUTATORS };

describe("the checker", () => {
  it("accuses no valid history", { timeout: 300_000 }, () => {
    const accused: unknown[] = [];
    let allowed = 0;
    for (let seed = 1; seed <= VALID_COUNT; seed++) {
      const verdict = checkHistory(perfectHistory({ seed }), { minOkPercent: 0 });
      allowed += verdict.counts.duplicates + verdict.counts.lostWithWeakAcks;
      if (verdict.verdict !== "valid") accused.push({ seed, ...verdict });
    }
    expect(accused.slice(0, 3)).toEqual([]);
    // They are no tame ones.
    expect(allowed).toBeGreaterThan(VALID_COUNT / 10);
  });

  it.each(Object.entries(MUTATORS))(
    "finds what is wrong after %s",
    { timeout: 300_000 },
    (name, mutate) => {
      const prng = new Prng(1).fork(name);
      const missed: unknown[] = [];
      let made = 0;
      for (let seed = 1; made < MUTANTS_COUNT && seed <= TRIED_MAX; seed++) {
        const mutant = mutate(new Site(perfectHistory({ seed }), prng));
        if (mutant === undefined) continue;
        made++;
        const { verdict, counts } = checkHistory(mutant.lines);
        const found = Object.keys(counts.anomalies);
        if (verdict === "invalid" && mutant.expected.some((each) => found.includes(each))) continue;
        missed.push({ seed, verdict, found, expected: mutant.expected });
      }
      expect(missed.slice(0, 3)).toEqual([]);
      expect(made).toBe(MUTANTS_COUNT);
    },
  );

  it("has a mutator for each anomaly", () => {
    const found = new Set<string>();
    for (const mutate of Object.values(MUTATORS)) {
      for (let seed = 1; seed <= TRIED_MAX; seed++) {
        const mutant = mutate(new Site(perfectHistory({ seed }), new Prng(seed)));
        for (const each of mutant?.expected ?? []) found.add(each);
        if (mutant !== undefined) break;
      }
    }
    expect([...found].sort()).toEqual([...ANOMALIES].sort());
  });
});
