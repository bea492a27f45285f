/**
 * Offsets by timestamp. Summaries of segments say which to open; in one, the sparse time index
 * (largest timestamp so far, so that it never falls with the offset) is searched by halving; the
 * rest is a scan over headers, and one batch is opened for the exact record.
 */

import type { Offset } from "../model/ids.ts";
import type { Codecs } from "../ports/codecs.ts";
import type { KeyValueStore } from "../ports/key-value-store.ts";
import { type Batch, lastOffset } from "../record/batch.ts";
import { decodeRecords } from "../record/records.ts";
import type { ReadLimits, TimestampedOffset } from "./log.ts";
import { openBatch } from "./open-batch.ts";
import { type Segment, TIME_INDEX_INTERVAL_BYTES } from "./segment.ts";
import { batchKey, isBatchKey, isTimeKey, keyOffset, readTimeValue } from "./segment-keys.ts";

const SCAN_READ_BYTES = 1024 * 1024;
/** Below this many offsets halving costs more than it saves. */
const SEARCH_OFFSETS_COUNT = 64;

export interface TimeLookupSource {
  readonly codecs: Codecs;
  readonly segments: () => readonly Segment[];
  readonly logStartOffset: () => Offset;
  readonly read: (from: Offset, limits: ReadLimits) => readonly Batch[] | Promise<readonly Batch[]>;
  /** Runs `work` on the segment's database; storage errors take the log offline. */
  readonly search: <Result>(
    segment: Segment,
    work: (store: KeyValueStore) => Promise<Result>,
  ) => Promise<Result>;
}

interface TimeIndexEntry {
  readonly offset: Offset;
  readonly maxTimestamp: number;
}

export class TimeLookup {
  readonly #source: TimeLookupSource;

  constructor(source: TimeLookupSource) {
    this.#source = source;
  }

  /** As `PartitionLog.offsetForTimestamp`. May also reject with LIMIT_EXCEEDED for a bomb. */
  async first(timestamp: number, upTo: Offset): Promise<TimestampedOffset | undefined> {
    for (const segment of [...this.#source.segments()]) {
      if (segment.dropped || segment.isEmpty || segment.maxTimestamp < timestamp) continue;
      if (segment.baseOffset >= upTo) break;
      const from = Math.max(await this.#narrow(segment, timestamp), this.#source.logStartOffset());
      const end = Math.min(segment.endOffset, upTo);
      const found = await this.#scan(from, end, async (batch) => {
        if (batch.header.maxTimestamp < timestamp) return undefined;
        const records = await this.#timestamps(batch);
        return records.find((record) => record.timestamp >= timestamp);
      });
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** As `PartitionLog.offsetOfMaxTimestamp`. */
  async max(upTo: Offset): Promise<TimestampedOffset | undefined> {
    const start = this.#source.logStartOffset();
    let maxTimestamp = -1;
    for (const segment of [...this.#source.segments()]) {
      if (segment.dropped || segment.isEmpty) continue;
      if (segment.baseOffset >= upTo) break;
      const whole = segment.baseOffset >= start && segment.endOffset <= upTo;
      const own = whole
        ? segment.maxTimestamp
        : await this.#maxWithin(segment, Math.max(start, segment.baseOffset), upTo);
      maxTimestamp = Math.max(maxTimestamp, own);
    }
    if (maxTimestamp < 0) return undefined;
    return (await this.first(maxTimestamp, upTo)) ?? this.#maxOfRecords(upTo);
  }

  /** Record by record: the batch with the largest timestamp may have lost the record that had it. */
  async #maxOfRecords(upTo: Offset): Promise<TimestampedOffset | undefined> {
    let best: TimestampedOffset | undefined;
    await this.#scan(this.#source.logStartOffset(), upTo, async (batch) => {
      if (batch.header.maxTimestamp <= (best?.timestamp ?? -1)) return undefined;
      for (const record of await this.#timestamps(batch)) {
        if (record.timestamp > (best?.timestamp ?? -1)) best = record;
      }
      return undefined;
    });
    return best;
  }

  /** The largest timestamp of the segment's records from `from` on, below `upTo`. */
  async #maxWithin(segment: Segment, from: Offset, upTo: Offset): Promise<number> {
    let maxTimestamp = -1;
    let begin = from;
    if (from === segment.baseOffset && segment.onDisk) {
      const entry = await this.#source.search(segment, (store) => lastIndexEntry(store, upTo));
      if (entry !== undefined) {
        maxTimestamp = entry.maxTimestamp;
        begin = entry.offset + 1;
      }
    }
    await this.#scan(begin, Math.min(segment.endOffset, upTo), async (batch) => {
      const { header } = batch;
      if (header.recordsCount === 0 || header.maxTimestamp <= maxTimestamp) return undefined;
      if (batch.header.baseOffset >= from) maxTimestamp = batch.header.maxTimestamp;
      else {
        // The log starts inside this batch: the record with its largest timestamp may lie below.
        for (const { timestamp } of await this.#timestamps(batch)) {
          maxTimestamp = Math.max(maxTimestamp, timestamp);
        }
      }
      return undefined;
    });
    return maxTimestamp;
  }

  /** An offset below which the segment has no batch with this timestamp or a later one. */
  async #narrow(segment: Segment, timestamp: number): Promise<Offset> {
    if (!segment.onDisk) return segment.baseOffset;
    let low = segment.baseOffset;
    let high = segment.endOffset;
    await this.#source.search(segment, async (store) => {
      while (high - low > SEARCH_OFFSETS_COUNT) {
        const middle = low + Math.floor((high - low) / 2);
        const entry = await nextIndexEntry(store, middle);
        // Above the last entry nothing is known: the answer may also lie below `middle`.
        if (entry !== undefined && entry.maxTimestamp < timestamp) low = entry.offset + 1;
        else high = middle;
      }
    });
    return low;
  }

  async #scan(
    from: Offset,
    upTo: Offset,
    visit: (batch: Batch) => Promise<TimestampedOffset | undefined>,
  ): Promise<TimestampedOffset | undefined> {
    for (let at = from; at < upTo; ) {
      const batches = await this.#source.read(at, { maxBytes: SCAN_READ_BYTES, upTo });
      const last = batches.at(-1);
      if (last === undefined) return undefined;
      for (const batch of batches) {
        const found = await visit(batch);
        if (found !== undefined) return found;
      }
      at = lastOffset(last.header) + 1;
    }
    return undefined;
  }

  /** Offset and timestamp of the batch's records, of those at or above the log start. */
  async #timestamps(batch: Batch): Promise<TimestampedOffset[]> {
    const { header } = batch;
    const section = await openBatch(batch, this.#source.codecs);
    const start = this.#source.logStartOffset();
    const out: TimestampedOffset[] = [];
    for (const { offset, timestamp } of decodeRecords(header, section)) {
      if (offset >= start) out.push({ offset, timestamp, leaderEpoch: header.leaderEpoch });
    }
    return out;
  }
}

/** The first entry of the time index beside the batch that holds `from` or a later one. */
async function nextIndexEntry(
  store: KeyValueStore,
  from: Offset,
): Promise<TimeIndexEntry | undefined> {
  const iterator = store.iterate({ gte: batchKey(from) });
  try {
    for (;;) {
      const entries = await iterator.next(64, TIME_INDEX_INTERVAL_BYTES);
      if (entries.length === 0) return undefined;
      for (const { key, value } of entries) {
        if (isTimeKey(key)) return { offset: keyOffset(key), maxTimestamp: readTimeValue(value) };
      }
    }
  } finally {
    await iterator.close();
  }
}

/** The last entry of the time index beside a batch that ends below `upTo`. */
async function lastIndexEntry(
  store: KeyValueStore,
  upTo: Offset,
): Promise<TimeIndexEntry | undefined> {
  const iterator = store.iterate({ lt: batchKey(upTo), reverse: true });
  try {
    for (;;) {
      const entries = await iterator.next(64, TIME_INDEX_INTERVAL_BYTES);
      if (entries.length === 0) return undefined;
      for (const { key, value } of entries) {
        if (!isBatchKey(key) && isTimeKey(key)) {
          return { offset: keyOffset(key), maxTimestamp: readTimeValue(value) };
        }
      }
    }
  } finally {
    await iterator.close();
  }
}
