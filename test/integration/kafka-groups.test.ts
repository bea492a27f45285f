/** kafkajs in groups and as administrator: a client that knows nothing of Ottla, beside one that does. */
import {
  AssignerProtocol,
  ConfigResourceTypes,
  Kafka,
  type KafkaMessage,
  logLevel,
  type PartitionAssigner,
  PartitionAssigners,
} from "kafkajs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { Seen, textConsumer, Worker } from "../support/consume.ts";
import { eventually } from "../support/eventually.ts";

let cluster: Cluster;
let kafka: Kafka;

beforeAll(async () => {
  cluster = await startCluster({
    brokers: 3,
    properties: { "group.initial.rebalance.delay.ms": "0" },
  });
  kafka = new Kafka({
    clientId: "kafkajs",
    brokers: [...cluster.kafkaBootstrapServers],
    logLevel: logLevel.NOTHING,
  });
}, 120_000);

afterAll(async () => {
  await cluster.stop();
});

async function withAdmin<Value>(use: (admin: ReturnType<Kafka["admin"]>) => Promise<Value>) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

async function fill(topic: string, partitions: number, count: number): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  const messages = Array.from({ length: count }, (_, index) => ({
    partition: index % partitions,
    value: String(index),
  }));
  await producer.send({ topic, messages, acks: -1 });
  await producer.disconnect();
}

/** kafkajs's own, by the name that everybody else has for it. */
const roundRobin: PartitionAssigner = (config) => {
  const assigner = PartitionAssigners.roundRobin(config);
  return {
    ...assigner,
    name: "roundrobin",
    protocol: ({ topics }) => ({
      name: "roundrobin",
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: 1,
        topics,
        userData: Buffer.alloc(0),
      }),
    }),
  };
};

interface Member {
  readonly consumer: ReturnType<Kafka["consumer"]>;
  readonly seen: KafkaMessage[];
  /** Of the topic, as last assigned. */
  partitions(): readonly number[];
}

/** A member that notes what it gets. */
async function join(groupId: string, topic: string): Promise<Member> {
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: 10_000,
    heartbeatInterval: 500,
    // It beats between two fetches only.
    maxWaitTimeInMs: 200,
    partitionAssigners: [roundRobin],
  });
  const seen: KafkaMessage[] = [];
  let partitions: readonly number[] = [];
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    partitions = payload.memberAssignment[topic] ?? [];
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message);
    },
  });
  return { consumer, seen, partitions: () => partitions };
}

it("topics and their configuration", async () => {
  await withAdmin(async (admin) => {
    const created = { topic: "admin", numPartitions: 2, replicationFactor: 3 };
    expect(await admin.createTopics({ topics: [created] })).toBe(true);
    expect(await admin.createTopics({ topics: [created] })).toBe(false);
    await admin.createPartitions({ topicPartitions: [{ topic: "admin", count: 4 }] });
    await eventually("four partitions with leaders", async () => {
      const { topics } = await admin.fetchTopicMetadata({ topics: ["admin"] });
      return topics[0]?.partitions.filter(({ leader }) => leader > 0).length === 4;
    });
    const configEntries = [{ name: "retention.ms", value: "12345" }];
    const resource = { type: ConfigResourceTypes.TOPIC, name: "admin" };
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] });
    await eventually("the configuration", async () => {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: true,
        resources: [{ ...resource, configNames: ["retention.ms"] }],
      });
      const [entry] = resources[0]?.configEntries ?? [];
      return entry?.configValue === "12345" && !entry.isSensitive && !entry.readOnly;
    });
    await fill("admin", 4, 40);
    await admin.deleteTopicRecords({ topic: "admin", partitions: [{ partition: 0, offset: "7" }] });
    const offsets = await admin.fetchTopicOffsets("admin");
    expect(offsets.find(({ partition }) => partition === 0)).toMatchObject({
      low: "7",
      high: "10",
    });
    await admin.deleteTopics({ topics: ["admin"] });
    await eventually("no such topic", async () => !(await admin.listTopics()).includes("admin"));
  });
}, 120_000);

it("a partition moves to other brokers, with what it holds", async () => {
  await withAdmin(async (admin) => {
    const replicaAssignment = [{ partition: 0, replicas: [1, 2] }];
    await admin.createTopics({ topics: [{ topic: "moved", replicaAssignment }] });
    await fill("moved", 1, 50);
    const partitionAssignment = [{ partition: 0, replicas: [3, 2] }];
    const topics = [{ topic: "moved", partitionAssignment }];
    await admin.alterPartitionReassignments({ topics });
    await eventually("it has moved", async () => {
      const { topics: moving } = await admin.listPartitionReassignments({});
      const { topics: shown } = await admin.fetchTopicMetadata({ topics: ["moved"] });
      const [partition] = shown[0]?.partitions ?? [];
      const { isr = [], replicas = [] } = partition ?? {};
      return moving.length === 0 && replicas.join() === "3,2" && isr.length === 2;
    });
    await fill("moved", 1, 1);
    const [offsets] = await admin.fetchTopicOffsets("moved");
    expect(offsets).toMatchObject({ low: "0", high: "51" });
  });
}, 120_000);

it("three members share the work, and two of them what the third leaves", async () => {
  await withAdmin((admin) =>
    admin.createTopics({ topics: [{ topic: "work", numPartitions: 6, replicationFactor: 3 }] }),
  );
  await fill("work", 6, 60);
  const first = await join("workers", "work");
  const second = await join("workers", "work");
  const third = await join("workers", "work");
  const shares = (...members: readonly Member[]): string =>
    members.map(({ partitions }) => partitions().length).join(" ");
  await eventually("two partitions each", () => shares(first, second, third) === "2 2 2");
  const values = (): number =>
    new Set([first, second, third].flatMap(({ seen }) => seen.map((each) => String(each.value))))
      .size;
  await eventually("all records", () => values() === 60);
  await withAdmin(async (admin) => {
    const { groups } = await admin.describeGroups(["workers"]);
    expect(groups[0]).toMatchObject({ state: "Stable", protocolType: "consumer" });
    expect(groups[0]?.members).toHaveLength(3);
  });
  await third.consumer.disconnect();
  await eventually("three partitions each", () => shares(first, second) === "3 3");
  const before = first.seen.length + second.seen.length;
  await fill("work", 6, 12);
  await eventually("twelve more", () => first.seen.length + second.seen.length >= before + 12);
  await first.consumer.disconnect();
  await second.consumer.disconnect();
  await withAdmin(async (admin) => {
    const offsetOf = async (wanted: number): Promise<number> => {
      const [topic] = await admin.fetchOffsets({ groupId: "workers", topics: ["work"] });
      return Number(topic?.partitions.find(({ partition }) => partition === wanted)?.offset);
    };
    for (let partition = 0; partition < 6; partition++) expect(await offsetOf(partition)).toBe(12);
    const partitions = [{ partition: 0, offset: "3" }];
    await admin.setOffsets({ groupId: "workers", topic: "work", partitions });
    expect(await offsetOf(0)).toBe(3);
    await admin.deleteGroups(["workers"]);
    const { groups } = await admin.describeGroups(["workers"]);
    expect(groups[0]?.state).toBe("Dead");
  });
}, 180_000);

it("a member of each door share one group", async () => {
  const { bootstrapServers } = cluster;
  await using admin = new Admin({ bootstrapServers });
  await admin.createTopics([{ name: "both", partitions: 4 }]);
  const theirs = await join("mixed", "both");
  await eventually("all four", () => theirs.partitions().length === 4);
  const seen = new Seen();
  const consumer = textConsumer({
    bootstrapServers,
    groupId: "mixed",
    partitionAssignmentStrategy: ["roundrobin"],
  });
  await consumer.subscribe({ topics: ["both"] });
  const ours = new Worker("ours", consumer, seen);
  await eventually("two each", () => theirs.partitions().length === 2);
  await fill("both", 4, 40);
  await eventually("all records", () => seen.messages.length + theirs.seen.length === 40);
  expect(seen.messages).toHaveLength(20);
  const [described] = await admin.describeGroups(["mixed"]);
  expect(described).toMatchObject({ state: "Stable", protocol: "roundrobin" });
  expect(described?.members).toHaveLength(2);
  await ours.stop();
  await eventually("all four again", () => theirs.partitions().length === 4);
  await theirs.consumer.disconnect();
}, 180_000);
