/** Groups through Kafka's door: every version of every call, before the coordinator itself. */
import { describe, expect, test } from "vitest";
import { committedOffsetHandlers } from "../../../src/api/kafka/committed-offset-handlers.ts";
import { groupAdminHandlers } from "../../../src/api/kafka/group-admin-handlers.ts";
import { groupHandlers } from "../../../src/api/kafka/group-handlers.ts";
import type { RequestContext } from "../../../src/api/kafka/handler.ts";
import { APIS, type ApiName } from "../../../src/kafka-wire/api-keys.ts";
import type { RequestInputs, Responses } from "../../../src/kafka-wire/messages.ts";
import type { MetadataImage } from "../../../src/metadata/image.ts";
import { ERRORS, type ErrorCode } from "../../../src/model/errors.ts";
import { GroupDesk, groupImage, TOPIC, TOPIC_ID } from "../broker/group-desk.ts";
import { fakeBroker } from "./door-fixture.ts";
import { ask } from "./kafka-ask.ts";

const HANDLERS = { ...groupHandlers, ...committedOffsetHandlers, ...groupAdminHandlers };
const number = (code: ErrorCode): number => ERRORS[code].kafka;
const NO_OPERATIONS = -2_147_483_648;

/** A client of one broker. */
class Client {
  readonly desk: GroupDesk;
  readonly context: Omit<RequestContext, "version">;

  constructor(desk: GroupDesk, id = 1) {
    this.desk = desk;
    const coordinator = desk.coordinatorOf(id);
    const { ports } = desk.cluster.member(id).memory;
    const broker = fakeBroker({
      image: () => desk.imageOf(id),
      findCoordinator: (groupId) => coordinator.findCoordinator(groupId),
      joinGroup: (request) => coordinator.joinGroup(request),
      syncGroup: (request) => coordinator.syncGroup(request),
      heartbeat: (request) => coordinator.heartbeat(request),
      leaveGroup: (request) => coordinator.leaveGroup(request),
      offsetCommit: (request) => coordinator.offsetCommit(request),
      offsetFetch: (request) => coordinator.offsetFetch(request),
      listGroups: (request) => coordinator.listGroups(request),
      describeGroups: (groupIds) => coordinator.describeGroups(groupIds),
      deleteGroups: (groupIds) => coordinator.deleteGroups(groupIds),
      deleteOffsets: (request) => coordinator.deleteOffsets(request),
    });
    const listenerName = "PLAINTEXT";
    this.context = { broker, ports, clientId: "app", clientHost: "10.0.0.7", listenerName };
  }

  ask<Name extends ApiName>(
    api: Name,
    version: number,
    body: RequestInputs[Name],
  ): Promise<Responses[Name]> {
    return this.desk.settle(ask(HANDLERS, this.context, api, version, body));
  }

  join(
    version: number,
    change: Partial<RequestInputs["JoinGroup"]> = {},
  ): Promise<Responses["JoinGroup"]> {
    return this.ask("JoinGroup", version, {
      groupId: "g",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      memberId: "",
      protocolType: "consumer",
      protocols: [{ name: "range", metadata: Uint8Array.of(0, 0, 0, 0, 0, 0) }],
      ...change,
    });
  }

  /** A lone member, joined and assigned. */
  async member(groupId = "g"): Promise<Pick<Responses["JoinGroup"], "memberId" | "generationId">> {
    const { memberId } = await this.join(5, { groupId });
    const joined = await this.join(5, { groupId, memberId });
    expect(joined.errorCode).toBe(0);
    const assignments = [{ memberId, assignment: Uint8Array.of(7) }];
    const { generationId } = joined;
    const synced = await this.ask("SyncGroup", 3, { groupId, generationId, memberId, assignments });
    expect(synced).toMatchObject({ errorCode: 0, assignment: Uint8Array.of(7) });
    return { memberId, generationId };
  }
}

async function client(change: Partial<MetadataImage> = {}): Promise<Client> {
  return new Client(await GroupDesk.start({}, groupImage({}, change)));
}

function versions(api: ApiName): number[] {
  const { lowest, highest } = APIS[api];
  return Array.from({ length: highest - lowest + 1 }, (_, index) => lowest + index);
}

describe("FindCoordinator", () => {
  const brokers = (name: string): Partial<MetadataImage> => ({
    brokers: new Map(
      [...groupImage().brokers].map(([id, broker]) => [
        id,
        { ...broker, endpoints: [{ name, host: `host-${id}`, port: 9_000 + id }] },
      ]),
    ),
  });

  test.each(versions("FindCoordinator"))("tells address and id in version %i", async (version) => {
    const asker = await client(brokers("PLAINTEXT"));
    const found = await asker.ask("FindCoordinator", version, {
      key: "g",
      keyType: 0,
      coordinatorKeys: ["g", "h"],
    });
    const there = { errorCode: 0, nodeId: 1, host: "host-1", port: 9_001 };
    if (version < 4) expect(found).toMatchObject(there);
    else {
      expect(found.coordinators).toEqual(
        ["g", "h"].map((key) => ({ ...there, key, errorMessage: "" })),
      );
    }
  });

  test("tells nobody of a coordinator that has not the listener", async () => {
    const asker = await client(brokers("INSIDE"));
    const found = await asker.ask("FindCoordinator", 1, { key: "g", coordinatorKeys: [] });
    expect(found).toMatchObject({
      errorCode: number("COORDINATOR_NOT_AVAILABLE"),
      nodeId: -1,
      host: "",
      port: -1,
    });
    expect(found.errorMessage).toContain("has no listener PLAINTEXT");
  });

  test("has no coordinator of transactions", async () => {
    const asker = await client();
    const body = { key: "t", keyType: 1, coordinatorKeys: ["t"] };
    const found = await asker.ask("FindCoordinator", 4, body);
    expect(found.coordinators[0]).toMatchObject({
      key: "t",
      errorCode: number("INVALID_REQUEST"),
      nodeId: -1,
    });
  });
});

describe("a member", () => {
  test.each(versions("JoinGroup"))("joins by version %i", async (version) => {
    const asker = await client();
    const first = await asker.join(version);
    const known = version >= 4;
    expect(first.errorCode).toBe(known ? number("MEMBER_ID_REQUIRED") : 0);
    const joined = known ? await asker.join(version, { memberId: first.memberId }) : first;
    expect(joined).toMatchObject({
      errorCode: 0,
      generationId: 1,
      protocolName: "range",
      protocolType: version >= 7 ? "consumer" : null,
      leader: joined.memberId,
      skipAssignment: false,
    });
    expect(joined.memberId).toMatch(/^app-/);
    expect(joined.members).toEqual([
      {
        memberId: joined.memberId,
        groupInstanceId: null,
        metadata: Uint8Array.of(0, 0, 0, 0, 0, 0),
      },
    ]);
  });

  test("without a protocol is refused in the form that its version has", async () => {
    const asker = await client();
    for (const [version, protocolName] of [
      [6, ""],
      [7, null],
    ] as const) {
      const refused = await asker.join(version, { memberId: "nobody" });
      expect(refused).toMatchObject({ errorCode: number("UNKNOWN_MEMBER_ID"), protocolName });
    }
  });

  test("of version 0 has one timeout", async () => {
    const asker = await client();
    await asker.join(0, { sessionTimeoutMs: 12_345 });
    const [group] = await asker.context.broker.describeGroups(["g"]);
    expect(group?.members[0]).toMatchObject({
      rebalanceTimeoutMs: 12_345,
      clientId: "app",
      clientHost: "/10.0.0.7",
    });
  });

  test.each(versions("SyncGroup"))("gets its assignment by version %i", async (version) => {
    const asker = await client();
    const { generationId, memberId } = await asker.member();
    const synced = await asker.ask("SyncGroup", version, {
      groupId: "g",
      generationId,
      memberId,
      protocolType: "consumer",
      protocolName: "range",
      assignments: [],
    });
    expect(synced).toMatchObject({ errorCode: 0, assignment: Uint8Array.of(7) });
    if (version >= 5) {
      expect(synced).toMatchObject({ protocolType: "consumer", protocolName: "range" });
    }
  });

  test("names its protocol where the version has room for it", async () => {
    const asker = await client();
    const member = await asker.member();
    const body = { groupId: "g", ...member, assignments: [] };
    const refused = await asker.ask("SyncGroup", 5, body);
    expect(refused.errorCode).toBe(number("INCONSISTENT_GROUP_PROTOCOL"));
    expect((await asker.ask("SyncGroup", 4, body)).errorCode).toBe(0);
  });

  test("beats and leaves in every version", async () => {
    const asker = await client();
    for (const version of versions("Heartbeat")) {
      const member = await asker.member();
      const beat = { groupId: "g", ...member };
      expect((await asker.ask("Heartbeat", version, beat)).errorCode).toBe(0);
      const old = { ...beat, generationId: member.generationId - 1 };
      expect((await asker.ask("Heartbeat", version, old)).errorCode).toBe(
        number("ILLEGAL_GENERATION"),
      );
      const { memberId } = member;
      const left = await asker.ask("LeaveGroup", version, {
        groupId: "g",
        memberId,
        members: [{ memberId, groupInstanceId: null }, { memberId: "nobody" }],
      });
      expect(left.errorCode).toBe(0);
      if (version >= 3) {
        expect(left.members.map(({ errorCode }) => errorCode)).toEqual([
          0,
          number("UNKNOWN_MEMBER_ID"),
        ]);
      }
    }
    const alone = await asker.ask("LeaveGroup", 2, {
      groupId: "g",
      memberId: "nobody",
      members: [],
    });
    expect(alone.errorCode).toBe(number("UNKNOWN_MEMBER_ID"));
  });

  test("does not give up while its coordinator loads", async () => {
    const asker = await client();
    const error = { code: "COORDINATOR_LOAD_IN_PROGRESS", message: "" } as const;
    const broker = fakeBroker({
      heartbeat: () => Promise.resolve({ error }),
      offsetFetch: () => Promise.resolve({ error, partitions: [] }),
    });
    const context = { ...asker.context, broker };
    const beat = { groupId: "g", generationId: 1, memberId: "m" };
    expect((await ask(HANDLERS, context, "Heartbeat", 4, beat)).errorCode).toBe(0);
    const offsets = { groupId: "g", topics: null, groups: [] };
    expect((await ask(HANDLERS, context, "OffsetFetch", 5, offsets)).errorCode).toBe(14);
  });
});

describe("offsets", () => {
  const commit = (offset: number, change: Partial<RequestInputs["OffsetCommit"]> = {}) => ({
    groupId: "g",
    memberId: "",
    topics: [
      {
        name: TOPIC,
        topicId: TOPIC_ID,
        partitions: [
          { partitionIndex: 1, committedOffset: offset, committedMetadata: "note" },
          { partitionIndex: 9, committedOffset: 1, committedMetadata: null },
        ],
      },
    ],
    ...change,
  });

  test.each(versions("OffsetCommit").filter((version) => version < 10))(
    "are committed by version %i and fetched by all",
    async (version) => {
      const asker = await client();
      const committed = await asker.ask("OffsetCommit", version, commit(40 + version));
      expect(committed.topics).toMatchObject([
        {
          name: TOPIC,
          partitions: [
            { partitionIndex: 1, errorCode: 0 },
            { partitionIndex: 9, errorCode: number("UNKNOWN_TOPIC_OR_PARTITION") },
          ],
        },
      ]);
      for (const fetching of versions("OffsetFetch").filter((each) => each < 10)) {
        const topics = [{ name: TOPIC, topicId: TOPIC_ID, partitionIndexes: [1, 0] }];
        const fetched = await asker.ask("OffsetFetch", fetching, {
          groupId: "g",
          topics,
          groups: [{ groupId: "g", topics }],
        });
        const shown = fetching < 8 ? fetched.topics : fetched.groups[0]?.topics;
        const place = { committedLeaderEpoch: -1, errorCode: 0 };
        expect(shown).toMatchObject([
          {
            name: TOPIC,
            partitions: [
              { ...place, partitionIndex: 1, committedOffset: 40 + version, metadata: "note" },
              { ...place, partitionIndex: 0, committedOffset: -1, metadata: "" },
            ],
          },
        ]);
      }
    },
  );

  test("are all shown to who names no topics", async () => {
    const asker = await client();
    await asker.ask("OffsetCommit", 7, commit(3));
    const body = { groupId: "g", topics: null, groups: [{ groupId: "g", topics: null }] };
    for (const version of [2, 7, 8, 9]) {
      const fetched = await asker.ask("OffsetFetch", version, body);
      const topics = version < 8 ? fetched.topics : fetched.groups[0]?.topics;
      expect(topics).toMatchObject([
        { name: TOPIC, partitions: [{ partitionIndex: 1, committedOffset: 3 }] },
      ]);
    }
  });

  test("of a member need its generation", async () => {
    const asker = await client();
    const { generationId, memberId } = await asker.member();
    const stale = { memberId, generationIdOrMemberEpoch: generationId + 1 };
    const refused = await asker.ask("OffsetCommit", 9, commit(1, stale));
    // Of the whole request: in every partition, there being no other place.
    expect(refused.topics[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([
      number("ILLEGAL_GENERATION"),
      number("ILLEGAL_GENERATION"),
    ]);
    const outside = await asker.ask("OffsetCommit", 9, commit(1));
    expect(outside.topics[0]?.partitions[0]?.errorCode).toBe(number("UNKNOWN_MEMBER_ID"));
  });

  test("of an error of the whole have it where the version has room", async () => {
    const asker = new Client((await client()).desk, 2);
    const topics = [{ name: TOPIC, topicId: TOPIC_ID, partitionIndexes: [1] }];
    const body = { groupId: "g", topics, groups: [{ groupId: "g", topics }] };
    const code = number("NOT_COORDINATOR");
    const [first, second, eighth] = await Promise.all(
      [1, 2, 8].map((version) => asker.ask("OffsetFetch", version, body)),
    );
    expect(first?.topics[0]?.partitions).toMatchObject([
      { partitionIndex: 1, committedOffset: -1, errorCode: code },
    ]);
    expect(second).toMatchObject({ errorCode: code, topics: [] });
    expect(eighth?.groups).toMatchObject([{ groupId: "g", errorCode: code, topics: [] }]);
  });

  test("are deleted, if nobody reads the topic", async () => {
    const asker = await client();
    await asker.ask("OffsetCommit", 7, commit(3));
    const topics = [{ name: TOPIC, partitions: [{ partitionIndex: 1 }] }];
    const deleted = await asker.ask("OffsetDelete", 0, { groupId: "g", topics });
    expect(deleted).toMatchObject({
      errorCode: 0,
      topics: [{ name: TOPIC, partitions: [{ partitionIndex: 1, errorCode: 0 }] }],
    });
    const unknown = await asker.ask("OffsetDelete", 0, { groupId: "nobody", topics });
    expect(unknown).toMatchObject({ errorCode: number("GROUP_ID_NOT_FOUND"), topics: [] });
  });
});

describe("offsets by topic id", () => {
  /** Ids as the wire has them, which the desk's readable one is not. */
  const ID = "AAECAwQFBgcICQoLDA0ODw";
  const OTHER = "EAECAwQFBgcICQoLDA0ODw";

  async function withIds(): Promise<Client> {
    const asker = await client();
    const { image } = asker.context.broker;
    const broker = {
      ...asker.context.broker,
      image: () => {
        const known = image();
        const topic = known.topics.get(TOPIC_ID);
        if (topic === undefined) throw new Error("the desk has no topic");
        return {
          ...known,
          topics: new Map([...known.topics, [ID, { ...topic, id: ID }]]),
          topicIds: new Map([...known.topicIds, [TOPIC, ID]]),
        };
      },
    };
    Object.assign(asker.context, { broker });
    return asker;
  }

  test("are committed and fetched, and an unknown id is said to be one", async () => {
    const asker = await withIds();
    const partition = { partitionIndex: 1, committedOffset: 8, committedMetadata: null };
    const committed = await asker.ask("OffsetCommit", 10, {
      groupId: "g",
      memberId: "",
      topics: [OTHER, ID].map((topicId) => ({ name: "", topicId, partitions: [partition] })),
    });
    expect(committed.topics.map(({ topicId, partitions }) => [topicId, partitions])).toEqual([
      [OTHER, [{ partitionIndex: 1, errorCode: number("UNKNOWN_TOPIC_ID") }]],
      [ID, [{ partitionIndex: 1, errorCode: 0 }]],
    ]);
    const topics = [OTHER, ID].map((topicId) => ({ name: "", topicId, partitionIndexes: [1] }));
    const some = { groupId: "g", topics };
    const all = { groupId: "g", topics: null };
    const fetched = await asker.ask("OffsetFetch", 10, {
      groupId: "",
      topics: [],
      groups: [some, all],
    });
    const found = { partitionIndex: 1, committedOffset: 8, errorCode: 0 };
    expect(fetched.groups).toMatchObject([
      {
        topics: [
          { topicId: OTHER, partitions: [{ errorCode: number("UNKNOWN_TOPIC_ID") }] },
          { topicId: ID, partitions: [found] },
        ],
      },
      { topics: [{ topicId: ID, partitions: [found] }] },
    ]);
  });
});

describe("administration", () => {
  test("lists by state and type", async () => {
    const asker = await client();
    await asker.member();
    const list = async (
      version: number,
      statesFilter: readonly string[] = [],
      typesFilter: readonly string[] = [],
    ): Promise<readonly string[]> => {
      const { errorCode, groups } = await asker.ask("ListGroups", version, {
        statesFilter,
        typesFilter,
      });
      expect(errorCode).toBe(0);
      return groups.map((group) => Object.values(group).join(" "));
    };
    expect(await list(0)).toEqual(["g consumer  "]);
    expect(await list(4)).toEqual(["g consumer Stable "]);
    expect(await list(5)).toEqual(["g consumer Stable classic"]);
    expect(await list(5, ["stable"], ["Classic"])).toHaveLength(1);
    expect(await list(5, ["Empty"])).toHaveLength(0);
    expect(await list(5, ["Assigning"])).toHaveLength(0);
    expect(await list(5, [], ["consumer"])).toHaveLength(0);
  });

  test.each(versions("DescribeGroups"))("describes by version %i", async (version) => {
    const asker = await client();
    const { memberId } = await asker.member();
    const { groups } = await asker.ask("DescribeGroups", version, {
      groups: ["g", "nobody"],
      includeAuthorizedOperations: version === 4,
    });
    const authorizedOperations = version === 4 ? 3_400 : NO_OPERATIONS;
    expect(groups).toMatchObject([
      {
        errorCode: 0,
        groupState: "Stable",
        protocolType: "consumer",
        protocolData: "range",
        authorizedOperations,
        members: [{ memberId, clientHost: "/10.0.0.7", memberAssignment: Uint8Array.of(7) }],
      },
      {
        errorCode: version < 6 ? 0 : number("GROUP_ID_NOT_FOUND"),
        groupState: "Dead",
        members: [],
      },
    ]);
  });

  test("does not call a group dead that is kept elsewhere", async () => {
    const asker = new Client((await client()).desk, 2);
    const { groups } = await asker.ask("DescribeGroups", 5, {
      groups: ["g"],
      includeAuthorizedOperations: false,
    });
    expect(groups).toMatchObject([{ errorCode: number("NOT_COORDINATOR"), groupState: "" }]);
  });

  test("deletes what is empty", async () => {
    const asker = await client();
    const { memberId } = await asker.member();
    const groupsNames = ["g", "nobody"];
    for (const version of versions("DeleteGroups")) {
      const { results } = await asker.ask("DeleteGroups", version, { groupsNames });
      expect(results).toEqual([
        { groupId: "g", errorCode: number("NON_EMPTY_GROUP") },
        { groupId: "nobody", errorCode: number("GROUP_ID_NOT_FOUND") },
      ]);
    }
    await asker.ask("LeaveGroup", 0, { groupId: "g", memberId, members: [] });
    const { results } = await asker.ask("DeleteGroups", 2, { groupsNames: ["g"] });
    expect(results).toEqual([{ groupId: "g", errorCode: 0 }]);
  });
});
