/**
 * What the log cleaner takes: a log cleaned at full speed by a process that does nothing else; and
 * how much longer a produce request takes while the brokers clean beside it, all three at once.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Admin, Producer } from "../../src/client/index.ts";
import { NODE_FLAGS } from "../../src/main/node-flags.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { type Figure, quantile } from "../report.ts";
import { type CleanerRun, KEYS_COUNT, VALUE_BYTES } from "./cleaner-run.ts";
import { until } from "./members.ts";

const PROCESS = fileURLToPath(new URL("cleaner-process.js", import.meta.url));
const RECORDS_PER_SECOND = 1_000;
const WARM_UP_SECONDS = 15;
const ALONE_SECONDS = 10;
const PARTITIONS = 6;
const SEGMENT_BYTES = 16 * 1024 * 1024;
const IN_FLIGHT_COUNT = 20_000;
const POLL_MS = 250;

interface Beside {
  readonly aloneMs: number;
  readonly besideMs: number;
  readonly megabytesPerSecond: number;
}

export async function cleaner(runs: number, recordsCount: number): Promise<Figure[]> {
  const results: CleanerRun[] = [];
  for (let run = 0; run < runs; run++) results.push(await alone(recordsCount));
  const beside: Beside[] = [];
  for (let run = 0; run < runs; run++) beside.push(await besideProduce(recordsCount));
  const note = `${recordsCount / 1e6} million records of ${VALUE_BYTES} bytes over ${KEYS_COUNT} keys`;
  return [
    {
      name: "log cleaned",
      unit: "MB/s",
      values: results.map(({ megabytesPerSecond }) => megabytesPerSecond),
      bound: { must: 25, aim: 50, least: true },
      note,
    },
    {
      name: "log cleaned, of processor time",
      unit: "MB/core-s",
      values: results.map(({ megabytesPerCpuSecond }) => megabytesPerCpuSecond),
    },
    {
      name: "log after cleaning, of its live records",
      unit: "x",
      values: results.map(({ sizeRatio }) => sizeRatio),
      bound: { must: 1.1, aim: 1.05, least: false },
    },
    {
      name: "produce at 1,000 records/s, p99",
      unit: "ms",
      values: beside.map(({ aloneMs }) => aloneMs),
    },
    {
      name: "the same while three brokers clean",
      unit: "ms",
      values: beside.map(({ besideMs }) => besideMs),
    },
    {
      name: "the second of the first",
      unit: "x",
      values: beside.map(({ aloneMs, besideMs }) => besideMs / aloneMs),
      bound: { must: 2, aim: 1.5, least: false },
    },
    {
      name: "what each broker cleans meanwhile",
      unit: "MB/s",
      values: beside.map(({ megabytesPerSecond }) => megabytesPerSecond),
    },
  ];
}

async function alone(recordsCount: number): Promise<CleanerRun> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...NODE_FLAGS,
    PROCESS,
    String(recordsCount),
  ]);
  return JSON.parse(stdout) as CleanerRun;
}

async function besideProduce(recordsCount: number): Promise<Beside> {
  await using cluster = await startCluster({
    brokers: 3,
    properties: { "log.cleaner.backoff.ms": "100" },
  });
  const { bootstrapServers } = cluster;
  await using admin = new Admin({ bootstrapServers });
  const configs = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": 1,
    "segment.bytes": SEGMENT_BYTES,
  };
  await admin.createTopics([
    { name: "dirty", partitions: 1, replicationFactor: 3, configs },
    { name: "beside", partitions: PARTITIONS, replicationFactor: 3 },
  ]);
  const megabytes = await fill(cluster, recordsCount);
  await using producer = new Producer({ bootstrapServers, lingerMs: 0 });
  await produceWhile(producer, sleep(WARM_UP_SECONDS * 1_000));
  const before = await produceWhile(producer, sleep(ALONE_SECONDS * 1_000));
  const began = performance.now();
  const changes = [{ key: "min.cleanable.dirty.ratio", operation: "set", value: 0.01 }] as const;
  await admin.alterConfigs([{ type: "topic", name: "dirty", changes }]);
  // Until the first of the three is done: the others are not at it much longer.
  const meanwhile = await produceWhile(producer, aBrokerHasCleaned(cluster));
  const seconds = (performance.now() - began) / 1_000;
  return {
    aloneMs: quantile(before, 0.99),
    besideMs: quantile(meanwhile, 0.99),
    megabytesPerSecond: megabytes / seconds,
  };
}

/** Returns the megabytes of one replica. */
async function fill(cluster: Cluster, recordsCount: number): Promise<number> {
  await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
  const value = new Uint8Array(VALUE_BYTES).fill(120);
  const pending = new Set<Promise<unknown>>();
  for (let number = 0; number < recordsCount; number++) {
    const key = `key-${(Math.imul(number, 2_654_435_761) >>> 0) % KEYS_COUNT}`;
    const sent = producer.send({ topic: "dirty", key, value }).finally(() => pending.delete(sent));
    pending.add(sent);
    if (pending.size >= IN_FLIGHT_COUNT) await Promise.race(pending);
  }
  await Promise.all(pending);
  const [bytes] = await metric(cluster, /^kafka_log_log_size\{[^}]*topic="dirty"[^}]*\} (\S+)/m);
  return (bytes ?? Number.NaN) / 1e6;
}

async function aBrokerHasCleaned(cluster: Cluster): Promise<void> {
  await until("a broker has cleaned", async () => {
    await sleep(POLL_MS);
    const seconds = await metric(cluster, /^kafka_log_logcleaner_max_clean_time_secs (\S+)/m);
    return seconds.some((each) => each > 0);
  });
}

/** Of each broker. */
function metric(cluster: Cluster, line: RegExp): Promise<readonly number[]> {
  return Promise.all(
    cluster.brokerIds.map(async (id) => {
      const url = `http://127.0.0.1:${cluster.portsOf(id).httpPort}/metrics`;
      return Number(line.exec(await (await fetch(url)).text())?.[1]);
    }),
  );
}

/** Sorted milliseconds from when each record was due to its acknowledgement. */
async function produceWhile(producer: Producer, other: Promise<void>): Promise<readonly number[]> {
  let isOver = false;
  const over = other.finally(() => {
    isOver = true;
  });
  const latencies: number[] = [];
  const failures: unknown[] = [];
  const began = performance.now();
  let sent = 0;
  for (; !isOver; await sleep(1)) {
    const dueCount = (performance.now() - began) * (RECORDS_PER_SECOND / 1_000);
    for (; sent < dueCount; sent++) {
      const dueMs = began + sent * (1_000 / RECORDS_PER_SECOND);
      const value = new Uint8Array(VALUE_BYTES);
      producer.send({ topic: "beside", partition: sent % PARTITIONS, value }).then(
        () => latencies.push(performance.now() - dueMs),
        (error: unknown) => failures.push(error),
      );
    }
  }
  await over;
  await until("all is acknowledged", () => latencies.length + failures.length === sent);
  if (failures.length > 0) throw failures[0];
  return latencies.sort((left, right) => left - right);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
