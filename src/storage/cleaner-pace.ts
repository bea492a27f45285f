/**
 * Keeps the log cleaner from being noticed: it gives way to the event loop every millisecond, for as
 * long as others were busy, and stays below `log.cleaner.io.max.bytes.per.second`. A record that is
 * produced meets three event loops, each of which may just have begun a slice; while others have
 * something to do all the time, the cleaner therefore also rests, and has a quarter of the time.
 */
import type { Clock, Timers } from "../ports/clock.ts";

const SLICE_MS = 1;
/** The loop comes round sooner when nobody has anything to do. */
const IDLE_TURN_MS = 0.2;
/** Others are at work if of the last turns so many were theirs too. */
const BUSY_SHARE = 0.3;
/** Weight of the last turn. */
const BUSY_WEIGHT = 0.1;
const REST_MS = 3 * SLICE_MS;
/** A loop that is always busy still lets the cleaner have its slice this often. */
const YIELD_MS_MAX = 20;
/** Sleeps shorter than this cost more than they are worth. */
const SLEEP_MS_MIN = 10;
const SLEEP_MS_MAX = 1_000;

export interface CleanerPaceOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Read and written bytes together; asked anew each time. */
  readonly bytesPerSecond: () => number;
}

export class CleanerPace {
  readonly #options: CleanerPaceOptions;
  #sliceBeganMs: number;
  /** When the bytes moved so far are due at the speed allowed. */
  #dueMs: number;
  #busyShare = 0;

  constructor(options: CleanerPaceOptions) {
    this.#options = options;
    this.#sliceBeganMs = options.clock.monotonicMs();
    this.#dueMs = this.#sliceBeganMs;
  }

  get isDue(): boolean {
    return this.#options.clock.monotonicMs() - this.#sliceBeganMs >= SLICE_MS;
  }

  async yield(signal: AbortSignal): Promise<void> {
    const { clock, timers } = this.#options;
    const beganMs = clock.monotonicMs();
    await timers.yield();
    const othersMs = clock.monotonicMs() - beganMs;
    const busy = othersMs >= IDLE_TURN_MS ? 1 : 0;
    this.#busyShare += (busy - this.#busyShare) * BUSY_WEIGHT;
    const restMs = this.#busyShare >= BUSY_SHARE ? REST_MS : 0;
    const waitMs = Math.min(Math.max(othersMs, restMs), YIELD_MS_MAX);
    if (waitMs >= SLICE_MS) await sleep(timers, waitMs, signal);
    this.#sliceBeganMs = clock.monotonicMs();
  }

  /** After `bytes` were read or written: waits until that many were due. */
  async moved(bytes: number, signal: AbortSignal): Promise<void> {
    const { clock, timers, bytesPerSecond } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#dueMs = Math.max(this.#dueMs, nowMs - SLEEP_MS_MAX) + (bytes / bytesPerSecond()) * 1_000;
    while (!signal.aborted) {
      const waitMs = this.#dueMs - clock.monotonicMs();
      if (waitMs < SLEEP_MS_MIN) break;
      await sleep(timers, Math.min(waitMs, SLEEP_MS_MAX), signal);
    }
    if (this.isDue) await this.yield(signal);
  }
}

/** Ends early, without an error, once `signal` aborts. */
export async function sleep(timers: Timers, ms: number, signal: AbortSignal): Promise<void> {
  await timers.sleep(ms, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
