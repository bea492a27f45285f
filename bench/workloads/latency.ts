/**
 * End to end at 1,000 records a second: from `send` to the message in the consumer's hands, both in
 * this process, so that one clock measures it.
 */
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { type Figure, quantile } from "../report.ts";

const RECORDS_PER_SECOND = 1_000;
const SECONDS = 20;
/** V8 compiles the brokers' hot paths during the first ten seconds, at the cost of both cores. */
const WARM_UP_SECONDS = 15;
const PARTITIONS = 6;

export async function latency(runs: number): Promise<Figure[]> {
  const p50: number[] = [];
  const p99: number[] = [];
  for (let run = 0; run < runs; run++) {
    const sorted = await once();
    p50.push(quantile(sorted, 0.5));
    p99.push(quantile(sorted, 0.99));
  }
  return [
    {
      name: "end to end at 1,000 records/s, p50",
      unit: "ms",
      values: p50,
      bound: { must: 3, aim: 1, least: false },
    },
    {
      name: "end to end at 1,000 records/s, p99",
      unit: "ms",
      values: p99,
      bound: { must: 10, aim: 7, least: false },
    },
  ];
}

async function once(): Promise<number[]> {
  await using cluster = await startCluster({ brokers: 3 });
  const bootstrapServers = cluster.bootstrapServers;
  await using admin = new Admin({ bootstrapServers });
  await admin.createTopics([{ name: "latency", partitions: PARTITIONS, replicationFactor: 3 }]);
  await using producer = new Producer({ bootstrapServers, lingerMs: 0 });
  await using consumer = new Consumer({ bootstrapServers });
  await consumer.assign(
    Array.from({ length: PARTITIONS }, (_, partition) => ({
      topic: "latency",
      partition,
      offset: "beginning" as const,
    })),
  );
  const total = RECORDS_PER_SECOND * (SECONDS + WARM_UP_SECONDS);
  const latencies: number[] = [];
  const reading = (async () => {
    let seen = 0;
    for await (const message of consumer) {
      const now = performance.now();
      const value = message.value as Uint8Array;
      const sentAt = new DataView(value.buffer, value.byteOffset).getFloat64(0);
      if (seen >= RECORDS_PER_SECOND * WARM_UP_SECONDS) latencies.push(now - sentAt);
      if (++seen === total) return;
    }
  })();
  const began = performance.now();
  const failures: unknown[] = [];
  for (let sent = 0; sent < total; ) {
    const due = Math.min(
      total,
      Math.floor((performance.now() - began) * (RECORDS_PER_SECOND / 1000)),
    );
    for (; sent < due; sent++) {
      const value = new Uint8Array(100);
      new DataView(value.buffer).setFloat64(0, performance.now());
      producer
        .send({ topic: "latency", partition: sent % PARTITIONS, value })
        .catch((error: unknown) => {
          failures.push(error);
        });
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await reading;
  if (failures.length > 0) throw failures[0];
  return latencies.sort((left, right) => left - right);
}
