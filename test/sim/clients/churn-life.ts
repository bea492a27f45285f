/**
 * Lives of those who create, use, delete and create again the same few topics, as fast as they can.
 * What a name stands for changes under the feet of a producer and a consumer that go on; their
 * records are in no history (a client cannot tell which topic of a name took its record), but
 * brokers are watched as ever, and every send must have its outcome in time.
 */
import { Consumer, Producer } from "../../../src/client/index.ts";
import { HistoryAdmin } from "./admin-life.ts";
import type { ClientLife } from "./client-process.ts";
import { type ClientShared, errorCode } from "./client-shared.ts";

const TOPICS = ["churn-a", "churn-b"] as const;
const DELIVERY_TIMEOUT_MS = 3_000;
const MAX_BLOCK_MS = 3_000;
const GRACE_MS = 1_000;

export async function churn(shared: ClientShared, life: ClientLife): Promise<void> {
  const { bootstrapServers, counts } = shared;
  const { environment, prng, process } = life;
  const { world } = shared.cluster;
  const admin = new HistoryAdmin(shared, life, 5_000);
  const options = { bootstrapServers, environment };
  const producer = new Producer({
    ...options,
    deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
    maxBlockMs: MAX_BLOCK_MS,
    requestTimeoutMs: 2_000,
  });
  const consumer = new Consumer({ ...options, autoOffsetReset: "earliest" });
  let made = 0;
  const send = (topic: string, partition: number): void => {
    const sending = {};
    const value = `${process}/${made++}`;
    const dueMs = world.nowMs + MAX_BLOCK_MS + DELIVERY_TIMEOUT_MS + GRACE_MS;
    counts.unsettled.set(sending, { process, key: topic, value, dueMs });
    const settle = (): void => {
      counts.unsettled.delete(sending);
      if (world.nowMs <= dueMs) return;
      shared.cluster.fail("L4 a send has its outcome in time", `${value} to ${topic} had none`);
    };
    producer.send({ topic, partition, value }).then(settle, settle);
  };
  while (!life.ending) {
    const topic = prng.pick(TOPICS);
    const partitions = prng.between(1, 3);
    const configs = prng.chance(1, 2) ? { "retention.ms": String(prng.between(100, 10_000)) } : {};
    await admin.call("createTopic", { topic, partitions, configs }, (each) =>
      each.createTopics([{ name: topic, partitions, replicationFactor: 3, configs }]),
    );
    const sends = prng.between(0, 30);
    for (let index = 0; index < sends; index++) send(topic, prng.below(partitions));
    if (prng.chance(1, 2)) await readSome(consumer, topic, life);
    await life.sleep(prng.between(0, 800));
    if (prng.chance(3, 4)) {
      await admin.call("deleteTopic", { topic }, (each) => each.deleteTopics([topic]));
    }
  }
  for (const topic of TOPICS) {
    await admin.call("deleteTopic", { topic }, (each) => each.deleteTopics([topic]));
  }
  await consumer.close();
  await producer.close();
  await admin.admin.close();
}

/** Reads what comes within a while; whatever goes wrong, a topic that vanished is the reason. */
async function readSome(consumer: Consumer, topic: string, life: ClientLife): Promise<void> {
  const given = new AbortController();
  const timer = life.environment.timers.after(life.prng.between(10, 500), () => given.abort());
  try {
    if (life.prng.chance(1, 2))
      await Promise.race([consumer.assign([{ topic, partition: 0 }]), aborted(given.signal)]);
    for await (const { messages } of consumer.batches({ signal: given.signal })) {
      if (messages.length === 0) return;
    }
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === "UNKNOWN_SERVER_ERROR") throw thrown;
  } finally {
    timer.cancel();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
