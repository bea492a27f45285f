/** Kafka's door before real brokers: a client that knows nothing of Ottla, and bare sockets. */
import {
  CompressionTypes,
  Kafka,
  logLevel,
  type Message,
  Partitioners,
  type RecordMetadata,
} from "kafkajs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readInt32, text } from "../../src/base/bytes.ts";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { ZERO_UUID } from "../../src/kafka-wire/reader.ts";
import { splitBatches } from "../../src/record/batch.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { rawBatch } from "../support/raw-client.ts";
import { RawKafkaClient } from "../support/raw-kafka-client.ts";

let cluster: Cluster;
let admin: Admin;
let kafka: Kafka;

beforeAll(async () => {
  cluster = await startCluster({
    brokers: 3,
    properties: { "auto.create.topics.enable": "true", "num.partitions": "2" },
  });
  admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  kafka = new Kafka({
    clientId: "test",
    brokers: [...cluster.kafkaBootstrapServers],
    logLevel: logLevel.NOTHING,
    retry: { retries: 20, maxRetryTime: 2_000 },
  });
});

afterAll(async () => {
  await admin?.close();
  await cluster?.stop();
});

async function leaderOf(topic: string, partition: number): Promise<RawKafkaClient> {
  const [described] = await admin.describeTopics([topic]);
  const { leader } = described?.partitions[partition] ?? { leader: -1 };
  const client = new RawKafkaClient(cluster.portsOf(leader).kafkaPort);
  await eventually("it has begun to lead", async () => {
    const partitions = [{ partitionIndex: partition, timestamp: -2 }];
    const { topics } = await client.ask("ListOffsets", 5, {
      replicaId: -1,
      isolationLevel: 0,
      timeoutMs: 0,
      topics: [{ name: topic, partitions }],
    });
    return topics[0]?.partitions[0]?.errorCode === 0;
  });
  return client;
}

/** The values of a topic by Ottla's own client, until there are `count` different ones. */
async function valuesOf(topic: string, count: number): Promise<string[]> {
  const [described] = await admin.describeTopics([topic]);
  await using consumer = new Consumer({ bootstrapServers: cluster.bootstrapServers });
  await consumer.assign(
    (described?.partitions ?? []).map(({ partition }) => ({
      topic,
      partition,
      offset: "beginning",
    })),
  );
  const values: string[] = [];
  for await (const { value } of consumer) {
    values.push(text(value as Uint8Array));
    if (new Set(values).size === count) break;
  }
  return values;
}

/** Consumes with kafkajs until `count` records have come. */
async function consumeWithKafkaJs(topic: string, count: number): Promise<Message[]> {
  const consumer = kafka.consumer({ groupId: `group-${topic}-${count}` });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const messages: Message[] = [];
  await consumer.run({
    eachMessage: ({ message }) => {
      messages.push(message);
      return Promise.resolve();
    },
  });
  try {
    const values = (): Set<string> => new Set(messages.map(({ value }) => String(value)));
    await eventually(`${count} records of ${topic}`, () => values().size >= count, 60_000);
  } finally {
    await consumer.disconnect();
  }
  return messages;
}

describe("kafkajs", () => {
  it.each([
    ["plain", {}, CompressionTypes.None],
    ["gzip", {}, CompressionTypes.GZIP],
    ["idempotent", { idempotent: true, maxInFlightRequests: 1 }, CompressionTypes.GZIP],
  ])("writes what Ottla's own consumer reads: %s", async (name, options, compression) => {
    const topic = `kafkajs-${name}`;
    await admin.createTopics([{ name: topic, partitions: 2, replicationFactor: 3 }]);
    const producer = kafka.producer({
      ...options,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const placed: RecordMetadata[] = [];
    const sent: string[] = [];
    for (let batch = 0; batch < 5; batch++) {
      const messages = Array.from({ length: 20 }, (_, index) => ({
        key: `key-${index % 7}`,
        value: `${batch}-${index}`,
      }));
      sent.push(...messages.map(({ value }) => value));
      placed.push(...(await producer.send({ topic, acks: -1, compression, messages })));
    }
    await producer.disconnect();
    expect(placed.map(({ errorCode }) => errorCode)).toEqual(placed.map(() => 0));
    // At least once, idempotent or not: where one partition is refused at first, kafkajs sends what
    // another broker is just taking again, and under new sequences.
    const values = await valuesOf(topic, 100);
    expect(new Set(values)).toEqual(new Set(sent));
  });

  it("reads what Ottla's own producer wrote, in a group", async () => {
    await admin.createTopics([{ name: "to-kafkajs", partitions: 3, replicationFactor: 3 }]);
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    const sent = Array.from({ length: 60 }, (_, index) => `value-${index}`);
    await Promise.all(
      sent.map((value) => producer.send({ topic: "to-kafkajs", key: value, value })),
    );
    const messages = await consumeWithKafkaJs("to-kafkajs", sent.length);
    expect(new Set(messages.map(({ value }) => String(value)))).toEqual(new Set(sent));
  });

  it("learns offsets, by position and by time, and the cluster", async () => {
    await admin.createTopics([{ name: "times", partitions: 1, replicationFactor: 3 }]);
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    for (const timestamp of [1_000, 2_000, 3_000]) {
      await producer.send({ topic: "times", value: "x", timestamp });
    }
    const kafkaAdmin = kafka.admin();
    await kafkaAdmin.connect();
    try {
      expect(await kafkaAdmin.fetchTopicOffsets("times")).toEqual([
        { partition: 0, offset: "3", high: "3", low: "0" },
      ]);
      expect(await kafkaAdmin.fetchTopicOffsetsByTimestamp("times", 1_500)).toEqual([
        { partition: 0, offset: "1" },
      ]);
      const { brokers, clusterId } = await kafkaAdmin.describeCluster();
      expect(new Set(brokers.map(({ port }) => port))).toEqual(
        new Set(cluster.brokerIds.map((id) => cluster.portsOf(id).kafkaPort)),
      );
      expect(clusterId).toHaveLength(22);
      const { topics } = await kafkaAdmin.fetchTopicMetadata({ topics: ["times"] });
      expect(topics[0]?.partitions[0]?.replicas).toHaveLength(3);
    } finally {
      await kafkaAdmin.disconnect();
    }
  });

  it("has a topic that it writes to made, where auto.create.topics.enable is on", async () => {
    const producer = kafka.producer({
      allowAutoTopicCreation: true,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    await producer.send({ topic: "made-by-need", messages: [{ value: "first" }] });
    await producer.disconnect();
    const [topic] = await admin.describeTopics(["made-by-need"]);
    expect(topic?.partitions).toHaveLength(2);
    expect(await valuesOf("made-by-need", 1)).toEqual(["first"]);
  });

  it("goes on when the leader that it writes to is killed", async () => {
    await admin.createTopics([{ name: "failover", partitions: 1, replicationFactor: 3 }]);
    const [before] = await admin.describeTopics(["failover"]);
    const leader = before?.partitions[0]?.leader as number;
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    for (let index = 0; index < 30; index++) {
      if (index === 10) await cluster.killBroker(leader);
      await producer.send({ topic: "failover", acks: -1, messages: [{ value: `${index}` }] });
    }
    await producer.disconnect();
    await cluster.startBroker(leader);
    expect(await valuesOf("failover", 30)).toEqual(
      Array.from({ length: 30 }, (_, index) => `${index}`),
    );
  });
});

describe("the order of one connection", () => {
  it("answers appends in the order in which they came, each with its place", async () => {
    await admin.createTopics([{ name: "pipelined", partitions: 1, replicationFactor: 3 }]);
    const client = await leaderOf("pipelined", 0);
    const ids: number[] = [];
    for (let index = 0; index < 200; index++) {
      const records = rawBatch([{ value: `${index}` }]);
      const topicData = [
        { name: "pipelined", topicId: ZERO_UUID, partitionData: [{ index: 0, records }] },
      ];
      ids.push(client.send("Produce", 8, { acks: -1, timeoutMs: 30_000, topicData }));
    }
    const answered: number[] = [];
    for (const _ of ids) answered.push(readInt32(await client.nextAnswer(), 0));
    expect(answered).toEqual(ids);
    expect(await valuesOf("pipelined", 200)).toEqual(
      Array.from({ length: 200 }, (_, index) => `${index}`),
    );
    client.close();
  });

  it("wakes a fetch that waits when something is committed", async () => {
    await admin.createTopics([{ name: "waited-for", partitions: 1, replicationFactor: 3 }]);
    const client = await leaderOf("waited-for", 0);
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }];
    const fetched = client.ask("Fetch", 11, {
      // Far longer than the test may take: only data ends it.
      maxWaitMs: 240_000,
      minBytes: 1,
      topics: [{ topic: "waited-for", topicId: ZERO_UUID, partitions }],
      forgottenTopicsData: [],
    });
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    await producer.send({ topic: "waited-for", value: "here" });
    const { responses } = await fetched;
    const records = responses[0]?.partitions[0]?.records as Uint8Array;
    expect(splitBatches(records)).toHaveLength(1);
    client.close();
  });
});
