/** Consumers in groups, on real brokers: shares, places, callbacks, and what is refused. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin, Consumer, type OttlaError, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import {
  fill,
  makeTopic,
  Seen,
  type TextMessage,
  textConsumer,
  Worker,
} from "../support/consume.ts";
import { eventually } from "../support/eventually.ts";

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

function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "settled",
    (thrown: OttlaError) => `${thrown.code}: ${thrown.message}`,
  );
}

it("one member gets it all, and the next one goes on where it was", async () => {
  await makeTopic(admin, "first", 3);
  await fill(producer, "first", 3, 10);
  const options = { bootstrapServers, groupId: "first" };
  const seen: TextMessage[] = [];
  {
    await using consumer = textConsumer(options);
    await consumer.subscribe({ topics: ["first"] });
    expect(consumer.assignment()).toHaveLength(3);
    for await (const message of consumer) {
      seen.push(message);
      if (seen.length === 11) break;
    }
  }
  // The last one was in hand when the loop was left: it comes again.
  const last = seen.pop();
  {
    await using consumer = textConsumer(options);
    await consumer.subscribe({ topics: ["first"] });
    for await (const message of consumer) {
      seen.push(message);
      if (seen.length === 30) break;
    }
    // The program says that it is done with the last one as well.
    await consumer.commit();
  }
  expect(seen.map(({ partition, value }) => `${partition}/${value}`)).toContain(
    `${last?.partition}/${last?.value}`,
  );
  expect(new Set(seen.map(({ partition, value }) => `${partition}/${value}`)).size).toBe(30);
  await using consumer = textConsumer(options);
  await consumer.subscribe({ topics: ["first"] });
  const committed = await consumer.committed();
  expect(committed.map(({ offset }) => offset)).toEqual([10, 10, 10]);
  // Of the records themselves: a log that was cut and grew again has others there (KIP-320).
  for (const { leaderEpoch } of committed) expect(leaderEpoch).toBeGreaterThanOrEqual(0);
});

it("members share; who leaves gives its part back", async () => {
  await makeTopic(admin, "shared", 4);
  const seen = new Seen();
  const options = { bootstrapServers, groupId: "shared" };
  const workers = ["A", "B"].map((name) => new Worker(name, textConsumer(options), seen));
  const [a, b] = workers as [Worker, Worker];
  await Promise.all(workers.map(({ consumer }) => consumer.subscribe({ topics: ["shared"] })));
  await eventually("both have two", () => a.partitions.length === 2 && b.partitions.length === 2);
  await fill(producer, "shared", 4, 20);
  await eventually("all is seen", () => seen.isComplete("shared", 4, 20));
  await b.stop();
  await eventually("A has all", () => a.partitions.length === 4);
  await fill(producer, "shared", 4, 20, 20);
  await eventually("all is seen", () => seen.isComplete("shared", 4, 40));
  await a.stop();
  expect(seen.duplicatesCount).toBe(0);
  expect(seen.by("B").length).toBe(40);
});

it("a cooperative join stops only what moves, and keeps pauses and positions", async () => {
  await makeTopic(admin, "moving", 4);
  await fill(producer, "moving", 4, 5);
  const options = {
    bootstrapServers,
    groupId: "moving",
    partitionAssignmentStrategy: ["cooperative-sticky"],
  } as const;
  const revoked: string[] = [];
  const assigned: string[] = [];
  const name = ({ partition, topic }: { topic: string; partition: number }) =>
    `${topic}-${partition}`;
  const seen = new Seen();
  const a = new Worker("A", textConsumer(options), seen);
  await a.consumer.subscribe({
    topics: ["moving"],
    onAssigned: (partitions) => {
      assigned.push(...partitions.map(name));
    },
    onRevoked: (partitions) => {
      revoked.push(...partitions.map(name));
    },
  });
  await eventually("A has read all", () => seen.isComplete("moving", 4, 5));
  a.consumer.pause(a.consumer.assignment());
  const b = new Worker("B", textConsumer(options), seen);
  await b.consumer.subscribe({ topics: ["moving"] });
  await eventually("B has its part", () => b.partitions.length === 2);
  expect(assigned).toHaveLength(4);
  expect(new Set(revoked)).toEqual(new Set(b.partitions));
  expect(a.partitions).toHaveLength(2);
  expect(a.consumer.paused().map(name)).toEqual(a.partitions);
  for (const partition of a.consumer.assignment()) {
    expect(a.consumer.position(partition)).toBe(5);
  }
  await fill(producer, "moving", 4, 5, 5);
  await eventually("B goes on where A was", () => seen.by("B").length === 10);
  expect(seen.by("A")).toHaveLength(20);
  a.consumer.resume(a.consumer.paused());
  await eventually("all is seen", () => seen.isComplete("moving", 4, 10));
  await Promise.all([a.stop(), b.stop()]);
  expect(seen.duplicatesCount).toBe(0);
});

it("a static member's restart moves nothing", async () => {
  await makeTopic(admin, "static", 4);
  const seen = new Seen();
  const options = (groupInstanceId: string) => ({
    bootstrapServers,
    groupId: "static",
    groupInstanceId,
  });
  const a = new Worker("A", textConsumer(options("a")), seen);
  let b = new Worker("B", textConsumer(options("b")), seen);
  await Promise.all([a, b].map(({ consumer }) => consumer.subscribe({ topics: ["static"] })));
  await eventually("both have two", () => a.partitions.length === 2 && b.partitions.length === 2);
  const before = { a: a.partitions, b: b.partitions };
  const generation = a.consumer.groupMetadata()?.generationId;
  await b.stop();
  b = new Worker("B", textConsumer(options("b")), seen);
  await b.consumer.subscribe({ topics: ["static"] });
  expect({ a: a.partitions, b: b.partitions }).toEqual(before);
  expect(b.consumer.groupMetadata()?.generationId).toBe(generation);
  expect(a.consumer.groupMetadata()?.generationId).toBe(generation);
  // A second one under the same name puts the first one out.
  const twin = new Worker("C", textConsumer(options("b")), seen);
  await twin.consumer.subscribe({ topics: ["static"] });
  await eventually("B is fenced", () => b.error !== undefined);
  expect((b.error as OttlaError).code).toBe("FENCED_INSTANCE_ID");
  expect(b.partitions).toEqual([]);
  await b.consumer.close();
  await Promise.all([a.stop(), twin.stop()]);
});

it("callbacks may seek and commit; what they throw comes out of the iteration", async () => {
  await makeTopic(admin, "callbacks", 2);
  await fill(producer, "callbacks", 2, 10);
  const options = { bootstrapServers, groupId: "callbacks", enableAutoCommit: false };
  const consumer = textConsumer(options);
  await consumer.subscribe({
    topics: ["callbacks"],
    onAssigned: (partitions) => {
      for (const partition of partitions) consumer.seek({ ...partition, offset: 7 });
    },
    onRevoked: async (partitions) => {
      await consumer.commit(
        partitions.map((each) => ({ ...each, offset: 3, metadata: "as it was" })),
      );
      throw new Error("so there");
    },
  });
  const first: number[] = [];
  for await (const { offset } of consumer) {
    first.push(offset);
    if (first.length === 6) break;
  }
  expect(Math.min(...first)).toBe(7);
  const other = textConsumer(options);
  const joined = other.subscribe({ topics: ["callbacks"] });
  await expect(consumer[Symbol.asyncIterator]().next()).rejects.toThrow(/^so there$/);
  await joined;
  const committed = await other.committed([
    { topic: "callbacks", partition: 0 },
    { topic: "callbacks", partition: 1 },
  ]);
  expect(committed.map(({ metadata, offset }) => [offset, metadata])).toEqual([
    [3, "as it was"],
    [3, "as it was"],
  ]);
  await Promise.all([consumer.close(), other.close()]);
});

it("a handler that throws stops its partition, and no other", async () => {
  await makeTopic(admin, "handled", 2);
  await fill(producer, "handled", 2, 10);
  const options = { bootstrapServers, groupId: "handled" };
  const consumer = textConsumer(options);
  await consumer.subscribe({ topics: ["handled"] });
  const seen = new Seen();
  const failures: string[] = [];
  let broken = true;
  const stop = new AbortController();
  const running = consumer.run({
    signal: stop.signal,
    eachMessage: (message) => {
      if (broken && message.partition === 0 && message.offset === 4) throw new Error("no");
      seen.add("A", message);
    },
    onError: ({ error, offset, partition }) => {
      failures.push(`${partition}@${offset}: ${(error as Error).message}`);
    },
  });
  await eventually("the other is done", () => seen.messages.length === 14);
  expect(failures).toEqual(["0@4: no"]);
  await eventually("what is done is known", async () => {
    await consumer.commit();
    const committed = await consumer.committed();
    return committed.map(({ offset }) => offset).join() === "4,10";
  });
  broken = false;
  consumer.resume(consumer.paused());
  await eventually("all is done", () => seen.isComplete("handled", 2, 10));
  expect(seen.duplicatesCount).toBe(0);
  stop.abort();
  await running;
  await consumer.close();
});

it("a pattern follows topics that come, and members follow partitions", async () => {
  await makeTopic(admin, "logs-a", 1);
  await makeTopic(admin, "other", 1);
  const seen = new Seen();
  const options = { bootstrapServers, groupId: "pattern", metadataMaxAgeMs: 200 };
  const a = new Worker("A", textConsumer(options), seen);
  await a.consumer.subscribe({ pattern: /^logs-/ });
  expect(a.partitions).toEqual(["logs-a-0"]);
  await makeTopic(admin, "logs-b", 1);
  await eventually("the new topic is read", () => a.partitions.length === 2);
  await admin.createPartitions({ topic: "logs-a", partitions: 3 });
  await eventually("new partitions are read", () => a.partitions.length === 4);
  await fill(producer, "logs-a", 3, 5);
  await fill(producer, "logs-b", 1, 5);
  await eventually("all is seen", () => seen.messages.length === 20);
  // What goes is forgotten, and nothing fails.
  await admin.deleteTopics(["logs-b"]);
  await eventually("the deleted topic is let go", () => a.partitions.length === 3);
  await a.stop();
});

it("who asks for nothing for too long is out, and comes back when it asks", async () => {
  await makeTopic(admin, "slow", 1);
  await fill(producer, "slow", 1, 3);
  const lost: number[] = [];
  await using consumer = textConsumer({
    bootstrapServers,
    groupId: "slow",
    maxPollIntervalMs: 500,
  });
  await consumer.subscribe({
    topics: ["slow"],
    onLost: (partitions) => {
      lost.push(partitions.length);
    },
  });
  const messages = consumer[Symbol.asyncIterator]();
  const first = await messages.next();
  expect(first.value?.offset).toBe(0);
  await eventually("it is out", () => lost.length === 1 && consumer.groupMetadata() === undefined);
  expect(await codeOf(consumer.commit([{ topic: "slow", partition: 0, offset: 1 }]))).toMatch(
    /^ILLEGAL_GENERATION: slow-0 is not assigned/,
  );
  // Nothing was committed, so it begins with the same again.
  const again = await messages.next();
  expect(again.value?.offset).toBe(0);
});

it("an iteration that was left without a word keeps its partition for the poll interval only", async () => {
  await makeTopic(admin, "left", 2);
  await fill(producer, "left", 2, 20);
  const options = {
    bootstrapServers,
    groupId: "left",
    partitionAssignmentStrategy: ["cooperative-sticky"],
    maxPollIntervalMs: 15_000,
  } as const;
  const lost: number[] = [];
  await using first = textConsumer(options);
  await first.subscribe({
    topics: ["left"],
    onLost: (partitions) => {
      lost.push(partitions.length);
    },
  });
  // One message of each partition is in the hand of an iteration that nobody goes on with.
  const held = new Map<number, number>();
  for (let tries = 0; held.size < 2; tries++) {
    expect(tries).toBeLessThan(100);
    const { value } = await first[Symbol.asyncIterator]().next();
    if (!held.has(value.partition)) held.set(value.partition, value.offset);
  }
  const memberId = first.groupMetadata()?.memberId;
  const others = new Worker("first", first, new Seen());
  const seen = new Seen();
  await using second = textConsumer(options);
  await second.subscribe({ topics: ["left"] });
  const worker = new Worker("second", second, seen);
  await eventually("the second has its part", () => second.assignment().length === 1, 60_000);
  const [moved] = second.assignment();
  const from = held.get(moved?.partition as number);
  await eventually("it comes again", () => seen.by("second").some(({ offset }) => offset === from));
  expect(seen.by("second")[0]?.offset).toBeLessThanOrEqual(from as number);
  // The first has stayed a member all the time.
  expect(first.groupMetadata()?.memberId).toBe(memberId);
  expect(first.assignment()).toHaveLength(1);
  expect(lost).toEqual([]);
  await Promise.all([others.stop(), worker.stop()]);
});

it("partitions by hand may be committed for a group that nobody is in", async () => {
  await makeTopic(admin, "by-hand", 1);
  await fill(producer, "by-hand", 1, 3);
  const options = { bootstrapServers, groupId: "by-hand" };
  {
    await using consumer = textConsumer(options);
    await consumer.assign([{ topic: "by-hand", partition: 0 }]);
    const messages = consumer[Symbol.asyncIterator]();
    await messages.next();
    await messages.next();
  }
  await using member = textConsumer(options);
  await member.subscribe({ topics: ["by-hand"] });
  expect((await member.committed())[0]?.offset).toBe(1);
  await using outside = textConsumer(options);
  expect(await codeOf(outside.commit([{ topic: "by-hand", partition: 0, offset: 0 }]))).toMatch(
    /^UNKNOWN_MEMBER_ID: .*from outside its offsets are committed only while it is Empty/,
  );
  expect((await member.committed())[0]?.offset).toBe(1);
});

it.each<[string, object, RegExp]>([
  ["an empty group id", { groupId: "" }, /^INVALID_GROUP_ID: groupId is "" .*1 to 1024/],
  ["a group id with a line break", { groupId: "a\nb" }, /^INVALID_GROUP_ID: groupId is "a\\nb"/],
  [
    "an instance without a group",
    { groupInstanceId: "i" },
    /^INVALID_ARGUMENT: groupId is missing/,
  ],
  [
    "an instance id with a blank",
    { groupId: "g", groupInstanceId: "a b" },
    /^INVALID_ARGUMENT: groupInstanceId is "a b"/,
  ],
  [
    "an unknown assignor",
    { groupId: "g", partitionAssignmentStrategy: ["best"] },
    /^INVALID_ARGUMENT: partitionAssignmentStrategy is \["best"\], .*cooperative-sticky/,
  ],
  [
    "heartbeats as rare as sessions are long",
    { groupId: "g", sessionTimeoutMs: 6_000, heartbeatIntervalMs: 6_000 },
    /^INVALID_ARGUMENT: heartbeatIntervalMs is 6000, .*1 to 5999/,
  ],
])("refuses %s", (_, options, message) => {
  const make = (): unknown => new Consumer({ bootstrapServers, ...options });
  expect(make).toThrow(Error);
  try {
    make();
  } catch (thrown) {
    const { code, message: said } = thrown as OttlaError;
    expect(`${code}: ${said}`).toMatch(message);
  }
});

it("says what a subscription or a commit may not be", async () => {
  await makeTopic(admin, "checked", 1);
  await using none = new Consumer({ bootstrapServers });
  expect(await codeOf(none.subscribe({ topics: ["checked"] }))).toMatch(/groupId is missing/);
  await using consumer = textConsumer({ bootstrapServers, groupId: "checked" });
  expect(await codeOf(consumer.subscribe({ topics: [] }))).toMatch(/topics is \[\]/);
  expect(await codeOf(consumer.subscribe({ topics: ["no way"] }))).toMatch(/topics is "no way"/);
  const many = Array.from({ length: 20_000 }, (_, at) => `t-${String(at).padStart(100, "0")}`);
  expect(await codeOf(consumer.subscribe({ topics: many }))).toMatch(
    /^LIMIT_EXCEEDED: protocols.metadata: \d+; allowed are 1048576 bytes/,
  );
  await consumer.subscribe({ topics: ["checked"] });
  const at = { topic: "checked", partition: 0 };
  expect(await codeOf(consumer.commit([{ ...at, offset: -1 }]))).toMatch(/offset is -1/);
  expect(
    await codeOf(
      consumer.commit([
        { ...at, offset: 1 },
        { ...at, offset: 2 },
      ]),
    ),
  ).toMatch(/each partition once/);
  expect(
    await codeOf(consumer.commit([{ ...at, offset: 0, metadata: "x".repeat(4_097) }])),
  ).toMatch(/^OFFSET_METADATA_TOO_LARGE: checked-0: .*4096/);
  expect(await codeOf(consumer.commit([{ ...at, partition: 9, offset: 0 }]))).toMatch(
    /^ILLEGAL_GENERATION: checked-9 is not assigned/,
  );
  expect(await codeOf(consumer.assign([at]))).toMatch(/unsubscribe/);
  expect((await consumer.committed())[0]?.offset).toBeNull();
  await using short = textConsumer({
    bootstrapServers,
    groupId: "short",
    sessionTimeoutMs: 1_000,
  });
  expect(await codeOf(short.subscribe({ topics: ["checked"] }))).toMatch(
    /^INVALID_SESSION_TIMEOUT: session.timeout.ms is 1000; this broker allows 6000 to 1800000/,
  );
  await using odd = textConsumer({
    bootstrapServers,
    groupId: "checked",
    partitionAssignmentStrategy: ["roundrobin"],
  });
  expect(await codeOf(odd.subscribe({ topics: ["checked"] }))).toMatch(
    /^INCONSISTENT_GROUP_PROTOCOL/,
  );
  await using early = textConsumer({
    bootstrapServers,
    groupId: "none",
    autoOffsetReset: "none",
  });
  expect(await codeOf(early.subscribe({ topics: ["checked"] }))).toMatch(
    /^OFFSET_OUT_OF_RANGE: checked-0: the group has committed no offset/,
  );
});
