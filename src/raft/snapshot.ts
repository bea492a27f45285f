/**
 * Snapshots in chunks (thesis 5). The leader's bytes stay with its host: the core only says which
 * piece to send. A follower collects the pieces in memory and installs the whole at once.
 */
import { assert } from "../base/assert.ts";
import { heardFromLeader } from "./election.ts";
import type { SnapshotRequest, SnapshotResponse } from "./messages.ts";
import { nodeKey } from "./node.ts";
import type { Progress } from "./progress.ts";
import { SnapshotAssembly } from "./snapshot-assembly.ts";
import type { RaftState } from "./state.ts";

/** One chunk at a time; what was lost on the way is sent again after an election timeout. */
export function maybeSendChunk(state: RaftState, progress: Progress): void {
  const head = state.snapshot;
  assert(head !== undefined, "a leader that compacted has a snapshot");
  // The older one is gone from the host's store: begin anew with its successor.
  if (progress.snapshotIndex !== head.index) progress.becomeSnapshot(head.index);
  if (progress.chunkSentTick >= 0) return;
  progress.chunkSentTick = state.tickCount;
  const offset = progress.snapshotOffset;
  state.chunks.push({
    to: progress.node,
    term: state.term,
    head,
    offset,
    sizeBytes: Math.min(state.limits.snapshotChunkBytes, head.sizeBytes - offset),
  });
}

export function onSnapshotResponse(state: RaftState, message: SnapshotResponse): void {
  if (state.role.name !== "leader") return;
  const progress = state.role.progress.get(nodeKey(message.from));
  if (progress === undefined) return;
  progress.lastContactTick = state.tickCount;
  if (progress.state !== "snapshot" || progress.snapshotIndex !== message.index) return;
  if (message.installed) {
    progress.matchedUpTo(message.index);
    progress.becomeReplicate();
    return;
  }
  const size = state.snapshot?.sizeBytes ?? 0;
  progress.snapshotOffset = Math.min(message.nextOffset, size);
  // All arrived, the installation runs: ask for nothing until it answers, or the timeout asks.
  if (progress.snapshotOffset < size) progress.chunkSentTick = -1;
}

export function onSnapshotRequest(state: RaftState, message: SnapshotRequest): void {
  heardFromLeader(state, message.from);
  const { head } = message;
  if (head.index <= state.commitIndex || state.log.matches(head)) {
    // Late, a duplicate, or the log reached that far by itself: a snapshot never moves back.
    state.assembly = undefined;
    state.commitUpTo(Math.max(head.index, state.commitIndex));
    respond(state, message, { nextOffset: head.sizeBytes, installed: true });
    return;
  }
  if (head.sizeBytes > state.limits.raftSnapshotBytes) return;
  if (state.assembly === undefined || !state.assembly.isFor(message)) {
    state.assembly = new SnapshotAssembly(message);
  }
  const { assembly } = state;
  assembly.maybeAdd(message);
  if (assembly.isWhole) {
    state.assembly = undefined;
    state.installSnapshot({ head, bytes: assembly.bytes() });
  }
  respond(state, message, { nextOffset: assembly.receivedBytes, installed: assembly.isWhole });
}

function respond(
  state: RaftState,
  message: SnapshotRequest,
  result: Pick<SnapshotResponse, "nextOffset" | "installed">,
): void {
  state.send({
    type: "snapshot-response",
    from: state.self,
    to: message.from,
    term: state.term,
    index: message.head.index,
    ...result,
  });
}
