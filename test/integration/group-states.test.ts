/**
 * The coordinator is killed in each state that a group can be in. A member without manners keeps the
 * group there, and is never heard of again; those that behave get everything, from where the group was.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { fill, makeTopic, Seen, textConsumer, Worker } from "../support/consume.ts";
import { eventually } from "../support/eventually.ts";
import { LoneMember } from "../support/group-member.ts";

const WITHIN_MS = 120_000;
const PARTITIONS = 4;
const BEFORE_COUNT = 20;
/** Committed of each partition before the coordinator dies. */
const COMMITTED = 5;

let cluster: Cluster;
let bootstrapServers: readonly string[];
let admin: Admin;
let producer: Producer;

beforeAll(async () => {
  cluster = await startCluster({
    brokers: 3,
    properties: { "group.initial.rebalance.delay.ms": "0" },
  });
  bootstrapServers = cluster.bootstrapServers;
  admin = new Admin({ bootstrapServers });
  producer = new Producer({ bootstrapServers });
}, 120_000);

afterAll(async () => {
  await producer.close();
  await admin.close();
  await cluster.stop();
});

async function isIn(groupId: string, state: string): Promise<boolean> {
  const [described] = await admin.describeGroups([groupId]);
  return described?.state === state;
}

function hold(cluster: Cluster, groupId: string): Promise<LoneMember> {
  return LoneMember.join(cluster, {
    groupId,
    clientId: "holder",
    topics: [groupId],
    partitions: [{ topic: groupId, partitions: [0, 1, 2, 3] }],
    sessionTimeoutMs: 10_000,
  });
}

/** How a group comes into its state, and what keeps it there until it is ended. */
type Reach = (groupId: string, worker: () => void) => Promise<LoneMember | undefined>;

const STATES: readonly (readonly [string, Reach])[] = [
  ["Empty", async () => undefined],
  ["Stable", (groupId) => hold(cluster, groupId)],
  [
    "PreparingRebalance",
    async (groupId, work) => {
      const holder = await hold(cluster, groupId);
      // The worker joins, and the holder does not join again.
      work();
      return holder;
    },
  ],
  [
    "CompletingRebalance",
    async (groupId, work) => {
      const holder = await hold(cluster, groupId);
      work();
      await eventually("the worker joins", () => isIn(groupId, "PreparingRebalance"), WITHIN_MS);
      // It leads, and assigns nothing.
      await holder.rejoin();
      return holder;
    },
  ],
];

it.each(STATES)(
  "%s",
  async (state, reach) => {
    const groupId = `in-${state}`;
    await makeTopic(admin, groupId, PARTITIONS);
    await fill(producer, groupId, PARTITIONS, BEFORE_COUNT);
    const offsets = Array.from({ length: PARTITIONS }, (_, partition) => ({
      topic: groupId,
      partition,
      offset: COMMITTED,
    }));
    await admin.alterGroupOffsets(groupId, offsets);
    const seen = new Seen();
    const consumer = textConsumer({ bootstrapServers, groupId });
    const subscribed: Promise<void>[] = [];
    const work = (): void => {
      subscribed.push(consumer.subscribe({ topics: [groupId] }));
    };
    const holder = await reach(groupId, work);
    // The holder lives until the coordinator dies: nothing but that may move the group on.
    const isHeldIn = async (): Promise<boolean> => {
      await holder?.heartbeat().catch(() => undefined);
      return isIn(groupId, state);
    };
    await eventually(`the group is ${state}`, isHeldIn, WITHIN_MS);
    const [described] = await admin.describeGroups([groupId]);
    const coordinator = described?.coordinator as number;
    expect(described?.state).toBe(state);
    await cluster.killBroker(coordinator);
    holder?.close();

    if (subscribed.length === 0) work();
    await Promise.all(subscribed);
    const worker = new Worker("worker", consumer, seen);
    await fill(producer, groupId, PARTITIONS, BEFORE_COUNT, BEFORE_COUNT);
    const expected = 2 * BEFORE_COUNT - COMMITTED;
    await eventually(
      "all is seen that was not committed",
      () => seen.messages.length >= PARTITIONS * expected,
      WITHIN_MS,
    );
    // Once each, and from the last commit on: nobody else has had any of it.
    expect(seen.messages.length).toBe(PARTITIONS * expected);
    expect(seen.duplicatesCount).toBe(0);
    expect(Math.min(...seen.messages.map(({ offset }) => offset))).toBe(COMMITTED);
    expect(worker.partitions).toHaveLength(PARTITIONS);
    await consumer.commit();
    const committed = await admin.listGroupOffsets(groupId);
    expect(committed.map(({ offset }) => offset)).toEqual(offsets.map(() => 2 * BEFORE_COUNT));
    const [after] = await admin.describeGroups([groupId]);
    expect(after?.coordinator).not.toBe(coordinator);
    await worker.stop();
    await cluster.startBroker(coordinator);
  },
  400_000,
);
