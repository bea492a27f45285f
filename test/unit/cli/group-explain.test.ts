import { describe, expect, test } from "vitest";
import { explainGroup } from "../../../src/cli/group-explain.ts";
import type { GroupFacts, GroupPartition } from "../../../src/cli/group-facts.ts";
import type { GroupDescription, GroupMemberDescription } from "../../../src/client/index.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;

function member(id: string, change: Partial<GroupMemberDescription> = {}): GroupMemberDescription {
  return {
    memberId: id,
    groupInstanceId: null,
    clientId: `client-${id}`,
    host: "10.0.0.1",
    sessionTimeoutMs: 45_000,
    rebalanceTimeoutMs: 300_000,
    topics: ["orders"],
    assignment: [{ topic: "orders", partition: 0 }],
    waitsFor: null,
    ...change,
  };
}

function partition(change: Partial<GroupPartition> = {}): GroupPartition {
  const number = change.partition ?? 0;
  return {
    topic: "orders",
    partition: number,
    currentOffset: 50,
    committedAtMs: NOW_MS - 1_000,
    logStartOffset: 0,
    logEndOffset: 50,
    lag: 0,
    member: member("m1"),
    metadata: metadata(number),
    ...change,
  };
}

function metadata(number: number, leader = 1) {
  const none: readonly number[] = [];
  const replicas = [1, 2, 3];
  return {
    partition: number,
    leader,
    leaderEpoch: 0,
    replicas,
    isr: replicas,
    elr: none,
    lastKnownElr: none,
    offlineReplicas: none,
  };
}

function explained(
  group: Partial<GroupDescription>,
  partitions: readonly GroupPartition[] = [],
  change: Partial<GroupFacts> = {},
) {
  const described: GroupDescription = {
    groupId: "g",
    state: "Stable",
    protocolType: "consumer",
    protocol: "range",
    generationId: 3,
    leader: "m1",
    stateTimestampMs: NOW_MS - 5 * MINUTE_MS,
    coordinator: 1,
    members: [member("m1")],
    ...group,
  };
  const facts = { group: described, partitions, subscribed: [], unknownTopics: [], ...change };
  return explainGroup(facts, NOW_MS).findings;
}

const kinds = (findings: readonly { readonly kind: string }[]) => findings.map(({ kind }) => kind);

describe("why a group does not move", () => {
  test("nobody is there, and records wait", () => {
    const waiting = partition({ member: null, logEndOffset: 57, lag: 7 });
    expect(explained({ state: "Empty", members: [] }, [waiting])).toEqual([
      {
        kind: "no-members",
        sentence:
          "Group g has no members since 2026-01-31T11:55:00.000Z (5 min ago): nobody consumes for it.",
      },
      { kind: "waiting", sentence: "7 records wait in 1 partition." },
    ]);
  });

  test("it rebalances, and a member has not polled", () => {
    const members = [
      member("m1", { waitsFor: "join" }),
      member("m2", { groupInstanceId: "i2", clientId: "" }),
    ];
    const findings = explained({ state: "PreparingRebalance", members });
    expect(findings.map(({ sentence }) => sentence)).toEqual([
      "Group g rebalances since 2026-01-31T11:55:00.000Z (5 min ago): 1 of 2 members have joined again, and nothing is delivered until all have.",
      'Member m2 (instance i2, client "" on 10.0.0.1) has not joined again: it has not polled since. The group goes on without it after 5 min at the latest.',
    ]);
  });

  test("of many late members some are named", () => {
    const members = Array.from({ length: 9 }, (_, index) => member(`m${index}`));
    const findings = explained({ state: "PreparingRebalance", members });
    expect(findings).toHaveLength(7);
    expect(findings.at(-1)?.sentence).toBe("The same goes for 4 more members.");
  });

  test("its leader does not assign", () => {
    const members = [member("m1"), member("m2", { waitsFor: "sync" })];
    const findings = explained({ state: "CompletingRebalance", members, stateTimestampMs: -1 });
    expect(findings.map(({ sentence }) => sentence)).toEqual([
      "Group g rebalances: its members have joined and wait for member m1 (client client-m1 on 10.0.0.1) to divide the partitions.",
      "Member m1 (client client-m1 on 10.0.0.1) has not asked for its part yet.",
    ]);
  });

  test("a member holds records and commits nothing", () => {
    const held = { lag: 5, logEndOffset: 55, committedAtMs: NOW_MS - 3 * MINUTE_MS };
    const findings = explained({}, [partition(held)]);
    expect(findings).toEqual([
      {
        kind: "not-committing",
        sentence:
          "Member m1 (client client-m1 on 10.0.0.1) has orders-0, where 5 records wait, and has committed nothing there since 2026-01-31T11:57:00.000Z (3 min ago): it has not polled, it has not finished what it got, or it does not commit.",
      },
    ]);
  });

  test("nothing is committed yet where there are records", () => {
    const first = partition({ currentOffset: null, committedAtMs: null, lag: null });
    expect(kinds(explained({}, [first]))).toEqual(["not-committing"]);
  });

  test("a partition has no leader, does not answer, or is gone", () => {
    const findings = explained({}, [
      partition({ metadata: metadata(0, -1), logStartOffset: null, logEndOffset: null, lag: null }),
      partition({ partition: 1, logStartOffset: null, logEndOffset: null, lag: null }),
      partition({ partition: 2, metadata: undefined, logEndOffset: null, lag: null }),
    ]);
    expect(kinds(findings)).toEqual(["no-leader", "no-leader", "unknown-partition"]);
    expect(findings[0]?.sentence).toContain("until one of its replicas on brokers 1, 2, 3 is back");
    expect(findings[1]?.sentence).toContain("The leader of partition orders-1, broker 1,");
  });

  test("an offset lies outside the log", () => {
    const findings = explained({}, [
      partition({ logStartOffset: 60, logEndOffset: 90, lag: 40 }),
      partition({ partition: 1, logEndOffset: 40 }),
    ]);
    expect(kinds(findings).slice(0, 2)).toEqual(["out-of-range", "out-of-range"]);
    expect(findings[0]?.sentence).toContain("50 of orders-0 is below the log's start 60");
    expect(findings[1]?.sentence).toContain("50 of orders-1 is above the log's end 40");
  });

  test("a partition was given to nobody, a topic is not there, a member has nothing", () => {
    const members = [member("m1"), member("m2", { assignment: [] })];
    const topic = { name: "orders", id: "x", partitions: [metadata(0), metadata(1)] };
    const findings = explained({ members }, [partition()], {
      subscribed: [topic],
      unknownTopics: ["old"],
    });
    expect(kinds(findings)).toEqual(["idle-members", "unknown-topic", "nobody-has-it", "done"]);
    expect(findings[2]?.sentence).toContain("Nobody has orders-1");
  });
});

describe("that it does move", () => {
  test("because nothing waits", () => {
    expect(explained({}, [partition()])).toEqual([
      {
        kind: "done",
        sentence: "Nothing waits: group g has processed all that is in its 1 partition.",
      },
    ]);
  });

  test("because it commits", () => {
    const findings = explained({}, [partition({ lag: 3, logEndOffset: 53 })]);
    expect(findings.map(({ sentence }) => sentence)).toEqual([
      "The group moves: 3 records wait in 1 partition, and it last committed there 2026-01-31T11:59:59.000Z (1 s ago).",
    ]);
  });
});
