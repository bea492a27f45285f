/**
 * What a coordinator is asked, and what it answers. No wire: every door uses the same. A call has a
 * token; its answer comes at once or much later, as a value that bears the token. Nothing rejects:
 * what is wrong is in the result's `error`.
 */
import type { ErrorCode } from "../model/errors.ts";
import type { LeaderEpoch, Offset, PartitionIndex, TopicId } from "../model/ids.ts";

export type Token = number;
export type GroupState = "Empty" | "PreparingRebalance" | "CompletingRebalance" | "Stable" | "Dead";

/** As everywhere where one answer carries several: of one item, or of the whole. */
export interface GroupError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field?: string;
}

/** Both clocks: sessions follow the first, what is recorded the second. */
export interface Now {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface JoinGroup {
  readonly groupId: string;
  /** "" if the member has none yet. */
  readonly memberId: string;
  /** Static membership (KIP-345); null none. */
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  /** In order of preference; the metadata is the members' own. */
  readonly protocols: readonly JoinProtocol[];
  /** KIP-394: a dynamic member is given its id and comes again. False only for old wires. */
  readonly requireKnownMemberId: boolean;
  /** KIP-814: the client can be leader without assigning. False only for old wires. */
  readonly canSkipAssignment: boolean;
  /** What makes a new member's id unique; the coordinator itself knows no chance. */
  readonly unique: string;
}

export interface JoinProtocol {
  readonly name: string;
  readonly metadata: Uint8Array;
}

export interface JoinedMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly metadata: Uint8Array;
}

export interface JoinGroupResult {
  /** MEMBER_ID_REQUIRED comes with the `memberId` to come again with. */
  readonly error: GroupError | undefined;
  readonly memberId: string;
  /** -1 with an error. */
  readonly generationId: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  /** Only for the leader: it assigns. */
  readonly members: readonly JoinedMember[];
  /** The leader keeps the assignment that stands (KIP-814). */
  readonly skipAssignment: boolean;
}

export interface SyncGroup {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  /** Checked against the group's if given. */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** From the leader. */
  readonly assignments: readonly MemberAssignment[];
}

export interface MemberAssignment {
  readonly memberId: string;
  readonly assignment: Uint8Array;
}

export interface SyncGroupResult {
  readonly error: GroupError | undefined;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Uint8Array;
}

export interface Heartbeat {
  readonly groupId: string;
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
}

export interface HeartbeatResult {
  readonly error: GroupError | undefined;
}

export interface LeaveGroup {
  readonly groupId: string;
  readonly members: readonly LeavingMember[];
}

export interface LeavingMember {
  /** "" with an instance id: an administrator removes the static member. */
  readonly memberId: string;
  readonly groupInstanceId: string | null;
}

export interface LeaveGroupResult {
  readonly error: GroupError | undefined;
  readonly members: readonly (LeavingMember & { readonly error: GroupError | undefined })[];
}

export interface OffsetCommit {
  readonly groupId: string;
  /** -1 with an empty `memberId`: from outside the group's protocol. */
  readonly generationId: number;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly offsets: readonly CommitOffset[];
}

export interface CommitOffset {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly offset: Offset;
  /** -1 not known. */
  readonly leaderEpoch: LeaderEpoch;
  readonly metadata: string;
  /** How long to keep it at least, in ms; -1: as `offsets.retention.minutes` says. Of old wires. */
  readonly retentionMs: number;
  /** Which topic of that name; undefined: nobody knows. */
  readonly topicId?: TopicId | undefined;
}

export interface PartitionResult {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly error: GroupError | undefined;
}

export interface PartitionsResult {
  readonly error: GroupError | undefined;
  /** In the order of the request; empty with an error of the whole. */
  readonly partitions: readonly PartitionResult[];
}

export interface OffsetFetch {
  readonly groupId: string;
  /** Null: all that the group has committed. */
  readonly partitions:
    | readonly { readonly topic: string; readonly partition: PartitionIndex }[]
    | null;
  /** UNSTABLE_OFFSET_COMMIT instead of a value that a commit under way may replace (KIP-447). */
  readonly requireStable: boolean;
}

export interface FetchedOffset extends PartitionResult {
  /** -1: nothing is committed. */
  readonly offset: Offset;
  readonly leaderEpoch: LeaderEpoch;
  readonly metadata: string;
  /** Milliseconds since 1970; -1 without an offset. */
  readonly commitTimestampMs: number;
}

export interface OffsetFetchResult {
  readonly error: GroupError | undefined;
  readonly partitions: readonly FetchedOffset[];
}

export interface ListedGroup {
  readonly groupId: string;
  readonly protocolType: string;
  readonly state: GroupState;
  readonly membersCount: number;
}

export interface DescribedGroup {
  /** GROUP_ID_NOT_FOUND with state Dead. */
  readonly error: GroupError | undefined;
  readonly groupId: string;
  readonly state: GroupState;
  readonly generationId: number;
  readonly protocolType: string;
  /** "" while none is chosen. */
  readonly protocolName: string;
  /** Member id; "" none. */
  readonly leader: string;
  /**
   * When the group came into its state, ms since 1970; -1 not known. A new coordinator goes on from
   * the last recorded state.
   */
  readonly stateTimestampMs: number;
  readonly members: readonly DescribedMember[];
}

export interface DescribedMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** For the group's protocol; empty while none is chosen. */
  readonly metadata: Uint8Array;
  /** Empty unless the group is Stable. */
  readonly assignment: Uint8Array;
  /** Whether it waits for the others to join, or for its assignment. */
  readonly waitsFor: "join" | "sync" | undefined;
}

export interface DeleteOffsets {
  readonly groupId: string;
  readonly partitions: readonly { readonly topic: string; readonly partition: PartitionIndex }[];
}

export interface DeleteGroupResult {
  readonly error: GroupError | undefined;
}

/** The calls that are answered with a token. */
export interface GroupResults {
  readonly join: JoinGroupResult;
  readonly sync: SyncGroupResult;
  readonly heartbeat: HeartbeatResult;
  readonly leave: LeaveGroupResult;
  readonly commit: PartitionsResult;
  readonly "delete-offsets": PartitionsResult;
  readonly "delete-group": DeleteGroupResult;
  readonly describe: DescribedGroup;
}
export type GroupCall = keyof GroupResults;

/** What a call gets instead of an answer when it is refused as a whole. */
export const REFUSED: {
  readonly [Call in GroupCall]: (error: GroupError, about?: string) => GroupResults[Call];
} = {
  join: (error, memberId = "") => ({
    error,
    memberId,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: "",
    members: [],
    skipAssignment: false,
  }),
  sync: (error) => ({
    error,
    protocolType: null,
    protocolName: null,
    assignment: new Uint8Array(0),
  }),
  heartbeat: (error) => ({ error }),
  leave: (error) => ({ error, members: [] }),
  commit: (error) => ({ error, partitions: [] }),
  "delete-offsets": (error) => ({ error, partitions: [] }),
  "delete-group": (error) => ({ error }),
  describe: (error, groupId = "") => ({
    error,
    groupId,
    state: "Dead",
    generationId: -1,
    protocolType: "",
    protocolName: "",
    leader: "",
    stateTimestampMs: -1,
    members: [],
  }),
};

export type Answer = {
  readonly [Call in GroupCall]: {
    readonly token: Token;
    readonly call: Call;
    readonly result: GroupResults[Call];
  };
}[GroupCall];
