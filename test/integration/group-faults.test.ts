/** Group consumers whose coordinator dies, whose leaders move, or who stand still themselves. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin, type OttlaError, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { fill, HeldTransport, makeTopic, Seen, textConsumer, Worker } from "../support/consume.ts";
import { eventually } from "../support/eventually.ts";

const WITHIN_MS = 90_000;

let cluster: Cluster;
let bootstrapServers: readonly string[];
let admin: Admin;
let producer: Producer;

beforeAll(async () => {
  cluster = await startCluster({
    brokers: 3,
    properties: {
      "group.initial.rebalance.delay.ms": "0",
      "group.min.session.timeout.ms": "500",
    },
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

async function coordinatorOf(groupId: string): Promise<number> {
  const [described] = await admin.describeGroups([groupId]);
  return described?.coordinator ?? -1;
}

it("a coordinator's death is not noticed: nothing is skipped, nothing committed comes again", async () => {
  await makeTopic(admin, "outage", 4);
  const seen = new Seen();
  const options = {
    bootstrapServers,
    groupId: "outage",
    autoCommitIntervalMs: 200,
    partitionAssignmentStrategy: ["cooperative-sticky"],
  } as const;
  const workers = ["A", "B"].map((name) => new Worker(name, textConsumer(options), seen));
  const [a, b] = workers as [Worker, Worker];
  await Promise.all(workers.map(({ consumer }) => consumer.subscribe({ topics: ["outage"] })));
  await eventually("both have two", () => a.partitions.length === 2 && b.partitions.length === 2);
  await fill(producer, "outage", 4, 50);
  await eventually("all is seen", () => seen.isComplete("outage", 4, 50), WITHIN_MS);
  const before = { a: a.partitions, b: b.partitions };
  const coordinator = await coordinatorOf("outage");
  const writing = fill(producer, "outage", 4, 200, 50);
  await cluster.killBroker(coordinator);
  await writing;
  await eventually("all is seen", () => seen.isComplete("outage", 4, 250), WITHIN_MS);
  await Promise.all(workers.map(({ consumer }) => consumer.commit()));
  // The group went on as it was, and so delivered nothing twice.
  expect({ a: a.partitions, b: b.partitions }).toEqual(before);
  expect(seen.duplicatesCount).toBe(0);
  // Whoever comes next begins where these ended.
  await Promise.all(workers.map((worker) => worker.stop()));
  await fill(producer, "outage", 4, 5, 250);
  const after = new Seen();
  const c = new Worker("C", textConsumer(options), after);
  await c.consumer.subscribe({ topics: ["outage"] });
  await eventually("the rest is seen", () => after.isComplete("outage", 4, 5), WITHIN_MS);
  await c.stop();
  expect(after.messages.length).toBe(20);
  await cluster.startBroker(coordinator);
}, 240_000);

it("members that come while the coordinator dies get their part", async () => {
  await makeTopic(admin, "joining", 4);
  const seen = new Seen();
  const options = { bootstrapServers, groupId: "joining" };
  const a = new Worker("A", textConsumer(options), seen);
  await a.consumer.subscribe({ topics: ["joining"] });
  const coordinator = await coordinatorOf("joining");
  const b = new Worker("B", textConsumer(options), seen);
  const joined = b.consumer.subscribe({ topics: ["joining"] });
  await cluster.killBroker(coordinator);
  await joined;
  await eventually(
    "both have two",
    () => a.partitions.length === 2 && b.partitions.length === 2,
    WITHIN_MS,
  );
  await fill(producer, "joining", 4, 10);
  await eventually("all is seen", () => seen.isComplete("joining", 4, 10), WITHIN_MS);
  await Promise.all([a.stop(), b.stop()]);
  await cluster.startBroker(coordinator);
}, 240_000);

it("a rolling restart of all brokers is not noticed", async () => {
  await makeTopic(admin, "rolling", 6);
  const seen = new Seen();
  const options = {
    bootstrapServers,
    groupId: "rolling",
    autoCommitIntervalMs: 100,
    partitionAssignmentStrategy: ["cooperative-sticky"],
  } as const;
  const workers = ["A", "B", "C"].map((name) => new Worker(name, textConsumer(options), seen));
  await Promise.all(workers.map(({ consumer }) => consumer.subscribe({ topics: ["rolling"] })));
  await eventually(
    "each has two",
    () => workers.every(({ partitions }) => partitions.length === 2),
    WITHIN_MS,
  );
  const before = workers.map(({ partitions }) => partitions);
  let count = 0;
  let rolled = false;
  const writing = (async () => {
    while (!rolled) {
      await fill(producer, "rolling", 6, 5, count);
      count += 5;
    }
  })();
  for (const id of cluster.brokerIds) {
    await cluster.stopBroker(id);
    await cluster.startBroker(id);
  }
  rolled = true;
  await writing;
  await eventually("all is seen", () => seen.isComplete("rolling", 6, count), WITHIN_MS);
  expect(workers.map(({ partitions }) => partitions)).toEqual(before);
  expect(seen.duplicatesCount).toBe(0);
  // Each partition in the order of its log.
  for (const { by, partition } of seen.messages.slice(0, 6)) {
    const offsets = seen
      .by(by)
      .filter((each) => each.partition === partition)
      .map(({ offset }) => offset);
    expect(offsets).toEqual([...offsets].sort((left, right) => left - right));
  }
  await Promise.all(workers.map((worker) => worker.stop()));
}, 300_000);

it("a member that stood still has lost its part, and cannot commit for it", async () => {
  await makeTopic(admin, "zombie", 2);
  await fill(producer, "zombie", 2, 10);
  const transport = new HeldTransport();
  const options = {
    bootstrapServers,
    groupId: "zombie",
    sessionTimeoutMs: 2_000,
    enableAutoCommit: false,
  };
  const lost: string[] = [];
  const zombie = textConsumer({ ...options, environment: { transport } });
  await zombie.subscribe({
    topics: ["zombie"],
    onLost: (partitions) => {
      for (const { partition, topic } of partitions) lost.push(`${topic}-${partition}`);
    },
  });
  const messages = zombie[Symbol.asyncIterator]();
  await messages.next();
  transport.hold();
  const late = zombie
    .commit([{ topic: "zombie", partition: 0, offset: 1 }])
    .catch((thrown: OttlaError) => thrown.code);
  const seen = new Seen();
  const heir = new Worker("B", textConsumer(options), seen);
  await heir.consumer.subscribe({ topics: ["zombie"] });
  await eventually("the heir has all", () => heir.partitions.length === 2, WITHIN_MS);
  await eventually("the heir has read all", () => seen.isComplete("zombie", 2, 10), WITHIN_MS);
  await heir.consumer.commit();
  transport.release();
  expect(await late).toBe("ILLEGAL_GENERATION");
  await eventually("it knows", () => lost.length === 2, WITHIN_MS);
  const committed = await heir.consumer.committed([
    { topic: "zombie", partition: 0 },
    { topic: "zombie", partition: 1 },
  ]);
  expect(committed.map(({ offset }) => offset)).toEqual([10, 10]);
  // It goes on as a new member.
  const next = messages.next();
  await eventually("both have one", () => heir.partitions.length === 1, WITHIN_MS);
  await fill(producer, "zombie", 2, 1, 10);
  expect((await next).value?.offset).toBe(10);
  await Promise.all([zombie.close(), heir.stop()]);
}, 240_000);

it("a member whose process dies is replaced after its session", async () => {
  await makeTopic(admin, "dying", 2);
  const transport = new HeldTransport();
  const options = { bootstrapServers, groupId: "dying", sessionTimeoutMs: 2_000 };
  const seen = new Seen();
  const dead = textConsumer({ ...options, environment: { transport } });
  const a = new Worker("A", textConsumer(options), seen);
  await Promise.all([dead, a.consumer].map((each) => each.subscribe({ topics: ["dying"] })));
  // Whoever waits asks: a partition that goes waits for what is in hand, and there is nothing.
  await eventually("both have one", () => a.partitions.length === 1, WITHIN_MS);
  transport.hold();
  const [partition] = dead.assignment();
  const late = dead
    .commit([{ topic: "dying", partition: partition?.partition ?? 0, offset: 0 }])
    .catch((thrown: OttlaError) => thrown.code);
  await eventually("the other has all", () => a.partitions.length === 2, WITHIN_MS);
  await fill(producer, "dying", 2, 5);
  await eventually("all is seen", () => seen.isComplete("dying", 2, 5), WITHIN_MS);
  await a.stop();
  await dead.close({ timeoutMs: 100 });
  expect(await late).toBe("CLOSED");
}, 240_000);
