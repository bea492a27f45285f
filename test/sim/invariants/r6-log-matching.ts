/**
 * R6, log matching: entries of the same index and term are equal, and so is everything before
 * them. Source: Ongaro 2014, figure 3.2.
 *
 * Seen in what leaders send and in what every disk takes: each entry's content and the term of its
 * predecessor are remembered by (index, term); equality of all prefixes follows by induction.
 */
import type { LogIndex, Term } from "../../../src/model/ids.ts";
import type { EntryKind } from "../../../src/raft/messages.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { crc32c } from "../world/sim-codecs.ts";

interface Known {
  readonly content: string;
  previousTerm: Term | undefined;
}

interface Entry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly payload: Uint8Array;
}

const STATEMENT = "R6 log matching";

export function raftLogMatching(context: RunContext): Invariant {
  const seen = new Map<string, Known>();
  function see({ index, term, kind, payload }: Entry, previousTerm: Term | undefined): void {
    const content = `${kind} crc ${crc32c(payload)}`;
    const key = `${index}/${term}`;
    const known = seen.get(key);
    if (known === undefined) {
      seen.set(key, { content, previousTerm });
      return;
    }
    if (known.content !== content) {
      context.fail(STATEMENT, `entry ${key} is "${known.content}" and "${content}"`);
    }
    known.previousTerm ??= previousTerm;
    if (previousTerm === undefined || known.previousTerm === previousTerm) return;
    context.fail(
      STATEMENT,
      `entry ${key} follows one of term ${known.previousTerm} and one of term ${previousTerm}`,
    );
  }
  return {
    onRaftSent({ message }) {
      if (message.type !== "append-request") return;
      let { previousTerm } = message;
      for (const entry of message.entries) {
        see(entry, previousTerm);
        previousTerm = entry.term;
      }
    },
    onRaftWritten(log, entry) {
      // What a loss of power leaves has holes, for the recovery to find.
      if (log.machine.incarnation !== undefined) see(entry, log.termAt(entry.index - 1));
    },
  };
}
