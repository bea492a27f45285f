/**
 * What the assignors promise, for any groups: everything that somebody wants is assigned to exactly
 * one who wants it (G4), as evenly as it goes, and the sticky ones move no more than they must.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ASSIGNORS } from "../../src/group/assignors/all.ts";
import type { Assignments, AssignorMember } from "../../src/group/assignors/assignor.ts";
import { COOPERATIVE_STICKY } from "../../src/group/assignors/cooperative-sticky.ts";
import { RANGE } from "../../src/group/assignors/range.ts";
import { ROUND_ROBIN } from "../../src/group/assignors/round-robin.ts";
import { STICKY } from "../../src/group/assignors/sticky.ts";
import type { TopicPartitions } from "../../src/group/consumer-protocol.ts";

const TOPICS = ["a", "b", "c", "d"];
const counts = fc
  .array(fc.integer({ min: 0, max: 12 }), { minLength: 4, maxLength: 4 })
  .map((sizes) => new Map(TOPICS.map((topic, index) => [topic, sizes[index] ?? 0] as const)));
const subscription = fc.subarray(TOPICS, { minLength: 1 });
const groups = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 9 }), subscription)
    .map(([count, topics]) => Array.from({ length: count }, () => topics)),
  fc.array(subscription, { minLength: 1, maxLength: 9 }),
);

function member(
  memberId: string,
  topics: readonly string[],
  owned: readonly TopicPartitions[] = [],
  generationId = -1,
): AssignorMember {
  const state = { generationId, partitions: owned };
  return {
    memberId,
    groupInstanceId: null,
    subscription: {
      topics,
      userData: STICKY.userData(state),
      ownedPartitions: owned,
      generationId,
      rackId: null,
    },
  };
}

function membersOf(topics: readonly (readonly string[])[]): readonly AssignorMember[] {
  return topics.map((each, index) => member(`m${index}`, each));
}

function keysOf(topics: readonly TopicPartitions[]): readonly string[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((each) => `${topic}-${each}`));
}

function sizeOf(assignments: Assignments, memberId: string): number {
  return keysOf(assignments.get(memberId) ?? []).length;
}

function again(members: readonly AssignorMember[], had: Assignments, generationId: number) {
  return members.map(({ memberId, subscription: { topics } }) =>
    member(memberId, topics, had.get(memberId) ?? [], generationId),
  );
}

describe.each([...ASSIGNORS])("%s", (_, assignor) => {
  test("assigns everything wanted once, to one who wants it", () => {
    fc.assert(
      fc.property(counts, groups, (sizes, topics) => {
        const members = membersOf(topics);
        const assignments = assignor.assign(sizes, members);
        expect(new Set(assignments.keys())).toEqual(new Set(members.map((each) => each.memberId)));
        const all: string[] = [];
        for (const { memberId, subscription: wanted } of members) {
          for (const { topic, partitions } of assignments.get(memberId) ?? []) {
            expect(wanted.topics).toContain(topic);
            for (const partition of partitions) all.push(`${topic}-${partition}`);
          }
        }
        const wanted = new Set(topics.flat());
        const expected = [...wanted].flatMap((topic) =>
          Array.from({ length: sizes.get(topic) ?? 0 }, (_each, index) => `${topic}-${index}`),
        );
        expect(all).toHaveLength(expected.length);
        expect(new Set(all)).toEqual(new Set(expected));
      }),
    );
  });

  test("does not depend on the order in which members are told", () => {
    fc.assert(
      fc.property(counts, groups, (sizes, topics) => {
        const members = membersOf(topics);
        const forwards = assignor.assign(sizes, members);
        const backwards = assignor.assign(sizes, [...members].reverse());
        for (const { memberId } of members) {
          expect(backwards.get(memberId)).toEqual(forwards.get(memberId));
        }
      }),
    );
  });
});

describe.each([STICKY, COOPERATIVE_STICKY])("$name", (assignor) => {
  test("leaves no two members that one partition would even out", () => {
    fc.assert(
      fc.property(counts, groups, (sizes, topics) => {
        const members = membersOf(topics);
        const assignments = assignor.assign(sizes, members);
        for (const rich of members) {
          const has = new Set((assignments.get(rich.memberId) ?? []).map(({ topic }) => topic));
          for (const poor of members) {
            if (!poor.subscription.topics.some((topic) => has.has(topic))) continue;
            const difference =
              sizeOf(assignments, rich.memberId) - sizeOf(assignments, poor.memberId);
            expect(difference).toBeLessThan(2);
          }
        }
      }),
    );
  });

  test("changes nothing if nothing changed", () => {
    fc.assert(
      fc.property(counts, groups, (sizes, topics) => {
        const members = membersOf(topics);
        const first = assignor.assign(sizes, members);
        expect(assignor.assign(sizes, again(members, first, 1))).toEqual(first);
      }),
    );
  });

  test("takes nothing from those who stay when one leaves", () => {
    const several = groups.filter((topics) => topics.length > 1);
    fc.assert(
      fc.property(counts, several, (sizes, topics) => {
        const members = membersOf(topics.map(() => topics[0] ?? []));
        const first = assignor.assign(sizes, members);
        const left = again(members.slice(1), first, 1);
        const second = assignor.assign(sizes, left);
        for (const { memberId } of left) {
          const now = keysOf(second.get(memberId) ?? []);
          for (const key of keysOf(first.get(memberId) ?? [])) expect(now).toContain(key);
        }
      }),
    );
  });
});

test("sticky: of two claims the later generation counts, of two equal ones none", () => {
  const sizes = new Map([["a", 2]]);
  const all: TopicPartitions[] = [{ topic: "a", partitions: [0, 1] }];
  const stale = member("m0", ["a"], all, 1);
  const newer = STICKY.assign(sizes, [
    stale,
    member("m1", ["a"], [{ topic: "a", partitions: [0] }], 2),
  ]);
  expect(newer.get("m1")).toEqual([{ topic: "a", partitions: [0] }]);
  expect(newer.get("m0")).toEqual([{ topic: "a", partitions: [1] }]);
});

describe("cooperative-sticky", () => {
  test("gives nobody what another has not given up, and comes to an end", () => {
    fc.assert(
      fc.property(counts, groups, groups, (sizes, before, after) => {
        const first = COOPERATIVE_STICKY.assign(sizes, membersOf(before));
        // Some stay with other wishes, some are new, some have gone.
        let members: readonly AssignorMember[] = after.map((topics, index) => {
          const memberId = `m${index}`;
          const owned = (first.get(memberId) ?? []).filter(({ topic }) => topics.includes(topic));
          return member(memberId, topics, owned, owned.length > 0 ? 1 : -1);
        });
        let all = 0;
        for (const topic of new Set(after.flat())) all += sizes.get(topic) ?? 0;
        let last: Assignments | undefined;
        let rounds = 0;
        for (let total = -1; total !== all; rounds++) {
          const owners = new Map(
            members.flatMap(({ memberId, subscription: { ownedPartitions } }) =>
              keysOf(ownedPartitions).map((key) => [key, memberId] as const),
            ),
          );
          const next = COOPERATIVE_STICKY.assign(sizes, members);
          total = 0;
          for (const [memberId, topics] of next) {
            for (const key of keysOf(topics)) {
              expect(owners.get(key) ?? memberId).toBe(memberId);
              total++;
            }
          }
          // Everybody gives up what it lacks now, has the rest, and joins again.
          members = again(members, next, rounds + 2);
          last = next;
          expect(rounds).toBeLessThan(after.length + 2);
        }
        // With the same wishes in all members: one step to give up, one to take over.
        if (new Set(after.map((topics) => topics.join())).size === 1) {
          expect(rounds).toBeLessThanOrEqual(2);
        }
        expect(COOPERATIVE_STICKY.assign(sizes, members)).toEqual(last);
      }),
      { numRuns: 500 },
    );
  });
});

describe("range and roundrobin", () => {
  test("divide as Kafka's do", () => {
    const sizes = new Map([
      ["a", 3],
      ["b", 3],
    ]);
    const members = membersOf([
      ["a", "b"],
      ["a", "b"],
    ]);
    expect(RANGE.assign(sizes, members).get("m0")).toEqual([
      { topic: "a", partitions: [0, 1] },
      { topic: "b", partitions: [0, 1] },
    ]);
    expect(ROUND_ROBIN.assign(sizes, members).get("m0")).toEqual([
      { topic: "a", partitions: [0, 2] },
      { topic: "b", partitions: [1] },
    ]);
  });

  test("keep the order of static members when one comes back under another id", () => {
    const sizes = new Map([["a", 3]]);
    const [x, y] = ["x", "y"].map((id, index) => ({
      ...member(id, ["a"]),
      groupInstanceId: `i${index}`,
    })) as [AssignorMember, AssignorMember];
    const before = RANGE.assign(sizes, [x, y]);
    const after = RANGE.assign(sizes, [{ ...x, memberId: "z" }, y]);
    expect(after.get("z")).toEqual(before.get("x"));
    expect(after.get("y")).toEqual(before.get("y"));
  });
});
