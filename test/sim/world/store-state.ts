/**
 * What a LevelDB directory holds, as far as a crash can tell: the entries as every reader sees
 * them, and beside them the journal of writes that no sync has covered yet, each with what it
 * replaced, so that a power loss can take it back.
 *
 * Modelled on what LevelDB 1.20 was measured to do:
 * - a write is one record of its journal: whole or absent after a crash, with holes possible
 *   between records that were not synced;
 * - a sync write covers every earlier write of the same store, and of no other;
 * - after a write failed on a full disk, later writes seem to succeed, synced ones too, and are
 *   gone once the store is opened again;
 * - after a failed sync every later write fails, and the failed one may be there at reopening.
 */

import { compareBytes } from "../../../src/base/bytes.ts";
import type { Prng } from "../../../src/base/prng.ts";
import type { Entry, KeyRange, WriteOperation } from "../../../src/ports/key-value-store.ts";

interface JournalRecord {
  readonly operations: readonly WriteOperation[];
  /** What stood under each key before, in the order of `operations`. */
  readonly before: readonly (Uint8Array | undefined)[];
  readonly sizeBytes: number;
}

/** LevelDB turns what it holds in memory into a durable table once it is this large. */
const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;

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
  #sizeBytes = 0;
  /** Where in the journal the writes begin that the next opening does not find. */
  #lostFrom: number | undefined;
  /** Writes that were handed over and have not settled. */
  #inFlight: (readonly WriteOperation[])[] = [];
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
    for (const { operations } of this.#journal) {
      for (const operation of operations) if (compareBytes(operation.key, key) === 0) return false;
    }
    return true;
  }

  /** Writes that no sync has covered. */
  get unsyncedCount(): number {
    return this.#journal.length;
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
    if (sync && this.#lostFrom === undefined) this.#forgetJournal();
    else if (this.#journalBytes > WRITE_BUFFER_BYTES && this.#lostFrom === undefined) {
      this.#forgetJournal();
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

  closed(): void {
    this.#dropLost();
    this.isOpen = false;
    this.refusesWrites = false;
  }

  processEnded(powerLost: boolean, prng: Prng): void {
    // What was on its way to the journal got there up to some write, in order.
    const arrived = this.#inFlight.length === 0 ? 0 : prng.below(this.#inFlight.length + 1);
    for (const operations of this.#inFlight.slice(0, arrived)) this.#apply(operations);
    this.#inFlight = [];
    this.#dropLost();
    if (powerLost) this.#losePower(prng);
    this.isOpen = false;
    this.refusesWrites = false;
  }

  #losePower(prng: Prng): void {
    const count = this.#journal.length;
    if (count === 0) return;
    const records = this.#journal;
    const keep = records.map(() => true);
    const shape = prng.below(10);
    if (shape < 2) keep.fill(false);
    else if (shape < 8) keep.fill(false, prng.below(count + 1));
    else {
      const from = prng.below(count);
      keep.fill(false, from, from + prng.between(1, count - from));
    }
    this.#undoTo(0);
    for (const [index, record] of records.entries()) {
      if (keep[index] === true) this.#apply(record.operations);
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
      for (let index = record.operations.length - 1; index >= 0; index--) {
        const { key } = record.operations[index] as WriteOperation;
        this.#replace(key, record.before[index]);
      }
    }
  }

  #forgetJournal(): void {
    this.#journal = [];
    this.#journalBytes = 0;
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
      sizeBytes += operation.key.length + (value?.length ?? 0);
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
