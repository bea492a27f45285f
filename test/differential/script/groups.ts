/** Consumer groups: members that come, stay and go, offsets that they commit, what administrators ask. */
import type { RequestInputs } from "../../../src/kafka-wire/messages.ts";
import { ZERO_UUID } from "../../../src/kafka-wire/reader.ts";
import { type Target, versionsOf } from "../target.ts";

const SESSION_MS = 30_000;
const UNKNOWN_ID = "abcdefghijklmnopqrstuA";
const EMPTY = new Uint8Array(0);
const NOTE = Buffer.from("note");

interface Group {
  readonly id: string;
  readonly plain: string;
  readonly broker: number;
}

export async function groupsScript(target: Target): Promise<void> {
  const nowhere = await groupOf(target, "nowhere");
  await coordinators(target);
  await joins(target);
  await members(target, nowhere);
  await offsets(target, nowhere);
  await administration(target, nowhere);
}

async function groupOf(target: Target, plain: string): Promise<Group> {
  const id = target.name(plain);
  return { id, plain, broker: await target.coordinatorOf(id) };
}

async function coordinators(target: Target): Promise<void> {
  const group = await groupOf(target, "found");
  for (const version of versionsOf("FindCoordinator")) {
    const asked = (label: string, keys: readonly string[], keyType = 0) =>
      target.observe(label, 1, "FindCoordinator", version, {
        key: keys[0] ?? "",
        keyType,
        coordinatorKeys: keys,
      });
    await asked("of a group", [group.id]);
    await asked("of an empty name", [""]);
    await asked("of a type that nobody knows", [group.id], 9);
    if (version >= 4) {
      await asked("of two groups", [group.id, "other"]);
      await asked("of a group twice", [group.id, group.id]);
      await asked("of none", []);
      await asked("of a share group whose key is none", [group.id], 2);
    }
  }
}

function join(
  group: Group,
  options: Partial<RequestInputs["JoinGroup"]> = {},
): RequestInputs["JoinGroup"] {
  return {
    groupId: group.id,
    sessionTimeoutMs: SESSION_MS,
    rebalanceTimeoutMs: SESSION_MS,
    memberId: "",
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: NOTE }],
    ...options,
  };
}

const KNOWN_MEMBERS = 4;

/** Joins as a client does, by its id if it is asked to come back with one. */
async function member(
  target: Target,
  group: Group,
  version: number,
  options: Partial<RequestInputs["JoinGroup"]> = {},
): Promise<{ readonly memberId: string; readonly generationId: number }> {
  const first = await target.ask(group.broker, "JoinGroup", version, join(group, options));
  target.know(first.memberId, `member of ${group.plain}`);
  if (first.errorCode !== 79) return first;
  return target.ask(
    group.broker,
    "JoinGroup",
    version,
    join(group, { ...options, memberId: first.memberId }),
  );
}

async function joins(target: Target): Promise<void> {
  for (const version of versionsOf("JoinGroup")) {
    const group = await groupOf(target, `joined${version}`);
    const asked = (
      label: string,
      options: Partial<RequestInputs["JoinGroup"]>,
      broker = group.broker,
    ) => target.observe(label, broker, "JoinGroup", version, join(group, options));
    await asked("an empty group", { groupId: "" });
    await asked("a member id that nobody has", { memberId: "nobody" });
    await asked("a session of 0", { sessionTimeoutMs: 0 });
    await asked("a session that is too long", { sessionTimeoutMs: 2_000_000_000 });
    await asked("no protocols", { protocols: [] });
    await asked("an empty protocol type", { protocolType: "" });
    await asked("another broker than the coordinator", {}, (group.broker % 3) + 1);
    const first = await asked("the first", {});
    const { memberId = "" } = first ?? {};
    target.know(memberId, `member of ${group.plain}`);
    if (version >= KNOWN_MEMBERS) await asked("the first, with its id", { memberId });
    await asked("with another protocol type", { memberId, protocolType: "connect" });
    await asked("with protocols that nobody else has", {
      protocols: [{ name: "unheard", metadata: EMPTY }],
      protocolType: "other",
    });
    await asked("again as it is", { memberId });
    if (version >= 5) {
      const fixed = await groupOf(target, `fixed${version}`);
      const withInstance = (label: string, options: Partial<RequestInputs["JoinGroup"]>) =>
        target.observe(label, fixed.broker, "JoinGroup", version, join(fixed, options));
      const one = await withInstance("a static member", { groupInstanceId: "i" });
      target.know(one?.memberId ?? "", `member of ${fixed.plain}`);
      await withInstance("a static member by a wrong id", {
        groupInstanceId: "i",
        memberId: "nobody",
      });
      await withInstance("a static member that is unknown, with an id", {
        groupInstanceId: "j",
        memberId: "nobody",
      });
    }
  }
}

async function members(target: Target, nowhere: Group): Promise<void> {
  for (const version of versionsOf("SyncGroup")) {
    const group = await groupOf(target, `synced${version}`);
    const { memberId, generationId } = await member(target, group, 7);
    const asked = (
      label: string,
      options: Partial<RequestInputs["SyncGroup"]>,
      broker = group.broker,
    ) =>
      target.observe(label, broker, "SyncGroup", version, {
        groupId: group.id,
        generationId,
        memberId,
        protocolType: "consumer",
        protocolName: "range",
        assignments: [{ memberId, assignment: NOTE }],
        ...options,
      });
    await asked("an empty group", { groupId: "" });
    await asked(
      "a group that is not there",
      { groupId: nowhere.id, memberId: "nobody" },
      nowhere.broker,
    );
    await asked("another broker than the coordinator", {}, (group.broker % 3) + 1);
    await asked("a member that is unknown", { memberId: "nobody" });
    await asked("an empty member", { memberId: "" });
    await asked("a generation that is to come", { generationId: 50 });
    await asked("a negative generation", { generationId: -1 });
    if (version >= 5) {
      await asked("another protocol", { protocolName: "other" });
      await asked("no protocol", { protocolName: null, protocolType: null });
    }
    await asked("as it should be", {});
    await asked("once more", { assignments: [] });
    if (version >= 3) await asked("an instance that is unknown", { groupInstanceId: "i" });
  }
  for (const version of versionsOf("Heartbeat")) {
    const group = await groupOf(target, `beaten${version}`);
    const { memberId, generationId } = await member(target, group, 7);
    const asked = (
      label: string,
      options: Partial<RequestInputs["Heartbeat"]> = {},
      broker = group.broker,
    ) =>
      target.observe(label, broker, "Heartbeat", version, {
        groupId: group.id,
        generationId,
        memberId,
        ...options,
      });
    await asked("before the assignment");
    await sync(target, group, { memberId, generationId });
    await asked("of a member");
    await asked("an empty group", { groupId: "" });
    await asked("a group that is not there", { groupId: nowhere.id }, nowhere.broker);
    await asked("another broker than the coordinator", {}, (group.broker % 3) + 1);
    await asked("a member that is unknown", { memberId: "nobody" });
    await asked("an empty member", { memberId: "" });
    await asked("a generation that is to come", { generationId: 50 });
    await asked("a negative generation", { generationId: -1 });
    if (version >= 3) await asked("an instance that is unknown", { groupInstanceId: "i" });
  }
  for (const version of versionsOf("LeaveGroup")) {
    const group = await groupOf(target, `left${version}`);
    const { memberId, generationId } = await member(target, group, 7);
    await sync(target, group, { memberId, generationId });
    const asked = (
      label: string,
      members: readonly { memberId: string; groupInstanceId?: string | null }[],
      options: { groupId?: string; broker?: number } = {},
    ) =>
      target.observe(label, options.broker ?? group.broker, "LeaveGroup", version, {
        groupId: options.groupId ?? group.id,
        memberId: members[0]?.memberId ?? "",
        members,
      });
    await asked("a member that is unknown", [{ memberId: "nobody" }]);
    await asked("an empty member", [{ memberId: "" }]);
    await asked("an empty group", [{ memberId }], { groupId: "" });
    await asked("a group that is not there", [{ memberId: "nobody" }], {
      groupId: nowhere.id,
      broker: nowhere.broker,
    });
    await asked("another broker than the coordinator", [{ memberId }], {
      broker: (group.broker % 3) + 1,
    });
    if (version >= 3) {
      await asked("nobody", []);
      await asked("an instance that is unknown", [{ memberId: "", groupInstanceId: "i" }]);
      await asked("one that is there and one that is not", [{ memberId: "nobody" }, { memberId }]);
      await asked("one that has left", [{ memberId }]);
    } else {
      await asked("the member", [{ memberId }]);
      await asked("once more", [{ memberId }]);
    }
  }
}

async function sync(
  target: Target,
  group: Group,
  { memberId, generationId }: { readonly memberId: string; readonly generationId: number },
): Promise<void> {
  const { errorCode } = await target.ask(group.broker, "SyncGroup", 5, {
    groupId: group.id,
    generationId,
    memberId,
    protocolType: "consumer",
    protocolName: "range",
    assignments: [{ memberId, assignment: NOTE }],
  });
  if (errorCode !== 0) throw new Error(`${group.id} was not synced: ${errorCode}`);
}

async function offsets(target: Target, nowhere: Group): Promise<void> {
  const topicId = await target.topic("committed", { partitions: 2 });
  const name = target.name("committed");
  const partition = (
    partitionIndex: number,
    committedOffset = 7,
    committedMetadata: string | null = "note",
  ) => ({ partitionIndex, committedOffset, committedLeaderEpoch: 0, committedMetadata });
  for (const version of versionsOf("OffsetCommit")) {
    const group = await groupOf(target, `commits${version}`);
    const asked = (
      label: string,
      options: Partial<RequestInputs["OffsetCommit"]> = {},
      broker = group.broker,
    ) =>
      target.observe(label, broker, "OffsetCommit", version, {
        groupId: group.id,
        memberId: "",
        topics: [{ name, topicId, partitions: [partition(0)] }],
        ...options,
      });
    const of = (...partitions: ReturnType<typeof partition>[]) => ({
      topics: [{ name, topicId, partitions }],
    });
    await asked("without members");
    await asked("two partitions, no note", of(partition(0, 8, null), partition(1, 9, "")));
    await asked("a negative offset", of(partition(0, -5)));
    await asked("a note that is too long", of(partition(0, 7, "n".repeat(5_000))));
    await asked("a partition that it has not", of(partition(0), partition(9)));
    await asked("a partition twice", of(partition(0, 5), partition(0, 6)));
    await asked("a topic that is not there", {
      topics: [{ name: "nowhere", topicId: UNKNOWN_ID, partitions: [partition(0)] }],
    });
    await asked("nothing", { topics: [] });
    await asked("no partitions", of());
    await asked("another broker than the coordinator", {}, (group.broker % 3) + 1);
    await asked("a member where there are none", {
      memberId: "nobody",
      generationIdOrMemberEpoch: 1,
    });
    await asked("a generation where there is none", { generationIdOrMemberEpoch: 1 });
    const joined = await member(target, group, 7);
    await asked("of a member before its assignment", {
      memberId: joined.memberId,
      generationIdOrMemberEpoch: joined.generationId,
    });
    await sync(target, group, joined);
    await asked("of a member", {
      memberId: joined.memberId,
      generationIdOrMemberEpoch: joined.generationId,
    });
    await asked("of a generation that is past", {
      memberId: joined.memberId,
      generationIdOrMemberEpoch: 0,
    });
    await asked("of a member that is unknown", {
      memberId: "nobody",
      generationIdOrMemberEpoch: joined.generationId,
    });
    await asked("without a member where there are some");
    if (version >= 7)
      await asked("an instance that is unknown", {
        memberId: joined.memberId,
        generationIdOrMemberEpoch: joined.generationId,
        groupInstanceId: "i",
      });
  }
  const group = await groupOf(target, "fetches");
  await target.ask(group.broker, "OffsetCommit", 8, {
    groupId: group.id,
    memberId: "",
    topics: [{ name, topicId, partitions: [partition(0)] }],
  });
  for (const version of versionsOf("OffsetFetch")) {
    type Asked =
      | readonly {
          readonly name: string;
          readonly topicId: string;
          readonly partitionIndexes: readonly number[];
        }[]
      | null;
    const asked = (
      label: string,
      topics: Asked,
      options: {
        groupId?: string;
        broker?: number;
        requireStable?: boolean;
        memberId?: string;
        memberEpoch?: number;
      } = {},
    ) => {
      const {
        groupId = group.id,
        requireStable = false,
        memberId = null,
        memberEpoch = -1,
      } = options;
      return target.observe(label, options.broker ?? group.broker, "OffsetFetch", version, {
        groupId,
        topics,
        groups: [{ groupId, memberId, memberEpoch, topics }],
        requireStable,
      });
    };
    const known = { name, topicId };
    await asked("what was committed and what was not", [{ ...known, partitionIndexes: [0, 1] }]);
    await asked("a partition that it has not", [{ ...known, partitionIndexes: [9] }]);
    await asked("a partition twice", [{ ...known, partitionIndexes: [0, 0] }]);
    await asked("a topic that is not there", [
      { name: "nowhere", topicId: UNKNOWN_ID, partitionIndexes: [0] },
    ]);
    await asked("no partitions", [{ ...known, partitionIndexes: [] }]);
    await asked("nothing", []);
    if (version >= 2) await asked("all", null);
    await asked("a group that is not there", [{ ...known, partitionIndexes: [0] }], {
      groupId: nowhere.id,
      broker: nowhere.broker,
    });
    await asked("another broker than the coordinator", [{ ...known, partitionIndexes: [0] }], {
      broker: (group.broker % 3) + 1,
    });
    if (version >= 7)
      await asked("stable ones", [{ ...known, partitionIndexes: [0] }], { requireStable: true });
    if (version >= 9)
      await asked("as a member of the newer protocol", [{ ...known, partitionIndexes: [0] }], {
        memberId: "nobody",
        memberEpoch: 3,
      });
    if (version >= 8) {
      const both = [
        { groupId: group.id, topics: null },
        { groupId: group.id, topics: null },
      ];
      await target.observe("a group twice", group.broker, "OffsetFetch", version, {
        groupId: "",
        topics: [],
        groups: both,
      });
      await target.observe("no group", group.broker, "OffsetFetch", version, {
        groupId: "",
        topics: [],
        groups: [],
      });
    }
  }
  const removed = (label: string, groupId: string, topicName: string, ...indexes: number[]) =>
    target.observe(label, group.broker, "OffsetDelete", 0, {
      groupId,
      topics: [
        { name: topicName, partitions: indexes.map((partitionIndex) => ({ partitionIndex })) },
      ],
    });
  await removed("a partition that it has not", group.id, name, 9);
  await removed("a topic that is not there", group.id, "nowhere", 0);
  await removed("no partitions", group.id, name);
  await removed("one that was committed and one that was not", group.id, name, 0, 1);
  await removed("one of a group that has no other", group.id, name, 0);
}

async function administration(target: Target, nowhere: Group): Promise<void> {
  const group = await groupOf(target, "described");
  const joined = await member(target, group, 7);
  await sync(target, group, joined);
  for (const version of versionsOf("DescribeGroups")) {
    const asked = (
      label: string,
      groups: readonly string[],
      options: { broker?: number; includeAuthorizedOperations?: boolean } = {},
    ) =>
      target.observe(label, options.broker ?? group.broker, "DescribeGroups", version, {
        groups,
        includeAuthorizedOperations: options.includeAuthorizedOperations ?? false,
      });
    await asked("one", [group.id]);
    await asked("one with operations", [group.id], { includeAuthorizedOperations: true });
    await asked("one that is not there", [nowhere.id], { broker: nowhere.broker });
    await asked("one twice", [group.id, group.id]);
    await asked("none", []);
    await asked("another broker than the coordinator", [group.id], {
      broker: (group.broker % 3) + 1,
    });
  }
  for (const version of versionsOf("ListGroups")) {
    const asked = (
      label: string,
      statesFilter: readonly string[],
      typesFilter: readonly string[] = [],
    ) => target.observe(label, group.broker, "ListGroups", version, { statesFilter, typesFilter });
    if (version >= 4) await asked("a state that nobody knows", ["Nowhere"]);
    if (version >= 4) await asked("dead ones", ["Dead"]);
    if (version >= 5) await asked("a type that nobody knows", [], ["none"]);
    if (version >= 5) await asked("those of the newer protocol", [], ["consumer"]);
  }
  for (const version of versionsOf("DeleteGroups")) {
    const empty = await groupOf(target, `deleted${version}`);
    await target.ask(empty.broker, "OffsetCommit", 8, {
      groupId: empty.id,
      memberId: "",
      topics: [
        {
          name: target.name("committed"),
          topicId: ZERO_UUID,
          partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: "" }],
        },
      ],
    });
    const asked = (label: string, groupsNames: readonly string[], broker = empty.broker) =>
      target.observe(label, broker, "DeleteGroups", version, { groupsNames });
    await asked("one with members", [group.id], group.broker);
    await asked("one", [empty.id]);
    await asked("one that is gone", [empty.id]);
    await asked("one that is not there", [nowhere.id], nowhere.broker);
    await asked("one twice", [empty.id, empty.id]);
    await asked("none", []);
    await asked("another broker than the coordinator", [group.id], (group.broker % 3) + 1);
  }
}
