/** One SDK producer and one SDK consumer at full speed: RF 3, acks=all with fsync, six partitions. */
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import type { Figure } from "../report.ts";

const PARTITIONS = 6;
const CHUNK_RECORDS = 500;
const WARM_UP_SHARE = 4;

interface Load {
  readonly valueBytes: number;
  readonly records: number;
}

const KILO: Load = { valueBytes: 1024, records: 600_000 };
const SMALL: Load = { valueBytes: 100, records: 3_000_000 };

export async function throughput(runs: number): Promise<Figure[]> {
  const kilo: number[] = [];
  const small: number[] = [];
  const consumed: number[] = [];
  for (let run = 0; run < runs; run++) {
    await using cluster = await startCluster({ brokers: 3 });
    const bootstrapServers = cluster.bootstrapServers;
    await using admin = new Admin({ bootstrapServers });
    for (const name of ["warm", "kilo", "small"]) {
      await admin.createTopics([{ name, partitions: PARTITIONS, replicationFactor: 3 }]);
    }
    await produce(bootstrapServers, "warm", { ...KILO, records: KILO.records / WARM_UP_SHARE });
    kilo.push(((await produce(bootstrapServers, "kilo", KILO)) * KILO.valueBytes) / 1e6);
    consumed.push(((await consume(bootstrapServers, "kilo", KILO)) * KILO.valueBytes) / 1e6);
    small.push(await produce(bootstrapServers, "small", SMALL));
  }
  return [
    {
      name: "producer, 1 KiB values",
      unit: "MB/s",
      values: kilo,
      bound: { must: 60, aim: 90, least: true },
    },
    {
      name: "producer, 100-byte values",
      unit: "records/s",
      values: small,
      bound: { must: 300_000, aim: 600_000, least: true },
    },
    {
      name: "consumer, 1 KiB values, warm",
      unit: "MB/s",
      values: consumed,
      bound: { must: 200, aim: 400, least: true },
    },
  ];
}

/** Records a second, from the first send to the last acknowledgement. */
export async function produce(
  bootstrapServers: readonly string[],
  topic: string,
  load: Load,
): Promise<number> {
  await using producer = new Producer({ bootstrapServers });
  const value = new Uint8Array(load.valueBytes).fill(0x6f);
  const chunk = Array.from({ length: CHUNK_RECORDS }, () => ({ value }));
  await producer.sendBatch(topic, chunk.slice(0, 1));
  const began = performance.now();
  const pending = new Set<Promise<unknown>>();
  for (let sent = 0; sent < load.records; sent += CHUNK_RECORDS) {
    const settled = producer.sendBatch(topic, chunk).finally(() => pending.delete(settled));
    pending.add(settled);
    if (pending.size >= 64) await Promise.race(pending);
  }
  await Promise.all(pending);
  return load.records / ((performance.now() - began) / 1000);
}

/** Records a second, read from the beginning of every partition to the last record. */
async function consume(
  bootstrapServers: readonly string[],
  topic: string,
  load: Load,
): Promise<number> {
  await using consumer = new Consumer({ bootstrapServers });
  await consumer.assign(
    Array.from({ length: PARTITIONS }, (_, partition) => ({
      topic,
      partition,
      offset: "beginning" as const,
    })),
  );
  const began = performance.now();
  let records = 0;
  for await (const batch of consumer.batches()) {
    records += batch.messages.length;
    if (records >= load.records) break;
  }
  return records / ((performance.now() - began) / 1000);
}
