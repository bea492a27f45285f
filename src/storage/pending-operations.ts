/** Storage operations under way and since when: what the broker's watchdog looks at. */
import type { Clock } from "../ports/clock.ts";

export class PendingOperations {
  readonly #clock: Clock;
  /** Start times in order of start, so that the first is the oldest. */
  readonly #startedMs = new Map<number, number>();
  #next = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async watch<Result>(work: Promise<Result>): Promise<Result> {
    const id = this.#next++;
    this.#startedMs.set(id, this.#clock.monotonicMs());
    try {
      return await work;
    } finally {
      this.#startedMs.delete(id);
    }
  }

  /** 0 if nothing is under way. */
  oldestMs(): number {
    const first = this.#startedMs.values().next();
    return first.done === true ? 0 : this.#clock.monotonicMs() - first.value;
  }
}
