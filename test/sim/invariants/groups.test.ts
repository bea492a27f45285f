import { expect, test } from "vitest";
import { encodeAssignment } from "../../../src/group/consumer-protocol.ts";
import { GroupLedger } from "../clients/group-ledger.ts";
import type { CallOf, GroupAnswered } from "../cluster/observed-groups.ts";
import type { Invariant } from "../cluster/run-context.ts";
import { oneOwner } from "./g1-one-owner.ts";
import { generations } from "./g2-generations.ts";
import { fencedMembers } from "./g3-fenced-members.ts";
import { offsets } from "./o1-offsets.ts";
import { type Make, play, type Stage, TOPIC, TOPIC_ID } from "./stage.ts";

// Each statement about groups is broken once on purpose, and once almost.

const GROUP = "billing";
const WHO = { groupId: GROUP, groupInstanceId: null } as const;
const CONSUMER = { protocolType: "consumer", protocolName: "range" } as const;

/** Broker 1 leads the only partition of the coordinators' topic. */
async function coordinated(stage: Stage): Promise<void> {
  await stage.cluster3();
  const topicId = "BBBBBBBBBBBBBBBBBBBBBB";
  const partition = stage.image.topics.get(TOPIC_ID)?.partitions[0];
  await stage.commit({ type: "topic", topicId, name: "__consumer_offsets" }, {
    type: "partition",
    topicId,
    partition: 0,
    directories: ["D1", "D2", "D3"],
    ...partition,
  } as Parameters<Stage["commit"]>[0]);
  for (let base = 0; base < 10; base++) await stage.batch(1, { base, epoch: 0 });
}

interface Spoken {
  readonly call: object;
  readonly result?: object;
}

/** A broker is asked, or asked and answers at once. */
function ask<Name extends GroupAnswered["name"]>(
  name: Name,
  request: Partial<CallOf<Name>["request"]>,
  result: object,
  id = 1,
): Spoken & { readonly id: number } {
  const call = { node: `broker-${id}`, life: 1, name, request };
  return { id, call, result: { error: undefined, ...result } };
}

async function speak(stage: Stage, { call, result }: Spoken, hook?: "call" | "answer") {
  const { name, request, node } = call as { name: string; request: object; node: string };
  const id = stage.cluster.brokerIdOf(node);
  if (hook !== "answer") await stage.tell(id, "onGroupCall", call as never);
  if (hook === "call") return;
  await stage.tell(id, "onGroupAnswer", { call, name, request, result } as never);
}

function told(make: Make, ...spoken: readonly Spoken[]): Promise<string | undefined> {
  return play(make, async (stage) => {
    await coordinated(stage);
    for (const each of spoken) await speak(stage, each);
  });
}

const join = (memberId: string, generationId: number, change: object = {}): Spoken =>
  ask(
    "join",
    { ...WHO, memberId, ...change },
    { ...CONSUMER, memberId, generationId, leader: "a" },
  );

function sync(memberId: string, partitions: readonly number[], generationId = 1): Spoken {
  const assignment = encodeAssignment({
    partitions: [{ topic: TOPIC, partitions }],
    userData: null,
  });
  const assignments = [{ memberId, assignment }];
  return ask("sync", { ...WHO, memberId, generationId, assignments }, { assignment });
}

function commit(offset: number, change: object = {}, error?: object): Spoken {
  const place = { topic: TOPIC, partition: 0 };
  const offsets = [{ ...place, offset, metadata: "", leaderEpoch: -1, retentionMs: -1 }];
  const request = { ...WHO, memberId: "a", generationId: 1, offsets, ...change };
  return ask("commit", request, { partitions: [{ ...place, error }] });
}

function fetch(offset: number, id = 1): Spoken {
  const partitions = [{ topic: TOPIC, partition: 0, offset, metadata: "", error: undefined }];
  return ask("fetch", { groupId: GROUP, partitions: null }, { partitions }, id);
}

test("G1: two owners of a partition, and an assignment that nobody made", async () => {
  expect(await told(oneOwner, sync("a", [0]), sync("b", [0]))).toMatch(/^G1/);
  expect(await told(oneOwner, sync("a", [0]), sync("b", [1]))).toBeUndefined();
  expect(await told(oneOwner, sync("a", [0]), sync("b", [0], 2))).toBeUndefined();
  expect(await told(oneOwner, sync("a", [0]), sync("a", [1]))).toMatch(/^G1/);
  const { call } = sync("a", [0]);
  const { result = {} } = sync("a", [1]);
  expect(await told(oneOwner, { call, result })).toMatch(/^G1/);
});

test("G2: a generation that falls, or has two leaders", async () => {
  expect(await told(generations, join("a", 2), join("b", 1))).toMatch(/^G2/);
  expect(await told(generations, join("a", 2), join("b", 2))).toBeUndefined();
  const other = join("b", 2);
  const led = { ...other, result: { ...other.result, leader: "b" } };
  expect(await told(generations, join("a", 2), led)).toMatch(/^G2/);
  const late = play(generations, async (stage) => {
    await coordinated(stage);
    await speak(stage, join("b", 1), "call");
    const before = join("b", 1);
    await speak(stage, before, "call");
    await speak(stage, join("a", 2));
    await speak(stage, before, "answer");
  });
  expect(await late).toBeUndefined();
});

test("G3: commits of an old generation, and of a stranger", async () => {
  expect(await told(fencedMembers, join("a", 1), commit(1))).toBeUndefined();
  expect(await told(fencedMembers, join("a", 1), join("a", 2), commit(1))).toMatch(/^G3 old/);
  expect(await told(fencedMembers, join("b", 1), commit(1))).toMatch(/^G3 strangers/);
  const error = { code: "ILLEGAL_GENERATION", message: "" };
  expect(
    await told(fencedMembers, join("a", 1), join("a", 2), commit(1, {}, error)),
  ).toBeUndefined();
});

test("G6: a static member that was replaced", async () => {
  const instance = { groupInstanceId: "one" };
  const back = join("b", 1, instance);
  const first = join("a", 1, instance);
  expect(await told(fencedMembers, first, commit(1, instance))).toBeUndefined();
  expect(await told(fencedMembers, first, back, commit(1, instance))).toMatch(/^G6/);
});

test("G7: an answer of who does not lead the group's partition", async () => {
  expect(await told(fencedMembers, fetch(-1, 1))).toBeUndefined();
  expect(await told(fencedMembers, fetch(-1, 2))).toMatch(/^G7/);
});

test("O1: an offset that is older than the last commit, or gone", async () => {
  expect(await told(offsets, commit(1), commit(2), fetch(2))).toBeUndefined();
  expect(await told(offsets, commit(1), commit(2), fetch(1))).toMatch(/^O1/);
  expect(await told(offsets, commit(1), fetch(-1))).toMatch(/^O1/);
  expect(await told(offsets, commit(1), fetch(1, 2))).toBeUndefined();
  const underWay = (...seen: readonly number[]) =>
    play(offsets, async (stage) => {
      await coordinated(stage);
      await speak(stage, commit(1));
      await speak(stage, commit(2), "call");
      for (const offset of seen) await speak(stage, fetch(offset));
    });
  expect(await underWay(1, 2, 2)).toBeUndefined();
  expect(await underWay(1, 2, 1)).toMatch(/^O1/);
});

test("O6: an offset that nobody has", async () => {
  expect(await told(offsets, commit(10))).toBeUndefined();
  expect(await told(offsets, commit(11))).toMatch(/^O6/);
});

test("O5: a commit over what no member was given", async () => {
  const ledger =
    (...given: readonly (readonly [number, number])[]): Make =>
    (context): Invariant => {
      const made = new GroupLedger(context, [TOPIC]);
      for (const [from, to] of given) {
        made.delivered(GROUP, { topic: TOPIC, partition: 0 }, from, to);
      }
      return { onGroupAnswer: (answered) => made.onGroupAnswer(answered) };
    };
  expect(await told(ledger([0, 3], [5, 8]), commit(3))).toBeUndefined();
  expect(await told(ledger([0, 3], [5, 8]), commit(8))).toMatch(/^O5/);
  expect(await told(ledger([5, 8], [0, 3], [3, 5]), commit(8))).toBeUndefined();
});
