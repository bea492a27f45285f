/**
 * R9, leader append-only: during its term a leader neither overwrites nor deletes an entry of its
 * own. Source: Ongaro 2014, figure 3.2.
 *
 * A write may raise the term and replace entries at once, so the term is looked at after it. Who
 * has resigned is still bound: nobody else leads the same term.
 */
import type { Term } from "../../../src/model/ids.ts";
import type { ObservedRaftLog, StoredEntry } from "../cluster/observed-quorum.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

export function leaderAppendOnly(context: RunContext): Invariant {
  /** By term, the machine of its leader. */
  const leaders = new Map<Term, string>();
  let suspects: { readonly log: ObservedRaftLog; readonly entry: StoredEntry }[] = [];
  return {
    onRaftSent({ node, message }) {
      if (message.type === "append-request") leaders.set(message.term, node);
    },
    onRaftRemoved(log, entry, how) {
      if (how !== "truncated" || leaders.get(entry.term) !== log.node) return;
      suspects.push({ log, entry });
    },
    afterEvent() {
      if (suspects.length === 0) return;
      for (const { log, entry } of suspects) {
        if (log.term !== entry.term || log.base.index >= entry.index) continue;
        const found = log.entries.get(entry.index);
        if (found?.term === entry.term && found.hash === entry.hash) continue;
        context.fail(
          "R9 leader append-only",
          `${log.node} removed its entry ${entry.index} of term ${entry.term} within that term`,
        );
      }
      suspects = [];
    },
  };
}
