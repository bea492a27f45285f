import { describe, expect, test } from "vitest";
import { partitionOfGroup } from "../../../src/group/partition-of.ts";
import type { Offset } from "../../../src/model/ids.ts";
import {
  COMMITTED,
  GroupDesk,
  groupImage,
  joinOf,
  OFFSETS_ID,
  TOPIC,
  TOPIC_ID,
} from "./group-desk.ts";

async function committedOn(desk: GroupDesk, id: number): Promise<readonly Offset[]> {
  const { error, partitions } = await desk.coordinatorOf(id).offsetFetch(COMMITTED);
  if (error !== undefined) throw new Error(error.code);
  return partitions.map(({ offset }) => offset);
}

test("a group lies where Kafka puts it", () => {
  // "abc".hashCode() is 96354; that of "polygenelubricants" is -2^31, which must not be negated.
  expect(partitionOfGroup("abc", 50)).toBe(96_354 % 50);
  expect(partitionOfGroup("polygenelubricants", 50)).toBe(0);
  expect(partitionOfGroup("console-consumer-12345", 50)).toBeGreaterThanOrEqual(0);
});

describe("one coordinator", () => {
  test("takes a member in, assigns, commits and shows what is committed", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    expect(member.generationId).toBe(1);
    const coordinator = desk.coordinatorOf(1);
    const commit = await desk.settle(coordinator.offsetCommit(member.commit([0, 5], [1, 6])));
    expect(commit.partitions.map(({ error }) => error)).toEqual([undefined, undefined]);
    expect(await committedOn(desk, 1)).toEqual([5]);
    const [described] = await desk.settle(coordinator.describeGroups(["g"]));
    expect(described).toMatchObject({ state: "Stable", generationId: 1, protocolName: "range" });
    expect(coordinator.listGroups({ states: ["Stable"] }).groups).toHaveLength(1);
    expect(coordinator.listGroups({ states: ["Empty"] }).groups).toHaveLength(0);
  });

  test("answers only for what it leads, and says who does", async () => {
    const desk = await GroupDesk.start();
    const refused = await desk.join(2);
    expect(refused.error?.code).toBe("NOT_COORDINATOR");
    const found = await desk.settle(desk.coordinatorOf(2).findCoordinator("g"));
    expect(found.coordinator).toEqual({ brokerId: 1, leaderEpoch: 1 });
  });

  test("does not answer before the in-sync replicas have it", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    const follower = desk.cluster.member(2).logs.get(OFFSETS_ID, 0);
    follower.autoSync = false;
    let answered = false;
    const commit = desk.coordinatorOf(1).offsetCommit(member.commit([0, 7]));
    commit.then(
      () => {
        answered = true;
      },
      () => undefined,
    );
    await desk.cluster.run(500);
    expect(answered).toBe(false);
    expect(await committedOn(desk, 1)).toEqual([-1]);
    const stable = await desk.coordinatorOf(1).offsetFetch({ ...COMMITTED, requireStable: true });
    expect(stable.partitions[0]?.error?.code).toBe("UNSTABLE_OFFSET_COMMIT");
    follower.autoSync = true;
    follower.sync();
    expect((await desk.settle(commit)).error).toBeUndefined();
    expect(await committedOn(desk, 1)).toEqual([7]);
  });

  test("gives an answer up after offsets.commit.timeout.ms, and the commit stands all the same", async () => {
    const desk = await GroupDesk.start({ "offsets.commit.timeout.ms": "1000" });
    const member = await desk.member(1);
    const follower = desk.cluster.member(2).logs.get(OFFSETS_ID, 0);
    follower.autoSync = false;
    const commit = await desk.settle(desk.coordinatorOf(1).offsetCommit(member.commit([0, 7])));
    expect(commit.error?.code).toBe("COORDINATOR_NOT_AVAILABLE");
    follower.autoSync = true;
    follower.sync();
    await desk.cluster.until(() => desk.cluster.leader(1) !== undefined);
    await desk.cluster.run(100);
    expect(await committedOn(desk, 1)).toEqual([7]);
  });

  test("batches what comes while an append is under way", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    const log = desk.cluster.member(1).logs.get(OFFSETS_ID, 0);
    const before = log.batches.length;
    const coordinator = desk.coordinatorOf(1);
    const commits = Array.from({ length: 500 }, (_, index) =>
      coordinator.offsetCommit(member.commit([0, index])),
    );
    const results = await desk.settle(Promise.all(commits));
    expect(results.every(({ error }) => error === undefined)).toBe(true);
    expect(log.batches.length - before).toBeLessThan(5);
    expect(await committedOn(desk, 1)).toEqual([499]);
  });

  test("writes again, in order, what the disk would not take", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    const log = desk.cluster.member(1).logs.get(OFFSETS_ID, 0);
    log.full = true;
    const coordinator = desk.coordinatorOf(1);
    const first = coordinator.offsetCommit(member.commit([0, 1]));
    const second = coordinator.offsetCommit(member.commit([0, 2]));
    await desk.cluster.run(300);
    log.full = false;
    expect((await desk.settle(first)).error).toBeUndefined();
    expect((await desk.settle(second)).error).toBeUndefined();
    expect(await committedOn(desk, 1)).toEqual([2]);
  });

  test("refuses to change anything while too few replicas are in sync", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    desk.publish(groupImage({ isr: [1], partitionEpoch: 2 }));
    const coordinator = desk.coordinatorOf(1);
    const commit = await desk.settle(coordinator.offsetCommit(member.commit([0, 1])));
    expect(commit.error?.code).toBe("COORDINATOR_NOT_AVAILABLE");
    expect((await desk.join(1)).error?.code).toBe("COORDINATOR_NOT_AVAILABLE");
    const beat = await desk.settle(coordinator.heartbeat(member.identity));
    expect(beat.error).toBeUndefined();
  });

  test("commits what exists of a request, and names what does not", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    const coordinator = desk.coordinatorOf(1);
    const commit = member.commit([0, 5], [2, 6], [1, 7]);
    const { partitions } = await desk.settle(coordinator.offsetCommit(commit));
    expect(partitions.map(({ partition, error }) => [partition, error?.code])).toEqual([
      [0, undefined],
      [2, "UNKNOWN_TOPIC_OR_PARTITION"],
      [1, undefined],
    ]);
  });

  test("expels who is silent, and wakes who watches the group", async () => {
    const desk = await GroupDesk.start();
    const first = await desk.member(1);
    const coordinator = desk.coordinatorOf(1);
    let woken = 0;
    const unwatch = coordinator.watchGroup("g", () => {
      woken++;
    });
    const given = await desk.join(1);
    const joining = coordinator.joinGroup(joinOf({ memberId: given.memberId }));
    expect(woken).toBe(1);
    const beat = await desk.settle(coordinator.heartbeat(first.identity));
    expect(beat.error?.code).toBe("REBALANCE_IN_PROGRESS");
    // The first one never joins again: its session ends, and the second is alone.
    const joined = await desk.settle(joining);
    expect(joined.error).toBeUndefined();
    expect(joined.members.map(({ memberId }) => memberId)).toEqual([given.memberId]);
    unwatch();
    const late = await desk.settle(coordinator.heartbeat(first.identity));
    expect(late.error?.code).toBe("UNKNOWN_MEMBER_ID");
  });

  test("forgets the offsets of a deleted topic", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    await desk.settle(desk.coordinatorOf(1).offsetCommit(member.commit([0, 5])));
    const { topics, topicIds } = groupImage();
    const without = {
      topics: new Map([...topics].filter(([id]) => id !== TOPIC_ID)),
      topicIds: new Map([...topicIds].filter(([name]) => name !== TOPIC)),
    };
    desk.publish(groupImage({}, without));
    await desk.cluster.run(50);
    expect(await committedOn(desk, 1)).toEqual([-1]);
  });

  test("forgets the offsets of an empty group after their retention", async () => {
    const desk = await GroupDesk.start({
      "offsets.retention.minutes": "1",
      "offsets.retention.check.interval.ms": "1000",
    });
    const member = await desk.member(1);
    const coordinator = desk.coordinatorOf(1);
    await desk.settle(coordinator.offsetCommit(member.commit([0, 5])));
    const { groupId, memberId } = member;
    const leaving = { groupId, members: [{ memberId, groupInstanceId: null }] };
    await desk.settle(coordinator.leaveGroup(leaving));
    await desk.cluster.run(59_000);
    expect(await committedOn(desk, 1)).toEqual([5]);
    await desk.cluster.run(3_000);
    expect(await committedOn(desk, 1)).toEqual([-1]);
    expect(coordinator.listGroups({ states: [] }).groups).toEqual([]);
  });

  test.each([
    ["an empty group id", { groupId: "" }, "INVALID_GROUP_ID"],
    ["a group id with a line break", { groupId: "a\nb" }, "INVALID_GROUP_ID"],
    ["a long group id", { groupId: "x".repeat(1_025) }, "INVALID_GROUP_ID"],
    ["a short session", { sessionTimeoutMs: 5_999 }, "INVALID_SESSION_TIMEOUT"],
    ["a long session", { sessionTimeoutMs: 1_800_001 }, "INVALID_SESSION_TIMEOUT"],
    ["no rebalance timeout", { rebalanceTimeoutMs: 0 }, "INVALID_REQUEST"],
    ["an illegal instance id", { groupInstanceId: "a b" }, "INVALID_REQUEST"],
    ["no protocols", { protocols: [] }, "INCONSISTENT_GROUP_PROTOCOL"],
    [
      "a protocol twice",
      { protocols: [1, 2].map(() => ({ name: "range", metadata: new Uint8Array(1) })) },
      "INVALID_REQUEST",
    ],
    [
      "a subscription over its limit",
      { protocols: [{ name: "range", metadata: new Uint8Array(1024 * 1024 + 1) }] },
      "LIMIT_EXCEEDED",
    ],
  ])("refuses %s", async (_, change, code) => {
    const desk = await GroupDesk.start();
    const { error } = await desk.join(1, change);
    expect(error?.code).toBe(code);
    expect(desk.coordinatorOf(1).listGroups({ states: [] }).groups).toEqual([]);
  });
});

describe("another coordinator", () => {
  test("goes on with the same generation and offsets", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    await desk.settle(desk.coordinatorOf(1).offsetCommit(member.commit([0, 5])));
    desk.publish(groupImage({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 }));
    const old = await desk.settle(desk.coordinatorOf(1).heartbeat(member.identity));
    expect(old.error?.code).toBe("NOT_COORDINATOR");
    await desk.cluster.until(
      () => desk.coordinatorOf(2).listGroups({ states: [] }).groups.length > 0,
    );
    const beat = await desk.settle(desk.coordinatorOf(2).heartbeat(member.identity));
    expect(beat.error).toBeUndefined();
    expect(await committedOn(desk, 2)).toEqual([5]);
    const commit = await desk.settle(desk.coordinatorOf(2).offsetCommit(member.commit([0, 6])));
    expect(commit.partitions[0]?.error).toBeUndefined();
    expect(await committedOn(desk, 2)).toEqual([6]);
  });

  test("tells those who waited for the old one to look for it", async () => {
    const desk = await GroupDesk.start();
    await desk.member(1);
    const given = await desk.join(1);
    // It waits for the first member to join again.
    const joining = desk.coordinatorOf(1).joinGroup(joinOf({ memberId: given.memberId }));
    await desk.cluster.run(10);
    desk.publish(groupImage({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 }));
    expect((await desk.settle(joining)).error?.code).toBe("NOT_COORDINATOR");
  });

  test("is loading until what its log held is committed", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    await desk.settle(desk.coordinatorOf(1).offsetCommit(member.commit([0, 5])));
    // Broker 3 is in the ISR and its disk hangs: the next commit reaches all logs and is answered by
    // nobody. The new leader has it, and may not show it before it is certain.
    const hanging = desk.cluster.member(3).logs.get(OFFSETS_ID, 0);
    hanging.autoSync = false;
    const commit = desk.coordinatorOf(1).offsetCommit(member.commit([0, 6]));
    await desk.cluster.run(100);
    desk.publish(groupImage({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 }));
    expect((await desk.settle(commit)).error?.code).toBe("NOT_COORDINATOR");
    await desk.cluster.run(500);
    const coordinator = desk.coordinatorOf(2);
    const early = await coordinator.offsetFetch(COMMITTED);
    expect(early.error?.code).toBe("COORDINATOR_LOAD_IN_PROGRESS");
    expect(coordinator.listGroups({ states: [] }).error?.code).toBe("COORDINATOR_LOAD_IN_PROGRESS");
    hanging.autoSync = true;
    hanging.sync();
    await desk.cluster.until(() => coordinator.listGroups({ states: [] }).groups.length > 0);
    expect(await committedOn(desk, 2)).toEqual([6]);
  });

  test("reads a long log in slices", async () => {
    const desk = await GroupDesk.start({ "offsets.load.buffer.size": "10000" });
    const member = await desk.member(1);
    const coordinator = desk.coordinatorOf(1);
    for (let round = 0; round < 50; round++) {
      const commits = Array.from({ length: 100 }, (_, index) =>
        coordinator.offsetCommit(member.commit([0, round * 100 + index])),
      );
      await desk.settle(Promise.all(commits));
    }
    desk.publish(groupImage({ leader: 3, leaderEpoch: 2, partitionEpoch: 2 }));
    await desk.cluster.until(
      () => desk.coordinatorOf(3).listGroups({ states: [] }).groups.length > 0,
    );
    expect(await committedOn(desk, 3)).toEqual([4_999]);
  });

  test("drops offsets of topics that were deleted while nobody coordinated", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    await desk.settle(desk.coordinatorOf(1).offsetCommit(member.commit([0, 5])));
    const { topics, topicIds } = groupImage({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 });
    desk.publish(
      groupImage(
        {},
        {
          topics: new Map([...topics].filter(([id]) => id !== TOPIC_ID)),
          topicIds: new Map([...topicIds].filter(([name]) => name !== TOPIC)),
        },
      ),
    );
    await desk.cluster.until(
      () => desk.coordinatorOf(2).listGroups({ states: [] }).groups.length > 0,
    );
    await desk.cluster.run(100);
    expect(await committedOn(desk, 2)).toEqual([-1]);
  });

  test("drops offsets of a topic that was deleted and made anew while nobody coordinated", async () => {
    const desk = await GroupDesk.start();
    const member = await desk.member(1);
    await desk.settle(desk.coordinatorOf(1).offsetCommit(member.commit([0, 5])));
    const { topics, topicIds } = groupImage({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 });
    const former = topics.get(TOPIC_ID) as NonNullable<ReturnType<typeof topics.get>>;
    const id = "another-id";
    const anew = new Map(topics);
    anew.delete(TOPIC_ID);
    anew.set(id, { ...former, id });
    const change = { topics: anew, topicIds: new Map(topicIds).set(TOPIC, id) };
    desk.publish(groupImage({}, change));
    await desk.cluster.until(
      () => desk.coordinatorOf(2).listGroups({ states: [] }).groups.length > 0,
    );
    await desk.cluster.run(100);
    expect(await committedOn(desk, 2)).toEqual([-1]);
    const commit = await desk.settle(desk.coordinatorOf(2).offsetCommit(member.commit([0, 6])));
    expect(commit.partitions).toMatchObject([{ error: undefined }]);
    expect(await committedOn(desk, 2)).toEqual([6]);
  });

  test("reads compressed batches", async () => {
    const desk = await GroupDesk.start({ "offsets.topic.compression.codec": "4" });
    const member = await desk.member(1);
    await desk.settle(desk.coordinatorOf(1).offsetCommit(member.commit([0, 5])));
    desk.publish(groupImage({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 }));
    await desk.cluster.until(
      () => desk.coordinatorOf(2).listGroups({ states: [] }).groups.length > 0,
    );
    expect(await committedOn(desk, 2)).toEqual([5]);
  });
});
