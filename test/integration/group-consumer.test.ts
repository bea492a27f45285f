/** Consumers in groups, on real brokers. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";

let cluster: Cluster;
let admin: Admin;
let producer: Producer;

beforeAll(async () => {
  cluster = await startCluster({
    brokers: 3,
    properties: { "group.initial.rebalance.delay.ms": "0" },
  });
  const { bootstrapServers } = cluster;
  admin = new Admin({ bootstrapServers });
  producer = new Producer({ bootstrapServers });
});

afterAll(async () => {
  await producer.close();
  await admin.close();
  await cluster.stop();
});

it("one member gets it all and goes on where it was", async () => {
  const topic = "first";
  await admin.createTopics([{ name: topic, partitions: 3, replicationFactor: 3 }]);
  const sent = Array.from({ length: 30 }, (_, index) => `v${index}`);
  for (const value of sent) await producer.send({ topic, key: value, value });
  const options = {
    bootstrapServers: cluster.bootstrapServers,
    groupId: "first",
    autoOffsetReset: "earliest",
  } as const;
  const seen: string[] = [];
  {
    await using consumer = new Consumer(options);
    await consumer.subscribe({ topics: [topic] });
    expect(consumer.assignment()).toHaveLength(3);
    for await (const { value } of consumer) {
      seen.push(Buffer.from(value as Uint8Array).toString());
      if (seen.length === 11) break;
    }
  }
  // The last one was in hand when the loop was left: it comes again.
  seen.pop();
  {
    await using consumer = new Consumer(options);
    await consumer.subscribe({ topics: [topic] });
    for await (const { value } of consumer) {
      seen.push(Buffer.from(value as Uint8Array).toString());
      if (seen.length === 30) break;
    }
    await consumer.commit();
  }
  expect(new Set(seen)).toEqual(new Set(sent));
  expect(seen).toHaveLength(sent.length);
});
