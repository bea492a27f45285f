/**
 * R4, acknowledgement durability: when a follower says that its log matches up to an index, that
 * entry is the one its leader has there, lies on its disk, and would survive a loss of power; when
 * it says that a snapshot is installed, so does the snapshot. Sources: Ongaro 2014, section 3.8;
 * etcd's asynchronous storage writes, where the late completion of a replaced entry must
 * acknowledge nothing.
 */
import type { LogIndex, Term } from "../../../src/model/ids.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "R4 acknowledged entries are durable";
/** Answers to leaders before these have nothing to say any more. */
const TERMS_KEPT = 4;

export function ackDurability(context: RunContext): Invariant {
  /** By the leader's term: the term of each entry that it has sent. */
  const sent = new Map<Term, Map<LogIndex, Term>>();

  function sentIn(term: Term): Map<LogIndex, Term> {
    let entries = sent.get(term);
    if (entries === undefined) {
      entries = new Map();
      sent.set(term, entries);
      for (const old of sent.keys()) if (sent.size > TERMS_KEPT) sent.delete(old);
    }
    return entries;
  }

  return {
    onRaftSent({ node, message }) {
      if (message.type === "append-request") {
        if (message.entries.length === 0) return;
        const entries = sentIn(message.term);
        for (const { index, term } of message.entries) entries.set(index, term);
        return;
      }
      const log = context.quorum.log(node);
      if (message.type === "snapshot-response" && message.installed) {
        if (log.snapshotIndex >= message.index || log.lastIndex >= message.index) return;
        context.fail(STATEMENT, `${node} says that snapshot ${message.index} is installed`);
      }
      if (message.type !== "append-response" || !message.success) return;
      const { matchIndex } = message;
      if (matchIndex <= log.base.index) return;
      const found = log.entries.get(matchIndex);
      if (
        found === undefined
          ? matchIndex > log.snapshotIndex
          : !log.holdsDurably(matchIndex, found.term)
      ) {
        context.fail(
          STATEMENT,
          `${node} acknowledges entry ${matchIndex}, its durable log ends at ${log.lastIndex}`,
        );
        return;
      }
      const expected = sent.get(message.term)?.get(matchIndex);
      if (found === undefined || expected === undefined || expected === found.term) return;
      context.fail(
        STATEMENT,
        `${node} acknowledges entry ${matchIndex} to the leader of term ${message.term}, whose entry is of term ${expected}, with one of term ${found.term}`,
      );
    },
  };
}
