/**
 * Whether two replicas agree: batch by batch, and where the log cleaner has been, by their records.
 * Replicas are cleaned by their own brokers, each when it suits it, so that either may hold records
 * that the other has dropped. What one lacks must be superseded by a later record of its key, or be
 * a tombstone; what both hold must be equal.
 */
import { assert } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import { toOttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";
import type { Entry, EntryIterator, KeyValueStore } from "../ports/key-value-store.ts";
import { type Batch, hasDeleteHorizon, isCompacted, lastOffset } from "../record/batch.ts";
import { OFFSET_MAP_ENTRY_BYTES, OffsetMap } from "../record/offset-map.ts";
import { RecordCursor } from "../record/record-cursor.ts";
import { decodeRecords, type StoredRecord } from "../record/records.ts";
import { openBatch } from "./open-batch.ts";
import { parseStoredBatch } from "./segment.ts";
import { batchKey, isBatchKey } from "./segment-keys.ts";
import type { ReplicaComparison, ReplicaOnDisk, VerifyPorts } from "./verify.ts";

export const CHUNK_ENTRIES_COUNT = 4_096;
export const CHUNK_BYTES = 1024 * 1024;

/** Most memory for the last offsets of keys: more of them cannot be told apart from lost ones. */
const MAP_BYTES_MAX = 2 ** 30;
const LOAD_FACTOR = 0.8;
/** Nobody chooses keys against a comparison: any key of the hash does. */
const HASH_KEY = new Uint8Array(16);

export async function compareTwo(
  ports: VerifyPorts,
  left: ReplicaOnDisk,
  right: ReplicaOnDisk,
): Promise<ReplicaComparison> {
  return new Comparison(ports, left, right).run();
}

type Difference = NonNullable<ReplicaComparison["difference"]>;

class Comparison {
  readonly #ports: VerifyPorts;
  readonly #left: ReplicaOnDisk;
  readonly #right: ReplicaOnDisk;
  readonly #from: Offset;
  /** Of both replicas, once it is needed. */
  #lastOffsets: OffsetMap | undefined;
  #batchesCount = 0;
  #upTo: Offset;

  constructor(ports: VerifyPorts, left: ReplicaOnDisk, right: ReplicaOnDisk) {
    this.#ports = ports;
    this.#left = left;
    this.#right = right;
    this.#from = Math.max(left.logStartOffset, right.logStartOffset);
    this.#upTo = this.#from;
  }

  async run(): Promise<ReplicaComparison> {
    let comparison = await this.#walk();
    if (comparison === "needs last offsets") {
      // Not while the walk has segments open: each can be opened once.
      this.#lastOffsets = await this.#mapLastOffsets();
      comparison = await this.#walk();
    }
    assert(comparison !== "needs last offsets", "they are there");
    return comparison;
  }

  async #walk(): Promise<ReplicaComparison | "needs last offsets"> {
    this.#batchesCount = 0;
    this.#upTo = this.#from;
    const a = new BatchCursor(this.#ports, this.#left, this.#from);
    const b = new BatchCursor(this.#ports, this.#right, this.#from);
    let difference: Difference | undefined;
    try {
      while (difference === undefined) {
        const one = await nextStretch(a, b);
        if (one === undefined) break;
        difference = await this.#compare(one.left, one.right);
        if (difference === undefined) {
          this.#batchesCount += Math.max(one.left.length, one.right.length);
          this.#upTo = lastOffset((one.left.at(-1) as Batch).header) + 1;
        }
      }
    } catch (error) {
      if (error instanceof LastOffsetsNeeded) return "needs last offsets";
      // A batch that cannot be read equals none.
      difference = { offset: this.#upTo, message: toOttlaError(error).message };
    } finally {
      await a.close();
      await b.close();
    }
    const { topic, topicId, partition } = this.#left.name;
    const batchesCount = this.#batchesCount;
    const [from, upTo] = [this.#from, this.#upTo];
    return { topic, topicId, partition, batchesCount, from, upTo, difference };
  }

  async #compare(left: readonly Batch[], right: readonly Batch[]): Promise<Difference | undefined> {
    const [one, other] = [left[0] as Batch, right[0] as Batch];
    const offset = Math.min(one.header.baseOffset, other.header.baseOffset);
    if (left.length === 1 && right.length === 1) {
      const message = describeDifference(one, other);
      if (message === undefined) return undefined;
      if (![one, other].some(isCleaned)) return { offset, message };
    } else if (![...left, ...right].some(isCleaned)) {
      return { offset, message: describeDifference(one, other) ?? "one has more batches" };
    }
    return this.#compareRecords(await this.#records(left), await this.#records(right));
  }

  #compareRecords(
    left: readonly PlacedRecord[],
    right: readonly PlacedRecord[],
  ): Difference | undefined {
    let b = 0;
    for (let a = 0; a < left.length || b < right.length; ) {
      const one = left[a];
      const other = right[b];
      if (one !== undefined && one.offset === other?.offset) {
        const message = describeRecordDifference(one, other);
        if (message !== undefined) return { offset: one.offset, message };
        a++;
        b++;
        continue;
      }
      const isLeft = one !== undefined && (other === undefined || one.offset < other.offset);
      const alone = (isLeft ? one : other) as PlacedRecord;
      if (isLeft) a++;
      else b++;
      if (alone.offset < this.#from) continue;
      if (!this.#mayBeGone(alone)) {
        const message = `only one has the record at offset ${alone.offset}, the last of its key`;
        return { offset: alone.offset, message };
      }
    }
    return undefined;
  }

  /** Compaction takes tombstones in time, and records without key at once. */
  #mayBeGone({ key, value, offset }: StoredRecord): boolean {
    if (key === null || value === null) return true;
    if (this.#lastOffsets === undefined) throw new LastOffsetsNeeded();
    return this.#lastOffsets.get(key, 0, key.length) > offset;
  }

  async #mapLastOffsets(): Promise<OffsetMap> {
    const replicas = [this.#left, this.#right];
    let recordsCount = 0;
    for (const replica of replicas) {
      for await (const { header } of this.#batches(replica)) recordsCount += header.recordsCount;
    }
    const bytes = Math.min(
      (recordsCount / LOAD_FACTOR + 3) * OFFSET_MAP_ENTRY_BYTES,
      MAP_BYTES_MAX,
    );
    const options = { bytes, loadFactor: LOAD_FACTOR, entriesCountMax: recordsCount };
    const map = new OffsetMap({ ...options, hashKey: HASH_KEY });
    for (const replica of replicas) {
      for await (const batch of this.#batches(replica)) {
        if (batch.header.recordsCount === 0) continue;
        const cursor = new RecordCursor(batch.header, await openBatch(batch, this.#ports.codecs));
        while (cursor.next()) {
          if (!cursor.hasKey) continue;
          const { bytes: section, keyStart, keyEnd, offset } = cursor;
          if (offset <= map.get(section, keyStart, keyEnd)) continue;
          map.put(section, keyStart, keyEnd, offset);
        }
      }
    }
    return map;
  }

  async *#batches(replica: ReplicaOnDisk): AsyncGenerator<Batch, void, undefined> {
    const cursor = new BatchCursor(this.#ports, replica, replica.logStartOffset);
    try {
      for (let batch = await cursor.next(); batch !== undefined; batch = await cursor.next()) {
        yield batch;
      }
    } finally {
      await cursor.close();
    }
  }

  async #records(batches: readonly Batch[]): Promise<PlacedRecord[]> {
    const out: PlacedRecord[] = [];
    for (const batch of batches) {
      const { header } = batch;
      if (header.recordsCount === 0) continue;
      const section = await openBatch(batch, this.#ports.codecs);
      for (const record of decodeRecords(header, section)) {
        out.push({ ...record, leaderEpoch: header.leaderEpoch });
      }
    }
    return out;
  }
}

/** One replica holds a record alone: only a walk over all keys tells whether it may. */
class LastOffsetsNeeded extends Error {
  override readonly name = "LastOffsetsNeeded";
}

interface PlacedRecord extends StoredRecord {
  readonly leaderEpoch: number;
}

/** The cleaner takes records out of batches, and sets horizons in them. */
function isCleaned({ header }: Batch): boolean {
  return isCompacted(header) || hasDeleteHorizon(header);
}

/** The next batches of both up to where both have one that ends; undefined where either log ends. */
async function nextStretch(
  a: BatchCursor,
  b: BatchCursor,
): Promise<{ readonly left: readonly Batch[]; readonly right: readonly Batch[] } | undefined> {
  const left: Batch[] = [];
  const right: Batch[] = [];
  let leftEnd = -1;
  let rightEnd = -1;
  do {
    const isLeft = leftEnd <= rightEnd;
    const batch = await (isLeft ? a : b).next();
    if (batch === undefined) {
      // Where nothing was compacted batches end at the same offsets, or the logs have diverged.
      const begun = left.length > 0 && right.length > 0;
      return begun && ![...left, ...right].some(isCleaned) ? { left, right } : undefined;
    }
    (isLeft ? left : right).push(batch);
    if (isLeft) leftEnd = lastOffset(batch.header);
    else rightEnd = lastOffset(batch.header);
  } while (leftEnd !== rightEnd);
  return { left, right };
}

function describeRecordDifference(one: PlacedRecord, other: PlacedRecord): string | undefined {
  const what = `records at offset ${one.offset}`;
  if (one.leaderEpoch !== other.leaderEpoch) {
    return `${what}: leader epoch ${one.leaderEpoch} against ${other.leaderEpoch}`;
  }
  if (one.timestamp !== other.timestamp) {
    return `${what}: timestamp ${one.timestamp} against ${other.timestamp}`;
  }
  if (!sameField(one.key, other.key)) return `${what} differ in their keys`;
  if (!sameField(one.value, other.value)) return `${what} differ in their values`;
  const same =
    one.headers.length === other.headers.length &&
    one.headers.every((header, index) => {
      const twin = other.headers[index];
      return twin !== undefined && header.key === twin.key && sameField(header.value, twin.value);
    });
  return same ? undefined : `${what} differ in their headers`;
}

function sameField(one: Uint8Array | null, other: Uint8Array | null): boolean {
  return one === null || other === null ? one === other : equalBytes(one, other);
}

function describeDifference(one: Batch, other: Batch): string | undefined {
  const a = one.header;
  const b = other.header;
  const range = (batch: Batch): string =>
    `offsets ${batch.header.baseOffset} to ${lastOffset(batch.header)}`;
  if (a.baseOffset !== b.baseOffset || lastOffset(a) !== lastOffset(b)) {
    return `a batch of ${range(one)} against one of ${range(other)}`;
  }
  if (a.leaderEpoch !== b.leaderEpoch) {
    return `leader epoch ${a.leaderEpoch} against ${b.leaderEpoch}`;
  }
  const at = one.bytes.findIndex((byte, index) => byte !== other.bytes[index]);
  if (at < 0 && one.bytes.length === other.bytes.length) return undefined;
  return `batches of ${range(one)} differ at byte ${at < 0 ? other.bytes.length : at}`;
}

/** Walks a replica's batches in order, across its segments. */
class BatchCursor {
  readonly #ports: VerifyPorts;
  readonly #replica: ReplicaOnDisk;
  readonly #from: Offset;
  #segment = 0;
  #store: KeyValueStore | undefined;
  #iterator: EntryIterator | undefined;
  #entries: readonly Entry[] = [];
  #at = 0;

  constructor(ports: VerifyPorts, replica: ReplicaOnDisk, from: Offset) {
    this.#ports = ports;
    this.#replica = replica;
    this.#from = from;
  }

  async next(): Promise<Batch | undefined> {
    for (;;) {
      const entry = this.#entries[this.#at++];
      if (entry !== undefined) {
        if (!isBatchKey(entry.key)) continue;
        const batch = parseStoredBatch(entry, this.#ports.codecs.crc32c);
        return lastOffset(batch.header) < this.#replica.cutOffset ? batch : undefined;
      }
      this.#at = 0;
      this.#entries = (await this.#iterator?.next(CHUNK_ENTRIES_COUNT, CHUNK_BYTES)) ?? [];
      if (this.#entries.length > 0) continue;
      await this.close();
      if (!(await this.#openNext())) return undefined;
    }
  }

  async close(): Promise<void> {
    await this.#iterator?.close();
    await this.#store?.close();
    this.#iterator = undefined;
    this.#store = undefined;
  }

  async #openNext(): Promise<boolean> {
    const { segments } = this.#replica;
    // A segment that ends below the first offset wanted has nothing to say.
    while ((segments[this.#segment + 1]?.base ?? Number.POSITIVE_INFINITY) <= this.#from)
      this.#segment++;
    const segment = segments[this.#segment++];
    if (segment === undefined) return false;
    this.#store = await this.#ports.stores.open(segment.path, { createIfMissing: false });
    this.#iterator = this.#store.iterate({ gte: batchKey(this.#from) });
    return true;
  }
}
