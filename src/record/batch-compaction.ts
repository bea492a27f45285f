/**
 * What the log cleaner leaves of one batch, given the last offset of each key: a record stays if
 * none with its key follows, a tombstone only until its delete horizon (KIP-534). The survivors
 * keep offset, timestamp and bytes; the batch keeps base offset, last offset, epoch, producer.
 *
 * Its work is cut into steps, because a batch may hold a million records.
 */
import { varlongSize, writeVarint, writeVarlong } from "../base/varint.ts";
import type { Offset } from "../model/ids.ts";
import {
  BATCH_HEADER_BYTES,
  type Batch,
  type BatchHeader,
  deleteHorizonOf,
  readBatchHeader,
  withDeleteHorizon,
  writeBatchHeader,
} from "./batch.ts";
import type { OffsetMap } from "./offset-map.ts";
import { RecordCursor } from "./record-cursor.ts";

export interface CompactionRules {
  readonly lastOffsets: Pick<OffsetMap, "get">;
  /** The map knows all that lies below; records from here on stay whatever it says. */
  readonly mappedEnd: Offset;
  readonly nowMs: number;
  /** `delete.retention.ms` */
  readonly deleteRetentionMs: number;
}

/** A timestamp's delta may become this much longer, and with it the record's length. */
const GROWTH_BYTES = 10;

export class BatchCompaction {
  readonly #header: BatchHeader;
  readonly #rules: CompactionRules;
  readonly #horizonMs: number | undefined;
  #cursor: RecordCursor;
  readonly #section: Uint8Array;
  /** Where the runs of survivors begin and end, in turn. */
  readonly #runs: number[] = [];
  #survivorsCount = 0;
  #survivorsBytes = 0;
  #recordsWithoutKeyCount = 0;
  #tombstones = false;
  #unmappedTombstones = false;
  /** Only while timestamps are written anew. */
  #rewriting = false;
  #run = 0;
  #output: Uint8Array | undefined;
  #position = BATCH_HEADER_BYTES;

  /** `section`: the batch's records, uncompressed. */
  constructor(header: BatchHeader, section: Uint8Array, rules: CompactionRules) {
    this.#header = header;
    this.#rules = rules;
    this.#horizonMs = deleteHorizonOf(header);
    this.#section = section;
    this.#cursor = new RecordCursor(header, section);
  }

  get survivorsCount(): number {
    return this.#survivorsCount;
  }

  /** Dropped, as Kafka does: nothing could ever supersede them. */
  get recordsWithoutKeyCount(): number {
    return this.#recordsWithoutKeyCount;
  }

  /** The batch stays as it is, byte by byte. */
  get isUnchanged(): boolean {
    return this.#survivorsCount === this.#header.recordsCount && !this.#setsHorizon;
  }

  /** Does the work of about `recordsCount` records; true when all is done. Throws CORRUPT_MESSAGE. */
  step(recordsCount: number): boolean {
    for (let count = 0; count < recordsCount; count++) {
      if (this.#rewriting) {
        if (!this.#rewriteNext()) return true;
      } else if (!this.#judgeNext()) {
        if (this.#survivorsCount === 0 || !this.#setsHorizon) return true;
        this.#rewriting = true;
        this.#cursor = new RecordCursor(this.#header, this.#section);
        const bytes = this.#survivorsBytes + this.#survivorsCount * GROWTH_BYTES;
        this.#output = new Uint8Array(BATCH_HEADER_BYTES + bytes);
      }
    }
    return false;
  }

  /** The survivors' section, uncompressed. */
  section(): Uint8Array {
    if (this.#output === undefined) {
      this.#output = new Uint8Array(BATCH_HEADER_BYTES + this.#survivorsBytes);
      for (let run = 0; run < this.#runs.length; run += 2) {
        const start = this.#runs[run] as number;
        const end = this.#runs[run + 1] as number;
        this.#output.set(this.#section.subarray(start, end), this.#position);
        this.#position += end - start;
      }
    }
    return this.#output.subarray(BATCH_HEADER_BYTES, this.#position);
  }

  /** The batch of the survivors. `compressed`: their section after its codec, absent for none. */
  batch(compressed: Uint8Array | undefined, crc32c: (bytes: Uint8Array) => number): Batch {
    const section = compressed ?? this.section();
    let bytes: Uint8Array;
    if (compressed === undefined) {
      bytes = (this.#output as Uint8Array).subarray(0, this.#position);
    } else {
      bytes = new Uint8Array(BATCH_HEADER_BYTES + section.length);
      bytes.set(section, BATCH_HEADER_BYTES);
    }
    const header = this.#setsHorizon
      ? withDeleteHorizon(this.#header, this.#newHorizonMs)
      : this.#header;
    writeBatchHeader(bytes, { ...header, recordsCount: this.#survivorsCount }, crc32c);
    return { header: readBatchHeader(bytes), bytes };
  }

  /**
   * Only once older values are gone does a horizon begin to count: readers that have seen them must
   * find the tombstone for as long. Where the map ends within the batch, the next pass sets it.
   */
  get #setsHorizon(): boolean {
    return this.#tombstones && !this.#unmappedTombstones && this.#horizonMs === undefined;
  }

  get #newHorizonMs(): number {
    const { nowMs, deleteRetentionMs } = this.#rules;
    return Math.min(nowMs + deleteRetentionMs, Number.MAX_SAFE_INTEGER);
  }

  #judgeNext(): boolean {
    const cursor = this.#cursor;
    if (!cursor.next()) return false;
    if (!this.#survives()) return true;
    const isTombstone = cursor.hasKey && !cursor.hasValue;
    if (isTombstone) {
      if (cursor.offset < this.#rules.mappedEnd) this.#tombstones = true;
      else this.#unmappedTombstones = true;
    }
    const runs = this.#runs;
    if (runs.length > 0 && runs[runs.length - 1] === cursor.start) {
      runs[runs.length - 1] = cursor.end;
    } else runs.push(cursor.start, cursor.end);
    this.#survivorsCount++;
    this.#survivorsBytes += cursor.end - cursor.start;
    return true;
  }

  #survives(): boolean {
    const cursor = this.#cursor;
    const { lastOffsets, mappedEnd, nowMs } = this.#rules;
    if (cursor.offset >= mappedEnd) return true;
    if (!cursor.hasKey) {
      this.#recordsWithoutKeyCount++;
      return false;
    }
    const last = lastOffsets.get(cursor.bytes, cursor.keyStart, cursor.keyEnd);
    if (cursor.offset < last) return false;
    return cursor.hasValue || this.#horizonMs === undefined || nowMs < this.#horizonMs;
  }

  /** Copies the next survivor with its timestamp counted from the horizon. */
  #rewriteNext(): boolean {
    const cursor = this.#cursor;
    if (!cursor.next()) return false;
    const runs = this.#runs;
    while (this.#run < runs.length && (runs[this.#run + 1] as number) <= cursor.start) {
      this.#run += 2;
    }
    if (this.#run === runs.length || cursor.start < (runs[this.#run] as number)) return true;
    const delta = this.#header.baseTimestamp + cursor.timestampDelta - this.#newHorizonMs;
    const out = this.#output as Uint8Array;
    const rest = cursor.end - cursor.restAt;
    const size = 1 + varlongSize(delta) + rest;
    let at = writeVarint(out, this.#position, size);
    out[at++] = cursor.bytes[cursor.attributesAt] as number;
    at = writeVarlong(out, at, delta);
    out.set(cursor.bytes.subarray(cursor.restAt, cursor.end), at);
    this.#position = at + rest;
    return true;
  }
}
