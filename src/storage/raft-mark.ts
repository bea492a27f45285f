/**
 * The durable mark of the metadata log: who this directory is, and what it has promised. It is
 * written after the log's own fsync and before any message that depends on it leaves. LevelDB can
 * lose synced writes in silence (a deleted or damaged write-ahead log opens without an error), and
 * a voter that forgot its vote or an acknowledged entry breaks Raft: the mark tells it.
 */
import { assert } from "../base/assert.ts";
import { text, utf8 } from "../base/bytes.ts";
import type { BrokerId, DirectoryId, LogIndex, Term } from "../model/ids.ts";
import type { SlotFile } from "../ports/files.ts";
import type { EntryId, LogView } from "../raft/log-view.ts";
import { type RaftNode, sameNode } from "../raft/messages.ts";
import type { HardState } from "../raft/state.ts";

export interface RaftMark {
  readonly brokerId: BrokerId;
  readonly directoryId: DirectoryId;
  /** The log of an earlier directory here lost its tail: this node was in a cluster once. */
  readonly renewed: boolean;
  readonly term: Term;
  readonly votedFor: RaftNode | undefined;
  readonly lastIndex: LogIndex;
  /** Undefined while the mark is lowered: the entry there is not told. */
  readonly lastTerm: Term | undefined;
}

export function readMark(file: SlotFile): RaftMark | undefined {
  const value = file.read();
  if (value === undefined) return undefined;
  const mark: unknown = JSON.parse(text(value));
  assert(typeof mark === "object" && mark !== null, "a mark is an object");
  // JSON leaves out what is undefined.
  const { votedFor, lastTerm, ...rest } = mark as RaftMark;
  return { ...rest, votedFor, lastTerm };
}

export function encodeMark(mark: RaftMark): Uint8Array {
  return utf8(JSON.stringify(mark));
}

/** What a log lacks of its mark, as a sentence; undefined if it keeps all that it promised. */
export function missingFromLog(
  mark: RaftMark,
  hardState: HardState,
  log: LogView,
): string | undefined {
  if (hardState.term < mark.term) {
    return `the stored term ${hardState.term} is behind the marked term ${mark.term}`;
  }
  const forgotVote =
    hardState.term === mark.term &&
    mark.votedFor !== undefined &&
    (hardState.votedFor === undefined || !sameNode(hardState.votedFor, mark.votedFor));
  if (forgotVote) return `the vote of term ${mark.term} is gone`;
  if (log.lastIndex < mark.lastIndex) {
    return `the log ends at ${log.lastIndex}, below its mark ${mark.lastIndex}`;
  }
  const term = log.termAt(mark.lastIndex);
  if (mark.lastTerm !== undefined && term !== undefined && term !== mark.lastTerm) {
    return `entry ${mark.lastIndex} is of term ${term}, the mark says ${mark.lastTerm}`;
  }
  return undefined;
}

export function sameMark(left: RaftMark, right: RaftMark): boolean {
  return (
    left.brokerId === right.brokerId &&
    left.directoryId === right.directoryId &&
    left.renewed === right.renewed &&
    left.term === right.term &&
    sameVote(left.votedFor, right.votedFor) &&
    left.lastIndex === right.lastIndex &&
    left.lastTerm === right.lastTerm
  );
}

function sameVote(left: RaftNode | undefined, right: RaftNode | undefined): boolean {
  return left === undefined || right === undefined ? left === right : sameNode(left, right);
}

/** The mark that vouches for a log up to `last`. */
export function raisedMark(mark: RaftMark, hardState: HardState, last: EntryId): RaftMark {
  const { term, votedFor } = hardState;
  return { ...mark, term, votedFor, lastIndex: last.index, lastTerm: last.term };
}
