/**
 * `npm run mutants [-- --seeds N] [--only NAME] [--at-once N]`
 *
 * Each mutant must make its scenario fail; with `--seeds`, also counts how many random seeds it
 * takes to find it, and writes that into the table of `RESULTS.md`. Ends with
 * exit code 1 if a mutant was not caught by its scenario, 2 if it was asked for what there is not.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MUTANTS } from "./all.ts";
import { type MutantRow, runCampaign } from "./campaign.ts";
import { resultsTable } from "./results.ts";

const SEEDS_MAX = 1_000;
const AT_ONCE_MAX = 64;

interface Asked {
  readonly seeds: number;
  readonly atOnce: number;
  readonly only: readonly string[];
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new Error(`--${name} is "${text}", allowed are ${least} to ${most}`);
}

function asked(): Asked {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "0" },
      "at-once": { type: "string", default: "2" },
      only: { type: "string", multiple: true, default: [] },
    },
  });
  for (const name of values.only) {
    if (!MUTANTS.some((mutant) => mutant.name === name)) {
      throw new Error(
        `there is no mutant ${name}; there are ${MUTANTS.map((m) => m.name).join(", ")}`,
      );
    }
  }
  return {
    seeds: whole("seeds", values.seeds, 0, SEEDS_MAX),
    atOnce: whole("at-once", values["at-once"], 1, AT_ONCE_MAX),
    only: values.only,
  };
}

function tell({ mutant, scenarioFailure, caughtBySeed, seedsRun }: MutantRow): void {
  const byScenario = scenarioFailure === undefined ? "NOT CAUGHT" : `caught: ${scenarioFailure}`;
  const bySeed =
    caughtBySeed === undefined ? `not by ${seedsRun} seeds` : `by seed ${caughtBySeed}`;
  const seeds = seedsRun === 0 ? "" : `; ${bySeed}`;
  console.log(`${mutant.name} (${mutant.scenario})${seeds}\n    ${byScenario.slice(0, 160)}`);
}

async function main({ seeds, atOnce, only }: Asked): Promise<void> {
  const mutants = MUTANTS.filter(({ name }) => only.length === 0 || only.includes(name));
  const root = process.cwd();
  const rows = await runCampaign({ root, mutants, seeds, atOnce, onRow: tell });
  const missed = rows.filter(({ scenarioFailure }) => scenarioFailure === undefined);
  console.log(
    `\n${rows.length - missed.length} of ${rows.length} mutants caught by their scenarios`,
  );
  if (seeds > 0) {
    const found = rows.filter(({ caughtBySeed }) => caughtBySeed !== undefined);
    console.log(`${found.length} of ${rows.length} found within ${seeds} random seeds`);
  }
  if (seeds > 0) {
    const file = join(root, "test/sim/mutants/RESULTS.md");
    const before = existsSync(file) ? readFileSync(file, "utf8") : "";
    writeFileSync(file, resultsTable(before, rows));
  }
  if (missed.length > 0) {
    console.log(`not caught: ${missed.map(({ mutant }) => mutant.name).join(" ")}`);
    process.exitCode = 1;
  }
}

let wanted: Asked | undefined;
try {
  wanted = asked();
} catch (thrown) {
  console.error(thrown instanceof Error ? thrown.message : String(thrown));
  process.exitCode = 2;
}
if (wanted !== undefined) await main(wanted);
