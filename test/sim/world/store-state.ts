/**
 * What a LevelDB directory holds, as far as a crash can tell: the entries as every reader sees
 * them, and beside them the journal of writes that no sync has covered yet, each with what it
 * replaced, so that a power loss can take it back.
 *
 * Modelled on what LevelDB 1.20 was measured to do:
 * - a write is one record of its journal: whole or absent after a crash, with holes possible
 *   between records that were not synced (`power-loss.ts`);
 * - a sync write covers every earlier write of the same store, and of no other;
 * - what an opening finds in the journal goes into a table, which is synced: it is durable then;
 * - after a write failed on a full disk, later writes seem to succeed, synced ones too, and are
 *   gone once the store is opened again; unless so much was written that memory became a table;
 * - after a failed sync every later write fails, and the failed one may be there at reopening.
 *
 * A lying disk says that it has synced, and loses what a sync covered all the same.
 */

import { compareBytes } from "../../../src/base/bytes.ts";
import type { Prng } from "../../../src/base/prng.ts";
import type { Entry, KeyRange, WriteOperation } from "../../../src/ports/key-value-store.ts";
import { drawShape, layOut, operationBytes, type PowerLossShape, survivors } from "./power-loss.ts";

interface JournalRecord {
  readonly operations: readonly WriteOperation[];
  /** What stood under each key before, in the order of `operations`. */
  readonly before: readonly (Uint8Array | undefined)[];
  readonly sizeBytes: number;
}

interface Version {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

export interface PowerLoss {
  readonly prng: Prng;
  /** Default: drawn. */
  readonly shape: PowerLossShape | undefined;
}

/** LevelDB turns what it holds in memory into a durable table once it is this large. */
const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Of how many changes the version before is known, for reads that are behind. */
const VERSIONS_MAX = 64;

export type OnChange = (
  key: Uint8Array,
  before: Uint8Array | undefined,
  after: Uint8Array | undefined,
) => void;

export class StoreState {
  /** Told of each key that changes, in order: by a write, or by a crash that takes one back. */
  onChange: OnChange = () => {};
  /** Ascending by key. Entries are never changed, only replaced: a copy of the array is a snapshot. */
  #entries: Entry[] = [];
  #journal: JournalRecord[] = [];
  #journalBytes = 0;
  /** Of the journal's records, the first so many were said to be synced by a disk that lied. */
  #claimedCount = 0;
  /** Bytes of the write-ahead log before the journal begins. */
  #walBytes = 0;
  #sizeBytes = 0;
  /** Where in the journal the writes begin that the next opening does not find. */
  #lostFrom: number | undefined;
  /** Writes that were handed over and have not settled. */
  #inFlight: (readonly WriteOperation[])[] = [];
  readonly #versions: Version[] = [];
  /** What it says of syncs is not true. */
  lying = false;
  isOpen = false;
  /** A sync failed: no write is taken until the store is opened again. */
  refusesWrites = false;
  /** The directory's manifest does not parse. */
  damaged = false;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get entriesCount(): number {
    return this.#entries.length;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const at = this.#find(key);
    const entry = this.#entries[at];
    return entry !== undefined && compareBytes(entry.key, key) === 0 ? entry.value : undefined;
  }

  /** Whether what stands under the key now, or that nothing does, survives a loss of power. */
  isSynced(key: Uint8Array): boolean {
    for (let index = this.#claimedCount; index < this.#journal.length; index++) {
      const { operations } = this.#journal[index] as JournalRecord;
      for (const operation of operations) if (compareBytes(operation.key, key) === 0) return false;
    }
    return true;
  }

  /** Writes that no sync has covered. */
  get unsyncedCount(): number {
    return this.#journal.length - this.#claimedCount;
  }

  /** What a read gives that is one change behind; undefined if nothing is known of the key. */
  versionBefore(key: Uint8Array): { readonly value: Uint8Array | undefined } | undefined {
    return this.#versions.findLast((version) => compareBytes(version.key, key) === 0);
  }

  /** One bit of a value, silently: nobody is told. Gives the key. */
  flipBit(prng: Prng): Uint8Array | undefined {
    const at = prng.below(Math.max(1, this.#entries.length));
    const entry = this.#entries[at];
    if (entry === undefined || entry.value.length === 0) return undefined;
    this.#entries[at] = { key: entry.key, value: withFlippedBit(entry.value, prng) };
    return entry.key;
  }

  /** Another value lies there, silently; throws if there is no such key. */
  rot(key: Uint8Array, value: Uint8Array): void {
    const at = this.#find(key);
    const entry = this.#entries[at];
    if (entry === undefined || compareBytes(entry.key, key) !== 0) {
      throw new Error("there is nothing that could rot");
    }
    this.#entries[at] = { key: entry.key, value };
  }

  *entries(): IterableIterator<Entry> {
    yield* this.#entries;
  }

  snapshot(range: KeyRange): readonly Entry[] {
    const from = range.gte === undefined ? 0 : this.#find(range.gte);
    const to = range.lt === undefined ? this.#entries.length : this.#find(range.lt);
    const bound = range.limit ?? Number.POSITIVE_INFINITY;
    if (range.reverse === true) {
      return this.#entries.slice(Math.max(from, to - bound), Math.max(from, to)).reverse();
    }
    return this.#entries.slice(from, Math.min(to, from + bound));
  }

  begin(operations: readonly WriteOperation[]): void {
    this.#inFlight.push(operations);
  }

  /** The oldest write in flight takes effect. */
  perform(operations: readonly WriteOperation[], sync: boolean): void {
    this.#settled(operations);
    this.#apply(operations);
    // Memory holds what the journal lost, so that a table made of it loses nothing.
    if (this.#journalBytes + this.#walBytes > WRITE_BUFFER_BYTES) this.#startWal();
    else if (sync && this.#lostFrom === undefined) {
      if (this.lying) this.#claimedCount = this.#journal.length;
      else this.#forgetJournal();
    }
  }

  /** The write in flight failed; `visible`: it will nevertheless be there. */
  failed(operations: readonly WriteOperation[], visible: boolean): void {
    this.#settled(operations);
    if (visible) this.#apply(operations);
  }

  /** A write failed for lack of space: what follows is not found at the next opening. */
  loseLaterWrites(): void {
    this.#lostFrom ??= this.#journal.length;
  }

  opened(): void {
    this.isOpen = true;
    if (this.lying) this.#claimedCount = this.#journal.length;
    else this.#startWal();
  }

  closed(): void {
    this.#dropLost();
    this.isOpen = false;
    this.refusesWrites = false;
  }

  /** What was on its way to the journal got there up to some write, in order. */
  processEnded(prng: Prng, powerLoss: PowerLoss | undefined): void {
    const arrived = this.#inFlight.length === 0 ? 0 : prng.below(this.#inFlight.length + 1);
    for (const operations of this.#inFlight.slice(0, arrived)) this.#apply(operations);
    this.#inFlight = [];
    this.#dropLost();
    if (powerLoss !== undefined) this.#losePower(powerLoss);
    this.isOpen = false;
    this.refusesWrites = false;
  }

  #losePower({ prng, shape }: PowerLoss): void {
    const records = [...this.#journal];
    if (records.length === 0) return;
    const extents = layOut(
      this.#walBytes,
      records.map(({ sizeBytes }) => sizeBytes),
    );
    const kept = survivors(shape ?? drawShape(prng), extents, prng);
    // What comes before the first loss stays where it is: nobody needs to be told of it.
    const firstLost = kept.indexOf(false);
    if (firstLost >= 0) {
      this.#undoTo(firstLost);
      for (const [index, record] of records.entries()) {
        if (index > firstLost && kept[index] === true) this.#apply(record.operations);
      }
    }
    this.#forgetJournal();
  }

  #dropLost(): void {
    if (this.#lostFrom !== undefined) this.#undoTo(this.#lostFrom);
    this.#lostFrom = undefined;
  }

  #undoTo(length: number): void {
    while (this.#journal.length > length) {
      const record = this.#journal.pop() as JournalRecord;
      this.#journalBytes -= record.sizeBytes;
      this.#claimedCount = Math.min(this.#claimedCount, this.#journal.length);
      for (let index = record.operations.length - 1; index >= 0; index--) {
        const { key } = record.operations[index] as WriteOperation;
        this.#replace(key, record.before[index]);
      }
    }
  }

  /** All of it is durable. */
  #forgetJournal(): void {
    this.#walBytes += this.#journalBytes;
    this.#journal = [];
    this.#journalBytes = 0;
    this.#claimedCount = 0;
    this.#lostFrom = undefined;
  }

  /** What was in memory is a table now, and the journal an empty file. */
  #startWal(): void {
    this.#forgetJournal();
    this.#walBytes = 0;
  }

  #settled(operations: readonly WriteOperation[]): void {
    const at = this.#inFlight.indexOf(operations);
    if (at >= 0) this.#inFlight.splice(at, 1);
  }

  #apply(operations: readonly WriteOperation[]): void {
    let sizeBytes = 0;
    const before: (Uint8Array | undefined)[] = [];
    for (const operation of operations) {
      const value = operation.type === "put" ? operation.value : undefined;
      before.push(this.#replace(operation.key, value));
      sizeBytes += operationBytes(operation.key.length, value?.length);
    }
    this.#journal.push({ operations, before, sizeBytes });
    this.#journalBytes += sizeBytes;
  }

  /** Gives what stood there before. */
  #replace(key: Uint8Array, value: Uint8Array | undefined): Uint8Array | undefined {
    const entries = this.#entries;
    const at = this.#find(key);
    const existing = entries[at];
    const found = existing !== undefined && compareBytes(existing.key, key) === 0;
    if (found) this.#sizeBytes -= existing.key.length + existing.value.length;
    if (value === undefined) {
      if (found) entries.splice(at, 1);
    } else {
      this.#sizeBytes += key.length + value.length;
      if (found) entries[at] = { key, value };
      else if (at === entries.length) entries.push({ key, value });
      else entries.splice(at, 0, { key, value });
    }
    const before = found ? existing.value : undefined;
    this.#versions.push({ key, value: before });
    if (this.#versions.length > 2 * VERSIONS_MAX) this.#versions.splice(0, VERSIONS_MAX);
    this.onChange(key, before, value);
    return before;
  }

  /** Index of the first entry whose key is >= `key`. */
  #find(key: Uint8Array): number {
    const entries = this.#entries;
    let low = 0;
    let high = entries.length;
    const last = entries[high - 1];
    if (last !== undefined && compareBytes(last.key, key) < 0) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareBytes((entries[middle] as Entry).key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export function withFlippedBit(bytes: Uint8Array, prng: Prng): Uint8Array {
  const out = bytes.slice();
  const at = prng.below(out.length);
  out[at] = (out[at] as number) ^ (1 << prng.below(8));
  return out;
}
