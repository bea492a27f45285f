/** @platformatic/kafka: `NODE platformatic.mjs DIRECTORY CALL`, see program-client.ts. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const [, , directory, call] = process.argv;
const require = createRequire(join(directory, "package.json"));
const {
  Admin,
  Consumer,
  compatibilityPartitioner,
  Producer,
  stringDeserializers,
  stringSerializers,
} = require("@platformatic/kafka");
// Its exports leave the package's own description out.
const manifest = join(directory, "node_modules", "@platformatic", "kafka", "package.json");
const { version } = JSON.parse(readFileSync(manifest, "utf8"));

const TOPIC_RESOURCE = 2;
const SET = 0;
const asked = JSON.parse(await text(process.stdin));
const { topic, group, name, value } = asked;
const base = { clientId: "compat", bootstrapBrokers: asked.bootstrapServers.split(",") };
const open = [];
const kept = (client) => {
  open.push(client);
  return client;
};
const admin = () => kept(new Admin(base));
const consumer = (groupId) =>
  kept(
    new Consumer({
      ...base,
      groupId,
      sessionTimeout: 6_000,
      heartbeatInterval: 1_000,
      rebalanceTimeout: 30_000,
      maxWaitTime: 500,
      deserializers: stringDeserializers,
    }),
  );
const row = (message) => [message.partition, Number(message.offset), message.key, message.value];

/** Until every partition has come to its end; `offsets` where not from the beginning. */
async function read(groupId, ends, offsets) {
  const place = offsets === undefined ? { mode: "earliest" } : { mode: "manual", offsets };
  const stream = await consumer(groupId).consume({ topics: [topic], autocommit: false, ...place });
  const rows = [];
  const waited = new Set(ends.flatMap((end, partition) => (end > 0 ? [partition] : [])));
  for await (const message of stream) {
    rows.push(row(message));
    if (Number(message.offset) + 1 >= ends[message.partition]) waited.delete(message.partition);
    if (waited.size === 0) break;
  }
  await stream.close();
  return rows;
}

const calls = {
  version: () => version,
  create: () =>
    admin().createTopics({
      topics: [topic],
      partitions: asked.partitions,
      replicas: asked.replicationFactor,
    }),
  produce: async () => {
    const producer = kept(
      new Producer({ ...base, serializers: stringSerializers, idempotent: asked.idempotent }),
    );
    await producer.send({
      acks: -1,
      compression: asked.codec,
      partitioner: compatibilityPartitioner,
      messages: asked.records.map((record) => ({ topic, ...record })),
    });
  },
  consume: () => read(`of-one-${topic}`, asked.ends),
  consumeFromTime: async () => {
    const partitions = [{ partitionIndex: 0, timestamp: BigInt(asked.timestamp) }];
    const [listed] = await admin().listOffsets({ topics: [{ name: topic, partitions }] });
    const { offset } = listed.partitions[0];
    return read(`by-time-${topic}`, [asked.end], [{ topic, partition: 0, offset }]);
  },
  join: async () => {
    const member = consumer(group);
    const stream = await member.consume({
      topics: [topic],
      mode: "committed",
      fallbackMode: "earliest",
      autocommit: 500,
    });
    process.once("SIGTERM", () => stream.close());
    for await (const message of stream) process.stdout.write(`${JSON.stringify(row(message))}\n`);
  },
  lag: async () => {
    const partitions = Array.from({ length: asked.partitions }, (_, partition) => partition);
    const reader = consumer(group);
    const topics = [{ topic, partitions }];
    const committed = (await reader.listCommittedOffsets({ topics })).get(topic);
    const ends = (await reader.listOffsets({ topics: [topic] })).get(topic);
    return partitions.map((partition) => ({
      partition,
      committed: Number(committed[partition]),
      lag: Number(ends[partition] - committed[partition]),
    }));
  },
  brokers: async () => [...(await admin().metadata({ topics: [] })).brokers.keys()],
  topics: () => admin().listTopics(),
  setConfig: () => {
    const configs = [{ name, value, configOperation: SET }];
    const resource = { resourceType: TOPIC_RESOURCE, resourceName: topic, configs };
    return admin().incrementalAlterConfigs({ resources: [resource] });
  },
  config: async () => {
    const resource = { resourceType: TOPIC_RESOURCE, resourceName: topic };
    const [described] = await admin().describeConfigs({ resources: [resource] });
    return described.configs.find((config) => config.name === name).value;
  },
  addPartitions: () =>
    admin().createPartitions({ topics: [{ name: topic, count: asked.total, assignments: null }] }),
  groups: async () => [...(await admin().listGroups()).keys()],
  groupState: async () => (await admin().describeGroups({ groups: [group] })).get(group).state,
  deleteRecords: () => {
    const partitions = [{ partition: asked.partition, offset: BigInt(asked.before) }];
    return admin().deleteRecords({ topics: [{ name: topic, partitions }] });
  },
  deleteGroup: () => admin().deleteGroups({ groups: [group] }),
  deleteTopic: () => admin().deleteTopics({ topics: [topic] }),
};

const answer = await calls[call]();
for (const client of open) await client.close(client instanceof Consumer ? true : undefined);
const plain = (_, each) => (typeof each === "bigint" ? Number(each) : each);
process.stdout.write(`${JSON.stringify(answer ?? null, plain)}\n`);
