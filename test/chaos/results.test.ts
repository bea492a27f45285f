import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { RunReport } from "./chaos-run.ts";
import { FAULTS, faultsNamed } from "./faults/catalogue.ts";
import type { FaultResult } from "./nemesis.ts";
import { RESULTS_FILE, withRun } from "./results.ts";

const EMPTY = `before

| Fault | Made | Seeds | Unknown | Mean gap s | Longest gap s | Mean time to full ISR s | Longest s | Never |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |

between

Together: nothing.

| Seed | Commit | Minutes | Faults | Unknown | Sent | Acknowledged | Failed sends | Read | Verdict |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |

after
`;

function fault(over: Partial<FaultResult>): FaultResult {
  const made = { fault: "stop", outcome: "made", targets: [1], detail: "" } as const;
  return { ...made, gapMs: 500, wholeMs: 2_000, acknowledged: 10, ...over };
}

function report(seed: number, faults: readonly FaultResult[]): RunReport {
  const counts = { sent: 12, acknowledged: 11, failedSends: 1, reads: 30, minutes: 5 };
  return { seed, verdict: "valid", why: [], faults, kept: undefined, ...counts };
}

describe("the tables of results", () => {
  it("count faults by kind over all runs, and runs one by one", () => {
    const once = withRun(
      EMPTY,
      report(7, [
        fault({}),
        fault({ gapMs: 1_500, wholeMs: undefined }),
        fault({ fault: "pause", outcome: "unknown" }),
      ]),
      "abc",
    );
    const twice = withRun(once, report(8, [fault({ gapMs: 1_000, wholeMs: 4_000 })]), "def");
    const rows = twice.split("\n").filter((line) => line.startsWith("|"));
    expect(rows).toContain("| pause | 0 |  | 1 | 0.00 | 0.00 | 0.00 | 0.00 | 0 |");
    expect(rows).toContain("| stop | 3 | 7 8 | 0 | 1.00 | 1.50 | 3.00 | 4.00 | 1 |");
    expect(rows).toContain("| 7 | abc | 5.0 | 2 | 1 | 12 | 11 | 1 | 30 | valid |");
    expect(rows).toContain("| 8 | def | 5.0 | 1 | 0 | 12 | 11 | 1 | 30 | valid |");
    expect(twice).toContain(
      "Together: 2 runs, 2 valid, 0 invalid, 0 unknown; 3 faults made; 22 records acknowledged.",
    );
    expect(twice).toMatch(/^before\n[\s\S]*\nbetween\n[\s\S]*\nafter\n$/);
  });

  it("are those of the file", () => {
    const text = readFileSync(RESULTS_FILE, "utf8");
    expect(() => withRun(text, report(7, []), "abc")).not.toThrow();
  });

  it("are refused where the file has none", () => {
    expect(() => withRun("nothing", report(7, [fault({})]), "abc")).toThrow(/has no table/);
  });
});

describe("the catalogue of faults", () => {
  it("has each name once, and none that is a group", () => {
    const names = FAULTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => FAULTS.some(({ group }) => group === name))).toEqual([]);
  });

  it("is chosen from by names and groups", () => {
    const { kinds, unknown } = faultsNamed(["clock", "pause", "earthquake"]);
    expect(kinds.map(({ name }) => name)).toEqual(["pause", "clock-offset"]);
    expect(unknown).toEqual(["earthquake"]);
  });
});
