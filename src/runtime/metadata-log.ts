/**
 * The replicated metadata log as the rest of a broker sees it: what `RaftDriver` offers and what
 * it asks of the state machine above it.
 */
import type { BrokerId, ClusterId, DirectoryId, LogIndex, Term } from "../model/ids.ts";
import type { RaftNode } from "../raft/messages.ts";

export interface MetadataLog {
  /**
   * Appends an entry as the leader of `term`; settles once it is committed *and* `apply` has seen
   * it. Rejects with NOT_CONTROLLER if this node does not lead that term any more (the entry may
   * still be committed by a successor), LIMIT_EXCEEDED if too many wait.
   */
  propose(term: Term, payload: Uint8Array): Promise<LogIndex>;
  status(): MetadataLogStatus;
  /** Hands leadership to the most advanced other voter, for a controlled shutdown. Best effort. */
  transferLeadership(): void;
  close(): Promise<void>;
}

export interface MetadataLogStatus {
  readonly self: RaftNode;
  readonly clusterId: ClusterId | undefined;
  /** `unformed`: waits for all voters to answer that they are empty. */
  readonly role: "unformed" | "observer" | "follower" | "candidate" | "leader";
  readonly leaderId: BrokerId;
  readonly term: Term;
  /** -1: for nobody in this term. */
  readonly votedForId: BrokerId;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly voters: readonly RaftNode[];
  /** Only on the leader; empty elsewhere. */
  readonly followers: readonly {
    readonly node: RaftNode;
    readonly voter: boolean;
    readonly matchIndex: LogIndex;
    readonly lastContactMs: number;
  }[];
}

export interface CommittedEntry {
  readonly index: LogIndex;
  readonly term: Term;
  /** Empty for entries of Raft's own (no-op, config). */
  readonly payload: Uint8Array;
}

/** The state machine above the log. All calls are synchronous and in log order. */
export interface MetadataStateMachine {
  /** Entries, committed, each exactly once per incarnation and after any `load`. */
  apply(entries: readonly CommittedEntry[]): void;
  /** Replaces the state by a snapshot: at start, or because this node fell too far behind. */
  load(snapshot: {
    readonly index: LogIndex;
    readonly term: Term;
    readonly bytes: Uint8Array;
  }): void;
  /** The state after the last entry applied. */
  save(): Uint8Array;
  /**
   * This node leads `term` and has applied everything up to its own no-op: it may decide now.
   * Called before any `propose` of that term is accepted.
   */
  becomeActive(term: Term): void;
  /** It leads no more. */
  resign(): void;
  /** Who leads changed; -1 unknown. */
  leaderChanged(leaderId: BrokerId, term: Term): void;
  /**
   * A voter of configuration came back with a new directory and has caught up as an observer: the
   * driver replaces it in the voter set by itself; this only reports it.
   */
  voterReplaced(id: BrokerId, directoryId: DirectoryId): void;
}
