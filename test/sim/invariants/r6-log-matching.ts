/**
 * R6, log matching: entries of the same index and term are equal, and so is everything before
 * them. Source: Ongaro 2014, figure 3.2.
 *
 * Seen in what leaders send: each entry's content and the term of its predecessor are remembered
 * by (index, term); equality of all prefixes follows by induction.
 */
import type { RaftStreamMessage } from "../../../src/raft/messages.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { crc32c } from "../world/sim-codecs.ts";

export function raftLogMatching(context: RunContext): Invariant {
  const seen = new Map<string, string>();
  return {
    onSent({ channel, message }) {
      if (channel !== "raft") return;
      const sent = message as RaftStreamMessage;
      if (sent.type !== "append-request") return;
      let previousTerm = sent.previousTerm;
      for (const { index, term, kind, payload } of sent.entries) {
        const content = `${kind} crc ${crc32c(payload)} after term ${previousTerm}`;
        const key = `${index}/${term}`;
        const known = seen.get(key);
        if (known === undefined) seen.set(key, content);
        else if (known !== content) {
          context.fail("R6 log matching", `entry ${key} is "${known}" and "${content}"`);
        }
        previousTerm = term;
      }
    },
  };
}
