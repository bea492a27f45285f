/** Which partition a record goes to when its sender names none. */
export interface PartitionerArguments {
  readonly topic: string;
  /** After the serializer; null: no key. */
  readonly key: Uint8Array | null;
  /** All partitions of the topic, those without a leader too. */
  readonly partitionsCount: number;
}

/** Returns the partition: an integer of `[0, partitionsCount)`. */
export type PartitionerFunction = (record: PartitionerArguments) => number;

/**
 * - "default": murmur2 of the key as Kafka's own clients compute it; without a key one partition
 *   until its batch is sealed, then another (KIP-480).
 * - "round-robin": one after the other, keys or not.
 * - a function: its result, which must be a partition of the topic.
 */
export type Partitioner = "default" | "round-robin" | PartitionerFunction;

/** The choice for records without a key: one topic's memory between sends. */
export class UnkeyedChoice {
  #partition = -1;

  /**
   * The partition that unkeyed records go to now. `isAvailable` says whether a partition has a
   * leader; those without are passed over while another has one. `below` draws from `[0, bound)`.
   */
  current(
    partitionsCount: number,
    isAvailable: (partition: number) => boolean,
    below: (bound: number) => number,
  ): number {
    const stays = this.#partition >= 0 && this.#partition < partitionsCount;
    if (stays && isAvailable(this.#partition)) return this.#partition;
    const from = below(partitionsCount);
    for (let step = 0; step < partitionsCount; step++) {
      const candidate = (from + step) % partitionsCount;
      if (!isAvailable(candidate)) continue;
      this.#partition = candidate;
      return candidate;
    }
    this.#partition = from;
    return from;
  }

  /** The batch of `partition` was sealed: the next record without a key goes elsewhere. */
  onSealed(partition: number): void {
    if (partition === this.#partition) this.#partition = -1;
  }
}

/** One after the other. */
export class RoundRobin {
  #next = 0;

  next(partitionsCount: number, isAvailable: (partition: number) => boolean): number {
    for (let step = 0; step < partitionsCount; step++) {
      const candidate = (this.#next + step) % partitionsCount;
      if (!isAvailable(candidate)) continue;
      this.#next = candidate + 1;
      return candidate;
    }
    return this.#next++ % partitionsCount;
  }
}
