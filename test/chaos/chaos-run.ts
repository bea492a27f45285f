/** One run: a cluster comes up, clients work, faults come by the seed, everything is read and judged. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Prng } from "../../src/base/prng.ts";
import { Admin } from "../../src/client/index.ts";
import { HistoryWriter } from "../history/format.ts";
import { ChaosCluster } from "./cluster.ts";
import { Crew, GROUP } from "./crew.ts";
import type { FaultKind } from "./faults/fault-kind.ts";
import { HistoryFileSink } from "./history-file-sink.ts";
import { type Judgement, judgeHistory } from "./judge.ts";
import { Load } from "./load.ts";
import { type FaultResult, Nemesis, oneLine } from "./nemesis.ts";
import { scheduleOf } from "./schedule.ts";
import type { Site } from "./site.ts";
import { Stage } from "./stage.ts";
import { sleep, until } from "./waiting.ts";

export interface RunOptions {
  readonly seed: number;
  readonly minutes: number;
  /** At least so many faults, if the time allows; the schedule's first ones. */
  readonly kinds: readonly FaultKind[];
  readonly recordsPerSecond: number;
  readonly project: string;
  readonly image: string;
  readonly composeFiles: readonly string[];
  readonly site: Site;
  /** Where histories lie, and what is kept of a failed run. */
  readonly directory: string;
  readonly say: (text: string) => void;
  /** Asked between two faults: end now. */
  readonly ending: () => boolean;
  readonly onCluster: (cluster: ChaosCluster) => void;
}

export interface RunReport {
  readonly seed: number;
  readonly verdict: "valid" | "invalid" | "unknown";
  readonly why: readonly string[];
  readonly faults: readonly FaultResult[];
  readonly sent: number;
  readonly acknowledged: number;
  readonly failedSends: number;
  readonly reads: number;
  readonly minutes: number;
  /** Where history, logs and metrics lie; undefined if nothing was kept. */
  readonly kept: string | undefined;
}

export const TOPIC = "chaos";
const PARTITIONS = 6;
const BROKERS = 3;
const PRODUCERS = 2;
const VALUE_BYTES = 100;
/** A tenth of what is wanted must flow before a fault counts. */
const LEAST_SHARE = 0.1;
const HISTORY_BYTES = 1_400 * 1024 * 1024;
const UP_MS = 90_000;
const BETWEEN_MS = [1_000, 5_000] as const;
const OUTCOMES_MS = 180_000;

export async function runChaos(options: RunOptions): Promise<RunReport> {
  const { say, seed } = options;
  const began = performance.now();
  const prng = new Prng(seed);
  const cluster = new ChaosCluster({
    project: options.project,
    image: options.image,
    composeFiles: options.composeFiles,
    brokers: BROKERS,
    site: options.site,
    small: prng.between(1, BROKERS),
    properties: {},
  });
  options.onCluster(cluster);
  mkdirSync(options.directory, { recursive: true });
  const path = join(options.directory, `history-${seed}.jsonl`);
  const sink = new HistoryFileSink(path, HISTORY_BYTES);
  try {
    await cluster.up();
    await untilReady(cluster);
    say(`${BROKERS} brokers are ready; broker ${cluster.small} is the fragile one`);
    const history = new HistoryWriter({ nowMs: () => performance.now(), sink: sink.take });
    const played = await play({ ...options, cluster, history, prng, sink });
    const judgement = judgeHistory(path);
    const report = reportOf(seed, played, judgement, (performance.now() - began) / 60_000);
    say(judgement.table.trimEnd().split("\n").join("\n      "));
    const failed =
      report.verdict !== "valid" ||
      report.faults.some(({ outcome, wholeMs }) => {
        return outcome === "made" && wholeMs === undefined;
      });
    if (!failed) {
      rmSync(path, { force: true });
      return report;
    }
    const kept = await keep(cluster, { ...options, path, report });
    say(`history, logs and metrics are kept in ${kept}`);
    return { ...report, kept };
  } catch (thrown) {
    sink.flush();
    const kept = await keep(cluster, { ...options, path, report: { error: String(thrown) } });
    say(`the run broke off; history, logs and metrics are kept in ${kept}`);
    throw thrown;
  } finally {
    for (const complaint of await cluster.down()) say(`could not be removed: ${complaint}`);
  }
}

export async function untilReady(cluster: ChaosCluster): Promise<void> {
  await using admin = new Admin({
    bootstrapServers: cluster.bootstrapServers,
    requestTimeoutMs: 5_000,
  });
  const ready = await until(
    async () => {
      const { brokers } = await admin.describeCluster();
      return brokers.filter(({ fenced }) => !fenced).length === cluster.ids.length;
    },
    { timeoutMs: UP_MS },
  );
  if (ready) return;
  const logs = await Promise.all(cluster.ids.map((id) => cluster.logs(id).catch(String)));
  const ends = logs.map((log) => log.trimEnd().split("\n").slice(-5).join("\n"));
  throw new Error(`the brokers are not ready after ${UP_MS / 1000} s\n${ends.join("\n")}`);
}

interface Played {
  readonly faults: readonly FaultResult[];
  readonly load: Load;
  readonly reads: number;
  /** What would make a valid history worthless, or is wrong beside it. */
  readonly complaints: readonly string[];
}

async function play(
  on: RunOptions & {
    readonly cluster: ChaosCluster;
    readonly history: HistoryWriter;
    readonly prng: Prng;
    readonly sink: HistoryFileSink;
  },
): Promise<Played> {
  const { cluster, history, prng, recordsPerSecond, say, sink } = on;
  const { bootstrapServers } = cluster;
  await createTopic(bootstrapServers);
  const shared = { bootstrapServers, history, topic: TOPIC, partitionsCount: PARTITIONS };
  const load = new Load({
    ...shared,
    producersCount: PRODUCERS,
    recordsPerSecond,
    valueBytes: VALUE_BYTES,
    prng: prng.fork("load"),
    full: () => sink.full,
  });
  const crew = new Crew({ ...shared, prng: prng.fork("crew"), say });
  load.start();
  crew.start();
  const faults: FaultResult[] = [];
  {
    await using stage = new Stage({ cluster, load, topic: TOPIC, groupId: GROUP.groupId, say });
    const nemesis = new Nemesis({
      stage,
      history,
      leastPerSecond: recordsPerSecond * LEAST_SHARE,
    });
    const schedule = scheduleOf(on.kinds, prng.fork("schedule"));
    const due = performance.now() + on.minutes * 60_000;
    const gaps = prng.fork("between");
    while (performance.now() < due && !on.ending() && !sink.full) {
      await sleep(gaps.between(...BETWEEN_MS));
      const kind = schedule.next().value;
      const result = await nemesis.strike(kind, prng.fork(`fault ${faults.length}`));
      faults.push(result);
      say(lineOf(faults.length, result, load));
    }
    const lacking = await stage.untilWhole(OUTCOMES_MS);
    if (lacking !== undefined) say(`!!! the cluster does not become whole: ${lacking}`);
  }
  const complaints: string[] = [];
  let settled = false;
  const stopped = load.stop().then(() => {
    settled = true;
  });
  stopped.catch(() => undefined);
  if (!(await until(() => settled, { timeoutMs: OUTCOMES_MS }))) {
    say(`!!! ${load.open} sends have no outcome after ${OUTCOMES_MS / 1000} s`);
  }
  const behind = await crew.groupComplaint();
  if (behind !== undefined) complaints.push(`the group was not given everything: ${behind}`);
  if (!(await crew.stop())) say("!!! some clients do not end");
  if (!(await crew.readFinally())) say("!!! the final read is not complete");
  sink.close();
  complaints.push(...crew.complaints);
  return { faults, load, reads: crew.polled, complaints };
}

async function createTopic(bootstrapServers: readonly string[]): Promise<void> {
  await using admin = new Admin({ bootstrapServers });
  await admin.createTopics([{ name: TOPIC, partitions: PARTITIONS, replicationFactor: BROKERS }]);
}

function lineOf(number: number, result: FaultResult, load: Load): string {
  const { detail, fault, gapMs, outcome, targets, wholeMs } = result;
  const head = `${String(number).padStart(3)} ${fault.padEnd(22)}`;
  if (outcome === "unknown") return `${head} unknown: ${detail}`;
  const whole = wholeMs === undefined ? "!!! never whole" : `whole after ${seconds(wholeMs)}`;
  return `${head} ${targets.join("+").padEnd(5)} gap ${seconds(gapMs)}, ${whole}; ${detail}; ${load.acknowledged} acknowledged, ${load.failed} failed`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function reportOf(
  seed: number,
  { complaints, faults, load, reads }: Played,
  { verdict }: Judgement,
  minutes: number,
): RunReport {
  const counts = {
    seed,
    faults,
    sent: load.sent,
    acknowledged: load.acknowledged,
    failedSends: load.failed,
    reads,
    minutes,
    kept: undefined,
  };
  // A group that skipped records has lost them for its program, as much as a log would have.
  const skipped = complaints.filter((each) => each.startsWith("O5"));
  if (skipped.length > 0) {
    return { ...counts, verdict: "invalid", why: [...verdict.why, ...skipped] };
  }
  const why = [...verdict.why, ...complaints];
  const doubtful = verdict.verdict === "valid" && complaints.length > 0;
  return { ...counts, verdict: doubtful ? "unknown" : verdict.verdict, why };
}

/** History, logs and metrics of a run that failed, for whoever looks for the reason. */
async function keep(
  cluster: ChaosCluster,
  what: {
    readonly directory: string;
    readonly path: string;
    readonly seed: number;
    readonly report: object;
  },
): Promise<string> {
  const kept = join(what.directory, `failed-${what.seed}-${Date.now()}`);
  mkdirSync(kept, { recursive: true });
  renameSync(what.path, join(kept, "history.jsonl"));
  writeFileSync(join(kept, "report.json"), JSON.stringify(what.report, null, 2));
  for (const id of cluster.ids) {
    const service = cluster.service(id);
    const log = await cluster.logs(id).catch(oneLine);
    writeFileSync(join(kept, `${service}.log`), log);
    const metrics = await cluster.metrics(id).catch(oneLine);
    writeFileSync(join(kept, `${service}.metrics`), metrics);
  }
  return kept;
}
