/**
 * Up to where a key may have lost its beginning, by whatever the history says: records deleted on
 * request, retention, a deleted topic. A deletion counts from its invoke on, unless it failed for
 * certain; what it promises counts from its completion on.
 */
import { FAIL, type KeyTable, OK } from "./tables.ts";

export interface RemovalRules {
  /** Retention may remove the beginning of every key. */
  readonly prefix: boolean;
  /** Topics with retention of their own. */
  readonly retained: ReadonlySet<string>;
  /** Topics that were deleted, or may have been. */
  readonly deleted: ReadonlySet<string>;
  /** Topics that are compacted, or may be. */
  readonly compacted: ReadonlySet<string>;
}

export class Removals {
  /** Retention removes when it likes: only what a reader saw tells how far it came. */
  readonly byRetention: boolean;
  readonly topicDeleted: boolean;
  readonly #invokedAt: number[] = [];
  readonly #reach: number[] = [];
  readonly #completedAt: number[] = [];
  readonly #promised: number[] = [];

  constructor(key: KeyTable, rules: RemovalRules) {
    this.byRetention = rules.prefix || rules.retained.has(key.topic);
    this.topicDeleted = rules.deleted.has(key.topic);
    let reach = 0;
    for (const { outcome, invokedAt, before, lowWatermark } of key.deletions) {
      if (outcome === FAIL) continue;
      const upToHighWatermark = outcome === OK ? lowWatermark : Number.POSITIVE_INFINITY;
      reach = Math.max(reach, before === -1 ? upToHighWatermark : before);
      this.#invokedAt.push(invokedAt);
      this.#reach.push(reach);
    }
    let promised = 0;
    const completed = key.deletions.filter(({ outcome }) => outcome === OK);
    completed.sort((left, right) => left.completedAt - right.completedAt);
    for (const { completedAt, lowWatermark } of completed) {
      promised = Math.max(promised, lowWatermark);
      this.#completedAt.push(completedAt);
      this.#promised.push(promised);
    }
  }

  /** Offsets below may be gone as line `at` is written. */
  reachAt(at: number): number {
    if (this.byRetention || this.topicDeleted) return Number.POSITIVE_INFINITY;
    return lastBefore(this.#invokedAt, this.#reach, at);
  }

  /** Offsets below are gone, acknowledged, before line `at`. */
  promisedBefore(at: number): number {
    return lastBefore(this.#completedAt, this.#promised, at);
  }

  /** The line that promised it, for the report. */
  lineOfPromise(at: number): number {
    return lastBefore(this.#completedAt, this.#completedAt, at);
  }
}

/** The value that belongs to the last of the rising `lines` before `at`; 0 when there is none. */
function lastBefore(lines: readonly number[], values: readonly number[], at: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((lines[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? 0 : (values[low - 1] as number);
}
