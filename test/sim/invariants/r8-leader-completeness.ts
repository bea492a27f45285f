/**
 * R8, leader completeness: whoever begins to lead a term has every entry that was committed in
 * earlier terms. Source: Ongaro 2014, figure 3.2 and section 3.6.3.
 *
 * A leader's own vote counts once it is durable, and with it everything that its log held then: so
 * its disk is what is looked at.
 */
import type { Term } from "../../../src/model/ids.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

export function leaderCompleteness(context: RunContext): Invariant {
  const begun = new Set<Term>();
  return {
    onRaftSent({ node, message }) {
      if (message.type !== "append-request" || begun.has(message.term)) return;
      begun.add(message.term);
      const { quorum } = context;
      const log = quorum.log(node);
      const covered = Math.max(log.base.index, log.snapshotIndex);
      for (let index = covered + 1; index <= quorum.committedIndex; index++) {
        const committed = quorum.committedAt(index);
        if (committed === undefined || committed.term >= message.term) continue;
        const found = log.entries.get(index);
        if (found?.term === committed.term && found.hash === committed.hash) continue;
        context.fail(
          "R8 leader completeness",
          `${node} leads term ${message.term} without the committed entry ${index} of term ${committed.term}, it has ${found === undefined ? "none" : `one of term ${found.term}`}`,
        );
        return;
      }
    },
  };
}
