/**
 * R3, vote durability: when a granted vote or a higher term leaves a node in any message, its
 * stored hard state holds that term, and that vote, and would survive a loss of power. A leader has
 * voted for itself as durably. The second half of R5 with it: no message bears a term above the
 * sender's durable one. Source: Ongaro 2014, section 3.8 (what is persisted before answering).
 */
import { sameNode } from "../../../src/raft/messages.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "R3 votes and terms are durable before they are told";

export function voteDurability(context: RunContext): Invariant {
  return {
    onRaftSent({ node, message }) {
      const log = context.quorum.log(node);
      const { hardState } = log;
      const { type, term, from, to } = message;
      if (term > log.term || (term > 0 && !log.hardStateIsDurable())) {
        context.fail(STATEMENT, `${node} sends ${type} of term ${term}, durable is ${log.term}`);
        return;
      }
      const voted =
        type === "append-request"
          ? from
          : type === "vote-response" && message.granted && !message.preVote
            ? to
            : undefined;
      // A later term has replaced the vote; that there was no other in the earlier one is R2's.
      if (voted === undefined || hardState?.term !== term) return;
      const { votedFor } = hardState;
      if (votedFor !== undefined && sameNode(votedFor, voted)) return;
      context.fail(
        STATEMENT,
        `${node} sends ${type} of term ${term} to ${to.id}, its stored vote is for ${votedFor?.id ?? "nobody"}`,
      );
    },
  };
}
