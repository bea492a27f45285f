/**
 * R5, terms never fall: neither in a process, nor on a disk that keeps its identity, nor in what a
 * node says over its lives. Source: Ongaro 2014, section 3.3.
 *
 * Pieces of a snapshot are left out: they are read from the disk before they are sent, and bear
 * the term in which they were asked for.
 */
import type { Term } from "../../../src/model/ids.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";
import { raftName } from "./raft-names.ts";

const STATEMENT = "R5 terms never fall";

export function termMonotone(context: RunContext): Invariant {
  const told = new Map<string, Term>();
  function see(name: string, term: Term, what: string): void {
    const known = told.get(name) ?? 0;
    if (term < known) context.fail(STATEMENT, `${name} ${what} ${term} after ${known}`);
    else told.set(name, term);
  }
  return {
    onRaftSent({ message }) {
      if (message.type === "snapshot-request") return;
      see(raftName(message.from), message.term, `sends ${message.type} of term`);
    },
    onQuorum({ before, after }) {
      // What it holds in memory may be higher than what it has told, never lower.
      const known = before?.term ?? told.get(raftName(after.self)) ?? 0;
      if (after.term >= known) return;
      context.fail(STATEMENT, `${raftName(after.self)} is in term ${after.term} after ${known}`);
    },
    onHardState(log, before) {
      const alive = log.machine.incarnation !== undefined;
      if (!alive || before === undefined || log.hardState === undefined) return;
      if (log.term >= before.term) return;
      context.fail(STATEMENT, `${log.node} stores term ${log.term} over ${before.term}`);
    },
  };
}
