/**
 * Recent batches of a log in memory, contiguous up to its end: followers and consumers at the tail
 * read them without touching the disk, also before they are written. What is not written yet stays
 * whatever it weighs; the append queue bounds that.
 */
import type { Offset } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import { type Batch, lastOffset } from "../record/batch.ts";

/** What a batch costs beside its bytes: header object, views. Else tiny batches would be free. */
const BATCH_OVERHEAD_BYTES = 400;
/** A view is copied if it and its neighbours use less than this part of the buffer they pin. */
const PINNED_RATIO = 4;

export function cost(batch: Batch): number {
  return batch.bytes.length + BATCH_OVERHEAD_BYTES;
}

/** The budget of all tail caches of a broker. Over it, the log appended to longest ago gives first. */
export class TailBudget {
  readonly #limitBytes: number;
  /** In order of last append. */
  readonly #caches = new Set<TailCache>();
  #bytes = 0;

  constructor(limitBytes: number = LIMITS.tailCacheTotalBytes) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  grow(cache: TailCache, bytes: number): void {
    this.#bytes += bytes;
    this.#caches.delete(cache);
    this.#caches.add(cache);
    if (this.#bytes <= this.#limitBytes) return;
    for (const other of this.#caches) {
      other.evict(this.#bytes - this.#limitBytes);
      if (this.#bytes <= this.#limitBytes) return;
    }
  }

  shrink(cache: TailCache, bytes: number): void {
    this.#bytes -= bytes;
    if (cache.bytes === 0) this.#caches.delete(cache);
  }
}

export class TailCache {
  readonly #budget: TailBudget;
  readonly #limitBytes: number;
  /** Live from `#first`; the slots before it are empty and cut off now and then. */
  #batches: (Batch | undefined)[] = [];
  #first = 0;
  #bytes = 0;
  #writtenEnd: Offset = 0;

  constructor(budget: TailBudget, limitBytes: number = LIMITS.tailCachePartitionBytes) {
    this.#budget = budget;
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#batches.length - this.#first;
  }

  push(batch: Batch): void {
    this.#batches.push(batch);
    this.#bytes += cost(batch);
    this.#budget.grow(this, cost(batch));
    if (this.#bytes > this.#limitBytes) this.evict(this.#bytes - this.#limitBytes);
  }

  /** Everything below is in the store, so that it may be forgotten here. */
  writtenUpTo(offset: Offset): void {
    this.#writtenEnd = offset;
    if (this.#bytes > this.#limitBytes) this.evict(this.#bytes - this.#limitBytes);
  }

  /** Forgets the oldest written batches, `bytes` of them if there are as many. */
  evict(bytes: number): void {
    let freed = 0;
    while (freed < bytes && this.#first < this.#batches.length) {
      const batch = this.#batches[this.#first] as Batch;
      if (lastOffset(batch.header) >= this.#writtenEnd) break;
      this.#batches[this.#first] = undefined;
      this.#first++;
      freed += cost(batch);
    }
    if (freed > 0) this.#freed(freed);
    if (this.#first > 64 && this.#first * 2 > this.#batches.length) {
      this.#batches.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** Forgets what lies below: the store has less of it by now. */
  evictBelow(offset: Offset): void {
    let bytes = 0;
    for (let index = this.#first; index < this.#batches.length; index++) {
      const batch = this.#batches[index] as Batch;
      if (batch.header.baseOffset >= offset) break;
      bytes += cost(batch);
    }
    this.evict(bytes);
  }

  /** As `PartitionLog.read`; undefined if `from` lies before the cache. */
  read(from: Offset, maxBytes: number, upTo: Offset): Batch[] | undefined {
    const oldest = this.#batches[this.#first];
    if (oldest === undefined || from < oldest.header.baseOffset) return undefined;
    const out: Batch[] = [];
    let bytes = 0;
    for (let index = this.#find(from); index < this.#batches.length; index++) {
      const batch = this.#batches[index] as Batch;
      if (lastOffset(batch.header) >= upTo) break;
      if (out.length > 0 && bytes + batch.bytes.length > maxBytes) break;
      out.push(batch);
      bytes += batch.bytes.length;
    }
    return out;
  }

  /** Forgets every batch that reaches `offset` or lies above it. */
  truncateTo(offset: Offset): void {
    let freed = 0;
    while (this.#batches.length > this.#first) {
      const batch = this.#batches.at(-1) as Batch;
      if (lastOffset(batch.header) < offset) break;
      this.#batches.pop();
      freed += cost(batch);
    }
    if (freed > 0) this.#freed(freed);
  }

  clear(): void {
    const freed = this.#bytes;
    this.#batches = [];
    this.#first = 0;
    if (freed > 0) this.#freed(freed);
  }

  #freed(bytes: number): void {
    this.#bytes -= bytes;
    this.#budget.shrink(this, bytes);
  }

  /** Index of the first batch whose last offset is >= `offset`. */
  #find(offset: Offset): number {
    let low = this.#first;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lastOffset((this.#batches[middle] as Batch).header) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The batches with bytes that pin little beside themselves. A small view of a large network buffer
 * would keep all of it alive as long as the cache holds the view; views that share their buffer
 * count together, for one of them kept keeps it for all.
 */
export function unpinned(batches: readonly Batch[]): readonly Batch[] {
  let wasteful = false;
  const used = new Map<ArrayBufferLike, number>();
  for (const { bytes } of batches) {
    const { buffer } = bytes;
    if (bytes.length * PINNED_RATIO < buffer.byteLength) wasteful = true;
    used.set(buffer, (used.get(buffer) ?? 0) + bytes.length);
  }
  if (!wasteful) return batches;
  return batches.map((batch) => {
    const { buffer } = batch.bytes;
    if ((used.get(buffer) as number) * PINNED_RATIO >= buffer.byteLength) return batch;
    // `new` and `set`: `slice` of a Node Buffer would be a view again.
    const bytes = new Uint8Array(batch.bytes.length);
    bytes.set(batch.bytes);
    return { header: batch.header, bytes };
  });
}
