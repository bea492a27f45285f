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
