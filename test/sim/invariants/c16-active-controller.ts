/**
 * C16: metadata is written by the active controller alone: in each term's part of the log first
 * stands Raft's own entry, and before a record follows that entry is committed. That what a
 * resigned controller wrote is never seen unless it is committed is R7's. Sources: KIP-631; Ongaro
 * 2014, section 6.4 (a leader commits an entry of its term first).
 */
import type { LogIndex, Term } from "../../../src/model/ids.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "C16 only an active controller writes";

export function activeController(context: RunContext): Invariant {
  /** By term, where it begins in its leader's log. */
  const opened = new Map<Term, LogIndex>();
  const written = new Map<Term, LogIndex>();
  return {
    onRaftSent({ node, message }) {
      if (message.type !== "append-request") return;
      for (const { index, term, kind } of message.entries) {
        if (term !== message.term || index <= (written.get(term) ?? 0)) continue;
        written.set(term, index);
        if (!opened.has(term)) {
          if (kind === "data" && context.quorum.log(node).termAt(index - 1) !== term) {
            context.fail(STATEMENT, `term ${term} of ${node} begins with a record at ${index}`);
          }
          opened.set(term, index);
        }
        if (kind !== "data") continue;
        const status = context.quorumOf(node);
        const begin = opened.get(term) ?? index;
        if (status === undefined || status.commitIndex >= begin) continue;
        context.fail(
          STATEMENT,
          `${node} wrote record ${index} in term ${term}, which begins at ${begin}, with ${status.commitIndex} committed`,
        );
      }
    },
  };
}
