/**
 * R10, commit rule: a leader moves its commit index only to an entry of its own term that a
 * majority of its voter set holds durably. R11 with it: whatever is committed stays on the disks of
 * a majority, those of dead machines counted. Source: Ongaro 2014, sections 3.6.2 and 4.1.
 *
 * A voter is a broker with a directory. One whose disk was taken away is given the benefit of the
 * doubt: its acknowledgement may have been on its way to the leader.
 */
import type { LogIndex, Term } from "../../../src/model/ids.ts";
import type { RaftNode } from "../../../src/raft/messages.ts";
import { majorityCount } from "../../../src/raft/quorum.ts";
import type { ObservedRaftLog, StoredEntry } from "../cluster/observed-quorum.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { raftName } from "./raft-names.ts";

export function commitRule(context: RunContext): Invariant {
  let voters: readonly RaftNode[] = [];
  let votersTerm: Term = 0;
  let suspects: { readonly log: ObservedRaftLog; readonly entry: StoredEntry }[] = [];

  function holds({ id, directoryId }: RaftNode, index: LogIndex, term: Term): boolean {
    const node = context.nodeOf(id);
    // Its disk may have lost what it once held.
    if (context.wasWiped(node)) return true;
    const log = context.quorum.log(node);
    return log.mark()?.directoryId === directoryId && log.holdsDurably(index, term);
  }

  function check(statement: string, set: readonly RaftNode[], index: LogIndex, term: Term): void {
    const wanted = majorityCount(set.length);
    const found: RaftNode[] = [];
    for (const voter of set) {
      if (!holds(voter, index, term)) continue;
      found.push(voter);
      if (found.length === wanted) return;
    }
    context.fail(
      statement,
      `entry ${index} of term ${term} is committed, of the voters ${set.map(raftName).join(", ")} it lies on the disks of ${found.map(raftName).join(", ") || "nobody"}`,
    );
  }

  return {
    onQuorum({ before, after }) {
      if (after.role !== "leader") return;
      if (after.term >= votersTerm) {
        voters = after.voters;
        votersTerm = after.term;
      }
      const { commitIndex, term } = after;
      const rose =
        before?.role === "leader" && before.term === term && commitIndex > before.commitIndex;
      if (rose) check("R10 commit rule", after.voters, commitIndex, term);
    },
    onCommitted({ index, term }) {
      if (voters.length > 0) check("R11 committed is durable on a majority", voters, index, term);
    },
    onRaftRemoved(log, entry, how) {
      if (how === "compacted" || entry.index > context.quorum.committedIndex) return;
      suspects.push({ log, entry });
    },
    afterEvent() {
      if (suspects.length === 0) return;
      for (const { log, entry } of suspects) {
        const committed = context.quorum.committedAt(entry.index);
        if (committed?.term !== entry.term || committed.hash !== entry.hash) continue;
        if (log.holdsDurably(entry.index, entry.term) || voters.length === 0) continue;
        check("R11 committed is durable on a majority", voters, entry.index, entry.term);
      }
      suspects = [];
    },
    onRest() {
      for (const { index, term } of context.quorum.committed) {
        check("R11 committed is durable on a majority", voters, index, term);
      }
    },
  };
}
