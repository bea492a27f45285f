/** The SDK against real brokers: every codec, administration, and a leader killed under way. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Admin, COMPRESSIONS, Consumer, deserializers, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";

let cluster: Cluster;
let admin: Admin;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  // One address is enough to reach everything.
  admin = new Admin({ bootstrapServers: cluster.bootstrapServers.slice(0, 1) });
});

afterAll(async () => {
  await admin.close();
  await cluster.stop();
});

function consumer(): Consumer<string | null, string | null> {
  return new Consumer({
    bootstrapServers: cluster.bootstrapServers,
    keyDeserializer: deserializers.string,
    valueDeserializer: deserializers.string,
  });
}

describe("records", () => {
  it.each(COMPRESSIONS)(
    "come back as they were sent, compressed with %s",
    async (compressionType) => {
      const topic = `codec-${compressionType}`;
      await admin.createTopics([{ name: topic, partitions: 3, replicationFactor: 3 }]);
      await using producer = new Producer({
        bootstrapServers: cluster.bootstrapServers.slice(0, 1),
        compressionType,
      });
      const records = Array.from({ length: 3_000 }, (_, index) => ({
        key: `key-${index % 100}`,
        value: `value ${index} ${"abc".repeat(30)}`,
        headers: { index: `${index}` },
      }));
      const places = await producer.sendBatch(topic, records);
      await using reader = consumer();
      await reader.assign([0, 1, 2].map((partition) => ({ topic, partition })));
      const got = new Map<string, string | null>();
      for await (const { key, offset, partition, value } of reader) {
        got.set(`${partition}/${offset}`, `${key}=${value}`);
        if (got.size === records.length) break;
      }
      expect(places.map(({ offset, partition }) => got.get(`${partition}/${offset}`))).toEqual(
        records.map(({ key, value }) => `${key}=${value}`),
      );
    },
  );

  it("are neither lost, doubled nor disordered when their leader is killed, nor left unread", async () => {
    await admin.createTopics([{ name: "kill", partitions: 1, replicationFactor: 3 }]);
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    await using reader = consumer();
    await reader.assign([{ topic: "kill", partition: 0 }]);
    await producer.send({ topic: "kill", value: "0" });
    const [topic] = await admin.describeTopics(["kill"]);
    const victim = topic?.partitions[0]?.leader ?? -1;
    const sends: Promise<unknown>[] = [];
    let isKilled = false;
    const killed = (async () => {
      for await (const { offset } of reader) {
        if (offset === 1_000) break;
      }
      await cluster.killBroker(victim);
      isKilled = true;
    })();
    // Acknowledgements set the pace, and it goes on until the kill has happened amid it.
    let total = 1;
    for (; total < 4_000 || !isKilled; total++) {
      sends.push(producer.send({ topic: "kill", value: `${total}` }));
      if (total % 20 === 0) await sends.at(-100);
    }
    await Promise.all(sends);
    await killed;
    const values: number[] = [];
    reader.seek({ topic: "kill", partition: 0, offset: "beginning" });
    for await (const { value } of reader) {
      values.push(Number(value));
      if (values.length === total) break;
    }
    expect(values).toEqual(Array.from({ length: total }, (_, index) => index));
    expect(await reader.endOffsets([{ topic: "kill", partition: 0 }])).toMatchObject([
      { offset: total },
    ]);
    await cluster.startBroker(victim);
  });
});

describe("administration", () => {
  it("creates, describes, lists, enlarges, configures and deletes a topic", async () => {
    const configs = { "retention.ms": 60_000 };
    const created = await admin.createTopics([
      { name: "admin", partitions: 2, replicationFactor: 3, configs },
    ]);
    expect(created).toMatchObject([{ name: "admin", partitions: 2, replicationFactor: 3 }]);
    const [described] = await admin.describeTopics(["admin"]);
    expect(described?.partitions.map(({ replicas }) => replicas.length)).toEqual([3, 3]);
    expect((await admin.listTopics()).map(({ name }) => name)).toContain("admin");
    await admin.createPartitions({ topic: "admin", partitions: 4 });
    await expect
      .poll(async () => (await admin.describeTopics(["admin"]))[0]?.partitions.length)
      .toBe(4);
    const changes = [{ key: "retention.ms", operation: "set", value: 120_000 }] as const;
    await admin.alterConfigs([{ type: "topic", name: "admin", changes }]);
    await expect
      .poll(async () => {
        const [config] = await admin.describeConfigs([{ type: "topic", name: "admin" }]);
        return config?.entries.find(({ key }) => key === "retention.ms")?.value;
      })
      .toBe("120000");
    await admin.deleteTopics(["admin"]);
    await expect
      .poll(async () => (await admin.listTopics()).map(({ name }) => name))
      .not.toContain("admin");
  });

  it("deletes records and finds offsets by time", async () => {
    await admin.createTopics([{ name: "offsets", partitions: 1, replicationFactor: 3 }]);
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    const now = Date.now();
    for (let index = 0; index < 10; index++) {
      await producer.send({ topic: "offsets", value: `${index}`, timestamp: now + index });
    }
    const at = { topic: "offsets", partition: 0 };
    expect(await admin.deleteRecords([{ ...at, beforeOffset: 4 }])).toMatchObject([
      { lowWatermark: 4 },
    ]);
    const found = await admin.listOffsets([
      { ...at, offset: "beginning" },
      { ...at, offset: "end" },
    ]);
    expect(found.map(({ offset }) => offset)).toEqual([4, 10]);
    await using reader = consumer();
    const byTime = [{ ...at, timestampMs: now + 7 }];
    expect(await reader.offsetsForTimes(byTime)).toMatchObject([{ offset: 7 }]);
    const future = [{ ...at, timestampMs: now + 1_000_000 }];
    expect(await reader.offsetsForTimes(future)).toMatchObject([{ offset: null }]);
  });

  it("describes the cluster", async () => {
    const { brokers, controllerId, quorum } = await admin.describeCluster();
    expect(brokers).toHaveLength(3);
    expect(quorum?.voters).toHaveLength(3);
    expect(quorum?.leaderId).toBe(controllerId);
  });
});
