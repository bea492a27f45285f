/**
 * R22, honesty about lost storage: a node that finds less in its log than it had promised, by the
 * mark beside the log, says nothing under its old identity that a voter's word counts for; it
 * comes back as somebody else. Sources: KIP-853 (directory ids); Jepsen's analysis of NATS 2.12.1,
 * where a node that had lost its tail voted on.
 */
import { sameNode } from "../../../src/raft/messages.ts";
import type { ObservedRaftLog } from "../cluster/observed-quorum.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { raftName } from "./raft-names.ts";

export function storageHonesty(context: RunContext): Invariant {
  /** By identity: what it has lost. */
  const lost = new Map<string, string>();

  function missing(log: ObservedRaftLog): string | undefined {
    const mark = log.mark();
    if (mark === undefined) return undefined;
    const { term, votedFor, lastIndex } = mark;
    const covered = Math.max(log.lastIndex, log.snapshotIndex);
    if (covered < lastIndex) return `its log ends at ${covered}, promised were ${lastIndex}`;
    for (let index = log.base.index + 1; index <= lastIndex; index++) {
      if (log.entries.has(index) || index <= log.snapshotIndex) continue;
      return `entry ${index} of ${lastIndex} is gone`;
    }
    // With a snapshot as new as the log the hard state may have been lost in its installation.
    if (log.term < term && log.snapshotIndex < covered)
      return `its term is ${log.term} after ${term}`;
    if (log.term !== term || votedFor === undefined) return undefined;
    const stored = log.hardState?.votedFor;
    return stored !== undefined && sameNode(stored, votedFor)
      ? undefined
      : `its vote of term ${term} for ${votedFor.id} is gone`;
  }

  return {
    onLife({ node }) {
      const log = context.quorum.log(node.name);
      const mark = log.mark();
      const what = missing(log);
      if (mark !== undefined && what !== undefined)
        lost.set(raftName({ id: mark.brokerId, ...mark }), what);
    },
    onRaftSent({ message }) {
      const what = lost.get(raftName(message.from));
      if (what === undefined) return;
      const counts =
        message.type === "append-request" ||
        message.type === "vote-request" ||
        (message.type === "vote-response" && message.granted) ||
        (message.type === "append-response" && message.success);
      if (!counts) return;
      context.fail(
        "R22 who lost its storage is somebody else",
        `${raftName(message.from)} sends ${message.type} of term ${message.term} although ${what}`,
      );
    },
  };
}
