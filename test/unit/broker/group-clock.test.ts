import { expect, test } from "vitest";
import { GroupClock } from "../../../src/broker/groups/group-clock.ts";
import type { Ports } from "../../../src/ports/ports.ts";

/** A process whose event loop the test stops and lets go. */
class Process {
  nowMs = 1_000;
  readonly ticks: number[] = [];
  readonly clock: GroupClock;
  #due: { readonly atMs: number; readonly callback: () => void }[] = [];

  constructor() {
    const after = (delayMs: number, callback: () => void) => {
      const due = { atMs: this.nowMs + delayMs, callback };
      this.#due.push(due);
      return {
        cancel: () => {
          this.#due = this.#due.filter((each) => each !== due);
        },
      };
    };
    const clock = { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs };
    this.clock = new GroupClock({ clock, timers: { after } } as unknown as Ports, (now) => {
      this.ticks.push(now.monotonicMs);
    });
  }

  get nextMs(): number {
    return Math.min(...this.#due.map(({ atMs }) => atMs));
  }

  /** Runs what is due, each at its time, unless the process stands still until the end. */
  pass(durationMs: number, options: { readonly stalled?: boolean } = {}): void {
    const untilMs = this.nowMs + durationMs;
    for (;;) {
      const next = this.#due.find(({ atMs }) => atMs === this.nextMs);
      if (next === undefined || next.atMs > untilMs) break;
      this.#due = this.#due.filter((each) => each !== next);
      this.nowMs = options.stalled === true ? untilMs : next.atMs;
      next.callback();
    }
    this.nowMs = untilMs;
  }
}

test("ticks when it is needed, and often enough to notice a stall", () => {
  const one = new Process();
  one.clock.need(Number.POSITIVE_INFINITY);
  one.pass(10_000);
  expect(one.ticks).toEqual([]);
  one.clock.need(11_100);
  one.clock.need(11_040);
  expect(one.nextMs).toBe(11_040);
  one.pass(100);
  expect(one.ticks).toEqual([11_040]);
  one.clock.need(90_000);
  expect(one.nextMs).toBe(11_350);
});

test("stands still while the process does: nobody's session ends by our own silence", () => {
  const one = new Process();
  const sessionEndsMs = one.clock.now().monotonicMs + 10_000;
  one.clock.need(sessionEndsMs);
  one.pass(30_000, { stalled: true });
  expect(one.clock.now().monotonicMs).toBeLessThan(sessionEndsMs);
  // From here on it runs again.
  const before = one.clock.now().monotonicMs;
  one.pass(500);
  expect(one.clock.now().monotonicMs).toBe(before + 500);
});

test("is still after its end", () => {
  const one = new Process();
  one.clock.need(2_000);
  one.clock.close();
  one.clock.need(3_000);
  one.pass(10_000);
  expect(one.ticks).toEqual([]);
});
