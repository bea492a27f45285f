/**
 * Deadlines that are put off far more often than they are met (each heartbeat puts one off): what
 * has one stands in the heap once, and is moved only when its old time comes.
 */
import { Heap } from "../base/heap.ts";

/** Something with one deadline; `deadlineMs` is Infinity while it has none. */
export interface Timed {
  deadlineMs: number;
  /** Time of its valid entry in the queue; Infinity if there is none. The queue's own. */
  queuedMs: number;
}

interface Entry<Owner extends Timed> {
  readonly owner: Owner;
  readonly atMs: number;
  readonly sequence: number;
}

export class DeadlineQueue<Owner extends Timed> {
  readonly #heap = new Heap<Entry<Owner>>(
    (left, right) =>
      left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence),
  );
  #sequence = 0;

  /** Infinity takes the deadline away. */
  set(owner: Owner, deadlineMs: number): void {
    owner.deadlineMs = deadlineMs;
    if (deadlineMs >= owner.queuedMs) return;
    owner.queuedMs = deadlineMs;
    this.#heap.push({ owner, atMs: deadlineMs, sequence: this.#sequence++ });
  }

  /** Not after the earliest deadline; Infinity if there is none. */
  get nextMs(): number {
    return this.#heap.peek()?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** The next owner whose deadline is met, without it from now on; undefined if there is none. */
  pop(nowMs: number): Owner | undefined {
    for (let top = this.#heap.peek(); top !== undefined && top.atMs <= nowMs; ) {
      this.#heap.pop();
      const { owner, atMs } = top;
      if (owner.queuedMs === atMs) {
        owner.queuedMs = Number.POSITIVE_INFINITY;
        if (owner.deadlineMs <= nowMs) {
          owner.deadlineMs = Number.POSITIVE_INFINITY;
          return owner;
        }
        if (owner.deadlineMs !== Number.POSITIVE_INFINITY) this.set(owner, owner.deadlineMs);
      }
      top = this.#heap.peek();
    }
    return undefined;
  }
}
