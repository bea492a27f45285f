/** Producers that wait until a log position is reached, in the order of their positions. */
import type { ErrorCode } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";

export interface AckWaiter {
  /** One past the batch's last offset: reached means acknowledged. */
  readonly endOffset: Offset;
  readonly deadlineMs: number;
  /** Called once. Must not call back into the queue. */
  settle(error: ErrorCode | undefined): void;
}

/** Settled entries are cut off the array once this many have gathered at its front. */
const COMPACT_AT_COUNT = 1_024;

export class AckQueue {
  #waiters: AckWaiter[] = [];
  #head = 0;

  get size(): number {
    return this.#waiters.length - this.#head;
  }

  push(waiter: AckWaiter): void {
    const waiters = this.#waiters;
    // Appends come in order; only the retry of an earlier batch belongs further to the front.
    let at = waiters.length;
    while (at > this.#head && (waiters[at - 1] as AckWaiter).endOffset > waiter.endOffset) at--;
    if (at === waiters.length) waiters.push(waiter);
    else waiters.splice(at, 0, waiter);
  }

  /** Settles those whose end is reached. */
  release(reached: Offset): void {
    const waiters = this.#waiters;
    while (this.#head < waiters.length) {
      const waiter = waiters[this.#head] as AckWaiter;
      if (waiter.endOffset > reached) break;
      this.#head++;
      waiter.settle(undefined);
    }
    if (this.#head === waiters.length) {
      waiters.length = 0;
      this.#head = 0;
    } else if (this.#head >= COMPACT_AT_COUNT) {
      this.#waiters = waiters.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Settles those whose deadline has passed. */
  expire(nowMs: number, error: ErrorCode): void {
    const left: AckWaiter[] = [];
    for (let at = this.#head; at < this.#waiters.length; at++) {
      const waiter = this.#waiters[at] as AckWaiter;
      if (waiter.deadlineMs <= nowMs) waiter.settle(error);
      else left.push(waiter);
    }
    this.#waiters = left;
    this.#head = 0;
  }

  failAll(error: ErrorCode): void {
    this.expire(Number.POSITIVE_INFINITY, error);
  }

  /** Infinity if nobody waits. */
  earliestDeadlineMs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let at = this.#head; at < this.#waiters.length; at++) {
      earliest = Math.min(earliest, (this.#waiters[at] as AckWaiter).deadlineMs);
    }
    return earliest;
  }
}
