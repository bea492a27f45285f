/**
 * What waits for a partition's disk, in order: batches, and between them what may be done only once
 * everything before is written (sealing a segment, storing a checkpoint).
 */
import { OttlaError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { WriteOperation } from "../ports/key-value-store.ts";
import { type Batch, lastOffset } from "../record/batch.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { LogContext } from "./log-context.ts";
import { type Segment, timeIndexEntry } from "./segment.ts";
import { batchKey } from "./segment-keys.ts";

export type QueuedWork =
  | {
      readonly type: "batch";
      readonly batch: Batch;
      readonly segment: Segment;
      /** Largest timestamp up to this batch, if the time index gets an entry beside it. */
      readonly timeIndex: number | undefined;
    }
  | { readonly type: "checkpoint"; readonly checkpoint: Checkpoint }
  | { readonly type: "seal"; readonly segment: Segment; readonly checkpoint: Checkpoint };

export type QueuedBatch = Extract<QueuedWork, { type: "batch" }>;

export class AppendQueue {
  #items: QueuedWork[] = [];
  #first = 0;
  #bytes = 0;

  /** Bytes of the batches that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#first === this.#items.length;
  }

  push(item: QueuedWork): void {
    this.#items.push(item);
    if (item.type === "batch") this.#bytes += item.batch.bytes.length;
  }

  peek(): QueuedWork | undefined {
    return this.#items[this.#first];
  }

  /** Takes the first item, which is not a batch. */
  shift(): void {
    this.#first++;
    this.#compact();
  }

  /**
   * The run of batches at the front that go into one segment, about `maxBytes` of them. They stay
   * counted in `bytes` until `settled`.
   */
  takeRun(maxBytes: number): QueuedBatch[] {
    const run: QueuedBatch[] = [];
    let bytes = 0;
    while (this.#first < this.#items.length) {
      const item = this.#items[this.#first] as QueuedWork;
      if (item.type !== "batch" || (run[0] !== undefined && item.segment !== run[0].segment)) break;
      if (run.length > 0 && bytes + item.batch.bytes.length > maxBytes) break;
      run.push(item);
      bytes += item.batch.bytes.length;
      this.#first++;
    }
    this.#compact();
    return run;
  }

  settled(bytes: number): void {
    this.#bytes -= bytes;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
    this.#bytes = 0;
  }

  #compact(): void {
    if (this.#first < this.#items.length && this.#first < 1_024) return;
    this.#items.splice(0, this.#first);
    this.#first = 0;
  }
}

/** One write for a run of batches, with the entries of the time index beside them. */
export function writeOf(run: readonly QueuedBatch[]): {
  readonly operations: readonly WriteOperation[];
  readonly bytes: number;
  readonly messages: number;
} {
  const operations: WriteOperation[] = [];
  let bytes = 0;
  let messages = 0;
  for (const { batch, timeIndex } of run) {
    const offset = lastOffset(batch.header);
    operations.push({ type: "put", key: batchKey(offset), value: batch.bytes });
    if (timeIndex !== undefined) operations.push(timeIndexEntry(offset, timeIndex));
    bytes += batch.bytes.length;
    messages += batch.header.recordsCount;
  }
  return { operations, bytes, messages };
}

/** Throws DISK_FULL, or THROTTLING_QUOTA_EXCEEDED if the batches would wait behind too much. */
export function assertRoom(
  { directory, key }: LogContext,
  queue: AppendQueue,
  batches: readonly Batch[],
): void {
  if (directory.full) {
    throw new OttlaError(
      "DISK_FULL",
      `${key}: free space of ${directory.path} is below the reserve`,
    );
  }
  let size = queue.bytes;
  for (const { bytes } of batches) size += bytes.length;
  if (size > LIMITS.appendQueueBytes && queue.bytes > 0) {
    throw new OttlaError(
      "THROTTLING_QUOTA_EXCEEDED",
      `${key}: ${queue.bytes} bytes wait for the disk, allowed are ${LIMITS.appendQueueBytes}`,
    );
  }
}
