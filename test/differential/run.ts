/**
 * The differential test: one script of requests to Ottla and to a real Kafka, answers compared field by
 * field. Ends with `N passed, N failed`; the exit code says the same.
 *
 *     npm run differential [-- --kafka HOST:PORT] [--ottla HOST:PORT] [--only NAME,...] [--update]
 *
 * Each address stands for a fresh cluster of three brokers with ids 1 to 3, configured as `PROPERTIES`.
 * Without `--ottla` one is started from `dist`; without `--kafka` one by the script that
 * `KAFKA_PEER` names (`up` and `down`, at 127.0.0.1:29092); without either it passes, saying so, unless
 * `--required`. `--only` takes names of scripts, and
 * then neither looks for reasons that are not needed nor at DIFFERENCES.md, which `--update` writes.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs, promisify } from "node:util";
import { startCluster } from "../../src/testing/index.ts";
import { REASONS } from "./reasons.ts";
import { clusterScript } from "./script/cluster.ts";
import { configsScript } from "./script/configs.ts";
import { dataScript } from "./script/data.ts";
import { groupsScript } from "./script/groups.ts";
import { topicsScript } from "./script/topics.ts";
import { documentOf, judge, rowsOf, told } from "./table.ts";
import { type Observation, Target } from "./target.ts";

const SCRIPTS: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  cluster: clusterScript,
  topics: topicsScript,
  configs: configsScript,
  data: dataScript,
  groups: groupsScript,
};
/** What both need for equal answers. */
const PROPERTIES = {
  "num.partitions": "6",
  "default.replication.factor": "3",
  "min.insync.replicas": "2",
  "offsets.topic.replication.factor": "3",
  "group.initial.rebalance.delay.ms": "0",
  "auto.create.topics.enable": "true",
};
const PEER_ADDRESS = "127.0.0.1:29092";
const UP_MS = 300_000;
/** npm runs everything in the package's root. */
const DOCUMENT = "test/differential/DIFFERENCES.md";

const run = promisify(execFile);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kafka: { type: "string" },
      ottla: { type: "string" },
      only: { type: "string" },
      update: { type: "boolean", default: false },
      required: { type: "boolean", default: false },
    },
  });
  const names = values.only?.split(",") ?? Object.keys(SCRIPTS);
  const wrong = names.filter((name) => SCRIPTS[name] === undefined);
  if (wrong.length > 0) {
    end(0, [`--only ${wrong.join(",")}: allowed are ${Object.keys(SCRIPTS).join(", ")}`]);
    return;
  }
  const peer = process.env["KAFKA_PEER"] ?? "";
  if (values.kafka === undefined && peer === "") {
    say("!!! NOTHING WAS COMPARED: --kafka HOST:PORT names a Kafka, KAFKA_PEER a script for one");
    end(0, values.required ? ["there is no Kafka"] : []);
    return;
  }
  const options = { token: `x${Date.now().toString(36)}`, baseTimestamp: Date.now() - 60_000 };
  const ottla = await answersOf(values.ottla ?? (await startedOttla()), "Ottla", names, options);
  const kafka = await answersOf(
    values.kafka ?? (await startedKafka(peer)),
    "Kafka",
    names,
    options,
  );
  report({ ottla, kafka, whole: values.only === undefined, update: values.update });
}

const cleanups: (() => Promise<unknown>)[] = [];

async function startedOttla(): Promise<string> {
  const cluster = await startCluster({ brokers: 3, properties: PROPERTIES });
  cleanups.push(() => cluster.stop());
  return cluster.kafkaBootstrapServers[0] as string;
}

async function startedKafka(peer: string): Promise<string> {
  say("Kafka starts");
  cleanups.push(() => run(peer, ["down"]));
  await run(peer, ["up", "auto.create.topics.enable=true"], { timeout: UP_MS });
  return PEER_ADDRESS;
}

async function answersOf(
  address: string,
  who: string,
  names: readonly string[],
  options: { readonly token: string; readonly baseTimestamp: number },
): Promise<readonly Observation[]> {
  const target = await Target.connect(address, options);
  try {
    for (const name of names) {
      await SCRIPTS[name]?.(target);
      say(`${who}, ${name}: ${target.observations.length} answers`);
    }
  } finally {
    target.close();
  }
  return target.observations;
}

function report(options: {
  readonly ottla: readonly Observation[];
  readonly kafka: readonly Observation[];
  /** Whether all scripts ran. */
  readonly whole: boolean;
  readonly update: boolean;
}): void {
  const { ottla, kafka, whole, update } = options;
  const rows = rowsOf(ottla, kafka);
  const judged = judge(rows, REASONS);
  const failures = judged.unexplained.map((row) => `no reason: ${told(row)}`);
  if (whole) {
    failures.push(...judged.idle.map(({ because }) => `a reason for nothing: ${because}`));
    const document = documentOf(judged, REASONS);
    if (update) writeFileSync(DOCUMENT, document);
    else if (!existsSync(DOCUMENT) || readFileSync(DOCUMENT, "utf8") !== document) {
      failures.push(`${DOCUMENT} tells other differences: look at them, then --update`);
    }
  }
  end(ottla.length, failures);
}

function end(answers: number, failures: readonly string[]): void {
  for (const failure of failures) say(`FAILED ${failure}`);
  say(`${answers} answers compared`);
  say(`${Math.max(0, answers - failures.length)} passed, ${failures.length} failed`);
  if (failures.length > 0) process.exitCode = 1;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  await main();
} catch (thrown) {
  end(0, [thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)]);
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
