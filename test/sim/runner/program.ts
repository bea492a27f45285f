/** `npm run sim`: its options, and what is done about each. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { integer } from "../../../src/cli/arguments.ts";
import { faultsNamed } from "../faults/catalogue.ts";
import { SCENARIOS } from "../scenarios/all.ts";
import { playAll, shrinkFailure, TRACES_DIFFER } from "./campaign.ts";
import { currentCommit } from "./commit.ts";
import type { Job, Kind } from "./job.ts";
import { addToLedger } from "./ledger.ts";
import { readPlanFile } from "./plan-file.ts";
import { type Played, Pool } from "./pool.ts";
import { Progress } from "./progress.ts";
import { failureOf, lineOf, probesOf, summaryOf, verdictOf } from "./report.ts";
import { Tally } from "./tally.ts";

export const EXIT = { HELD: 0, FAILED: 1, USAGE: 2, UNKNOWN: 3 } as const;

const SEED_MAX = 0xffff_ffff;
const DURATION_MS = 30_000;
const TWICE_EVERY = 100;
/** More lines than that are left to the progress line and the summary. */
const LINES_MAX = 60;
/** Timelines printed in one campaign: whoever wants another one repeats its seed. */
const DETAILED_MAX = 10;
const SHRINK_RUNS_MAX = 80;
const SHRINK_SECONDS_MAX = 180;
/** Of one campaign: the first failures are the ones that somebody reads. */
const SHRINKS_MAX = 3;
/** Of real time for one run: this much, and so much for each virtual second of its faulty phase. */
const LIMIT_SECONDS = 60;
const LIMIT_PER_VIRTUAL_SECOND = 1;
const LEDGER = "test/sim/LEDGER.md";

interface Options {
  readonly seed?: number;
  readonly seeds?: number;
  readonly minutes?: number;
  readonly from?: number;
  readonly faults?: readonly string[];
  readonly scenario?: string;
  readonly plan?: string;
  readonly quorum?: boolean;
  readonly raft?: boolean;
  readonly log?: boolean;
  readonly durationMs?: number;
  readonly workers: number;
  readonly verbose: boolean;
  readonly json: boolean;
  readonly shrink: boolean;
  readonly ledger: boolean;
}

function faultNames(text: string): readonly string[] {
  try {
    return faultsNamed(
      text
        .split(",")
        .map((name) => name.trim())
        .filter(Boolean),
    );
  } catch (thrown) {
    throw new InvalidArgumentError((thrown as Error).message);
  }
}

function minutesOf(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 10_000)) {
    throw new InvalidArgumentError("It must be a number above 0, at most 10000.");
  }
  return value;
}

function scenarioName(text: string): string {
  if (text === "all" || SCENARIOS.some(({ name }) => name === text)) return text;
  const names = SCENARIOS.map(({ name, title }) => `\n  ${name.padEnd(36)} ${title}`);
  throw new InvalidArgumentError(`There is no such scenario; there are all and:${names.join("")}`);
}

function makeProgram(): Command {
  const ways = ["seed", "seeds", "minutes", "scenario", "plan"];
  const way = (option: Option): Option =>
    option.conflicts(ways.filter((other) => other !== option.attributeName()));
  const seed = integer(0, SEED_MAX);
  return new Command("sim")
    .description(
      "Runs whole clusters, or parts of one, in one process on virtual time. One seed decides everything; invariants are checked after every event.",
    )
    .addOption(way(new Option("--seed <n>", "this run only").argParser(seed)))
    .addOption(way(new Option("--seeds <n>", "so many runs").argParser(integer(1, 10_000_000))))
    .addOption(
      way(new Option("--minutes <m>", "fresh seeds until the time is over").argParser(minutesOf)),
    )
    .addOption(
      way(
        new Option("--scenario <name>", "a fixed story by its name, or all").argParser(
          scenarioName,
        ),
      ).conflicts(["from", "faults", "durationMs", "quorum", "raft", "log"]),
    )
    .addOption(
      way(
        new Option("--plan <file>", "the faults, seed and kind of run that a file holds"),
      ).conflicts(["from", "faults", "durationMs", "quorum", "raft", "log"]),
    )
    .addOption(
      new Option("--from <seed>", "the first seed; default 1, and with --minutes by the clock")
        .argParser(seed)
        .conflicts(["seed"]),
    )
    .addOption(
      new Option(
        "--faults <list>",
        "classes and kinds that may be drawn, separated by commas",
      ).argParser(faultNames),
    )
    .addOption(
      new Option(
        "--duration-ms <n>",
        `of the faulty phase, virtual; default ${DURATION_MS}`,
      ).argParser(integer(0, 24 * 3_600_000)),
    )
    .addOption(new Option("--quorum", "the metadata quorum alone").conflicts(["raft", "log"]))
    .addOption(
      new Option("--raft", "Raft alone, without disk and network").conflicts(["log", "faults"]),
    )
    .addOption(new Option("--log", "one partition's log alone").conflicts(["faults", "durationMs"]))
    .option("--workers <n>", "child processes at a time", integer(1, 64), 1)
    .option("--verbose", "print what happens as it happens, messages too", false)
    .option("--json", "one line of JSON for each run, and one for all", false)
    .option("--no-shrink", "do not look for the smallest plan that fails")
    .option("--ledger", `add the counts to ${LEDGER}`, false)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ outputError: (text) => process.stderr.write(text) })
    .showHelpAfterError("Run it with --help for its options.")
    .addHelpText(
      "after",
      `
Examples:
  $ npm run sim -- --seed 4711 --verbose
  $ npm run sim -- --seeds 1000 --from 1 --workers 2
  $ npm run sim -- --minutes 10 --faults network,disk
  $ npm run sim -- --scenario all

Exit codes: 0 all held, 1 something failed, 2 wrong usage, 3 nothing failed but something is unknown.`,
    );
}

/** Never rejects for what a user can do wrong; gives the exit code. */
export async function runCommand(words: readonly string[]): Promise<number> {
  const program: Command = makeProgram();
  let jobs: Jobs;
  try {
    program.parse(words, { from: "user" });
    const options = program.opts<Options>();
    if (options.ledger && currentCommit().endsWith("-dirty")) {
      program.error(
        "error: --ledger counts by commit, and this work tree was changed since its own",
      );
    }
    if (options.ledger && options.plan !== undefined) {
      program.error("error: --ledger counts drawn runs, not those of a plan");
    }
    try {
      jobs = jobsOf(options);
    } catch (thrown) {
      if (!(thrown instanceof RangeError)) throw thrown;
      program.error(`error: ${thrown.message}`);
    }
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    return thrown.exitCode === 0 ? EXIT.HELD : EXIT.USAGE;
  }
  return runJobs(jobs, program.opts<Options>());
}

interface Jobs {
  readonly next: () => Job | undefined;
  readonly label: string;
  readonly total: number;
  readonly unit: "runs" | "s";
  readonly virtualMs: number;
}

function listed(jobs: readonly Job[], label: string, virtualMs: number): Jobs {
  let index = 0;
  return { next: () => jobs[index++], label, total: jobs.length, unit: "runs", virtualMs };
}

function jobsOf(options: Options): Jobs {
  if (options.scenario !== undefined) {
    const names = SCENARIOS.map(({ name }) => name);
    const chosen = options.scenario === "all" ? names : [options.scenario];
    return listed(
      chosen.map((name) => ({ kind: "scenario", name })),
      "scenario",
      DURATION_MS,
    );
  }
  if (options.plan !== undefined) {
    const job = readPlanFile(options.plan);
    return listed([job], job.kind, job.durationMs);
  }
  const kind: Kind =
    (["quorum", "raft", "log"] as const).find((part) => options[part] === true) ?? "cluster";
  const durationMs = options.durationMs ?? DURATION_MS;
  const { faults } = options;
  const jobOf = (seed: number): Job => ({
    kind,
    seed,
    durationMs,
    ...(faults === undefined ? {} : { faults }),
  });
  const common = { label: kind, virtualMs: durationMs };
  if (options.minutes !== undefined) {
    const endMs = Date.now() + options.minutes * 60_000;
    let seed = options.from ?? Date.now() % SEED_MAX;
    const next = (): Job | undefined =>
      Date.now() >= endMs || seed > SEED_MAX ? undefined : jobOf(seed++);
    return { ...common, next, total: Math.ceil(options.minutes * 60), unit: "s" };
  }
  const first = options.seed ?? options.from ?? 1;
  const count = options.seed === undefined ? (options.seeds ?? 1) : 1;
  if (first + count - 1 > SEED_MAX) {
    throw new RangeError(`seeds end at ${SEED_MAX}, and ${count} from ${first} go beyond`);
  }
  let given = 0;
  const next = (): Job | undefined => (given < count ? jobOf(first + given++) : undefined);
  return { ...common, next, total: count, unit: "runs" };
}

async function runJobs(jobs: Jobs, options: Options): Promise<number> {
  const { workers, verbose, json } = options;
  const limitSeconds = LIMIT_SECONDS + (jobs.virtualMs / 1000) * LIMIT_PER_VIRTUAL_SECOND;
  const pool = new Pool({ workersCount: workers, verbose, limitSeconds });
  const commit = currentCommit();
  const tally = new Tally();
  const failures: { readonly job: Job; readonly played: Played }[] = [];
  const many = jobs.unit === "s" || jobs.total > 1;
  const progress = many && !verbose ? Progress.onTerminal(tally, jobs.total, jobs.unit) : undefined;
  const print = (lines: readonly string[]): void => {
    if (!json) for (const line of lines) console.log(line);
  };
  let stopped = false;
  const onInterrupt = (): void => {
    if (stopped) process.exit(130);
    stopped = true;
  };
  process.on("SIGINT", onInterrupt);
  try {
    await playAll({
      pool,
      tally,
      workersCount: workers,
      next: () => (stopped ? undefined : jobs.next()),
      twiceEvery: many ? TWICE_EVERY : 0,
      onPlayed: (job, played) => {
        const { result, coreSeconds } = played;
        progress?.update(jobs.unit);
        if (json) console.log(JSON.stringify(jsonOf(job, played)));
        const told =
          verdictOf(result) !== "held" || (jobs.unit === "runs" && jobs.total <= LINES_MAX);
        if (told) print([lineOf(job, result, coreSeconds)]);
        if (result.failure === undefined) return;
        if (failures.length < DETAILED_MAX) print(failureOf({ job, result, commit }));
        failures.push({ job, played });
      },
    });
    progress?.end();
    if (options.shrink) {
      for (const failure of failures.slice(0, SHRINKS_MAX)) {
        print(await shrinkOne(pool, failure, commit));
      }
    }
  } finally {
    process.off("SIGINT", onInterrupt);
    pool.close();
  }
  if (json) console.log(JSON.stringify(jsonSummaryOf(tally, commit)));
  if (many) print(["", ...summaryOf(tally, commit), ...probesOf(tally)]);
  if (options.ledger) addToLedger({ path: LEDGER, kind: jobs.label, commit, tally });
  if (tally.failed.length > 0) return EXIT.FAILED;
  return tally.unknown.length > 0 ? EXIT.UNKNOWN : EXIT.HELD;
}

async function shrinkOne(
  pool: Pool,
  { job, played }: { readonly job: Job; readonly played: Played },
  commit: string,
): Promise<string[]> {
  const { plan, failure } = played.result;
  // A plan says nothing of a run without one, nor of why two runs of one plan differ.
  if (job.kind === "scenario" || plan === undefined || failure === undefined) return [];
  if (failure.invariant === TRACES_DIFFER) return [];
  return shrinkFailure({
    pool,
    job,
    plan,
    invariant: failure.invariant,
    commit,
    runsMax: SHRINK_RUNS_MAX,
    secondsMax: SHRINK_SECONDS_MAX,
  });
}

function jsonOf(job: Job, { result, coreSeconds }: Played): object {
  const { timeline: _, ...rest } = result;
  return { job, verdict: verdictOf(result), coreSeconds, ...rest };
}

function jsonSummaryOf(tally: Tally, commit: string): object {
  const { probes, injected, ...counts } = tally;
  return {
    commit,
    ...counts,
    speed: Math.round(tally.speed),
    probes: Object.fromEntries(probes),
    injected: Object.fromEntries(injected),
  };
}
