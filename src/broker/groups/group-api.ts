/**
 * Consumer groups as doors see them. Only the group's coordinator answers; any other broker says
 * NOT_COORDINATOR, and `findCoordinator` on any broker says who it is. Nothing here rejects: what is
 * wrong is in the result.
 */
import type {
  DeleteGroupResult,
  DeleteOffsets,
  DescribedGroup,
  GroupError,
  GroupState,
  Heartbeat,
  HeartbeatResult,
  JoinGroup,
  JoinGroupResult,
  LeaveGroup,
  LeaveGroupResult,
  ListedGroup,
  OffsetCommit,
  OffsetFetch,
  OffsetFetchResult,
  PartitionsResult,
  SyncGroup,
  SyncGroupResult,
} from "../../group/calls.ts";
import type { LeaderHint } from "../broker-api.ts";

export interface FoundCoordinator {
  readonly error: GroupError | undefined;
  /** Of the partition that keeps the group. */
  readonly coordinator: LeaderHint | undefined;
}

export interface ListGroups {
  /** Empty: in any. */
  readonly states: readonly GroupState[];
}

export interface ListedGroups {
  /** COORDINATOR_LOAD_IN_PROGRESS: there may be more. */
  readonly error: GroupError | undefined;
  /** Those that this broker coordinates. */
  readonly groups: readonly ListedGroup[];
}

export interface DeletedGroup extends DeleteGroupResult {
  readonly groupId: string;
}

export interface GroupApi {
  /** Creates `__consumer_offsets` if nobody has used it yet. */
  findCoordinator(groupId: string): Promise<FoundCoordinator>;
  /** Settles when all members have joined, at the latest after the rebalance timeout. */
  joinGroup(request: Omit<JoinGroup, "unique">): Promise<JoinGroupResult>;
  /** Settles when the leader has assigned. */
  syncGroup(request: SyncGroup): Promise<SyncGroupResult>;
  heartbeat(request: Heartbeat): Promise<HeartbeatResult>;
  leaveGroup(request: LeaveGroup): Promise<LeaveGroupResult>;
  /** Settles when the in-sync replicas have it. */
  offsetCommit(request: OffsetCommit): Promise<PartitionsResult>;
  offsetFetch(request: OffsetFetch): Promise<OffsetFetchResult>;
  listGroups(request: ListGroups): ListedGroups;
  describeGroups(groupIds: readonly string[]): Promise<readonly DescribedGroup[]>;
  deleteGroups(groupIds: readonly string[]): Promise<readonly DeletedGroup[]>;
  deleteOffsets(request: DeleteOffsets): Promise<PartitionsResult>;
  /**
   * Calls `listener` when the group begins to rebalance, so that its members need not wait for
   * their next heartbeat to join again. A hint: it may come late, twice or not at all. Returns what
   * ends it.
   */
  watchGroup(groupId: string, listener: () => void): () => void;
}
