/**
 * R14, a node outside the voter set neither campaigns nor leads: a real request for votes comes
 * only from a voter of the newest set on its own disk, and a leader that its set does not name
 * leads no longer than until that set is committed. That it counts for no majority is R10's.
 * Sources: Ongaro 2014, sections 4.2.2 and 4.2.3.
 */
import { includesNode } from "../../../src/raft/membership.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { raftName } from "./raft-names.ts";

const STATEMENT = "R14 only voters campaign and lead";

export function removedVoter(context: RunContext): Invariant {
  return {
    onRaftSent({ node, message }) {
      if (message.type !== "vote-request" || message.preVote) return;
      const { voters } = context.quorum.log(node);
      if (voters === undefined || includesNode(voters, message.from)) return;
      context.fail(
        STATEMENT,
        `${raftName(message.from)} asks for votes, its voters are ${voters.map(raftName).join(", ")}`,
      );
    },
    onQuorum({ node, after }) {
      const { role, voters, self, commitIndex, term } = after;
      if (role !== "leader" || includesNode(voters, self)) return;
      let newest = 0;
      for (const { index, kind } of context.quorum.log(node).entries.values()) {
        if (kind === "config" && index > newest) newest = index;
      }
      if (newest === 0 || newest > commitIndex) return;
      context.fail(
        STATEMENT,
        `${raftName(self)} leads term ${term}, the set at ${newest} without it is committed`,
      );
    },
  };
}
