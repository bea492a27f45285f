/**
 * R13, quorums overlap: a leader proposes a new voter set only once the one before is committed and
 * an entry of its own term too, and each set differs from the one before by one voter. Sources:
 * Ongaro 2014, section 4.1; Ongaro on raft-dev, 2015-07-10 (the bug of single-server changes).
 */
import type { LogIndex, Term } from "../../../src/model/ids.ts";
import { decodeVoters, isSingleStep } from "../../../src/raft/membership.ts";
import type { RaftNode } from "../../../src/raft/messages.ts";
import type { ObservedRaftLog } from "../cluster/observed-quorum.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { raftName } from "./raft-names.ts";

const STATEMENT = "R13 voter sets overlap";

interface VoterSet {
  readonly index: LogIndex;
  readonly voters: readonly RaftNode[];
}

export function voterChanges(context: RunContext): Invariant {
  const seen = new Set<string>();
  /** By term, the index of the first entry of it that anybody saw. */
  const opened = new Map<Term, LogIndex>();

  /** Of the term, what its leader has sent: its own disk may lag behind it. */
  const proposed = new Map<Term, VoterSet>();

  function setBefore(log: ObservedRaftLog, index: LogIndex, term: Term): VoterSet | undefined {
    const own = proposed.get(term);
    if (own !== undefined) return own;
    for (let at = index - 1; at > log.base.index; at--) {
      const entry = log.entries.get(at);
      if (entry?.kind === "config") return { index: at, voters: decodeVoters(entry.payload) };
    }
    return log.snapshot();
  }

  return {
    onRaftSent({ node, message }) {
      if (message.type !== "append-request") return;
      for (const { index, term, kind, payload } of message.entries) {
        if (!opened.has(term)) opened.set(term, index);
        if (kind !== "config" || term !== message.term) continue;
        if (seen.has(`${index}/${term}`)) continue;
        seen.add(`${index}/${term}`);
        const status = context.quorumOf(node);
        const log = context.quorum.log(node);
        const before = setBefore(log, index, term);
        const voters = decodeVoters(payload);
        proposed.set(term, { index, voters });
        if (status === undefined || before === undefined) continue;
        const { commitIndex } = status;
        const what = `${node} proposes ${voters.map(raftName).join(", ")} at ${index} of term ${term}`;
        if (before.index > commitIndex) {
          context.fail(
            STATEMENT,
            `${what}, the set at ${before.index} is above commit ${commitIndex}`,
          );
        } else if ((opened.get(term) ?? index) > commitIndex) {
          context.fail(
            STATEMENT,
            `${what}, nothing of that term is committed, only ${commitIndex}`,
          );
        } else if (!isSingleStep(before.voters, voters)) {
          context.fail(STATEMENT, `${what} after ${before.voters.map(raftName).join(", ")}`);
        }
      }
    },
  };
}
