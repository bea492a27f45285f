/**
 * Adds what a run saw to the tables of `RESULTS.md`: its own row, and what each kind of fault has cost
 * over all runs. Prose around the tables is for people and stays.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import type { RunReport } from "./chaos-run.ts";
import type { FaultResult } from "./nemesis.ts";

export const RESULTS_FILE = "test/chaos/RESULTS.md";

export const FAULT_HEAD =
  "| Fault | Made | Seeds | Unknown | Mean gap s | Longest gap s | Mean time to full ISR s | Longest s | Never |";
export const RUN_HEAD =
  "| Seed | Commit | Minutes | Faults | Unknown | Sent | Acknowledged | Failed sends | Read | Verdict |";
/** Columns of the table of runs, the empty one before the first bar counted. */
const FAULTS_COLUMN = 4;
const ACKNOWLEDGED_COLUMN = 7;
const VERDICT_COLUMN = 10;
const TOTALS = /^Together: .*$/m;
export const DRILL_HEAD = "| Drill | Commit | Seen | Goal | Met |";

interface FaultRow {
  readonly fault: string;
  readonly made: number;
  readonly seeds: readonly number[];
  readonly unknown: number;
  readonly gapMean: number;
  readonly gapMost: number;
  readonly wholeMean: number;
  readonly wholeMost: number;
  /** Made, and every replica was never in sync again. */
  readonly never: number;
}

export function addToResults(path: string, report: RunReport, commit: string): void {
  writeFileSync(path, withRun(readFileSync(path, "utf8"), report, commit));
}

/** What is run, `-dirty` if it is not as committed; the results themselves may be ahead. */
export function commitOfRun(): string {
  const git = (words: readonly string[]): string =>
    execFileSync("git", words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    const commit = git(["rev-parse", "--short=12", "HEAD"]);
    const changed = git(["status", "--porcelain", "-uno", "--", ".", `:!${RESULTS_FILE}`]);
    return changed === "" ? commit : `${commit}-dirty`;
  } catch {
    return "unknown";
  }
}

export function addDrill(
  path: string,
  drill: {
    readonly name: string;
    readonly seen: string;
    readonly goal: string;
    readonly met: boolean;
    readonly commit: string;
  },
): void {
  const { commit, goal, met, name, seen } = drill;
  const cells = [name, commit, seen, goal, met ? "yes" : "no"];
  const text = readFileSync(path, "utf8");
  writeFileSync(
    path,
    replaceRows(text, DRILL_HEAD, (rows) => [...rows, rowOf(cells)]),
  );
}

/** Throws if the text lacks a table. */
export function withRun(text: string, report: RunReport, commit: string): string {
  const { acknowledged, failedSends, faults, minutes, reads, seed, sent, verdict } = report;
  const made = faults.filter(({ outcome }) => outcome === "made").length;
  const unknown = faults.length - made;
  const cells = [seed, commit, minutes.toFixed(1), made, unknown, sent, acknowledged, failedSends];
  const withFaults = replaceRows(text, FAULT_HEAD, (rows) => {
    const known = new Map(rows.map((row) => parseFault(row)).map((row) => [row.fault, row]));
    for (const result of faults) {
      const before = known.get(result.fault) ?? emptyRow(result.fault);
      known.set(result.fault, added(before, result, seed));
    }
    return [...known.values()]
      .sort((left, right) => (left.fault < right.fault ? -1 : 1))
      .map(faultRow);
  });
  const withRow = replaceRows(withFaults, RUN_HEAD, (rows) => [
    ...rows,
    rowOf([...cells, reads, verdict]),
  ]);
  return withRow.replace(TOTALS, totalsOf(rowsOf(withRow, RUN_HEAD)));
}

function totalsOf(rows: readonly string[]): string {
  const cells = rows.map((row) => row.split("|").map((cell) => cell.trim()));
  const sum = (column: number): number => cells.reduce((all, row) => all + Number(row[column]), 0);
  const verdicts = ["valid", "invalid", "unknown"].map(
    (verdict) => `${cells.filter((row) => row[VERDICT_COLUMN] === verdict).length} ${verdict}`,
  );
  return `Together: ${rows.length} runs, ${verdicts.join(", ")}; ${sum(FAULTS_COLUMN)} faults made; ${sum(ACKNOWLEDGED_COLUMN)} records acknowledged.`;
}

/** Where the rows of a table begin and end; throws if there is none. */
function spanOf(lines: readonly string[], head: string): { from: number; to: number } {
  const at = lines.indexOf(head);
  if (at < 0) throw new Error(`${RESULTS_FILE} has no table "${head}"`);
  let to = at + 2;
  while (lines[to]?.startsWith("|") === true) to++;
  return { from: at + 2, to };
}

function rowsOf(text: string, head: string): readonly string[] {
  const lines = text.split("\n");
  const { from, to } = spanOf(lines, head);
  return lines.slice(from, to);
}

function replaceRows(
  text: string,
  head: string,
  change: (rows: readonly string[]) => readonly string[],
): string {
  const lines = text.split("\n");
  const { from, to } = spanOf(lines, head);
  return [...lines.slice(0, from), ...change(lines.slice(from, to)), ...lines.slice(to)].join("\n");
}

function emptyRow(fault: string): FaultRow {
  const none = {
    made: 0,
    unknown: 0,
    gapMean: 0,
    gapMost: 0,
    wholeMean: 0,
    wholeMost: 0,
    never: 0,
  };
  return { fault, seeds: [], ...none };
}

function added(row: FaultRow, result: FaultResult, seed: number): FaultRow {
  if (result.outcome === "unknown") return { ...row, unknown: row.unknown + 1 };
  const made = row.made + 1;
  const gap = result.gapMs / 1000;
  const seeds = row.seeds.includes(seed) ? row.seeds : [...row.seeds, seed];
  const grown = {
    ...row,
    made,
    seeds,
    gapMean: (row.gapMean * row.made + gap) / made,
    gapMost: Math.max(row.gapMost, gap),
  };
  if (result.wholeMs === undefined) return { ...grown, never: row.never + 1 };
  const whole = result.wholeMs / 1000;
  const times = row.made - row.never;
  return {
    ...grown,
    wholeMean: (row.wholeMean * times + whole) / (times + 1),
    wholeMost: Math.max(row.wholeMost, whole),
  };
}

function faultRow(row: FaultRow): string {
  return rowOf([
    row.fault,
    row.made,
    row.seeds.join(" "),
    row.unknown,
    row.gapMean.toFixed(2),
    row.gapMost.toFixed(2),
    row.wholeMean.toFixed(2),
    row.wholeMost.toFixed(2),
    row.never,
  ]);
}

function parseFault(line: string): FaultRow {
  const cells = line.split("|").slice(1, -1);
  const [fault = "", made, seeds = "", unknown, gapMean, gapMost, wholeMean, wholeMost, never] =
    cells.map((cell) => cell.trim());
  return {
    fault,
    made: Number(made),
    seeds: seeds === "" ? [] : seeds.split(" ").map(Number),
    unknown: Number(unknown),
    gapMean: Number(gapMean),
    gapMost: Number(gapMost),
    wholeMean: Number(wholeMean),
    wholeMost: Number(wholeMost),
    never: Number(never),
  };
}

function rowOf(cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}
