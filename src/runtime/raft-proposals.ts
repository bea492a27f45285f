/** Proposals that wait until their entry is committed and applied. */
import { OttlaError } from "../model/errors.ts";
import type { LogIndex, Term } from "../model/ids.ts";

interface Waiter {
  readonly term: Term;
  readonly proposedMs: number;
  readonly resolve: (index: LogIndex) => void;
  readonly reject: (error: OttlaError) => void;
}

export class RaftProposals {
  readonly #waiting = new Map<LogIndex, Waiter>();

  get size(): number {
    return this.#waiting.size;
  }

  wait(index: LogIndex, term: Term, proposedMs: number): Promise<LogIndex> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(index, { term, proposedMs, resolve, reject });
    });
  }

  /**
   * An entry of another term took the place: the proposal was lost with its leader. Returns when it
   * was proposed if it is committed and somebody here waited for it.
   */
  applied(index: LogIndex, term: Term): number | undefined {
    const waiter = this.#waiting.get(index);
    if (waiter === undefined) return undefined;
    this.#waiting.delete(index);
    if (waiter.term === term) {
      waiter.resolve(index);
      return waiter.proposedMs;
    }
    waiter.reject(new OttlaError("NOT_CONTROLLER", `Entry ${index} was replaced`));
    return undefined;
  }

  rejectAll(error: OttlaError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.reject(error);
  }
}
