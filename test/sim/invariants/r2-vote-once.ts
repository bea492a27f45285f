/**
 * R2, vote once: a node grants its vote of one term to one candidate only, across restarts and
 * power loss too. Source: Ongaro 2014, section 3.4 and 3.8 (votes are persisted).
 */
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

export function voteOnce(context: RunContext): Invariant {
  const voteOf = new Map<string, string>();
  return {
    onSent({ channel, message }) {
      if (channel !== "raft") return;
      const sent = message as RaftStreamMessage;
      if (sent.type !== "vote-response" || sent.preVote || !sent.granted) return;
      const key = `${sent.from.id}/${sent.from.directoryId} in term ${sent.term}`;
      const candidate = `${sent.to.id}/${sent.to.directoryId}`;
      const known = voteOf.get(key);
      if (known === undefined) voteOf.set(key, candidate);
      else if (known !== candidate) {
        context.fail("R2 vote once", `${key} voted for ${known} and for ${candidate}`);
      }
    },
  };
}
