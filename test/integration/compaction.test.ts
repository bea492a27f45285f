// A compacted topic on real brokers, which are killed while they clean: consumers find the last
// value of each key at the offset where it was acknowledged, on every replica.
import { expect, it } from "vitest";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { nativeCodecs } from "../../src/adapters/native-codecs.ts";
import { nodeFiles } from "../../src/adapters/node-files.ts";
import { systemClock } from "../../src/adapters/system-clock.ts";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { compareReplicas, verifyDirectory } from "../../src/storage/verify.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";

const TOPIC = "latest";
const KEYS_COUNT = 200;
const ROUND_RECORDS_COUNT = 8_000;
const SEGMENT_BYTES = 60_000;
const VALUE = "x".repeat(80);
const PORTS = {
  files: nodeFiles,
  stores: levelStores,
  codecs: nativeCodecs,
  clock: systemClock,
};

interface Last {
  readonly offset: number;
  readonly number: number;
}

/** What was acknowledged last of each key. */
class Writer {
  readonly last = new Map<string, Last>();
  sentCount = 0;

  async write(cluster: Cluster, recordsCount: number): Promise<void> {
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    const sending: Promise<void>[] = [];
    for (let index = 0; index < recordsCount; index++) {
      const number = this.sentCount++;
      const key = `key-${(number * 7) % KEYS_COUNT}`;
      const sent = producer.send({ topic: TOPIC, key, value: `${number} ${VALUE}` });
      sending.push(
        sent.then(({ offset }) => {
          const before = this.last.get(key);
          if (before === undefined || before.offset < offset)
            this.last.set(key, { offset, number });
        }),
      );
      if (index % 500 === 0) await Promise.all(sending.splice(0));
    }
    await Promise.all(sending);
  }
}

/** Reads from the beginning to the end: the last of each key, and how many records there were. */
async function readAll(
  cluster: Cluster,
  end: number,
): Promise<{ readonly last: Map<string, Last>; readonly count: number }> {
  await using consumer = new Consumer({ bootstrapServers: cluster.bootstrapServers });
  await consumer.assign([{ topic: TOPIC, partition: 0 }]);
  const last = new Map<string, Last>();
  let count = 0;
  let before = -1;
  for await (const { key, offset, value } of consumer) {
    expect(offset).toBeGreaterThan(before);
    before = offset;
    count++;
    const number = Number.parseInt(Buffer.from(value as Uint8Array).toString(), 10);
    last.set(Buffer.from(key as Uint8Array).toString(), { offset, number });
    if (offset === end - 1) break;
  }
  return { last, count };
}

async function endOf(admin: Admin): Promise<number> {
  const [found] = await admin.listOffsets([{ topic: TOPIC, partition: 0, offset: "end" }]);
  return found?.offset as number;
}

/** The local replicas' sizes, as brokers show them. */
async function sizes(cluster: Cluster): Promise<readonly number[]> {
  return Promise.all(
    cluster.brokerIds.map(async (id) => {
      const { httpPort } = cluster.portsOf(id);
      const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
      const line = new RegExp(`^kafka_log_log_size\\{[^}]*topic="${TOPIC}"[^}]*\\} (\\d+)`, "m");
      return Number(line.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
    }),
  );
}

it("keeps the last value of each key through kill -9", { timeout: 240_000 }, async () => {
  await using cluster = await startCluster({
    brokers: 3,
    properties: { "log.cleaner.backoff.ms": "50" },
  });
  const { bootstrapServers } = cluster;
  await using admin = new Admin({ bootstrapServers });
  await admin.createTopics([
    {
      name: TOPIC,
      partitions: 1,
      replicationFactor: 3,
      configs: {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": 0.01,
        "internal.segment.bytes": SEGMENT_BYTES,
      },
    },
  ]);
  const writer = new Writer();
  await writer.write(cluster, ROUND_RECORDS_COUNT);
  for (const id of cluster.brokerIds) {
    const writing = writer.write(cluster, ROUND_RECORDS_COUNT);
    await cluster.killBroker(id);
    await cluster.startBroker(id);
    await writing;
  }
  const appended = writer.sentCount * VALUE.length;
  // The live records, an active segment, and one that is not worth a cleaning yet.
  const bound = KEYS_COUNT * 250 + 3 * SEGMENT_BYTES;
  expect(bound).toBeLessThan(appended / 5);
  await eventually(
    "every replica is compacted",
    async () => (await sizes(cluster)).every((size) => size < bound),
    60_000,
  );
  const end = await endOf(admin);
  expect(end).toBeGreaterThanOrEqual(writer.sentCount);
  const { last, count } = await readAll(cluster, end);
  expect(last).toEqual(writer.last);
  expect(count).toBeLessThan(writer.sentCount / 4);
  // The replicas agree, each as its own broker cleaned it.
  for (const id of cluster.brokerIds) await cluster.stopBroker(id);
  const [first, ...others] = cluster.brokerIds.map((id) => cluster.logDirsOf(id)[0] as string);
  for await (const { defects, topic } of verifyDirectory(PORTS, first as string)) {
    expect(topic).toBe(TOPIC);
    expect(defects).toEqual([]);
  }
  for (const other of others) {
    const { compared } = await compareReplicas(PORTS, first as string, other);
    expect(compared).toMatchObject([{ topic: TOPIC, difference: undefined }]);
    expect(compared[0]?.upTo).toBe(end);
  }
});

it("refuses records without key, also in compressed batches", async () => {
  await using cluster = await startCluster({ brokers: 1 });
  const { bootstrapServers } = cluster;
  await using admin = new Admin({ bootstrapServers });
  const configs = { "cleanup.policy": "compact" };
  await admin.createTopics([{ name: TOPIC, partitions: 1, replicationFactor: 1, configs }]);
  for (const compressionType of ["none", "zstd"] as const) {
    await using producer = new Producer({ bootstrapServers, compressionType });
    const value = "x".repeat(500);
    await expect(producer.send({ topic: TOPIC, key: null, value })).rejects.toMatchObject({
      code: "INVALID_RECORD",
    });
    await producer.send({ topic: TOPIC, key: "k", value });
  }
  expect(await endOf(admin)).toBe(2);
});
