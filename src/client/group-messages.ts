/** The messages of the Groups service that the client sends and receives, as `messages.ts`. */
import type { ErrorMessage, LeaderHintMessage, TopicPartitionMessage } from "./messages.ts";

export interface CommitOffsetMessage extends TopicPartitionMessage {
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
}

export interface OffsetCommitRequest {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId: string;
  readonly offsets: readonly CommitOffsetMessage[];
}

export interface PartitionResultMessage extends TopicPartitionMessage {
  readonly error: ErrorMessage | null;
}

export interface OffsetFetchRequest {
  readonly groupId: string;
  /** Empty: all that the group has committed. */
  readonly partitions: readonly TopicPartitionMessage[];
  readonly requireStable: boolean;
}

export interface FetchedOffsetMessage extends PartitionResultMessage {
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly commitTimestampMs: number;
}

export interface GroupCoordinatorMessage {
  readonly groupId: string;
  readonly error: ErrorMessage | null;
  readonly coordinator: LeaderHintMessage | null;
}

export interface ListedGroupMessage {
  readonly groupId: string;
  readonly protocolType: string;
  readonly state: string;
  readonly members: number;
}

export interface DescribedMemberMessage {
  readonly memberId: string;
  readonly groupInstanceId: string;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly metadata: Uint8Array;
  readonly assignment: Uint8Array;
  /** "join", "sync" or "". */
  readonly waitsFor: string;
}

export interface DescribedGroupMessage {
  readonly groupId: string;
  readonly error: ErrorMessage | null;
  readonly state: string;
  readonly protocolType: string;
  readonly protocolName: string;
  readonly generationId: number;
  readonly leader: string;
  readonly stateTimestampMs: number;
  readonly members: readonly DescribedMemberMessage[];
}

export interface DeletedGroupMessage {
  readonly groupId: string;
  readonly error: ErrorMessage | null;
}

export interface MemberIdentityMessage {
  readonly groupId: string;
  readonly memberId: string;
  readonly groupInstanceId: string;
  readonly generationId: number;
}

export interface JoinGroupRequest {
  readonly groupId: string;
  readonly memberId: string;
  readonly groupInstanceId: string;
  readonly clientId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly { readonly name: string; readonly metadata: Uint8Array }[];
}

export interface JoinGroupResponse {
  readonly memberId: string;
  readonly generationId: number;
  readonly protocolType: string;
  readonly protocolName: string;
  readonly leader: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId: string;
    readonly metadata: Uint8Array;
  }[];
  readonly skipAssignment: boolean;
}

export interface SyncGroupRequest extends MemberIdentityMessage {
  readonly protocolType: string;
  readonly protocolName: string;
  readonly assignments: readonly {
    readonly memberId: string;
    readonly assignment: Uint8Array;
  }[];
}

export interface SyncGroupResponse {
  readonly protocolType: string;
  readonly protocolName: string;
  readonly assignment: Uint8Array;
}

export interface LeaveGroupRequest {
  readonly groupId: string;
  readonly members: readonly { readonly memberId: string; readonly groupInstanceId: string }[];
}

/** One call of a Session stream, without its correlation id. */
export type GroupCallBody =
  | { readonly join: JoinGroupRequest }
  | { readonly sync: SyncGroupRequest }
  | { readonly heartbeat: MemberIdentityMessage }
  | { readonly leave: LeaveGroupRequest }
  | { readonly commit: OffsetCommitRequest }
  | { readonly fetch: OffsetFetchRequest };

export interface GroupCalls {
  readonly calls: readonly (GroupCallBody & { readonly correlationId: number })[];
}

/** Of the answers at most one is there. */
export interface GroupAnswer {
  /** 0: a notice. */
  readonly correlationId: number;
  readonly error: ErrorMessage | null;
  readonly coordinator: LeaderHintMessage | null;
  readonly join: JoinGroupResponse | null;
  readonly sync: SyncGroupResponse | null;
  readonly heartbeat: Record<string, never> | null;
  readonly leave: { readonly members: readonly { readonly error: ErrorMessage | null }[] } | null;
  readonly commit: { readonly partitions: readonly PartitionResultMessage[] } | null;
  readonly fetch: { readonly partitions: readonly FetchedOffsetMessage[] } | null;
  readonly rebalancing: { readonly groupId: string } | null;
}

export interface GroupAnswers {
  readonly answers: readonly GroupAnswer[];
}

/** The unary methods of the Groups service: request and response by method name. */
export interface GroupUnaryCalls {
  FindCoordinator: {
    request: { readonly groupIds: readonly string[] };
    response: { readonly coordinators: readonly GroupCoordinatorMessage[] };
  };
  ListGroups: {
    request: { readonly states: readonly string[] };
    response: {
      readonly error: ErrorMessage | null;
      readonly groups: readonly ListedGroupMessage[];
    };
  };
  DescribeGroups: {
    request: { readonly groupIds: readonly string[] };
    response: { readonly groups: readonly DescribedGroupMessage[] };
  };
  DeleteGroups: {
    request: { readonly groupIds: readonly string[] };
    response: { readonly groups: readonly DeletedGroupMessage[] };
  };
  DeleteOffsets: {
    request: {
      readonly groupId: string;
      readonly partitions: readonly TopicPartitionMessage[];
    };
    response: {
      readonly error: ErrorMessage | null;
      readonly partitions: readonly PartitionResultMessage[];
    };
  };
  OffsetCommit: {
    request: OffsetCommitRequest;
    response: { readonly partitions: readonly PartitionResultMessage[] };
  };
  OffsetFetch: {
    request: OffsetFetchRequest;
    response: { readonly partitions: readonly FetchedOffsetMessage[] };
  };
}

/** The bidirectional streams, by method name. */
export const STREAMS = {
  Produce: { service: "Log", request: "ProduceRequest", response: "ProduceResponse" },
  Fetch: { service: "Log", request: "FetchRequest", response: "FetchResponse" },
  Session: { service: "Groups", request: "GroupCalls", response: "GroupAnswers" },
} as const;
export type StreamName = keyof typeof STREAMS;

const GROUP_CALLS: { readonly [Name in keyof GroupUnaryCalls]: true } = {
  FindCoordinator: true,
  ListGroups: true,
  DescribeGroups: true,
  DeleteGroups: true,
  DeleteOffsets: true,
  OffsetCommit: true,
  OffsetFetch: true,
};

/** The gRPC service that has the unary method. */
export function serviceOf(call: string): "Admin" | "Groups" {
  return Object.hasOwn(GROUP_CALLS, call) ? "Groups" : "Admin";
}
