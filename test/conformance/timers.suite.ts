/** What clock and timers promise. Nothing here measures how long the real ones take. */
import { describe, expect, test } from "vitest";
import type { Clock, Timers } from "../../src/ports/clock.ts";

export interface TimersSubject {
  readonly clock: Clock;
  readonly timers: Timers;
}

export function timersSuite(name: string, make: () => TimersSubject): void {
  describe(`${name} as Clock and Timers`, () => {
    test("the monotonic clock never falls, and the wall clock is an integer of this epoch", async () => {
      const { clock, timers } = make();
      let last = clock.monotonicMs();
      for (let index = 0; index < 5; index++) {
        await timers.sleep(1);
        const now = clock.monotonicMs();
        expect(now).toBeGreaterThanOrEqual(last);
        last = now;
      }
      expect(Number.isSafeInteger(clock.wallMs())).toBe(true);
      expect(clock.wallMs()).toBeGreaterThan(Date.UTC(2020, 0));
    });

    test("a timer runs once, not before its delay", async () => {
      const { clock, timers } = make();
      const start = clock.monotonicMs();
      let runs = 0;
      const elapsed = await new Promise<number>((resolve) => {
        timers.after(12, () => {
          runs++;
          resolve(clock.monotonicMs() - start);
        });
      });
      // Real timers count whole milliseconds from the loop's own time, which may be a little old.
      expect(elapsed).toBeGreaterThanOrEqual(11);
      await timers.sleep(30);
      expect(runs).toBe(1);
    });

    test("a cancelled timer never runs; cancel is idempotent", async () => {
      const { timers } = make();
      let runs = 0;
      const once = timers.after(5, () => runs++);
      const often = timers.every(5, () => runs++);
      once.cancel();
      often.cancel();
      often.cancel();
      await timers.sleep(30);
      once.cancel();
      expect(runs).toBe(0);
    });

    test("a periodic timer runs until it is cancelled, from within its own callback too", async () => {
      const { timers } = make();
      let runs = 0;
      await new Promise<void>((resolve) => {
        const timer = timers.every(2, () => {
          runs++;
          if (runs < 3) return;
          timer.cancel();
          resolve();
        });
      });
      await timers.sleep(20);
      expect(runs).toBe(3);
    });

    test("sleep rejects with ABORTED when its signal aborts, before or during", async () => {
      const { timers } = make();
      await expect(timers.sleep(10, AbortSignal.abort())).rejects.toMatchObject({
        code: "ABORTED",
      });
      const abort = new AbortController();
      const slept = timers.sleep(60_000, abort.signal);
      abort.abort();
      await expect(slept).rejects.toMatchObject({ code: "ABORTED" });
      const unaborted = new AbortController();
      await timers.sleep(1, unaborted.signal);
      unaborted.abort();
    });

    test("yield lets a due timer run", async () => {
      const { timers } = make();
      let ran = false;
      timers.after(0, () => {
        ran = true;
      });
      for (let turn = 0; turn < 1_000_000 && !ran; turn++) {
        await timers.yield();
        // The virtual clock stands still while code runs: a sleep moves it, as real work would.
        if (turn === 100) await timers.sleep(2);
      }
      expect(ran).toBe(true);
    });
  });
}
