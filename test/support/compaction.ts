/** Keyed batches, and what a reader of last values finds, for tests of compaction. */
import { text, utf8 } from "../../src/base/bytes.ts";
import type { LeaderEpoch, Offset } from "../../src/model/ids.ts";
import {
  type Batch,
  lastOffset,
  placeBatch,
  recordsSection,
  splitBatches,
} from "../../src/record/batch.ts";
import { BatchBuilder, visitRecords } from "../../src/record/records.ts";
import type { PartitionLog } from "../../src/storage/log.ts";
import { crc32c } from "../sim/world/sim-codecs.ts";

export interface KeyedRecord {
  /** Null: a record without key. */
  readonly key: string | null;
  /** Null: a tombstone. */
  readonly value: string | null;
  readonly timestamp?: number;
}

export interface KeyedBatchPlan {
  readonly baseOffset: Offset;
  readonly leaderEpoch?: LeaderEpoch;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
}

export function keyedBatch(records: readonly KeyedRecord[], plan: KeyedBatchPlan): Batch {
  const builder = new BatchBuilder(256);
  for (const [index, { key, value, timestamp }] of records.entries()) {
    builder.append({
      timestamp: timestamp ?? 1_000 + plan.baseOffset + index,
      key: key === null ? null : utf8(key),
      value: value === null ? null : utf8(value),
      headers: [],
    });
  }
  const bytes = builder.seal({
    codec: "none",
    producerId: plan.producerId ?? -1,
    producerEpoch: plan.producerEpoch ?? (plan.producerId === undefined ? -1 : 0),
    baseSequence: plan.baseSequence ?? -1,
    crc32c,
  });
  const { baseOffset, leaderEpoch = 0 } = plan;
  return placeBatch(splitBatches(bytes)[0] as Batch, { baseOffset, leaderEpoch });
}

export interface FoundRecord {
  readonly offset: Offset;
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: number;
}

export function recordsOf(batches: readonly Batch[]): FoundRecord[] {
  const out: FoundRecord[] = [];
  for (const batch of batches) {
    visitRecords(batch.header, recordsSection(batch), (offset, timestamp, key, value) => {
      out.push({
        offset,
        timestamp,
        key: key === null ? null : text(key),
        value: value === null ? null : text(value),
      });
    });
  }
  return out;
}

/** The last record of each key, by key; with `tombstones` false, of those that live. */
export function lastValues(
  records: readonly FoundRecord[],
  tombstones = false,
): Map<string, FoundRecord> {
  const last = new Map<string, FoundRecord>();
  for (const record of records) {
    if (record.key === null) continue;
    last.delete(record.key);
    if (record.value !== null || tombstones) last.set(record.key, record);
  }
  return last;
}

/** Every batch from the log's start to its end; throws if one does not continue the other. */
export async function readDense(log: PartitionLog): Promise<Batch[]> {
  const out: Batch[] = [];
  for (let at = log.logStartOffset; at < log.logEndOffset; ) {
    const batches = await log.read(at, { maxBytes: 2_000, upTo: Number.MAX_SAFE_INTEGER });
    if (batches.length === 0) throw new Error(`nothing to read at ${at}`);
    for (const batch of batches) {
      const { baseOffset } = batch.header;
      const first = out.length === 0;
      if (first ? baseOffset > at : baseOffset !== at) {
        throw new Error(`a batch at ${baseOffset} where ${at} was to follow`);
      }
      at = lastOffset(batch.header) + 1;
      out.push(batch);
    }
  }
  return out;
}
