/**
 * The command `npm run chaos`: containers of a composed cluster are killed, cut off, starved and
 * damaged under load, by a seed, and a history of what clients saw is judged.
 */
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { type RunReport, runChaos } from "./chaos-run.ts";
import type { ChaosCluster } from "./cluster.ts";
import { DRILLS, drillNamed } from "./drills/catalogue.ts";
import { FAULT_GROUPS, FAULTS, faultsNamed } from "./faults/catalogue.ts";
import { addDrill, addToResults, commitOfRun, RESULTS_FILE } from "./results.ts";
import { surveySite } from "./site.ts";

const EXIT = { VALID: 0, INVALID: 1, USAGE: 2, UNKNOWN: 3, BROKEN: 4 } as const;
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const IMAGE = "ottla-chaos:latest";
const BUILD_MS = 1_800_000;

interface Options {
  readonly faults: readonly string[];
  readonly minutes: number;
  readonly seed: number;
  readonly runs: number;
  readonly rate: number;
  readonly drill?: string;
  readonly trials?: number;
  readonly report?: string;
  readonly image?: string;
  readonly project: string;
  readonly directory: string;
  readonly results: boolean;
}

function number(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It must be ${low} to ${high}.`);
  };
}

function words(text: string): readonly string[] {
  const named = text.split(",").map((word) => word.trim());
  const { unknown } = faultsNamed(named);
  if (unknown.length === 0) return named;
  throw new InvalidArgumentError(`${unknown.join(", ")}: there is no such fault or group.`);
}

function makeProgram(): Command {
  return new Command("chaos")
    .description("Breaks a composed cluster under load, by a seed, and judges what clients saw.")
    .option("--faults <names>", "kinds or groups, separated by commas (default: all)", words, [])
    .option("--minutes <n>", "how long faults come", number(0.1, 600), 5)
    .option("--seed <n>", "decides everything (default: from the clock)", number(0, 2 ** 32 - 1))
    .option("--runs <n>", "so many runs, with the seeds that follow", number(1, 10_000), 1)
    .option("--rate <n>", "records a second that are sent", number(10, 100_000), 3_000)
    .option("--drill <name>", "one measurement instead of a mix of faults")
    .option("--trials <n>", "of a drill that repeats something", number(1, 10_000))
    .option("--report <file>", "writes counts and results as JSON")
    .option("--image <name>", "use this image (default: build one from Dockerfile)")
    .option("--project <name>", "compose project; one at a time on a machine", "ottla-chaos")
    .option(
      "--directory <path>",
      "for histories, and what is kept",
      join(tmpdir(), "ottla-chaos-runs"),
    )
    .option("--results", "add what was seen to test/chaos/RESULTS.md", false)
    .exitOverride()
    .addHelpText(
      "after",
      `
Faults: ${FAULTS.map(({ name }) => name).join(", ")}
Groups: ${FAULT_GROUPS.join(", ")}
Drills: ${DRILLS.map(({ name }) => name).join(", ")}

Exit codes: 0 valid, or unknown with the reason printed, 1 invalid, 2 wrong usage, 4 it could not be
run (no docker, the cluster did not come up, a drill missed its goal is told and is 0).`,
    );
}

const began = performance.now();

function say(text: string): void {
  const at = ((performance.now() - began) / 1000).toFixed(1).padStart(7);
  process.stdout.write(`${at} s  ${text}\n`);
}

/** Builds the image from the project's Dockerfile; its output is shown if it fails. */
async function build(): Promise<string> {
  say(`docker build -t ${IMAGE}`);
  const child = spawn("docker", ["build", "--network", "host", "-t", IMAGE, ROOT], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: BUILD_MS,
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output.push(text));
  }
  const code = await new Promise<number | null>((resolve) => {
    child.on("error", () => resolve(null));
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`docker build failed:\n${output.join("").slice(-4_000)}`);
  return IMAGE;
}

async function main(): Promise<number> {
  const program = makeProgram();
  try {
    program.parse(process.argv.slice(2), { from: "user" });
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.VALID : EXIT.USAGE;
    throw thrown;
  }
  const options = program.opts<Options>();
  let cluster: ChaosCluster | undefined;
  let ending = false;
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.on(signal, () => {
      if (ending) process.exit(code);
      ending = true;
      say(`${signal}: everything is taken down`);
      const down = cluster?.down() ?? Promise.resolve([]);
      down.then(
        () => process.exit(code),
        () => process.exit(code),
      );
    });
  }
  const site = surveySite(join(tmpdir(), "ottla-chaos-shim"));
  if (site.noDocker !== undefined) {
    process.stderr.write(`error: docker and docker-compose are needed: ${site.noDocker}\n`);
    return EXIT.BROKEN;
  }
  for (const [what, why] of Object.entries(site)) {
    if (why !== undefined) say(`${what}: ${why}; faults that need it are unknown`);
  }
  const commit = commitOfRun();
  const image = options.image ?? (await build());
  const composeFile = join(ROOT, "deploy", "compose.yaml");
  const common = {
    project: options.project,
    image,
    composeFiles: existsSync(composeFile) ? [composeFile] : [],
    site,
    directory: options.directory,
    say,
    ending: () => ending,
    onCluster: (made: ChaosCluster) => {
      cluster = made;
    },
  };
  const seed = options.seed ?? Date.now() % 1_000_000;
  if (options.drill !== undefined) {
    const drill = drillNamed(options.drill);
    if (drill === undefined) {
      process.stderr.write(`error: there is no drill ${options.drill}; --help names all\n`);
      return EXIT.USAGE;
    }
    const { trials } = options;
    const measured = await drill.run({
      ...common,
      seed,
      ...(trials === undefined ? {} : { trials }),
    });
    // A figure of a machine that was busy with other things says little of the cluster.
    const machine = `load average ${(loadavg()[1] ?? 0).toFixed(0)} on ${availableParallelism()} cores`;
    const figure = { ...measured, text: `${measured.text}; ${machine}` };
    say(`${drill.name}: ${figure.text}; goal ${drill.goal}: ${figure.met ? "met" : "MISSED"}`);
    if (options.report !== undefined) writeFileSync(options.report, JSON.stringify(figure));
    if (options.results) {
      const { goal, name } = drill;
      addDrill(join(ROOT, RESULTS_FILE), {
        name,
        goal,
        seen: figure.text,
        met: figure.met,
        commit,
      });
    }
    return EXIT.VALID;
  }
  const { kinds } = options.faults.length === 0 ? { kinds: FAULTS } : faultsNamed(options.faults);
  const reports: RunReport[] = [];
  for (let index = 0; index < options.runs && !ending; index++) {
    say(
      `seed ${seed + index}: npm run chaos -- --seed ${seed + index} --minutes ${options.minutes}`,
    );
    const report = await runChaos({
      ...common,
      seed: seed + index,
      minutes: options.minutes,
      kinds,
      recordsPerSecond: options.rate,
    });
    reports.push(report);
    tell(report);
    if (options.results) addToResults(join(ROOT, RESULTS_FILE), report, commit);
  }
  return finish(reports, options.report);
}

function tell(report: RunReport): void {
  const { acknowledged, failedSends, faults, minutes, reads, seed, sent, verdict, why } = report;
  const made = faults.filter(({ outcome }) => outcome === "made").length;
  const because = why.length === 0 ? "" : `: ${why.join("; ")}`;
  say(
    `seed ${seed}: ${verdict}${because}; ${made} faults of ${faults.length}, ${sent} sent, ${acknowledged} acknowledged, ${failedSends} failed, ${reads} read, in ${minutes.toFixed(1)} minutes`,
  );
}

/** The last line counts faults that were made, and runs: `N passed, N failed`. */
function finish(reports: readonly RunReport[], file: string | undefined): number {
  const invalid = reports.filter(({ verdict }) => verdict === "invalid");
  const made = reports.flatMap(({ faults }) => faults).filter(({ outcome }) => outcome === "made");
  const passed = made.length + reports.length - invalid.length;
  const failures = invalid.map(({ kept, seed, why }) => {
    return `seed ${seed}: ${why.join("; ")}; kept in ${kept ?? "nothing"}`;
  });
  if (file !== undefined) {
    const summary = { passed, failed: failures.length, failures, runs: reports };
    writeFileSync(file, JSON.stringify(summary, null, 2));
  }
  process.stdout.write(`${passed} passed, ${failures.length} failed\n`);
  return failures.length === 0 ? EXIT.VALID : EXIT.INVALID;
}

main().then(
  (code) => process.exit(code),
  (thrown: unknown) => {
    process.stderr.write(`error: ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
    process.exit(EXIT.BROKEN);
  },
);
