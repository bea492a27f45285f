/**
 * Everything one Raft node knows, and the few moves on it that every capability shares. The
 * capabilities (election, replication, snapshot, membership) are modules of functions over it.
 */
import { assert } from "../base/assert.ts";
import type { LogIndex, Term } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import { type EntryId, entryBytes, LogView } from "./log-view.ts";
import { includesNode, VoterHistory } from "./membership.ts";
import {
  type RaftEntry,
  type RaftMessage,
  type RaftNode,
  type SnapshotHead,
  sameNode,
} from "./messages.ts";
import { nodeKey } from "./node.ts";
import { Progress } from "./progress.ts";
import type { SnapshotAssembly } from "./snapshot-assembly.ts";

export interface HardState {
  readonly term: Term;
  readonly votedFor: RaftNode | undefined;
  /** A hint for the next start, never a promise: it may lag what was committed. */
  readonly commitIndex: LogIndex;
}

/** What a node finds on its disk when it starts. */
export interface PersistedState {
  readonly hardState: HardState;
  /** The state machine is loaded from it; undefined: from nothing. */
  readonly snapshot: SnapshotHead | undefined;
  /** The entry before `entries[0]`: at most the snapshot's index. */
  readonly base: EntryId;
  readonly entries: readonly RaftEntry[];
}

export type RaftLimits = {
  readonly [Name in
    | "raftAppendBytes"
    | "raftInflightAppendsCount"
    | "raftInflightBytes"
    | "raftUncommittedBytes"
    | "raftApplyBytes"
    | "raftSnapshotBytes"
    | "raftObserversCount"
    | "snapshotChunkBytes"]: number;
};

export interface RaftOptions {
  readonly self: RaftNode;
  /** A follower campaigns after `electionTicks` to twice as many without word from a leader. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** An integer of `[0, bound)`: spreads elections. */
  readonly random: (bound: number) => number;
  /** Default: `LIMITS`. */
  readonly limits?: Partial<RaftLimits>;
}

export type Role =
  | { readonly name: "follower" }
  | {
      readonly name: "candidate";
      readonly preVote: boolean;
      readonly transfer: boolean;
      readonly startedTick: number;
      /** By node key. The own vote of a real election stands here only once it is durable. */
      readonly votes: Map<string, boolean>;
    }
  | {
      readonly name: "leader";
      /** Index of the no-op that opened the term. */
      readonly openedAtIndex: LogIndex;
      /** By node key: every other voter, and the observers that asked. */
      readonly progress: Map<string, Progress>;
      transfer: { readonly to: RaftNode; readonly startedTick: number; sent: boolean } | undefined;
      uncommittedBytes: number;
    };

/** "Send this piece of your snapshot": the core knows where it ends, the host has the bytes. */
export interface SnapshotChunk {
  readonly to: RaftNode;
  readonly term: Term;
  readonly head: SnapshotHead;
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface SnapshotInstall {
  readonly head: SnapshotHead;
  readonly bytes: Uint8Array;
}

/**
 * One durable write. `snapshot` replaces the whole log; then `entries[0].index` and everything
 * stored at or above it is replaced by `entries`; the hard state belongs to the same write.
 */
export interface RaftWrite {
  readonly hardState: HardState | undefined;
  readonly snapshot: SnapshotInstall | undefined;
  readonly entries: readonly RaftEntry[];
  /** These promise what this write makes durable: `advance` says which may leave after it. */
  readonly messagesAfterAppend: readonly RaftMessage[];
}

export class RaftState {
  readonly self: RaftNode;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly random: (bound: number) => number;
  readonly limits: RaftLimits;

  term: Term;
  votedFor: RaftNode | undefined;
  role: Role = { name: "follower" };
  leader: RaftNode | undefined = undefined;

  readonly log: LogView;
  readonly voters: VoterHistory;
  /** The newest durable snapshot: `log.base.index <= snapshot.index`. */
  snapshot: SnapshotHead | undefined;
  /** `appliedIndex <= min(commitIndex, durableIndex)`. */
  commitIndex: LogIndex;
  appliedIndex: LogIndex;

  /** What survives power loss; the log in memory equals the stored one up to `durableIndex`. */
  durableTerm: Term;
  durableVote: RaftNode | undefined;
  durableIndex: LogIndex;
  /**
   * The write under way. A truncation meanwhile lowers `stableTo`: the late completion of entries
   * that were replaced since must not vouch for those that took their place.
   */
  inFlight: { readonly write: RaftWrite; stableTo: LogIndex } | undefined = undefined;
  /** The snapshot that arrives in chunks. */
  assembly: SnapshotAssembly | undefined = undefined;
  /** A snapshot received whole and not durable yet; nothing is applied meanwhile. */
  install: SnapshotInstall | undefined = undefined;

  tickCount = 0;
  electionElapsed = 0;
  electionTimeout = 0;
  heartbeatElapsed = 0;
  /** Ticks since the log was last asked for; at the start the first tick asks. */
  observeElapsed = Number.POSITIVE_INFINITY;
  /** The connection to the leader is down: do not shield it against candidates (see election.ts). */
  leaderUnreachable = false;
  /** Nodes that an observer may ask for the log. */
  contacts: readonly RaftNode[] = [];

  messages: RaftMessage[] = [];
  messagesAfterAppend: RaftMessage[] = [];
  chunks: SnapshotChunk[] = [];

  constructor(options: RaftOptions, persisted: PersistedState) {
    const { hardState, snapshot, base, entries } = persisted;
    assert(options.heartbeatTicks > 0, "a leader must speak");
    assert(
      options.electionTicks >= 3 * options.heartbeatTicks,
      "an election timeout spans several heartbeats, or one late one deposes a leader",
    );
    this.self = options.self;
    this.electionTicks = options.electionTicks;
    this.heartbeatTicks = options.heartbeatTicks;
    this.random = options.random;
    this.limits = { ...LIMITS, ...options.limits };
    this.term = hardState.term;
    this.votedFor = hardState.votedFor;
    this.log = new LogView(base, entries);
    const snapshotIndex = snapshot?.index ?? 0;
    assert(base.index <= snapshotIndex, "the log is compacted only behind a snapshot");
    assert(
      snapshot === undefined || this.log.matches(snapshot),
      "the log agrees with its snapshot",
    );
    this.voters = new VoterHistory(
      { index: snapshotIndex, voters: snapshot?.voters ?? [] },
      entries.filter((entry) => entry.index > snapshotIndex),
    );
    this.snapshot = snapshot;
    this.commitIndex = Math.max(snapshotIndex, Math.min(hardState.commitIndex, this.log.lastIndex));
    this.appliedIndex = snapshotIndex;
    this.durableTerm = this.term;
    this.durableVote = this.votedFor;
    this.durableIndex = this.log.lastIndex;
    this.resetElectionTimer();
  }

  get isVoter(): boolean {
    return includesNode(this.voters.current, this.self);
  }

  /**
   * Who is left out by an entry that is not committed may be needed until it is: it may hold the
   * longest log of all (thesis 4.2.2). Its own vote then does not count.
   */
  get mayCampaign(): boolean {
    return this.isVoter || includesNode(this.voters.at(this.commitIndex), this.self);
  }

  /** Word from a leader within this time protects it against candidates. */
  get leaseTicks(): number {
    return this.electionTicks - this.heartbeatTicks;
  }

  resetElectionTimer(): void {
    this.electionElapsed = 0;
    this.electionTimeout = this.electionTicks + this.random(this.electionTicks);
  }

  /**
   * Into the box that its promise allows: a message that names a term, a vote or an index which is
   * not durable here leaves only after the write that makes it so.
   */
  send(message: RaftMessage): void {
    if (this.#promisesMoreThanDurable(message)) this.messagesAfterAppend.push(message);
    else this.messages.push(message);
  }

  #promisesMoreThanDurable(message: RaftMessage): boolean {
    if (message.term > this.durableTerm) return true;
    switch (message.type) {
      case "append-response":
        return message.success && message.matchIndex > this.durableIndex;
      case "snapshot-response":
        return message.installed && message.index > this.durableIndex;
      case "vote-response":
        return message.granted && !message.preVote && !this.#hasDurableVote(message.to);
      default:
        return false;
    }
  }

  #hasDurableVote(candidate: RaftNode): boolean {
    return (
      this.durableTerm === this.term &&
      this.durableVote !== undefined &&
      sameNode(this.durableVote, candidate)
    );
  }

  get ownVoteIsDurable(): boolean {
    return this.#hasDurableVote(this.self);
  }

  /** As a leader: appends to the own log; others are sent it by the next `ready`. */
  appendOwn(kind: RaftEntry["kind"], payload: Uint8Array): LogIndex {
    const index = this.log.lastIndex + 1;
    const entry: RaftEntry = { index, term: this.term, kind, payload };
    assert(this.role.name === "leader", "only a leader appends of its own");
    this.role.uncommittedBytes += entryBytes(entry);
    this.log.append([entry]);
    if (this.voters.append([entry])) this.syncProgress();
    return index;
  }

  /** Replaces the log from `entries[0].index` on, as a follower does on conflict. */
  replaceFrom(entries: readonly RaftEntry[]): void {
    const first = entries[0] as RaftEntry;
    assert(first.index > this.commitIndex, "what was committed is never replaced");
    if (first.index <= this.log.lastIndex) {
      this.log.truncateFrom(first.index);
      this.voters.truncateFrom(first.index);
      this.durableIndex = Math.min(this.durableIndex, first.index - 1);
      if (this.inFlight !== undefined) {
        this.inFlight.stableTo = Math.min(this.inFlight.stableTo, first.index - 1);
      }
    }
    this.log.append(entries);
    this.voters.append(entries);
  }

  /**
   * The log continues behind a snapshot that was received whole. Nothing of the old log counts as
   * durable from here on, as the write that stores the snapshot removes it.
   */
  installSnapshot(install: SnapshotInstall): void {
    const { head } = install;
    assert(head.index > this.commitIndex, "a snapshot never moves backwards");
    this.durableIndex = Math.min(this.durableIndex, this.commitIndex);
    if (this.inFlight !== undefined) this.inFlight.stableTo = 0;
    this.install = install;
    this.log.restart({ index: head.index, term: head.term });
    this.voters.restart({ index: head.index, voters: head.voters });
    this.commitIndex = head.index;
  }

  commitUpTo(index: LogIndex): void {
    assert(index <= this.log.lastIndex, "only what the log holds can be committed");
    this.commitIndex = Math.max(this.commitIndex, index);
  }

  /** A leader tracks every voter in force; who is none any more stays as an observer until silent. */
  syncProgress(): void {
    if (this.role.name !== "leader") return;
    const { progress } = this.role;
    for (const tracked of progress.values()) {
      tracked.voter = includesNode(this.voters.current, tracked.node);
    }
    for (const voter of this.voters.current) {
      if (sameNode(voter, this.self) || progress.has(nodeKey(voter))) continue;
      const nextIndex = this.log.lastIndex + 1;
      progress.set(
        nodeKey(voter),
        new Progress({ node: voter, voter: true, nextIndex, tick: this.tickCount }),
      );
    }
  }
}
