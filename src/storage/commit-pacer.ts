/**
 * Whether a small write should wait a moment for company. While a broker does few writes, waiting
 * only adds latency; under thousands of small ones a second each hand-over to the thread pool costs
 * more than the write, and 1 ms of waiting halved them when it was measured.
 */
import type { Clock } from "../ports/clock.ts";

const WINDOW_MS = 100;
/** 2,000 writes a second, over all partitions of the broker. */
const BUSY_WRITES_COUNT = 200;
/** A write this large is worth its hand-over. */
const SMALL_WRITE_BYTES = 16 * 1024;
const WAIT_MS = 1;

export class CommitPacer {
  readonly #clock: Clock;
  #windowStartMs = 0;
  #writesCount = 0;
  #busy = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Called before each write of `bytes`: how long to wait before it; 0 for not at all. */
  waitMs(bytes: number): number {
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#windowStartMs;
    if (elapsedMs >= WINDOW_MS) {
      this.#busy = elapsedMs < 2 * WINDOW_MS && this.#writesCount >= BUSY_WRITES_COUNT;
      this.#writesCount = 0;
      this.#windowStartMs = nowMs;
    }
    this.#writesCount++;
    return this.#busy && bytes < SMALL_WRITE_BYTES ? WAIT_MS : 0;
  }
}
