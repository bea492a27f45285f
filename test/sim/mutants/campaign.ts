/** Lets each mutant loose in a process of its own, a few at a time, and collects what caught it. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Build, buildMutants } from "./build.ts";
import type { Mutant } from "./mutant.ts";
import type { PlayLine } from "./play.ts";

export interface MutantRow {
  readonly mutant: Mutant;
  /** How the scenario failed; undefined: the mutant was not caught. */
  readonly scenarioFailure: string | undefined;
  /** The first seed that failed; undefined: none did, or none were asked for. */
  readonly caughtBySeed: number | undefined;
  readonly seedFailure: string | undefined;
  readonly seedsRun: number;
}

export interface CampaignOptions {
  /** The repository. */
  readonly root: string;
  readonly mutants: readonly Mutant[];
  /** Random seeds for each mutant, at most. */
  readonly seeds: number;
  /** Processes at a time. */
  readonly atOnce: number;
  readonly onRow?: (row: MutantRow) => void;
}

/** A mutant that says nothing for so long goes round in circles, which is as good as a failure. */
const SILENT_MS = 60_000;

export async function runCampaign(options: CampaignOptions): Promise<readonly MutantRow[]> {
  const { root, mutants, seeds, atOnce } = options;
  const build = buildMutants(root, mutants);
  await checkScenarios(build);
  const rows: MutantRow[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let mutant = mutants[next++]; mutant !== undefined; mutant = mutants[next++]) {
      const row = await runMutant(build, mutant, seeds);
      rows.push(row);
      options.onRow?.(row);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return rows.sort((left, right) => mutants.indexOf(left.mutant) - mutants.indexOf(right.mutant));
}

/** A scenario that fails anyway would catch every mutant. */
async function checkScenarios(build: Build): Promise<void> {
  for (const line of await play(build, ["-", "-", "-", "-", "0"])) {
    if (line.type !== "scenario" || line.failure === undefined) continue;
    throw new Error(`without any mutant ${line.name} fails: ${line.failure}`);
  }
}

async function runMutant(build: Build, mutant: Mutant, seeds: number): Promise<MutantRow> {
  const original = join(build.plain, mutant.file.replace(/\.ts$/, ".js"));
  const lines = await play(build, [
    original,
    build.patched(mutant),
    mutant.scenario,
    mutant.seeds,
    String(seeds),
  ]);
  const played = lines.find((line) => line.type === "scenario");
  const seedLines = lines.filter((line) => line.type === "seed");
  const caught = seedLines.find(({ failure }) => failure !== undefined);
  return {
    mutant,
    scenarioFailure: played?.failure,
    caughtBySeed: caught?.seed,
    seedFailure: caught?.failure,
    seedsRun: seedLines.length,
  };
}

/** Rejects if the child ends with an error: then not the mutant failed, but who tests it. */
function play(build: Build, args: readonly string[]): Promise<readonly PlayLine[]> {
  const script = join(build.plain, "test/sim/mutants/play.js");
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: PlayLine[] = [];
  let complaint = "";
  let isHung = false;
  const hang = (): void => {
    isHung = true;
    child.kill("SIGKILL");
  };
  let silence = setTimeout(hang, SILENT_MS);
  createInterface({ input: child.stdout }).on("line", (text) => {
    clearTimeout(silence);
    silence = setTimeout(hang, SILENT_MS);
    lines.push(JSON.parse(text) as PlayLine);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(silence);
      if (isHung) {
        const failure = `nothing was heard for ${SILENT_MS / 1000} s: it goes round in circles`;
        const seed = lines.filter(({ type }) => type === "seed").length + 1;
        const hasPlayed = lines.some(({ type }) => type === "scenario");
        const [, , name = ""] = args;
        lines.push(
          hasPlayed ? { type: "seed", seed, failure } : { type: "scenario", name, failure },
        );
      } else if (code !== 0) {
        reject(new Error(`${args.join(" ")} ended with ${code}: ${complaint.slice(-2_000)}`));
        return;
      }
      resolve(lines);
    });
  });
}
