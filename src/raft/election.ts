/**
 * Elections (thesis 3.4) with pre-vote (9.6), check-quorum and leadership transfer (3.10).
 *
 * Who grants a pre-vote. A node that hears from a live leader refuses: else one voter behind a bad
 * link deposes good leaders again and again. But a leader that was killed is gone at once while the
 * lease on it lasts an election timeout. The host knows better: the connection broke. It says so
 * (`leaderUnreachable`), and this node then stops to shield that leader until it speaks again. Both
 * survivors of three lose their connection at the same time, so the first to ask is granted, and
 * failover does not cost an election timeout. Where the leader lives and only one link to it broke,
 * the others still hear it and refuse.
 */
import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import type { Term } from "../model/ids.ts";
import { includesNode } from "./membership.ts";
import {
  type RaftNode,
  sameNode,
  type TimeoutNow,
  type VoteRequest,
  type VoteResponse,
} from "./messages.ts";
import { nodeKey } from "./node.ts";
import type { Progress } from "./progress.ts";
import { majorityCount, tally } from "./quorum.ts";
import type { RaftState } from "./state.ts";

export function becomeFollower(state: RaftState, term: Term, leader: RaftNode | undefined): void {
  assert(term >= state.term, "terms never fall");
  if (term > state.term) {
    state.term = term;
    state.votedFor = undefined;
  }
  state.role = { name: "follower" };
  state.leader = leader;
  state.leaderUnreachable = false;
  state.resetElectionTimer();
}

/** Word from the leader of this term. */
export function heardFromLeader(state: RaftState, leader: RaftNode): void {
  assert(state.role.name !== "leader", "one leader a term");
  const known = state.leader !== undefined && sameNode(state.leader, leader);
  if (state.role.name !== "follower" || !known) becomeFollower(state, state.term, leader);
  state.leaderUnreachable = false;
  state.electionElapsed = 0;
}

/** Asks first whether an election could be won at all; changes nothing durable. */
export function startPreVote(state: RaftState): void {
  if (!state.mayCampaign || state.role.name === "leader") return;
  beginCampaign(state, { preVote: true, transfer: false });
}

function beginCampaign(
  state: RaftState,
  kind: { readonly preVote: boolean; readonly transfer: boolean },
): void {
  const votes = new Map<string, boolean>();
  if (kind.preVote) {
    votes.set(nodeKey(state.self), true);
  } else {
    // The own vote counts once it is durable (see `countOwnVote`), as any other's does.
    state.term += 1;
    state.votedFor = state.self;
  }
  state.role = { name: "candidate", ...kind, startedTick: state.tickCount, votes };
  state.leader = undefined;
  state.leaderUnreachable = false;
  state.resetElectionTimer();
  const last = state.log.last;
  for (const voter of state.voters.current) {
    if (sameNode(voter, state.self)) continue;
    state.send({
      type: "vote-request",
      from: state.self,
      to: voter,
      term: state.term,
      preVote: kind.preVote,
      transfer: kind.transfer,
      lastIndex: last.index,
      lastTerm: last.term,
    });
  }
  maybeConclude(state);
}

/** Called when a write has become durable. */
export function countOwnVote(state: RaftState): void {
  const { role } = state;
  if (role.name !== "candidate" || role.preVote || !state.ownVoteIsDurable) return;
  role.votes.set(nodeKey(state.self), true);
  maybeConclude(state);
}

function maybeConclude(state: RaftState): void {
  const { role } = state;
  if (role.name !== "candidate") return;
  switch (tally(state.voters.current, role.votes)) {
    case "won":
      if (role.preVote) beginCampaign(state, { preVote: false, transfer: false });
      else becomeLeader(state);
      return;
    case "lost":
      // Votes were split, or somebody still hears a leader. A further pre-vote disturbs nobody, so
      // it need not wait a whole timeout; a random moment keeps two candidates apart.
      becomeFollower(state, state.term, undefined);
      state.electionTimeout = state.heartbeatTicks + state.random(state.leaseTicks >> 1);
      return;
    case "pending":
      return;
  }
}

function becomeLeader(state: RaftState): void {
  assert(state.mayCampaign, "only a voter leads");
  const openedAtIndex = state.log.lastIndex + 1;
  const progress = new Map<string, Progress>();
  state.role = {
    name: "leader",
    openedAtIndex,
    progress,
    transfer: undefined,
    uncommittedBytes: 0,
  };
  state.leader = state.self;
  state.heartbeatElapsed = 0;
  state.syncProgress();
  // Entries of earlier terms commit only below one of this term (thesis 3.6.2).
  state.appendOwn("no-op", EMPTY_BYTES);
}

export function onVoteRequest(state: RaftState, message: VoteRequest): void {
  if (message.preVote) onPreVoteRequest(state, message);
  else onRealVoteRequest(state, message);
}

function onPreVoteRequest(state: RaftState, message: VoteRequest): void {
  const granted =
    message.term >= state.term &&
    !hearsLeader(state) &&
    state.log.isUpToDate({ index: message.lastIndex, term: message.lastTerm }) &&
    !isBetterCandidate(state, message);
  // Two that ask at the same time must not both go on: the vote would be split.
  const yields = granted && state.role.name === "candidate" && state.role.preVote;
  if (yields) becomeFollower(state, state.term, undefined);
  respondToVote(state, message, granted);
}

function hearsLeader(state: RaftState): boolean {
  if (state.role.name === "leader") return true;
  return (
    state.leader !== undefined &&
    !state.leaderUnreachable &&
    state.electionElapsed < state.leaseTicks
  );
}

/**
 * Whether this node asks for pre-votes itself and should win: its id is lower and the logs are
 * equal. Only for two heartbeats: if its own requests do not arrive, it must not stand in the way.
 */
function isBetterCandidate(state: RaftState, message: VoteRequest): boolean {
  const { role } = state;
  if (role.name !== "candidate" || !role.preVote) return false;
  if (state.tickCount - role.startedTick > 2 * state.heartbeatTicks) return false;
  const last = state.log.last;
  return (
    message.lastTerm === last.term &&
    message.lastIndex === last.index &&
    state.self.id < message.from.id
  );
}

function onRealVoteRequest(state: RaftState, message: VoteRequest): void {
  if (message.term > state.term) {
    if (hearsLeader(state) && !message.transfer) return;
    becomeFollower(state, message.term, undefined);
  }
  const free =
    state.votedFor === undefined
      ? state.leader === undefined
      : sameNode(state.votedFor, message.from);
  const granted =
    message.term === state.term &&
    free &&
    state.log.isUpToDate({ index: message.lastIndex, term: message.lastTerm });
  if (granted) {
    state.votedFor = message.from;
    state.resetElectionTimer();
  }
  respondToVote(state, message, granted);
}

function respondToVote(state: RaftState, message: VoteRequest, granted: boolean): void {
  state.send({
    type: "vote-response",
    from: state.self,
    to: message.from,
    term: state.term,
    preVote: message.preVote,
    granted,
  });
}

export function onVoteResponse(state: RaftState, message: VoteResponse): void {
  const { role } = state;
  if (role.name !== "candidate" || role.preVote !== message.preVote) return;
  // A pre-vote is granted by a node of a lower term too; a vote counts in its own term only.
  if (!message.preVote && message.term !== state.term) return;
  role.votes.set(nodeKey(message.from), message.granted);
  maybeConclude(state);
}

/** The leader hands over: no pre-vote, and the lease on that leader does not count. */
export function onTimeoutNow(state: RaftState, message: TimeoutNow): void {
  if (message.term !== state.term || !state.isVoter) return;
  if (state.leader === undefined || !sameNode(state.leader, message.from)) return;
  beginCampaign(state, { preVote: false, transfer: true });
}

/** Begins to hand over to `to`; returns false if that cannot be tried. */
export function startTransfer(state: RaftState, to: RaftNode): boolean {
  if (state.role.name !== "leader" || state.role.transfer !== undefined) return false;
  const target = state.role.progress.get(nodeKey(to));
  if (target === undefined || !target.voter) return false;
  state.role.transfer = { to, startedTick: state.tickCount, sent: false };
  return true;
}

/** The other voter that is heard from and has most of the log. */
export function mostAdvancedVoter(state: RaftState): RaftNode | undefined {
  if (state.role.name !== "leader") return undefined;
  let best: Progress | undefined;
  for (const progress of state.role.progress.values()) {
    if (!progress.voter || !isActive(state, progress)) continue;
    if (best === undefined || progress.matchIndex > best.matchIndex) best = progress;
  }
  return best?.node;
}

export function isActive(state: RaftState, progress: Progress): boolean {
  return state.tickCount - progress.lastContactTick <= state.electionTicks;
}

/** A follower's or candidate's tick. */
export function tickElection(state: RaftState): void {
  state.electionElapsed++;
  if (state.electionElapsed >= state.electionTimeout) {
    if (state.mayCampaign) startPreVote(state);
    else {
      state.leader = undefined;
      state.resetElectionTimer();
    }
  }
  tickObserve(state);
}

/**
 * Who hears no leader asks for the log: an observer, and also a voter, for it may have been
 * replaced while it was away, and nobody would tell it.
 */
function tickObserve(state: RaftState): void {
  state.observeElapsed++;
  const seeks =
    state.leader === undefined ||
    state.leaderUnreachable ||
    state.electionElapsed >= state.leaseTicks;
  if (!seeks || state.observeElapsed < state.heartbeatTicks) return;
  state.observeElapsed = 0;
  const last = state.log.last;
  for (const contact of state.contacts) {
    if (sameNode(contact, state.self)) continue;
    state.send({
      type: "observe-request",
      from: state.self,
      to: contact,
      term: state.term,
      lastIndex: last.index,
      lastTerm: last.term,
    });
  }
}

/** Check-quorum: a leader that a majority does not answer stops being one (thesis 6.2). */
export function checkQuorum(state: RaftState): void {
  if (state.role.name !== "leader") return;
  let active = includesNode(state.voters.current, state.self) ? 1 : 0;
  for (const progress of state.role.progress.values()) {
    if (progress.voter && isActive(state, progress)) active++;
  }
  if (active < majorityCount(state.voters.current.length)) {
    becomeFollower(state, state.term, undefined);
  }
}
