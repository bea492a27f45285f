/**
 * When a coordinator's next append may begin, with `group.coordinator.append.linger.ms` at -1. A
 * call costs the processor a message in and one out, far more than its record: whoever asks again
 * as soon as it was answered is asked for fewer messages if the next append waits a little. Without
 * it fifty members that commit all the time keep two cores busy with messages, and their tail is
 * waiting for a core. Who is alone, or one of a few, waits for nobody.
 */

/** About half of what one more call in an append costs, on every side: the machine may have two cores. */
const CALL_MS = 0.1;
/**
 * A commit may have to wait for the one of its member before it, and then for its own: two appends,
 * with their messages, are to fit 20 ms. On a machine that is overloaded each wait costs a turn of
 * the scheduler besides.
 */
const LONGEST_MS = 5;

export class AppendPace {
  #nextMs = Number.NEGATIVE_INFINITY;

  /** An append of so many calls begins. */
  began(nowMs: number, callsCount: number): void {
    this.#nextMs = nowMs + Math.min(LONGEST_MS, callsCount * CALL_MS);
  }

  /** Milliseconds, whole ones; 0: at once. */
  waitMs(nowMs: number): number {
    return Math.max(0, Math.floor(this.#nextMs - nowMs));
  }
}
