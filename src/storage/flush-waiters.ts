import type { OttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";

interface Waiter {
  readonly target: Offset;
  readonly resolve: () => void;
  readonly reject: (error: OttlaError) => void;
}

/** Who waits until a log is fsynced up to some offset. */
export class FlushWaiters {
  #waiting: Waiter[] = [];

  until(target: Offset): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ target, resolve, reject });
    });
  }

  flushedUpTo(end: Offset): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ target }) => target > end);
    for (const { target, resolve } of waiting) if (target <= end) resolve();
  }

  rejectAll(error: OttlaError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(error);
  }
}
