/**
 * Log replication (thesis 3.5) with batching and pipelining (10.2). The leader keeps no list of
 * appends to send: `replicate` looks at each node's progress and sends what its window allows, once
 * for everything that happened since the last time. So proposals of one turn share an append.
 */
import { assert } from "../base/assert.ts";
import { becomeFollower, heardFromLeader, isActive } from "./election.ts";
import { entryBytes } from "./log-view.ts";
import { includesNode } from "./membership.ts";
import {
  type AppendRequest,
  type AppendResponse,
  type ObserveRequest,
  type RaftEntry,
  sameNode,
} from "./messages.ts";
import { nodeKey } from "./node.ts";
import { Progress } from "./progress.ts";
import { majorityIndex } from "./quorum.ts";
import { maybeSendChunk } from "./snapshot.ts";
import type { RaftState } from "./state.ts";

/** Sends every node what it may be sent. Does nothing unless this node leads. */
export function replicate(state: RaftState): void {
  if (state.role.name !== "leader") return;
  for (const progress of state.role.progress.values()) replicateTo(state, progress);
  maybeHandOver(state);
}

/** Whether `replicate` has anything to do: it asks each node's progress what `replicateTo` asks. */
export function replicates(state: RaftState): boolean {
  if (state.role.name !== "leader") return false;
  if (handsOver(state)) return true;
  const { progress } = state.role;
  for (const each of progress.values()) if (replicatesTo(state, each)) return true;
  return false;
}

function replicatesTo(state: RaftState, progress: Progress): boolean {
  if (progress.state !== "snapshot" && state.log.termAt(progress.nextIndex - 1) === undefined) {
    return true;
  }
  switch (progress.state) {
    case "probe":
      return !progress.probeSent;
    case "replicate":
      return hasRoom(state, progress) || progress.sentCommitIndex < state.commitIndex;
    case "snapshot":
      return progress.chunkSentTick < 0 || progress.snapshotIndex !== state.snapshot?.index;
  }
}

/** Whether there is an entry that its window lets pass. */
function hasRoom(state: RaftState, progress: Progress): boolean {
  const { raftInflightAppendsCount, raftInflightBytes } = state.limits;
  return (
    progress.nextIndex <= state.log.lastIndex &&
    progress.inflightCount < raftInflightAppendsCount &&
    progress.inflightBytes < raftInflightBytes
  );
}

function replicateTo(state: RaftState, progress: Progress): void {
  if (progress.state !== "snapshot" && state.log.termAt(progress.nextIndex - 1) === undefined) {
    assert(state.snapshot !== undefined, "what was compacted is in a snapshot");
    progress.becomeSnapshot(state.snapshot.index);
  }
  switch (progress.state) {
    case "probe":
      if (progress.probeSent) return;
      progress.probeSent = true;
      sendAppend(state, progress, nextEntries(state, progress));
      return;
    case "replicate":
      pipeline(state, progress);
      return;
    case "snapshot":
      maybeSendChunk(state, progress);
      return;
  }
}

function pipeline(state: RaftState, progress: Progress): void {
  while (hasRoom(state, progress)) {
    const entries = nextEntries(state, progress);
    sendAppend(state, progress, entries);
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    progress.appended((entries[entries.length - 1] as RaftEntry).index, bytes);
  }
  if (progress.sentCommitIndex < state.commitIndex) sendAppend(state, progress, []);
}

function nextEntries(state: RaftState, progress: Progress): readonly RaftEntry[] {
  return state.log.slice(progress.nextIndex, state.log.lastIndex, state.limits.raftAppendBytes);
}

function sendAppend(state: RaftState, progress: Progress, entries: readonly RaftEntry[]): void {
  const previousIndex = progress.nextIndex - 1;
  const previousTerm = state.log.termAt(previousIndex);
  assert(previousTerm !== undefined, "an append follows an entry that is still known");
  progress.sentCommitIndex = state.commitIndex;
  state.send({
    type: "append-request",
    from: state.self,
    to: progress.node,
    term: state.term,
    previousIndex,
    previousTerm,
    entries,
    commitIndex: state.commitIndex,
  });
}

/**
 * Tells every node that its leader lives. It follows what was sent last, so that a node which lost
 * an append on the way finds out. A probe that was lost is tried again, without its entries: they
 * would be sent over and over to a node that does not answer.
 */
export function sendHeartbeats(state: RaftState): void {
  if (state.role.name !== "leader") return;
  for (const progress of state.role.progress.values()) {
    if (state.log.termAt(progress.nextIndex - 1) !== undefined && progress.state !== "snapshot") {
      progress.probeSent = true;
      sendAppend(state, progress, []);
      continue;
    }
    // Where the logs meet is not known: "nothing after entry 0" always matches.
    state.send({
      type: "append-request",
      from: state.self,
      to: progress.node,
      term: state.term,
      previousIndex: 0,
      previousTerm: 0,
      entries: [],
      commitIndex: Math.min(state.commitIndex, progress.matchIndex),
    });
    const { chunkSentTick } = progress;
    const lost = chunkSentTick >= 0 && state.tickCount - chunkSentTick >= state.electionTicks;
    if (lost) progress.chunkSentTick = -1;
  }
}

/** A transfer's target that has the whole log is told to campaign. */
function maybeHandOver(state: RaftState): void {
  if (state.role.name !== "leader" || !handsOver(state)) return;
  const { transfer } = state.role;
  if (transfer === undefined) return;
  transfer.sent = true;
  state.send({ type: "timeout-now", from: state.self, to: transfer.to, term: state.term });
}

function handsOver(state: RaftState): boolean {
  if (state.role.name !== "leader") return false;
  const { transfer, progress } = state.role;
  if (transfer === undefined || transfer.sent) return false;
  return progress.get(nodeKey(transfer.to))?.matchIndex === state.log.lastIndex;
}

export function onAppendRequest(state: RaftState, message: AppendRequest): void {
  heardFromLeader(state, message.from);
  if (message.previousIndex < state.commitIndex) {
    // What is committed here is in the leader's log too, whatever the request began with.
    respond(state, message, { success: true, matchIndex: state.commitIndex, conflictTerm: 0 });
    return;
  }
  if (!state.log.matches({ index: message.previousIndex, term: message.previousTerm })) {
    const hint = state.log.findByTerm(message.previousIndex, message.previousTerm);
    respond(state, message, {
      success: false,
      matchIndex: hint.index,
      conflictTerm: hint.term,
    });
    return;
  }
  const fresh = message.entries.findIndex((entry) => !state.log.matches(entry));
  if (fresh >= 0) state.replaceFrom(message.entries.slice(fresh).map(ownCopy));
  const matchIndex = message.previousIndex + message.entries.length;
  state.commitUpTo(Math.min(message.commitIndex, matchIndex));
  respond(state, message, { success: true, matchIndex, conflictTerm: 0 });
}

/**
 * An entry stays in memory until the next snapshot; a view would keep the whole buffer alive that it
 * arrived in, many times its size.
 */
function ownCopy(entry: RaftEntry): RaftEntry {
  return { ...entry, payload: new Uint8Array(entry.payload) };
}

function respond(
  state: RaftState,
  message: AppendRequest,
  result: Pick<AppendResponse, "success" | "matchIndex" | "conflictTerm">,
): void {
  state.send({
    type: "append-response",
    from: state.self,
    to: message.from,
    term: state.term,
    previousIndex: message.previousIndex,
    ...result,
  });
}

export function onAppendResponse(state: RaftState, message: AppendResponse): void {
  if (state.role.name !== "leader") return;
  const progress = state.role.progress.get(nodeKey(message.from));
  if (progress === undefined) return;
  progress.lastContactTick = state.tickCount;
  if (message.success) onMatch(state, progress, message);
  else onConflict(state, progress, message);
}

function onMatch(state: RaftState, progress: Progress, message: AppendResponse): void {
  assert(
    message.matchIndex <= state.log.lastIndex,
    "nobody holds more of this term than its leader",
  );
  const rose = progress.matchedUpTo(message.matchIndex);
  if (progress.state === "probe") progress.becomeReplicate();
  const reached = state.log.termAt(progress.matchIndex) !== undefined;
  if (progress.state === "snapshot" && reached) progress.becomeReplicate();
  if (rose) maybeCommit(state);
}

function onConflict(state: RaftState, progress: Progress, message: AppendResponse): void {
  switch (progress.state) {
    case "snapshot":
      return;
    case "replicate":
      // An append was lost on the way, or this answers one from before the logs were known to agree.
      if (message.previousIndex <= progress.matchIndex) return;
      break;
    case "probe":
      if (message.previousIndex !== progress.nextIndex - 1) return;
      break;
  }
  const meet = state.log.findByTerm(message.matchIndex, message.conflictTerm);
  progress.becomeProbe(Math.min(message.previousIndex, meet.index + 1));
}

/** Commits what a majority holds durably, if its last entry is of this term (thesis 3.6.2). */
export function maybeCommit(state: RaftState): void {
  if (state.role.name !== "leader") return;
  const { progress } = state.role;
  const reached = state.voters.current.map((voter) =>
    sameNode(voter, state.self)
      ? state.durableIndex
      : (progress.get(nodeKey(voter))?.matchIndex ?? 0),
  );
  const index = majorityIndex(reached);
  if (index <= state.commitIndex || state.log.termAt(index) !== state.term) return;
  for (let at = state.commitIndex + 1; at <= index; at++) {
    const entry = state.log.entryAt(at) as RaftEntry;
    // Only what it appended itself was counted, not what it found in its log.
    if (entry.term === state.term) state.role.uncommittedBytes -= entryBytes(entry);
  }
  state.commitUpTo(index);
  const removed = !includesNode(state.voters.current, state.self);
  if (removed && state.voters.currentIndex <= state.commitIndex) {
    // It led until the set without itself was committed (thesis 4.2.2), and tells so in parting.
    replicate(state);
    becomeFollower(state, state.term, undefined);
  }
}

/** A node that is no voter asks to be sent the log. */
export function onObserveRequest(state: RaftState, message: ObserveRequest): void {
  if (state.role.name !== "leader") return;
  const { progress } = state.role;
  const known = progress.get(nodeKey(message.from));
  if (known !== undefined) {
    // A voter that asks has not heard this leader: that it is heard itself must not keep the leader
    // in office (thesis 6.2 counts answers). An observer that asks is only not silent.
    if (!known.voter) known.lastContactTick = state.tickCount;
    // It hears nothing: what was sent to it last is lost.
    if (known.state !== "snapshot") known.becomeProbe(known.matchIndex + 1);
    return;
  }
  let observers = 0;
  for (const other of progress.values()) if (!other.voter) observers++;
  if (observers >= state.limits.raftObserversCount) return;
  const nextIndex = Math.min(message.lastIndex, state.log.lastIndex) + 1;
  progress.set(
    nodeKey(message.from),
    new Progress({ node: message.from, voter: false, nextIndex, tick: state.tickCount }),
  );
}

/** Observers that fell silent; ten election timeouts, as a restart must not cost the position. */
export function dropSilentObservers(state: RaftState): void {
  if (state.role.name !== "leader") return;
  for (const [key, progress] of state.role.progress) {
    const silent = state.tickCount - progress.lastContactTick > 10 * state.electionTicks;
    if (!progress.voter && silent) state.role.progress.delete(key);
  }
}

/** Whether a node is heard from and holds, but for the last few, everything committed. */
export function isCaughtUp(state: RaftState, progress: Progress): boolean {
  return isActive(state, progress) && progress.matchIndex >= state.commitIndex;
}
