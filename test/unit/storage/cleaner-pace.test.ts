/** How the log cleaner shares the event loop, by a clock that moves only as the test says. */
import { expect, test } from "vitest";
import type { Clock, Timers } from "../../../src/ports/clock.ts";
import { CleanerPace } from "../../../src/storage/cleaner-pace.ts";

const SLICES_COUNT = 100;

class Loop {
  nowMs = 1_000;
  sleptMs = 0;
  /** What others do in each turn of the loop. */
  othersMs = 0;
  readonly clock: Clock = {
    monotonicMs: () => this.nowMs,
    wallMs: () => this.nowMs,
  };
  readonly timers: Pick<Timers, "yield" | "sleep"> = {
    yield: () => {
      this.nowMs += this.othersMs;
      return Promise.resolve();
    },
    sleep: (ms: number) => {
      this.nowMs += ms;
      this.sleptMs += ms;
      return Promise.resolve();
    },
  };

  /** Part of the time that the cleaner has, once it knows whether others are at work. */
  async share(): Promise<number> {
    const pace = new CleanerPace({
      clock: this.clock,
      timers: this.timers as Timers,
      bytesPerSecond: () => Number.MAX_VALUE,
    });
    const { signal } = new AbortController();
    let ownMs = 0;
    let beganMs = this.nowMs;
    for (let slice = 0; slice < 2 * SLICES_COUNT; slice++) {
      if (slice === SLICES_COUNT) {
        ownMs = 0;
        beganMs = this.nowMs;
      }
      const sliceBeganMs = this.nowMs;
      while (!pace.isDue) this.nowMs += 0.125;
      ownMs += this.nowMs - sliceBeganMs;
      await pace.yield(signal);
    }
    return ownMs / (this.nowMs - beganMs);
  }
}

test("a loop that is idle is the cleaner's", async () => {
  const loop = new Loop();
  loop.othersMs = 0.03;
  expect(await loop.share()).toBeGreaterThan(0.9);
  expect(loop.sleptMs).toBe(0);
});

test("beside others who are always at it, if not for long, it has about a quarter", async () => {
  const loop = new Loop();
  loop.othersMs = 0.5;
  const share = await loop.share();
  expect(share).toBeLessThan(0.26);
  expect(share).toBeGreaterThan(0.15);
});

test("the busier the loop, the less; but never nothing", async () => {
  const loop = new Loop();
  loop.othersMs = 10;
  const share = await loop.share();
  expect(share).toBeLessThan(0.06);
  loop.othersMs = 1_000;
  expect(await loop.share()).toBeGreaterThan(0);
  loop.sleptMs = 0;
  await loop.share();
  expect(loop.sleptMs).toBeLessThanOrEqual(2 * SLICES_COUNT * 20);
});
