/**
 * What waits for a partition's disk, in order: batches, and between them what may be done only once
 * everything before is written (sealing a segment, storing a checkpoint).
 */
import type { Batch } from "../record/batch.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { Segment } from "./segment.ts";

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
