/** Group calls and their answers, between this wire and the broker's own. */
import type { ottla } from "../../gen/ottla.js";
import type {
  DescribedGroup,
  Heartbeat,
  JoinGroup,
  JoinGroupResult,
  LeaveGroup,
  LeaveGroupResult,
  OffsetCommit,
  OffsetFetch,
  OffsetFetchResult,
  PartitionsResult,
  SyncGroup,
  SyncGroupResult,
} from "../../group/calls.ts";
import { NONE } from "../../model/ids.ts";
import { errorMessage } from "./status.ts";

type Bytes = Uint8Array | null | undefined;

/** proto3 has no absent string; no id is empty. */
function optional(value: string | null | undefined): string | null {
  return value === undefined || value === null || value === "" ? null : value;
}

/** What a group keeps must not keep the whole message alive. */
function copy(bytes: Bytes): Uint8Array {
  return bytes?.slice() ?? new Uint8Array(0);
}

function identity(message: {
  readonly groupId?: string | null;
  readonly memberId?: string | null;
  readonly groupInstanceId?: string | null;
  readonly generationId?: number | null;
}): Heartbeat {
  return {
    groupId: message.groupId ?? "",
    memberId: message.memberId ?? "",
    groupInstanceId: optional(message.groupInstanceId),
    generationId: message.generationId ?? 0,
  };
}

export function joinFrom(
  message: ottla.v1.JoinGroupRequest.$Properties,
  clientHost: string,
): Omit<JoinGroup, "unique"> {
  const { groupId, memberId, groupInstanceId } = identity(message);
  return {
    groupId,
    memberId,
    groupInstanceId,
    clientId: message.clientId ?? "",
    clientHost,
    sessionTimeoutMs: message.sessionTimeoutMs ?? 0,
    rebalanceTimeoutMs: message.rebalanceTimeoutMs ?? 0,
    protocolType: message.protocolType ?? "",
    protocols: (message.protocols ?? []).map(({ name, metadata }) => ({
      name: name ?? "",
      metadata: copy(metadata),
    })),
    requireKnownMemberId: true,
    canSkipAssignment: true,
  };
}

export function joinMessage(result: JoinGroupResult): ottla.v1.JoinGroupResponse.$Properties {
  return {
    memberId: result.memberId,
    generationId: result.generationId,
    protocolType: result.protocolType ?? "",
    protocolName: result.protocolName ?? "",
    leader: result.leader,
    members: result.members.map(({ memberId, groupInstanceId, metadata }) => ({
      memberId,
      groupInstanceId: groupInstanceId ?? "",
      metadata,
    })),
    skipAssignment: result.skipAssignment,
  };
}

export function syncFrom(message: ottla.v1.SyncGroupRequest.$Properties): SyncGroup {
  return {
    ...identity(message),
    protocolType: optional(message.protocolType),
    protocolName: optional(message.protocolName),
    assignments: (message.assignments ?? []).map(({ memberId, assignment }) => ({
      memberId: memberId ?? "",
      assignment: copy(assignment),
    })),
  };
}

export function syncMessage(result: SyncGroupResult): ottla.v1.SyncGroupResponse.$Properties {
  return {
    protocolType: result.protocolType ?? "",
    protocolName: result.protocolName ?? "",
    assignment: result.assignment,
  };
}

export const heartbeatFrom = identity;

export function leaveFrom(message: ottla.v1.LeaveGroupRequest.$Properties): LeaveGroup {
  return {
    groupId: message.groupId ?? "",
    members: (message.members ?? []).map((member) => ({
      memberId: member.memberId ?? "",
      groupInstanceId: optional(member.groupInstanceId),
    })),
  };
}

export function leaveMessage(result: LeaveGroupResult): ottla.v1.LeaveGroupResponse.$Properties {
  return {
    members: result.members.map(({ memberId, groupInstanceId, error }) => ({
      memberId,
      groupInstanceId: groupInstanceId ?? "",
      error: errorMessage(error),
    })),
  };
}

export function commitFrom(message: ottla.v1.OffsetCommitRequest.$Properties): OffsetCommit {
  return {
    ...identity(message),
    offsets: (message.offsets ?? []).map((one) => ({
      topic: one.topic ?? "",
      partition: one.partition ?? 0,
      offset: one.offset ?? 0,
      leaderEpoch: one.leaderEpoch ?? 0,
      metadata: one.metadata ?? "",
      retentionMs: NONE,
    })),
  };
}

export function partitionsMessage({
  partitions,
}: PartitionsResult): ottla.v1.OffsetCommitResponse.$Properties {
  return {
    partitions: partitions.map(({ topic, partition, error }) => ({
      topic,
      partition,
      error: errorMessage(error),
    })),
  };
}

export function fetchFrom(message: ottla.v1.OffsetFetchRequest.$Properties): OffsetFetch {
  const named = (message.partitions ?? []).map(({ topic, partition }) => ({
    topic: topic ?? "",
    partition: partition ?? 0,
  }));
  return {
    groupId: message.groupId ?? "",
    partitions: named.length === 0 ? null : named,
    requireStable: message.requireStable ?? false,
  };
}

export function fetchMessage({
  partitions,
}: OffsetFetchResult): ottla.v1.OffsetFetchResponse.$Properties {
  return {
    partitions: partitions.map((one) => ({ ...one, error: errorMessage(one.error) })),
  };
}

export function describedMessage(
  group: DescribedGroup,
  coordinator: ottla.v1.LeaderHint.$Properties | null,
): ottla.v1.DescribedGroup.$Properties {
  const { groupId, state, protocolType, protocolName, generationId, leader } = group;
  return {
    groupId,
    error: errorMessage(group.error),
    state,
    protocolType,
    protocolName,
    generationId,
    leader,
    stateTimestampMs: group.stateTimestampMs,
    members: group.members.map((member) => ({
      ...member,
      groupInstanceId: member.groupInstanceId ?? "",
      waitsFor: member.waitsFor ?? "",
    })),
    coordinator,
  };
}
