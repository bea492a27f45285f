/**
 * The log in memory: every entry behind the last compaction. The metadata log is compacted by bytes
 * (a snapshot every 20 MiB by default), so holding it whole costs little and keeps the core
 * synchronous. Which of it is durable is not known here; see `RaftState`.
 */
import { assert } from "../base/assert.ts";
import type { LogIndex, Term } from "../model/ids.ts";
import type { RaftEntry } from "./messages.ts";

export interface EntryId {
  readonly index: LogIndex;
  readonly term: Term;
}

export const BEFORE_FIRST: EntryId = { index: 0, term: 0 };

/** What an entry costs in windows and limits: its payload and about its header. */
export function entryBytes(entry: RaftEntry): number {
  return entry.payload.length + 32;
}

export class LogView {
  /** The last entry compacted away: `#entries[0].index === #base.index + 1`. */
  #base: EntryId;
  #entries: RaftEntry[];

  constructor(base: EntryId, entries: readonly RaftEntry[]) {
    this.#base = base;
    this.#entries = [];
    this.append(entries);
  }

  get base(): EntryId {
    return this.#base;
  }

  get lastIndex(): LogIndex {
    return this.#base.index + this.#entries.length;
  }

  get last(): EntryId {
    return this.#entries[this.#entries.length - 1] ?? this.#base;
  }

  /** Undefined if the entry was compacted away or does not exist. */
  termAt(index: LogIndex): Term | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.entryAt(index)?.term;
  }

  entryAt(index: LogIndex): RaftEntry | undefined {
    return this.#entries[index - this.#base.index - 1];
  }

  matches(id: EntryId): boolean {
    return this.termAt(id.index) === id.term;
  }

  /** Whether a log that ends at `id` is at least as complete as this one (thesis 3.6.1). */
  isUpToDate(id: EntryId): boolean {
    const last = this.last;
    return id.term > last.term || (id.term === last.term && id.index >= last.index);
  }

  append(entries: readonly RaftEntry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, "the log has no gaps");
      assert(entry.term >= this.last.term, "terms never fall along the log");
      this.#entries.push(entry);
    }
  }

  /** Removes the entry at `index` and all behind it. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.#base.index, "what was compacted cannot be cut off");
    this.#entries.length = Math.min(this.#entries.length, index - this.#base.index - 1);
  }

  /** Entries from `from`, until their sizes pass `maxBytes`; at least one if there is any. */
  slice(from: LogIndex, upTo: LogIndex, maxBytes: number): readonly RaftEntry[] {
    assert(from > this.#base.index, "compacted entries cannot be read");
    const out: RaftEntry[] = [];
    let bytes = 0;
    for (let index = from; index <= upTo && bytes < maxBytes; index++) {
      const entry = this.entryAt(index);
      if (entry === undefined) break;
      out.push(entry);
      bytes += entryBytes(entry);
    }
    return out;
  }

  /**
   * The highest index `<= index` whose term is `<= term`, or the base: skips whole terms when two
   * logs have diverged (thesis 5.3), so that finding their last common entry costs one round trip
   * per term and not one per entry.
   */
  findByTerm(index: LogIndex, term: Term): EntryId {
    let at = Math.min(index, this.lastIndex);
    while (at > this.#base.index && (this.entryAt(at) as RaftEntry).term > term) at--;
    if (at <= this.#base.index) return this.#base;
    return { index: at, term: (this.entryAt(at) as RaftEntry).term };
  }

  compactTo(index: LogIndex): void {
    if (index <= this.#base.index) return;
    const term = this.termAt(index);
    assert(term !== undefined, "only what the log holds can be compacted");
    this.#entries = this.#entries.slice(index - this.#base.index);
    this.#base = { index, term };
  }

  /** Empties the log: it continues behind a snapshot. */
  restart(base: EntryId): void {
    this.#base = base;
    this.#entries = [];
  }
}
