/** One segment of a partition's log: a directory with a database of its own. */
import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { OttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";
import type { Crc32c } from "../ports/codecs.ts";
import type { Entry, KeyValueStore, WriteOperation } from "../ports/key-value-store.ts";
import { type Batch, hasValidCrc, lastOffset, readBatchHeader } from "../record/batch.ts";
import type { SegmentSummary } from "./checkpoint.ts";
import {
  barrierKey,
  batchKey,
  isBatchKey,
  keyOffset,
  segmentName,
  timeKey,
  timeValue,
} from "./segment-keys.ts";

/** A time index entry stands beside a batch at least this often. */
export const TIME_INDEX_INTERVAL_BYTES = 32 * 1024;
const SCAN_ENTRIES_COUNT = 4_096;
export const SCAN_BYTES = 1024 * 1024;

export class Segment {
  readonly baseOffset: Offset;
  readonly path: string;
  endOffset: Offset;
  sizeBytes: number;
  /** -1 while the segment is empty. */
  maxTimestamp: number;
  /** Wall clock at the first append; -1 while the segment is empty. */
  createdMs: number;
  /** Its directory exists. */
  onDisk: boolean;
  /** Nothing is appended any more, and its summary and the checkpoint at its end are stored. */
  sealed = false;
  /** Retention has taken it out of the log. */
  dropped = false;
  /** Of its first batch, once the log cleaner has asked; -1: unknown. */
  firstTimestamp: number | undefined;
  /** The log cleaner has put another in its place. */
  replaced = false;
  /** Bytes appended since the last entry of the time index; the first batch always gets one. */
  #unindexedBytes = TIME_INDEX_INTERVAL_BYTES;

  constructor(replicaPath: string, summary: SegmentSummary, onDisk: boolean) {
    this.baseOffset = summary.baseOffset;
    this.path = `${replicaPath}/${segmentName(summary.baseOffset)}`;
    this.endOffset = summary.endOffset;
    this.sizeBytes = summary.sizeBytes;
    this.maxTimestamp = summary.maxTimestamp;
    this.createdMs = summary.createdMs;
    this.onDisk = onDisk;
  }

  get isEmpty(): boolean {
    return this.endOffset === this.baseOffset;
  }

  summary(): SegmentSummary {
    return {
      baseOffset: this.baseOffset,
      endOffset: this.endOffset,
      sizeBytes: this.sizeBytes,
      maxTimestamp: this.maxTimestamp,
      createdMs: this.createdMs,
    };
  }

  /**
   * Counts a batch in. Returns the largest timestamp so far if the time index wants an entry
   * beside it, else undefined.
   */
  add({ header, bytes }: Batch, nowMs: number): number | undefined {
    assert(header.baseOffset === this.endOffset, "a segment's batches are contiguous");
    if (this.createdMs < 0) this.createdMs = nowMs;
    this.endOffset = lastOffset(header) + 1;
    this.sizeBytes += bytes.length;
    // A batch whose records are gone keeps its timestamp for the producer's state alone.
    const maxTimestamp = header.recordsCount === 0 ? -1 : header.maxTimestamp;
    this.maxTimestamp = Math.max(this.maxTimestamp, maxTimestamp);
    this.#unindexedBytes += bytes.length;
    if (this.#unindexedBytes < TIME_INDEX_INTERVAL_BYTES) return undefined;
    this.#unindexedBytes = 0;
    return this.maxTimestamp;
  }
}

/**
 * A write that says nothing and, synced, makes all earlier ones of the store durable. `end` is one
 * past the last batch written; what is still on its way must not be told of.
 */
export function barrier(end: Offset): WriteOperation {
  return { type: "put", key: barrierKey(end - 1), value: EMPTY_BYTES };
}

export function timeIndexEntry(offset: Offset, maxTimestamp: number): WriteOperation {
  return { type: "put", key: timeKey(offset), value: timeValue(maxTimestamp) };
}

/** A stored batch, checked against its key; its CRC is the caller's. Throws CORRUPT_MESSAGE. */
export function readStoredBatch({ key, value }: Entry): Batch {
  const offset = keyOffset(key);
  let batch: Batch;
  try {
    batch = { header: readBatchHeader(value), bytes: value };
  } catch (error) {
    throw new OttlaError("CORRUPT_MESSAGE", `stored batch up to offset ${offset} is malformed`, {
      cause: error,
    });
  }
  if (batch.header.sizeBytes !== value.length || lastOffset(batch.header) !== offset) {
    throw new OttlaError(
      "CORRUPT_MESSAGE",
      `stored batch of ${value.length} bytes under offset ${offset} says it has ${batch.header.sizeBytes} bytes and ends at ${lastOffset(batch.header)}`,
    );
  }
  return batch;
}

/** A stored batch, checked against its key and its CRC. Throws CORRUPT_MESSAGE. */
export function parseStoredBatch(entry: Entry, crc32c: Crc32c): Batch {
  const batch = readStoredBatch(entry);
  if (hasValidCrc(batch, crc32c)) return batch;
  throw new OttlaError(
    "CORRUPT_MESSAGE",
    `stored batch up to offset ${keyOffset(entry.key)} fails its CRC`,
  );
}

/** Calls `visit` with each entry from the batch that holds `from` on, until it returns false. */
export async function visitEntries(
  store: KeyValueStore,
  from: Offset,
  visit: (entry: Entry) => boolean,
): Promise<void> {
  const iterator = store.iterate({ gte: batchKey(from) });
  try {
    for (;;) {
      const entries = await iterator.next(SCAN_ENTRIES_COUNT, SCAN_BYTES);
      if (entries.length === 0) return;
      for (const entry of entries) {
        if (!visit(entry)) return;
      }
    }
  } finally {
    await iterator.close();
  }
}

/** Deletes every batch that reaches `offset` or lies above it, durably. */
export async function deleteEntriesFrom(store: KeyValueStore, offset: Offset): Promise<void> {
  for (;;) {
    const operations: WriteOperation[] = [];
    await visitEntries(store, offset, ({ key }) => {
      operations.push({ type: "delete", key });
      return operations.length < SCAN_ENTRIES_COUNT;
    });
    if (operations.length === 0) return;
    await store.write(operations, { sync: true });
  }
}

/** One past the last batch in the store; undefined if it holds none. */
export async function endOfStore(store: KeyValueStore): Promise<Offset | undefined> {
  const iterator = store.iterate({ reverse: true });
  try {
    for (;;) {
      const entries = await iterator.next(2, 1);
      if (entries.length === 0) return undefined;
      const batch = entries.find(({ key }) => isBatchKey(key));
      if (batch !== undefined) return keyOffset(batch.key) + 1;
    }
  } finally {
    await iterator.close();
  }
}
