/**
 * One Raft node as a value machine: `step`, `tick` and `propose` go in, `ready` says what is to be
 * done, `advance` that a write is durable. It knows no clock, disk or network.
 *
 * The host's loop: after every input call `ready`; send `messages` and `chunks`; apply `committed`
 * to the state machine, in order, at once; if there is a `write`, make it durable (and load its
 * snapshot), then call `advance` and send what that returns. `ready` may be called meanwhile, for
 * messages; it hands out no second write before the first is done, so that what arrives in between
 * shares the next one (group commit).
 */
import { assert } from "../base/assert.ts";
import type { LogIndex, Term } from "../model/ids.ts";
import {
  becomeFollower,
  checkQuorum,
  countOwnVote,
  isActive,
  mostAdvancedVoter,
  onTimeoutNow,
  onVoteRequest,
  onVoteResponse,
  startPreVote,
  startTransfer,
  tickElection,
} from "./election.ts";
import { encodeVoters, includesNode, isSingleStep, nextReplacementStep } from "./membership.ts";
import {
  type AppendRequest,
  type RaftEntry,
  type RaftMessage,
  type RaftNode,
  type SnapshotHead,
  type SnapshotRequest,
  sameNode,
} from "./messages.ts";
import { nodeKey } from "./node.ts";
import type { ProgressState } from "./progress.ts";
import {
  dropSilentObservers,
  isCaughtUp,
  maybeCommit,
  onAppendRequest,
  onAppendResponse,
  onObserveRequest,
  replicate,
  replicates,
  sendHeartbeats,
} from "./replication.ts";
import { onSnapshotRequest, onSnapshotResponse } from "./snapshot.ts";
import {
  type HardState,
  type PersistedState,
  type RaftOptions,
  RaftState,
  type RaftWrite,
  type SnapshotChunk,
} from "./state.ts";

export interface Ready {
  /** May leave at once. */
  readonly messages: readonly RaftMessage[];
  readonly chunks: readonly SnapshotChunk[];
  /** Undefined if nothing is to be stored, or a write is under way. */
  readonly write: RaftWrite | undefined;
  /** To be applied now: committed, durable here, each exactly once. */
  readonly committed: readonly RaftEntry[];
}

/** `full`: too many bytes wait for a majority. `transferring`: leadership is being handed over. */
export type ProposalRefusal = "not-leader" | "transferring" | "full";

/** `pending`: an earlier change, or the term's first entry, is not committed yet. */
export type VotersRefusal = ProposalRefusal | "pending" | "not-single-step";

export interface FollowerStatus {
  readonly node: RaftNode;
  readonly voter: boolean;
  readonly state: ProgressState;
  readonly matchIndex: LogIndex;
  readonly lastContactTicksAgo: number;
}

export class Raft {
  readonly #state: RaftState;

  constructor(options: RaftOptions, persisted: PersistedState) {
    this.#state = new RaftState(options, persisted);
  }

  get self(): RaftNode {
    return this.#state.self;
  }

  get role(): "observer" | "follower" | "candidate" | "leader" {
    const { role, isVoter } = this.#state;
    return role.name === "follower" && !isVoter ? "observer" : role.name;
  }

  get term(): Term {
    return this.#state.term;
  }

  get votedFor(): RaftNode | undefined {
    return this.#state.votedFor;
  }

  get leader(): RaftNode | undefined {
    return this.#state.leader;
  }

  /** Whether a leader of this term has applied the entry that opened it: only then it may decide. */
  get hasOpenedTerm(): boolean {
    const { role, appliedIndex } = this.#state;
    return role.name === "leader" && appliedIndex >= role.openedAtIndex;
  }

  get commitIndex(): LogIndex {
    return this.#state.commitIndex;
  }

  get appliedIndex(): LogIndex {
    return this.#state.appliedIndex;
  }

  get durableIndex(): LogIndex {
    return this.#state.durableIndex;
  }

  get lastIndex(): LogIndex {
    return this.#state.log.lastIndex;
  }

  /** The entry before the first that is held. */
  get baseIndex(): LogIndex {
    return this.#state.log.base.index;
  }

  entryAt(index: LogIndex): RaftEntry | undefined {
    return this.#state.log.entryAt(index);
  }

  /** Undefined if the entry was compacted away or does not exist. */
  termAt(index: LogIndex): Term | undefined {
    return this.#state.log.termAt(index);
  }

  /** The voter set in force: that of the newest `config` entry, committed or not. */
  get voters(): readonly RaftNode[] {
    return this.#state.voters.current;
  }

  /** Every other node that the leader sends the log; empty elsewhere. */
  get followers(): readonly FollowerStatus[] {
    const { role, tickCount } = this.#state;
    if (role.name !== "leader") return [];
    return [...role.progress.values()].map((progress) => ({
      node: progress.node,
      voter: progress.voter,
      state: progress.state,
      matchIndex: progress.matchIndex,
      lastContactTicksAgo: tickCount - progress.lastContactTick,
    }));
  }

  tick(): void {
    const state = this.#state;
    state.tickCount++;
    if (state.role.name !== "leader") {
      tickElection(state);
      return;
    }
    checkQuorum(state);
    dropSilentObservers(state);
    if (state.role.name !== "leader") return;
    const { transfer } = state.role;
    if (transfer !== undefined && state.tickCount - transfer.startedTick >= state.electionTicks) {
      state.role.transfer = undefined;
    }
    state.heartbeatElapsed++;
    if (state.heartbeatElapsed >= state.heartbeatTicks) {
      state.heartbeatElapsed = 0;
      sendHeartbeats(state);
    }
  }

  step(message: RaftMessage): void {
    const state = this.#state;
    // Meant for this broker's former directory, or misled.
    if (!sameNode(message.to, state.self) || sameNode(message.from, state.self)) return;
    switch (message.type) {
      case "vote-request":
        onVoteRequest(state, message);
        return;
      case "observe-request":
        onObserveRequest(state, message);
        return;
      case "timeout-now":
        onTimeoutNow(state, message);
        return;
      case "append-request":
        if (this.#acceptsLeader(message)) onAppendRequest(state, message);
        return;
      case "snapshot-request":
        if (this.#acceptsLeader(message)) onSnapshotRequest(state, message);
        return;
      case "vote-response":
        if (!this.#deposedBy(message)) onVoteResponse(state, message);
        return;
      case "append-response":
        if (!this.#deposedBy(message) && message.term === state.term) {
          onAppendResponse(state, message);
        }
        return;
      case "snapshot-response":
        if (!this.#deposedBy(message) && message.term === state.term) {
          onSnapshotResponse(state, message);
        }
        return;
    }
  }

  #acceptsLeader(message: AppendRequest | SnapshotRequest): boolean {
    const state = this.#state;
    if (message.term < state.term) {
      // Tells a leader that was deposed, or that this voter has gone ahead alone and can only come
      // back if the cluster passes its term.
      state.send({
        type: "append-response",
        from: state.self,
        to: message.from,
        term: state.term,
        success: false,
        matchIndex: 0,
        conflictTerm: 0,
        previousIndex: 0,
      });
      return false;
    }
    if (message.term > state.term) becomeFollower(state, message.term, message.from);
    return true;
  }

  /**
   * A higher term in an answer deposes; of those that are not followed, only a voter's: others must
   * not disturb (thesis 4.2.3). An observer that is followed and went ahead alone, when it was still a
   * voter, could otherwise never take an entry again. It costs one election, for an observer raises
   * no term.
   */
  #deposedBy(message: RaftMessage): boolean {
    const state = this.#state;
    if (message.term <= state.term) return false;
    const isFollowed =
      state.role.name === "leader" && state.role.progress.has(nodeKey(message.from));
    if (isFollowed || includesNode(state.voters.current, message.from)) {
      becomeFollower(state, message.term, undefined);
    }
    return true;
  }

  /** Starts an election by a pre-vote now; nothing happens on a leader or an observer. */
  campaign(): void {
    startPreVote(this.#state);
  }

  /**
   * The connection to the leader broke: this node stops to reject candidates for its sake. The next
   * word of the leader restores its protection.
   */
  leaderUnreachable(): void {
    this.#state.leaderUnreachable = true;
  }

  /**
   * The host stood still for `ticks` that were not given to `tick`. A leader that was silent for so
   * long must expect a successor and resigns before it says anything; others wait at least two
   * heartbeats more before they miss their leader, whose words may lie unread.
   */
  stalled(ticks: number): void {
    const state = this.#state;
    if (state.role.name === "leader") {
      if (ticks >= state.electionTicks) becomeFollower(state, state.term, undefined);
      return;
    }
    const grace = state.electionTimeout - 2 * state.heartbeatTicks;
    state.electionElapsed = Math.max(0, Math.min(state.electionElapsed, grace));
  }

  /** Steps down without a successor, because this node cannot do a leader's work. */
  resign(): void {
    const state = this.#state;
    if (state.role.name === "leader") becomeFollower(state, state.term, undefined);
  }

  /** Hands over to `to`, or to the most advanced other voter; false if there is nobody. */
  transferLeadership(to?: RaftNode): boolean {
    const target = to ?? mostAdvancedVoter(this.#state);
    return target !== undefined && startTransfer(this.#state, target);
  }

  /** Who could be asked for the log: the nodes there is a connection with. */
  setContacts(contacts: readonly RaftNode[]): void {
    this.#state.contacts = contacts;
  }

  /** Appends an entry as leader; `payload` must not change any more. */
  propose(
    payload: Uint8Array,
  ): { readonly index: LogIndex } | { readonly refused: ProposalRefusal } {
    const refused = this.#refusal();
    if (refused !== undefined) return { refused };
    return { index: this.#state.appendOwn("data", payload) };
  }

  /**
   * Appends a new voter set. At most one is uncommitted, and only after an entry of the leader's own
   * term is committed: else a set of an earlier leader that is not known here could be overtaken by
   * one whose majorities do not meet its own (Ongaro, raft-dev 2015).
   */
  proposeVoters(
    voters: readonly RaftNode[],
  ): { readonly index: LogIndex } | { readonly refused: VotersRefusal } {
    const refused = this.#refusal();
    if (refused !== undefined) return { refused };
    const state = this.#state;
    const termIsOpen =
      state.role.name === "leader" && state.commitIndex >= state.role.openedAtIndex;
    if (!termIsOpen || state.voters.currentIndex > state.commitIndex) return { refused: "pending" };
    if (!isSingleStep(state.voters.current, voters)) return { refused: "not-single-step" };
    return { index: state.appendOwn("config", encodeVoters(voters)) };
  }

  #refusal(): ProposalRefusal | undefined {
    const { role, limits } = this.#state;
    if (role.name !== "leader") return "not-leader";
    if (role.transfer !== undefined) return "transferring";
    return role.uncommittedBytes >= limits.raftUncommittedBytes ? "full" : undefined;
  }

  /**
   * The next voter set on the way to one where each broker of `voterIds` votes with its present
   * directory; undefined if there is nothing to do now. For the leader; see `nextReplacementStep`.
   */
  replacementStep(voterIds: readonly number[]): readonly RaftNode[] | undefined {
    const state = this.#state;
    const { role } = state;
    if (role.name !== "leader" || state.voters.currentIndex > state.commitIndex) return undefined;
    const candidates = [...role.progress.values()].map((progress) => ({
      node: progress.node,
      voter: progress.voter,
      active: isActive(state, progress),
      caughtUp: isCaughtUp(state, progress),
    }));
    return nextReplacementStep(state.voters.current, candidates, voterIds);
  }

  /** Describes a snapshot of the state machine as it is now; undefined if nothing was applied. */
  snapshotHead(sizeBytes: number): SnapshotHead | undefined {
    const { appliedIndex: index, log, voters } = this.#state;
    const term = log.termAt(index);
    if (index === 0 || term === undefined) return undefined;
    return { index, term, voters: voters.at(index), sizeBytes };
  }

  /**
   * The snapshot is durable: the log may forget entries up to `upTo <= head.index`. Ignored if a
   * newer one took its place meanwhile.
   */
  compact(head: SnapshotHead, upTo: LogIndex): void {
    const state = this.#state;
    assert(upTo <= head.index, "entries that no snapshot holds are not forgotten");
    if (state.snapshot !== undefined && head.index <= state.snapshot.index) return;
    if (state.log.base.index > head.index || state.install !== undefined) return;
    state.snapshot = head;
    state.log.compactTo(upTo);
    state.voters.compactTo(upTo);
  }

  /**
   * Whether `ready` would hand out anything. Most of what arrives asks for nothing, and a host need
   * not take a turn for it.
   */
  get hasReady(): boolean {
    const state = this.#state;
    return (
      state.messages.length > 0 ||
      state.chunks.length > 0 ||
      this.#hasCommitted() ||
      this.#hasWrite() ||
      replicates(state)
    );
  }

  ready(): Ready {
    const state = this.#state;
    replicate(state);
    const { messages, chunks } = state;
    state.messages = [];
    state.chunks = [];
    return { messages, chunks, committed: this.#takeCommitted(), write: this.#takeWrite() };
  }

  #hasCommitted(): boolean {
    const { appliedIndex, commitIndex, durableIndex, install } = this.#state;
    return install === undefined && Math.min(commitIndex, durableIndex) > appliedIndex;
  }

  #takeCommitted(): readonly RaftEntry[] {
    if (!this.#hasCommitted()) return [];
    const state = this.#state;
    const upTo = Math.min(state.commitIndex, state.durableIndex);
    const entries = state.log.slice(state.appliedIndex + 1, upTo, state.limits.raftApplyBytes);
    state.appliedIndex += entries.length;
    return entries;
  }

  #hasWrite(): boolean {
    const state = this.#state;
    if (state.inFlight !== undefined) return false;
    return state.messagesAfterAppend.length > 0 || this.#isChanged();
  }

  /** Whether what is stored lacks something. */
  #isChanged(): boolean {
    const state = this.#state;
    const { durableIndex, install, log } = state;
    return (
      log.lastIndex > Math.max(durableIndex, log.base.index) ||
      install !== undefined ||
      state.term !== state.durableTerm ||
      !this.#voteIsDurable()
    );
  }

  #takeWrite(): RaftWrite | undefined {
    if (!this.#hasWrite()) return undefined;
    const state = this.#state;
    const { install: snapshot, messagesAfterAppend, log } = state;
    const from = Math.max(state.durableIndex, log.base.index) + 1;
    const entries = log.slice(from, log.lastIndex, Number.POSITIVE_INFINITY);
    const hardState = this.#isChanged() ? this.#hardState() : undefined;
    state.messagesAfterAppend = [];
    const write = { hardState, snapshot, entries, messagesAfterAppend };
    state.inFlight = { write, stableTo: entries.length === 0 ? 0 : log.lastIndex };
    return write;
  }

  #voteIsDurable(): boolean {
    const { votedFor, durableVote } = this.#state;
    if (votedFor === undefined || durableVote === undefined) return votedFor === durableVote;
    return sameNode(votedFor, durableVote);
  }

  #hardState(): HardState {
    const { term, votedFor, commitIndex } = this.#state;
    return { term, votedFor, commitIndex };
  }

  /**
   * `write` is durable, and its snapshot loaded. Returns those of its messages that may leave: what
   * was said in a term that has passed meanwhile could contradict the log as it is now.
   */
  advance(write: RaftWrite): readonly RaftMessage[] {
    const state = this.#state;
    const { inFlight } = state;
    assert(inFlight?.write === write, "the write that was handed out is advanced, once");
    state.inFlight = undefined;
    if (write.hardState !== undefined) {
      state.durableTerm = write.hardState.term;
      state.durableVote = write.hardState.votedFor;
    }
    if (write.snapshot !== undefined) {
      state.snapshot = write.snapshot.head;
      state.appliedIndex = write.snapshot.head.index;
      if (state.install === write.snapshot) {
        state.install = undefined;
        state.durableIndex = write.snapshot.head.index;
      }
    }
    state.durableIndex = Math.max(state.durableIndex, inFlight.stableTo);
    countOwnVote(state);
    maybeCommit(state);
    return write.messagesAfterAppend.filter((message) => message.term === state.term);
  }
}
