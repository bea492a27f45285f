import { OttlaError } from "../model/errors.ts";
import type { Timer, Timers } from "../ports/clock.ts";

/** Node fires a longer timer at once. */
const DELAY_MS_MAX = 2 ** 31 - 1;

function checked(delayMs: number): number {
  if (delayMs >= 0 && delayMs <= DELAY_MS_MAX) return delayMs;
  throw new OttlaError(
    "INVALID_ARGUMENT",
    `delay is ${delayMs} ms; it must be 0 to ${DELAY_MS_MAX}`,
  );
}

/** The event loop's timers. */
export const systemTimers: Timers = {
  after(delayMs, callback): Timer {
    const handle = setTimeout(callback, checked(delayMs));
    return { cancel: () => clearTimeout(handle) };
  },
  every(periodMs, callback): Timer {
    const handle = setInterval(callback, checked(periodMs));
    return { cancel: () => clearInterval(handle) };
  },
  sleep(delayMs, signal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        clearTimeout(handle);
        reject(new OttlaError("ABORTED", "the wait was given up", { cause: signal?.reason }));
      };
      const handle = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, checked(delayMs));
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};
