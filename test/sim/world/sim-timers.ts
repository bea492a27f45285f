/** Clock and timers of one incarnation, on the world's virtual time. */
import { assert } from "../../../src/base/assert.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type { Clock, Timer, Timers } from "../../../src/ports/clock.ts";
import type { Incarnation } from "./sim-node.ts";
import type { Scheduled } from "./world.ts";

/** Virtual time begins here: 2026-01-01T00:00:00Z. */
export const WALL_EPOCH_MS = 1_767_225_600_000;

export class SimClock implements Clock {
  readonly #incarnation: Incarnation;
  readonly #startMs: number;

  constructor(incarnation: Incarnation) {
    this.#incarnation = incarnation;
    // Each machine counts from somewhere else: nobody may compare two machines' monotonic times.
    this.#startMs = incarnation.node.name.length * 1_000 + incarnation.life * 100_000;
  }

  monotonicMs(): number {
    return this.#startMs + this.#incarnation.world.nowMs;
  }

  wallMs(): number {
    const { world, node } = this.#incarnation;
    return Math.floor(WALL_EPOCH_MS + world.nowMs + node.wallOffsetMs);
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

class SimTimer implements Timer {
  readonly #incarnation: Incarnation;
  #scheduled: Scheduled | undefined;

  constructor(incarnation: Incarnation, delayMs: number, callback: () => void) {
    this.#incarnation = incarnation;
    incarnation.timersCount++;
    // A real timer has a grain of a millisecond and never fires early.
    this.#scheduled = incarnation.later(Math.max(1, delayMs), "timer", "timer", () => {
      this.#scheduled = undefined;
      incarnation.timersCount--;
      callback();
    });
  }

  cancel(): void {
    if (this.#scheduled === undefined) return;
    this.#scheduled.cancel();
    this.#scheduled = undefined;
    this.#incarnation.timersCount--;
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
