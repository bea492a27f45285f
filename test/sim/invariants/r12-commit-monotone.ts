/**
 * R12: within a life neither commit nor applied index falls, nothing is applied that is not
 * committed, and a node that starts has applied at least its snapshot. R7 with it, entry by entry:
 * what a node has applied is, on its disk, the entry that everybody else applied at that index.
 * Source: Ongaro 2014, figure 3.2 (state machine safety) and chapter 5.
 */
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "R12 commit and applied index never fall";

export function commitMonotone(context: RunContext): Invariant {
  return {
    onQuorum({ node, before, after }) {
      const log = context.quorum.log(node);
      const { commitIndex, appliedIndex } = after;
      if (appliedIndex > commitIndex) {
        context.fail(STATEMENT, `${node} applied ${appliedIndex}, committed are ${commitIndex}`);
      }
      if (before === undefined) {
        if (appliedIndex < log.base.index) {
          context.fail(
            STATEMENT,
            `${node} applied ${appliedIndex}, its log begins behind ${log.base.index}`,
          );
        }
      } else if (commitIndex < before.commitIndex || appliedIndex < before.appliedIndex) {
        context.fail(
          STATEMENT,
          `${node} went from ${before.commitIndex}/${before.appliedIndex} to ${commitIndex}/${appliedIndex}`,
        );
      }
      const from = Math.max(before?.appliedIndex ?? 0, log.base.index) + 1;
      for (let index = from; index <= appliedIndex; index++) {
        const committed = context.quorum.committedAt(index);
        const found = log.entries.get(index);
        if (committed === undefined || (found === undefined && index <= log.snapshotIndex))
          continue;
        if (found?.term === committed.term && found.hash === committed.hash) continue;
        context.fail(
          "R7 state machine safety",
          `${node} applied entry ${index} of term ${found?.term ?? "none"}, ${committed.node} one of term ${committed.term}`,
        );
        return;
      }
    },
  };
}
