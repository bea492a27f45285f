/** Administration of groups by the SDK, on real brokers: each refusal changes nothing. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Admin } from "../../src/client/index.ts";
import { toOttlaError } from "../../src/model/errors.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { coordinatorOf, LoneMember } from "../support/group-member.ts";

const TOPIC = "orders";

let cluster: Cluster;
let admin: Admin;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  await admin.createTopics([{ name: TOPIC, partitions: 3, replicationFactor: 3 }]);
});

afterAll(async () => {
  await admin.close();
  await cluster.stop();
});

async function codeOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => "done",
    (thrown: unknown) => toOttlaError(thrown).code,
  );
}

const committed = async (groupId: string) =>
  (await admin.listGroupOffsets(groupId)).map(({ offset, partition }) => [partition, offset]);

describe("an empty group", () => {
  it("is not listed on a cluster that has never had one", async () => {
    expect(await admin.listGroups()).toEqual([]);
  });

  it("is made by a commit from outside, and told of by its coordinator", async () => {
    await admin.alterGroupOffsets("batch", [
      { topic: TOPIC, partition: 0, offset: 7, metadata: "by hand" },
      { topic: TOPIC, partition: 2, offset: 9, leaderEpoch: 3 },
    ]);
    const offsets = await admin.listGroupOffsets("batch");
    expect(offsets).toMatchObject([
      { topic: TOPIC, partition: 0, offset: 7, leaderEpoch: -1, metadata: "by hand" },
      { topic: TOPIC, partition: 2, offset: 9, leaderEpoch: 3, metadata: "" },
    ]);
    expect(offsets[0]?.commitTimestampMs).toBeGreaterThan(0);
    const partitions = [{ topic: TOPIC, partition: 1 }];
    expect(await admin.listGroupOffsets("batch", { partitions })).toMatchObject([{ offset: -1 }]);
    const empty = { groupId: "batch", state: "Empty", protocolType: "" };
    expect(await admin.listGroups()).toEqual([{ ...empty, membersCount: 0 }]);
    expect(await admin.describeGroups(["batch"])).toMatchObject([{ ...empty, members: [] }]);
  });

  it("refuses partitions and notes that cannot be, and changes nothing", async () => {
    const before = await committed("batch");
    const alter = (offset: Parameters<Admin["alterGroupOffsets"]>[1][number]) =>
      codeOf(admin.alterGroupOffsets("batch", [offset]));
    expect(await alter({ topic: TOPIC, partition: 3, offset: 1 })).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION",
    );
    expect(await alter({ topic: "nothing", partition: 0, offset: 1 })).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION",
    );
    expect(await alter({ topic: TOPIC, partition: 0, offset: -5 })).toBe("INVALID_REQUEST");
    const metadata = "x".repeat(4_097);
    expect(await alter({ topic: TOPIC, partition: 0, offset: 1, metadata })).toBe(
      "OFFSET_METADATA_TOO_LARGE",
    );
    expect(await codeOf(admin.alterGroupOffsets("", []))).toBe("done");
    expect(
      await codeOf(admin.alterGroupOffsets("", [{ topic: TOPIC, partition: 0, offset: 1 }])),
    ).toBe("INVALID_GROUP_ID");
    expect(await committed("batch")).toEqual(before);
  });

  it("loses single offsets, and is gone after its deletion", async () => {
    await admin.deleteGroupOffsets("batch", [{ topic: TOPIC, partition: 0 }]);
    expect(await committed("batch")).toEqual([[2, 9]]);
    await admin.deleteGroups(["batch"]);
    expect(await admin.listGroups()).toEqual([]);
    expect(await codeOf(admin.describeGroups(["batch"]))).toBe("GROUP_ID_NOT_FOUND");
    expect(await codeOf(admin.deleteGroups(["batch"]))).toBe("GROUP_ID_NOT_FOUND");
    expect(await codeOf(admin.deleteGroupOffsets("batch", [{ topic: TOPIC, partition: 0 }]))).toBe(
      "GROUP_ID_NOT_FOUND",
    );
  });
});

it("forgets offsets with their topic, and keeps its partitions", async () => {
  await admin.createTopics([{ name: "brief", partitions: 1, replicationFactor: 3 }]);
  await admin.alterGroupOffsets("reader", [
    { topic: "brief", partition: 0, offset: 4 },
    { topic: TOPIC, partition: 0, offset: 5 },
  ]);
  await admin.deleteTopics(["brief"]);
  await eventually("the offset is gone", async () => (await committed("reader")).length === 1);
  const more = { topic: "__consumer_offsets", partitions: 60 };
  await expect(admin.createPartitions(more)).rejects.toMatchObject({
    code: "INVALID_PARTITIONS",
    message: expect.stringContaining("keeps its 50"),
  });
  expect(await committed("reader")).toEqual([[0, 5]]);
  await admin.deleteGroups(["reader"]);
});

describe("a group with a member", () => {
  let member: LoneMember;

  beforeAll(async () => {
    member = await LoneMember.join(cluster, {
      groupId: "live",
      clientId: "worker",
      topics: [TOPIC],
      partitions: [{ topic: TOPIC, partitions: [0, 1] }],
    });
    expect(await member.commit(TOPIC, 0, 5)).toBe("");
  });

  afterAll(() => member.close());

  it("is described with what the member has", async () => {
    const [group] = await admin.describeGroups(["live"]);
    expect(group).toMatchObject({
      state: "Stable",
      protocolType: "consumer",
      protocol: "range",
      generationId: 1,
      leader: member.memberId,
      coordinator: await coordinatorOf(cluster, "live"),
      members: [
        {
          memberId: member.memberId,
          groupInstanceId: null,
          clientId: "worker",
          topics: [TOPIC],
          assignment: [
            { topic: TOPIC, partition: 0 },
            { topic: TOPIC, partition: 1 },
          ],
          waitsFor: null,
        },
      ],
    });
    expect(await admin.listGroups({ states: ["Stable"] })).toMatchObject([{ groupId: "live" }]);
    expect(await admin.listGroups({ states: ["Empty"] })).toEqual([]);
  });

  it("refuses commits from outside, its deletion, and that of offsets it consumes", async () => {
    const outside = admin.alterGroupOffsets("live", [{ topic: TOPIC, partition: 0, offset: 1 }]);
    await expect(outside).rejects.toMatchObject({
      code: "NON_EMPTY_GROUP",
      message: expect.stringContaining("live is Stable"),
    });
    expect(await codeOf(admin.deleteGroups(["live"]))).toBe("NON_EMPTY_GROUP");
    const partitions = [{ topic: TOPIC, partition: 0 }];
    expect(await codeOf(admin.deleteGroupOffsets("live", partitions))).toBe(
      "GROUP_SUBSCRIBED_TO_TOPIC",
    );
    expect(await committed("live")).toEqual([[0, 5]]);
    expect(await member.heartbeat()).toBe("");
  });

  it("takes commits from outside once it has left", async () => {
    await member.leave();
    await admin.alterGroupOffsets("live", [{ topic: TOPIC, partition: 0, offset: 1 }]);
    expect(await committed("live")).toEqual([[0, 1]]);
  });
});

it("leaves a coordinator that is frozen for the next one", async () => {
  const frozen = await coordinatorOf(cluster, "live");
  cluster.freezeBroker(frozen);
  expect(await committed("live")).toEqual([[0, 1]]);
  await admin.alterGroupOffsets("live", [{ topic: TOPIC, partition: 0, offset: 2 }]);
  expect((await admin.listGroups()).map(({ groupId }) => groupId)).toEqual(["live"]);
  cluster.thawBroker(frozen);
  // Until it learns of its fall it may show what it had.
  await eventually("all show what was committed", async () => {
    const [first] = await committed("live");
    return first?.[1] === 2;
  });
});

it("follows a coordinator that is killed, and sees what it had", async () => {
  const groups = ["a", "b", "c", "d"];
  for (const id of groups) {
    await admin.alterGroupOffsets(id, [{ topic: TOPIC, partition: 0, offset: 11 }]);
  }
  const first = await coordinatorOf(cluster, "a");
  await cluster.killBroker(first);
  for (const id of groups) expect(await committed(id)).toEqual([[0, 11]]);
  await admin.alterGroupOffsets("a", [{ topic: TOPIC, partition: 0, offset: 12 }]);
  const listed = await admin.listGroups();
  expect(listed.map(({ groupId }) => groupId)).toEqual(["a", "b", "c", "d", "live"]);
  const described = await admin.describeGroups(groups);
  expect(described.every(({ coordinator }) => coordinator !== first)).toBe(true);
  await cluster.startBroker(first);
});
