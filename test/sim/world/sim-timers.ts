/** Clock and timers of one incarnation, on the world's virtual time. */
import { assert } from "../../../src/base/assert.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type { Clock, Timer, Timers } from "../../../src/ports/clock.ts";
import type { Incarnation } from "./sim-node.ts";
import type { Scheduled } from "./world.ts";

export { WALL_EPOCH_MS } from "./machine-clock.ts";

/** Less than this is the rounding of whole microseconds. */
const GRAIN_MS = 0.002;

export class SimClock implements Clock {
  readonly #incarnation: Incarnation;
  readonly #startMs: number;

  constructor(incarnation: Incarnation) {
    this.#incarnation = incarnation;
    // Each machine counts from somewhere else: nobody may compare two machines' monotonic times.
    this.#startMs = incarnation.node.name.length * 1_000 + incarnation.life * 100_000;
  }

  monotonicMs(): number {
    return this.#startMs + this.#incarnation.node.clock.monotonicMs;
  }

  wallMs(): number {
    return this.#incarnation.node.clock.wallMs;
  }
}

export class SimTimers implements Timers {
  readonly #incarnation: Incarnation;

  constructor(incarnation: Incarnation) {
    this.#incarnation = incarnation;
  }

  after(delayMs: number, callback: () => void): Timer {
    checkDelay(delayMs);
    return new SimTimer(this.#incarnation, delayMs, callback);
  }

  every(periodMs: number, callback: () => void): Timer {
    checkDelay(periodMs);
    let cancelled = false;
    let timer: Timer | undefined;
    const arm = (): void => {
      timer = this.after(periodMs, () => {
        arm();
        callback();
      });
      if (cancelled) timer.cancel();
    };
    arm();
    return {
      cancel() {
        cancelled = true;
        timer?.cancel();
      },
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(aborted());
        return;
      }
      const onAbort = (): void => {
        timer.cancel();
        if (this.#incarnation.alive) reject(aborted());
      };
      const timer = this.after(delayMs, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  yield(): Promise<void> {
    return this.#incarnation.promise(0, "compute", "yield", () => {});
  }
}

/** Waits by its machine's clock, which may change its pace meanwhile. */
class SimTimer implements Timer {
  readonly #incarnation: Incarnation;
  readonly #callback: () => void;
  readonly #dueMs: number;
  #scheduled: Scheduled | undefined;

  constructor(incarnation: Incarnation, delayMs: number, callback: () => void) {
    this.#incarnation = incarnation;
    this.#callback = callback;
    incarnation.timersCount++;
    incarnation.timers.add(this);
    // A real timer has a grain of a millisecond.
    const waitMs = Math.max(1, delayMs);
    this.#dueMs = incarnation.node.clock.monotonicMs + waitMs;
    this.#wait(waitMs);
  }

  cancel(): void {
    if (this.#scheduled === undefined) return;
    this.#scheduled.cancel();
    this.#forget();
  }

  /** What is due by now waits for nothing but its turn. */
  retime(): void {
    const leftMs = this.#dueMs - this.#incarnation.node.clock.monotonicMs;
    if (leftMs <= GRAIN_MS) return;
    this.#scheduled?.cancel();
    this.#wait(leftMs);
  }

  #wait(waitMs: number): void {
    const incarnation = this.#incarnation;
    const trueMs = incarnation.node.clock.trueMs(waitMs);
    this.#scheduled = incarnation.later(trueMs, "timer", "timer", () => {
      const leftMs = this.#dueMs - incarnation.node.clock.monotonicMs;
      if (leftMs > GRAIN_MS) {
        this.#wait(leftMs);
        return;
      }
      this.#forget();
      this.#callback();
    });
  }

  #forget(): void {
    this.#scheduled = undefined;
    this.#incarnation.timersCount--;
    this.#incarnation.timers.delete(this);
  }
}

function aborted(): OttlaError {
  return new OttlaError("ABORTED", "the sleep was aborted");
}

function checkDelay(delayMs: number): void {
  assert(
    Number.isFinite(delayMs) && delayMs >= 0 && delayMs < 2 ** 31,
    `timer of ${delayMs} ms, allowed are [0, 2^31)`,
  );
}
