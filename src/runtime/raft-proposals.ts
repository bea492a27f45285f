/** Proposals that wait until their entry is committed and applied. */
import { OttlaError } from "../model/errors.ts";
import type { LogIndex, Term } from "../model/ids.ts";

interface Waiter {
  readonly term: Term;
  readonly resolve: (index: LogIndex) => void;
  readonly reject: (error: OttlaError) => void;
}

export class RaftProposals {
  readonly #waiting = new Map<LogIndex, Waiter>();

  get size(): number {
    return this.#waiting.size;
  }

  wait(index: LogIndex, term: Term): Promise<LogIndex> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(index, { term, resolve, reject });
    });
  }

  /** An entry of another term took the place: the proposal was lost with its leader. */
  applied(index: LogIndex, term: Term): void {
    const waiter = this.#waiting.get(index);
    if (waiter === undefined) return;
    this.#waiting.delete(index);
    if (waiter.term === term) waiter.resolve(index);
    else waiter.reject(new OttlaError("NOT_CONTROLLER", `Entry ${index} was replaced`));
  }

  rejectAll(error: OttlaError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.reject(error);
  }
}
