/** Virtual time for tests of hosts: nothing happens unless the test lets time pass. */
import { Heap } from "../../src/base/heap.ts";
import type { Timer } from "../../src/ports/clock.ts";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualTime {
  nowMs = 1_000;
  #order = 0;
  readonly #events = new Heap<Event>((left, right) =>
    left.atMs === right.atMs ? left.order < right.order : left.atMs < right.atMs,
  );

  at(delayMs: number, run: () => void): Timer {
    let cancelled = false;
    const event = {
      atMs: this.nowMs + delayMs,
      order: this.#order++,
      run: () => cancelled || run(),
    };
    this.#events.push(event);
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  }

  /** Lets `durationMs` pass; every event is followed by all promises that it settles. */
  async pass(durationMs: number): Promise<void> {
    const endMs = this.nowMs + durationMs;
    await drain();
    for (;;) {
      const next = this.#events.peek();
      if (next === undefined || next.atMs > endMs) break;
      this.#events.pop();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      await drain();
    }
    this.nowMs = endMs;
  }

  /** Lets time pass until the condition holds; fails after `limitMs`. Returns the time it took. */
  async until(condition: () => boolean, limitMs: number): Promise<number> {
    const startMs = this.nowMs;
    while (!condition()) {
      if (this.nowMs - startMs >= limitMs)
        throw new Error(`not within ${limitMs} ms: ${condition}`);
      await this.pass(5);
    }
    return this.nowMs - startMs;
  }

  /** The clock jumps while nothing runs: what was due happens in one burst afterwards. */
  stall(durationMs: number): void {
    this.nowMs += durationMs;
  }
}

function drain(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
