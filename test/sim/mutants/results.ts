/**
 * The table of campaigns, as it is kept beside the mutants. A campaign of some mutants replaces their
 * rows: Raft alone plays a thousand seeds in the time of a few of a whole cluster's.
 */

import { MUTANTS } from "./all.ts";
import type { MutantRow } from "./campaign.ts";

const HEAD = ["Mutant", "File", "Scenario that catches it", "Simulation", "Seeds needed"];
const NOT_CAUGHT = "not caught";
const NOT_RUN = "not run";

/** `before`: the table as it is; empty: there is none yet. */
export function resultsTable(before: string, rows: readonly MutantRow[]): string {
  const known = new Map(cellsOf(before).map((cells) => [cells[0], cells]));
  for (const row of rows) known.set(row.mutant.name, cellsOfRow(row));
  const table = MUTANTS.map((mutant) => {
    const cells = known.get(mutant.name);
    return cells ?? [mutant.name, fileOf(mutant.file), NOT_CAUGHT, mutant.seeds, NOT_RUN];
  });
  const column = (at: number): string[] => table.map((cells) => cells[at] ?? "");
  const needed = column(4)
    .filter((cell) => /^\d+$/.test(cell))
    .map(Number)
    .sort((left, right) => left - right);
  const tried = column(4).filter((cell) => cell !== NOT_RUN).length;
  const share = tried === 0 ? 0 : Math.floor((100 * needed.length) / tried);
  const median = needed[needed.length >> 1] ?? 0;
  const caught = column(2).filter((cell) => cell !== NOT_CAUGHT).length;
  return `${[
    "# Mutants and what catches them",
    "",
    "Written by `npm run mutants -- --seeds N [--only NAME]`: do not edit. Each mutant is one line of the",
    "product made wrong; its scenario must fail with it. The last column says how many random seeds, from",
    "1 on, it takes to find it without that scenario, as of the last campaign that had it.",
    "",
    `${caught} of ${table.length} are caught by their scenarios. Of ${tried} that random seeds were tried on, ${needed.length} (${share} %) were found, half of them by ${median}.`,
    "",
    ...[HEAD, HEAD.map(() => "---"), ...table].map((cells) => `| ${cells.join(" | ")} |`),
  ].join("\n")}\n`;
}

function cellsOfRow({ mutant, scenarioFailure, caughtBySeed, seedsRun }: MutantRow): string[] {
  const missed = seedsRun === 0 ? NOT_RUN : `none of ${seedsRun}`;
  return [
    mutant.name,
    fileOf(mutant.file),
    scenarioFailure === undefined ? NOT_CAUGHT : mutant.scenario,
    mutant.seeds,
    caughtBySeed === undefined ? missed : String(caughtBySeed),
  ];
}

function fileOf(path: string): string {
  return `\`${path.slice("src/".length)}\``;
}

function cellsOf(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.slice(2, -2).split(" | "));
}
