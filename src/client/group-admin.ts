/** Administration of consumer groups: what `Admin` asks of their coordinators. */
import type { GroupState } from "../group/calls.ts";
import {
  CONSUMER_PROTOCOL_TYPE,
  decodeAssignment,
  subscribedTopics,
} from "../group/consumer-protocol.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { type BrokerId, type LeaderEpoch, NONE, type Offset } from "../model/ids.ts";
import type { ClusterClient } from "./cluster-client.ts";
import type { TopicPartition } from "./consumer-types.ts";
import { callCoordinators, type GroupResult } from "./coordinator-calls.ts";
import { errorFrom, throwIf } from "./errors.ts";
import type {
  DescribedGroupMessage,
  DescribedMemberMessage,
  PartitionResultMessage,
} from "./group-messages.ts";
import { QUICK_ATTEMPT_MS, UNKNOWN_TOPIC_MS } from "./leader-calls.ts";
import type { CallOptions, Connection } from "./transport.ts";

export type { GroupState };

export interface GroupMemberDescription {
  readonly memberId: string;
  /** Of a static member. */
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly host: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** Topics that it has subscribed to; empty while no protocol is chosen, or if it is no consumer. */
  readonly topics: readonly string[];
  /** Empty unless the group is Stable, or if it is no consumer. */
  readonly assignment: readonly TopicPartition[];
  /** Whether it waits for the others to join, or for its assignment; null neither. */
  readonly waitsFor: "join" | "sync" | null;
}

export interface GroupDescription {
  readonly groupId: string;
  readonly state: GroupState;
  readonly protocolType: string;
  /** The assignor; "" while none is chosen. */
  readonly protocol: string;
  readonly generationId: number;
  /** Member id; "" none. */
  readonly leader: string;
  /** When the group came into its state, ms since 1970; -1 not known. */
  readonly stateTimestampMs: number;
  /** The broker that answered for it. */
  readonly coordinator: BrokerId;
  readonly members: readonly GroupMemberDescription[];
}

export interface GroupOffset extends TopicPartition {
  /** The next one to consume; -1: nothing is committed. */
  readonly offset: Offset;
  /** Of the last record consumed; -1 not known. */
  readonly leaderEpoch: LeaderEpoch;
  readonly metadata: string;
  /** Milliseconds since 1970; -1 without an offset. */
  readonly commitTimestampMs: number;
}

export interface GroupOffsetChange extends TopicPartition {
  readonly offset: Offset;
  /** Default -1: not known. */
  readonly leaderEpoch?: LeaderEpoch;
  /** At most `offset.metadata.max.bytes`. Default "". */
  readonly metadata?: string;
}

/** One attempt at what waits for the in-sync replicas, whose deadline on the broker is shorter. */
const COMMIT_ATTEMPT_MS = 10_000;

/** In the order of the ids. Rejects with GROUP_ID_NOT_FOUND. */
export async function describeGroups(
  cluster: ClusterClient,
  groupIds: readonly string[],
  options: CallOptions,
): Promise<readonly GroupDescription[]> {
  const answers = await callCoordinators(
    cluster,
    {
      groupIds,
      attemptMs: QUICK_ATTEMPT_MS,
      send: async (connection, some, call, coordinator) => {
        const { groups } = await connection.call("DescribeGroups", { groupIds: some }, call);
        return groups.map((group) => ({
          groupId: group.groupId,
          error: group.error,
          described: describedGroup(group, coordinator),
        }));
      },
    },
    options,
  );
  return answers.map(({ described }) => described);
}

/** Groups that are not empty are refused; the others are gone then. */
export async function deleteGroups(
  cluster: ClusterClient,
  groupIds: readonly string[],
  options: CallOptions,
): Promise<void> {
  await callCoordinators<GroupResult>(
    cluster,
    {
      groupIds,
      attemptMs: COMMIT_ATTEMPT_MS,
      send: async (connection, some, call) =>
        (await connection.call("DeleteGroups", { groupIds: some }, call)).groups,
      settle: goneAlready,
    },
    options,
  );
}

export async function listGroupOffsets(
  cluster: ClusterClient,
  groupId: string,
  partitions: readonly TopicPartition[],
  options: CallOptions,
): Promise<readonly GroupOffset[]> {
  const request = { groupId, partitions: partitions.map(named), requireStable: false };
  const answer = await callOne(cluster, groupId, QUICK_ATTEMPT_MS, options, (connection, call) =>
    connection.call("OffsetFetch", request, call),
  );
  throwPartition(answer.partitions);
  return answer.partitions.map(
    ({ commitTimestampMs, leaderEpoch, metadata, offset, partition, topic }) => ({
      topic,
      partition,
      offset,
      leaderEpoch,
      metadata,
      commitTimestampMs,
    }),
  );
}

export async function alterGroupOffsets(
  cluster: ClusterClient,
  groupId: string,
  changes: readonly GroupOffsetChange[],
  options: CallOptions,
): Promise<void> {
  if (changes.length === 0) return;
  const offsets = changes.map((change) => ({
    ...named(change),
    offset: change.offset,
    leaderEpoch: change.leaderEpoch ?? NONE,
    metadata: change.metadata ?? "",
  }));
  const outside = { generationId: NONE, memberId: "", groupInstanceId: "" };
  const startMs = cluster.nowMs();
  const commit = (connection: Connection, call: CallOptions) =>
    connection.call("OffsetCommit", { groupId, ...outside, offsets }, call);
  await callOne(cluster, groupId, COMMIT_ATTEMPT_MS, options, async (connection, call) => {
    const answer = await commit(connection, call);
    const refused = answer.partitions.find(({ error }) => error !== null);
    // The coordinator may not have heard yet of a topic that has just been made.
    const fresh = cluster.nowMs() - startMs < UNKNOWN_TOPIC_MS;
    if (refused?.error?.code !== "UNKNOWN_TOPIC_OR_PARTITION" || !fresh) return answer;
    throw errorFrom(refused.error);
  }).then(
    ({ partitions }) => throwPartition(partitions),
    (thrown: unknown) => {
      const error = toOttlaError(thrown);
      // To a member it says that it is none; here it says that there are members.
      if (error.code !== "UNKNOWN_MEMBER_ID") throw error;
      throw new OttlaError("NON_EMPTY_GROUP", error.message, { cause: error, field: "group" });
    },
  );
}

export async function deleteGroupOffsets(
  cluster: ClusterClient,
  groupId: string,
  partitions: readonly TopicPartition[],
  options: CallOptions,
): Promise<void> {
  if (partitions.length === 0) return;
  const request = { groupId, partitions: partitions.map(named) };
  const [answer] = await callCoordinators<DeletedOffsets>(
    cluster,
    {
      groupIds: [groupId],
      attemptMs: COMMIT_ATTEMPT_MS,
      send: async (connection, _, call) => {
        const { error, partitions: results } = await connection.call(
          "DeleteOffsets",
          request,
          call,
        );
        return [{ groupId, error, partitions: results }];
      },
      settle: (id, error, earlier) => {
        const gone = goneAlready(id, error, earlier);
        return gone === undefined ? undefined : { ...gone, partitions: [] };
      },
    },
    options,
  );
  throwPartition(answer?.partitions ?? []);
}

interface DeletedOffsets extends GroupResult {
  readonly partitions: readonly PartitionResultMessage[];
}

/** An earlier attempt was carried out, and its answer was lost. */
function goneAlready(
  groupId: string,
  { code }: OttlaError,
  { unknown }: { readonly unknown: boolean },
): GroupResult | undefined {
  return code === "GROUP_ID_NOT_FOUND" && unknown ? { groupId, error: null } : undefined;
}

/** A call about one group whose refusals are statuses. */
async function callOne<Answer>(
  cluster: ClusterClient,
  groupId: string,
  attemptMs: number,
  options: CallOptions,
  send: (connection: Connection, options: CallOptions) => Promise<Answer>,
): Promise<Answer> {
  const [result] = await callCoordinators(
    cluster,
    {
      groupIds: [groupId],
      attemptMs,
      send: async (connection, _, call) => [
        { groupId, error: null, answer: await send(connection, call) },
      ],
    },
    options,
  );
  return (result as NonNullable<typeof result>).answer;
}

function throwPartition(results: readonly PartitionResultMessage[]): void {
  for (const { error, partition, topic } of results) {
    throwIf(error, error?.message.includes(topic) === true ? "" : `${topic}-${partition}: `);
  }
}

function named({ partition, topic }: TopicPartition): TopicPartition {
  return { topic, partition };
}

function describedGroup(group: DescribedGroupMessage, coordinator: BrokerId): GroupDescription {
  const { generationId, groupId, leader, protocolName, protocolType, stateTimestampMs } = group;
  const isConsumer = protocolType === CONSUMER_PROTOCOL_TYPE;
  return {
    groupId,
    state: group.state as GroupState,
    protocolType,
    protocol: protocolName,
    generationId,
    leader,
    stateTimestampMs,
    coordinator,
    members: group.members.map((member) => describedMember(member, isConsumer)),
  };
}

function describedMember(
  member: DescribedMemberMessage,
  isConsumer: boolean,
): GroupMemberDescription {
  const { assignment, clientHost, clientId, groupInstanceId, memberId, metadata, waitsFor } =
    member;
  const { rebalanceTimeoutMs, sessionTimeoutMs } = member;
  return {
    memberId,
    groupInstanceId: groupInstanceId === "" ? null : groupInstanceId,
    clientId,
    host: clientHost,
    sessionTimeoutMs,
    rebalanceTimeoutMs,
    topics: isConsumer ? (subscribedTopics(metadata) ?? []) : [],
    assignment: isConsumer ? assignedPartitions(assignment) : [],
    waitsFor: waitsFor === "join" || waitsFor === "sync" ? waitsFor : null,
  };
}

/** What a member was given is its own affair: bytes of another kind are no partitions. */
function assignedPartitions(assignment: Uint8Array): readonly TopicPartition[] {
  try {
    return decodeAssignment(assignment).partitions.flatMap(({ partitions, topic }) =>
      partitions.map((partition) => ({ topic, partition })),
    );
  } catch (thrown) {
    if (toOttlaError(thrown).code !== "INVALID_REQUEST") throw thrown;
    return [];
  }
}
