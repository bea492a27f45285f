/** Start to first acknowledgement; resident memory of three idle brokers; its slope under load. */
import { readFileSync } from "node:fs";
import { Admin, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import type { Figure } from "../report.ts";
import { produce } from "./throughput.ts";

const IDLE_PARTITIONS = 100;
const VALUE_BYTES = 1024;

export async function startup(runs: number): Promise<Figure[]> {
  const values: number[] = [];
  for (let run = 0; run < runs; run++) {
    const began = performance.now();
    await using cluster = await startCluster({
      brokers: 3,
      properties: { "auto.create.topics.enable": "true" },
    });
    await using producer = new Producer({
      bootstrapServers: cluster.bootstrapServers,
      lingerMs: 0,
    });
    await producer.send({ topic: "first", value: new Uint8Array(1) });
    values.push((performance.now() - began) / 1000);
  }
  return [
    {
      name: "three brokers, start to first acknowledgement",
      unit: "s",
      values,
      bound: { must: 1.5, aim: 1, least: false },
    },
  ];
}

export async function idleMemory(runs: number): Promise<Figure[]> {
  const values: number[] = [];
  for (let run = 0; run < runs; run++) {
    await using cluster = await startCluster({ brokers: 3 });
    await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
    await admin.createTopics([{ name: "idle", partitions: IDLE_PARTITIONS, replicationFactor: 3 }]);
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    values.push(memoryOf(cluster, "VmRSS"));
  }
  return [
    {
      name: `three idle brokers with ${IDLE_PARTITIONS} partitions, RSS in sum`,
      unit: "MB",
      values,
      bound: { must: 300, aim: 200, least: false },
    },
  ];
}

/** Anonymous resident memory per GB written, by least squares over samples after the first GB. */
export async function memorySlope(gigabytes: number): Promise<Figure[]> {
  await using cluster = await startCluster({
    brokers: 3,
    properties: {
      "log.retention.bytes": String(256 * 1024 * 1024),
      "log.segment.bytes": String(64 * 1024 * 1024),
      "log.retention.check.interval.ms": "5000",
    },
  });
  const bootstrapServers = cluster.bootstrapServers;
  await using admin = new Admin({ bootstrapServers });
  await admin.createTopics([{ name: "slope", partitions: 6, replicationFactor: 3 }]);
  const samples: { readonly x: number; readonly y: number }[] = [];
  const records = Math.round(1e9 / VALUE_BYTES / 500) * 500;
  for (let gigabyte = 1; gigabyte <= gigabytes; gigabyte++) {
    await produce(bootstrapServers, "slope", { valueBytes: VALUE_BYTES, records });
    samples.push({ x: gigabyte, y: memoryOf(cluster, "RssAnon") });
    process.stderr.write(`  ${gigabyte} GB in, anonymous RSS ${samples.at(-1)?.y.toFixed(0)} MB\n`);
  }
  return [
    {
      name: `${gigabytes} GB in: slope of anonymous RSS of three brokers`,
      unit: "MB per GB",
      values: [slopeOf(samples)],
      bound: { must: 3, aim: 0.5, least: false },
      note: `from ${samples[0]?.y.toFixed(0)} to ${samples.at(-1)?.y.toFixed(0)} MB`,
    },
  ];
}

function slopeOf(samples: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = samples.reduce((sum, { x }) => sum + x, 0) / samples.length;
  const meanY = samples.reduce((sum, { y }) => sum + y, 0) / samples.length;
  const over = samples.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  return over / samples.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
}

function memoryOf(cluster: Cluster, field: "VmRSS" | "RssAnon"): number {
  let kilobytes = 0;
  for (const id of cluster.brokerIds) {
    const pid = cluster.pidOf(id);
    if (pid === undefined) throw new Error(`broker ${id} does not run`);
    const line = readFileSync(`/proc/${pid}/status`, "utf8").match(
      new RegExp(`${field}:\\s+(\\d+) kB`),
    );
    kilobytes += Number(line?.[1]);
  }
  return kilobytes / 1000;
}
