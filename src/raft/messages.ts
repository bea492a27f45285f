/**
 * What Raft nodes say to each other. A node is named by broker and directory, so that a voter whose
 * disk was wiped is another node (KIP-853): it cannot vote twice in a term by forgetting.
 */
import type { BrokerId, ClusterId, DirectoryId, LogIndex, Term } from "../model/ids.ts";

export interface RaftNode {
  readonly id: BrokerId;
  readonly directoryId: DirectoryId;
}

export function sameNode(left: RaftNode, right: RaftNode): boolean {
  return left.id === right.id && left.directoryId === right.directoryId;
}

/** `data`: metadata records; `config`: the whole new voter set; `no-op`: opens a leader's term. */
export type EntryKind = "data" | "config" | "no-op";

export interface RaftEntry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly payload: Uint8Array;
}

/** The state machine up to and including `index`, and the voter set in force there. */
export interface SnapshotHead {
  readonly index: LogIndex;
  readonly term: Term;
  readonly voters: readonly RaftNode[];
  readonly sizeBytes: number;
}

interface Envelope {
  readonly from: RaftNode;
  readonly to: RaftNode;
  readonly term: Term;
}

export interface VoteRequest extends Envelope {
  readonly type: "vote-request";
  /** Pre-vote (thesis 9.6): asks without raising anybody's term. */
  readonly preVote: boolean;
  /** From a leadership transfer: granted although a live leader is known (thesis 3.10). */
  readonly transfer: boolean;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
}

export interface VoteResponse extends Envelope {
  readonly type: "vote-response";
  readonly preVote: boolean;
  readonly granted: boolean;
}

/** Entries from `previousIndex + 1`; none: a heartbeat that also checks the log. */
export interface AppendRequest extends Envelope {
  readonly type: "append-request";
  readonly previousIndex: LogIndex;
  readonly previousTerm: Term;
  readonly entries: readonly RaftEntry[];
  readonly commitIndex: LogIndex;
}

export interface AppendResponse extends Envelope {
  readonly type: "append-response";
  readonly success: boolean;
  /** On success: the last index known to match and durable. On conflict: where to try next. */
  readonly matchIndex: LogIndex;
  /** On conflict: term at `matchIndex` in the responder's log, to skip whole terms (thesis 5.3). */
  readonly conflictTerm: Term;
  /** The `previousIndex` of the request that this answers. */
  readonly previousIndex: LogIndex;
}

export interface SnapshotRequest extends Envelope {
  readonly type: "snapshot-request";
  readonly head: SnapshotHead;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface SnapshotResponse extends Envelope {
  readonly type: "snapshot-response";
  readonly index: LogIndex;
  /** Bytes received so far; equals `sizeBytes` once the snapshot is durably installed. */
  readonly nextOffset: number;
  readonly installed: boolean;
}

/** The leader asks `to` to campaign at once (thesis 3.10). */
export interface TimeoutNow extends Envelope {
  readonly type: "timeout-now";
}

/** A node that is not a voter asks to be sent the log; repeated until a leader answers. */
export interface ObserveRequest extends Envelope {
  readonly type: "observe-request";
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
}

export type RaftMessage =
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | SnapshotRequest
  | SnapshotResponse
  | TimeoutNow
  | ObserveRequest;

/**
 * Everything on a raft stream; in each direction `hello` comes first, and again when what it says
 * has changed: the sender has joined a cluster.
 */
export type RaftStreamMessage =
  | {
      readonly type: "hello";
      readonly node: RaftNode;
      /** Undefined until the node belongs to a cluster. */
      readonly clusterId: ClusterId | undefined;
      /** Whether the node is empty: no log, no hard state, no cluster. All voters empty: form one. */
      readonly empty: boolean;
      /** The voter set that the node formed its cluster with; empty before. */
      readonly formation: readonly RaftNode[];
    }
  | RaftMessage;
