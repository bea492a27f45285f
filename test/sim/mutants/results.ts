/** The table of a campaign, as it is kept beside the mutants. */
import type { MutantRow } from "./campaign.ts";

export function resultsTable(rows: readonly MutantRow[], seeds: number): string {
  const needed = rows
    .flatMap(({ caughtBySeed }) => caughtBySeed ?? [])
    .sort((left, right) => left - right);
  const tried = rows.filter(({ seedsRun }) => seedsRun > 0).length;
  const share = tried === 0 ? 0 : Math.floor((100 * needed.length) / tried);
  const median = needed[needed.length >> 1] ?? 0;
  const scenarios = rows.filter(({ scenarioFailure }) => scenarioFailure !== undefined).length;
  const cells = rows.map(({ mutant, scenarioFailure, caughtBySeed, seedsRun }) => [
    mutant.name,
    `\`${mutant.file.slice("src/".length)}\``,
    scenarioFailure === undefined ? "not caught" : mutant.scenario,
    mutant.seeds,
    caughtBySeed === undefined ? missed(seedsRun) : String(caughtBySeed),
  ]);
  const head = ["Mutant", "File", "Scenario that catches it", "Simulation", "Seeds needed"];
  return `${[
    "# Mutants and what catches them",
    "",
    "Written by `npm run mutants -- --seeds N`: do not edit. Each mutant is one line of the product made",
    "wrong; its scenario must fail with it. The last column says how many random seeds, from 1 on, it",
    "takes to find it without that scenario.",
    "",
    `${scenarios} of ${rows.length} are caught by their scenarios. Of ${tried} that random seeds were tried on, at most ${seeds} each, ${needed.length} (${share} %) were found, half of them by ${median}.`,
    "",
    ...tableOf(head, cells),
  ].join("\n")}\n`;
}

function missed(seedsRun: number): string {
  return seedsRun === 0 ? "not run" : `none of ${seedsRun}`;
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}
