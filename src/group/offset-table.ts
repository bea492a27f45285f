/**
 * The offsets of one group: what is committed, and how many changes of each are under way. Only
 * what is committed is shown; what is under way keeps an entry from being forgotten.
 */
import { assert } from "../base/assert.ts";
import type { PartitionIndex } from "../model/ids.ts";
import type { OffsetValue } from "./records.ts";

export interface OffsetEntry {
  /** Undefined: nothing is committed, or its removal is. */
  value: OffsetValue | undefined;
  /** Records of this key that were proposed and are not committed yet. */
  pendingCount: number;
}

export class OffsetTable {
  readonly #topics = new Map<string, Map<PartitionIndex, OffsetEntry>>();

  /** Nothing is committed, and nothing is under way. */
  get isEmpty(): boolean {
    return this.#topics.size === 0;
  }

  get(topic: string, partition: PartitionIndex): OffsetEntry | undefined {
    return this.#topics.get(topic)?.get(partition);
  }

  *entries(): IterableIterator<readonly [topic: string, PartitionIndex, OffsetEntry]> {
    for (const [topic, partitions] of this.#topics) {
      for (const [partition, entry] of partitions) yield [topic, partition, entry];
    }
  }

  *entriesOf(topic: string): IterableIterator<readonly [PartitionIndex, OffsetEntry]> {
    yield* this.#topics.get(topic) ?? [];
  }

  /** A change was proposed. */
  begin(topic: string, partition: PartitionIndex): void {
    this.#entry(topic, partition).pendingCount++;
  }

  /** A proposed change is committed. */
  finish(topic: string, partition: PartitionIndex, value: OffsetValue | undefined): void {
    const entry = this.#entry(topic, partition);
    assert(entry.pendingCount > 0, `no change of ${topic}-${partition} is under way`);
    entry.pendingCount--;
    entry.value = value;
    this.#forget(topic, partition, entry);
  }

  /** A committed change, read from the log. */
  replay(topic: string, partition: PartitionIndex, value: OffsetValue | undefined): void {
    const entry = this.#entry(topic, partition);
    entry.value = value;
    this.#forget(topic, partition, entry);
  }

  #entry(topic: string, partition: PartitionIndex): OffsetEntry {
    let partitions = this.#topics.get(topic);
    if (partitions === undefined) {
      partitions = new Map();
      this.#topics.set(topic, partitions);
    }
    let entry = partitions.get(partition);
    if (entry === undefined) {
      entry = { value: undefined, pendingCount: 0 };
      partitions.set(partition, entry);
    }
    return entry;
  }

  #forget(topic: string, partition: PartitionIndex, entry: OffsetEntry): void {
    if (entry.value !== undefined || entry.pendingCount > 0) return;
    const partitions = this.#topics.get(topic);
    partitions?.delete(partition);
    if (partitions?.size === 0) this.#topics.delete(topic);
  }
}
