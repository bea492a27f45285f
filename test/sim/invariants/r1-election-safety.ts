/**
 * R1, election safety: for each term at most one node ever acts as its leader, over the whole run
 * and across crashes. Source: Ongaro 2014, figure 3.2.
 *
 * Seen from outside: only a leader sends entries, snapshots or an order to campaign, and each bears
 * its term.
 */
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

export function electionSafety(context: RunContext): Invariant {
  const leaderOf = new Map<number, string>();
  return {
    onSent({ channel, message }) {
      if (channel !== "raft") return;
      const sent = message as RaftStreamMessage;
      const fromLeader =
        sent.type === "append-request" ||
        sent.type === "snapshot-request" ||
        sent.type === "timeout-now";
      if (!fromLeader) return;
      const name = `${sent.from.id}/${sent.from.directoryId}`;
      const known = leaderOf.get(sent.term);
      if (known === undefined) {
        leaderOf.set(sent.term, name);
        context.world.note(`broker ${sent.from.id} leads the quorum in term ${sent.term}`);
      } else if (known !== name) {
        context.fail("R1 election safety", `${known} and ${name} both lead term ${sent.term}`);
      }
    },
  };
}
