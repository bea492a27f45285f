/**
 * What was sent, what was acknowledged and what was read: the proof's double-entry book. A record's
 * value begins with its number, so that the reader can tell which one it holds.
 */
import { crc32c } from "@node-rs/crc32";

interface Entry {
  readonly checksum: number;
  /** -1 until acknowledged. */
  partition: number;
  /** -1 also of a record that the broker recognised as one written long before. */
  offset: number;
}

export interface ReadRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

export interface Reading {
  readonly read: number;
  /** Sent, in the log, but never acknowledged: allowed, and counted. */
  readonly unacknowledged: number;
  /** What must not be; the first few of each kind. */
  readonly violations: readonly string[];
}

const VIOLATIONS_SHOWN = 20;

export class Ledger {
  readonly #entries: Entry[] = [];
  #acknowledged = 0;
  readonly #failures: string[] = [];

  get sent(): number {
    return this.#entries.length;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get failures(): readonly string[] {
    return this.#failures;
  }

  /** The number and the value of the next record. */
  write(line: string): { readonly number: number; readonly value: Uint8Array } {
    const number = this.#entries.length;
    const value = Buffer.from(`${number}\t${line}`);
    this.#entries.push({ checksum: crc32c(value), partition: -1, offset: -1 });
    return { number, value };
  }

  acknowledge(number: number, partition: number, offset: number): void {
    const entry = this.#entries[number] as Entry;
    entry.partition = partition;
    entry.offset = offset;
    this.#acknowledged++;
  }

  fail(number: number, reason: string): void {
    this.#failures.push(`record ${number}: ${reason}`);
  }

  /** Holds a whole reading of the topic, each partition in order, against what was acknowledged. */
  async audit(records: AsyncIterable<readonly ReadRecord[]>): Promise<Reading> {
    const seen = new Uint8Array(this.#entries.length);
    const lastOfKey = new Map<string, number>();
    const partitionOfKey = new Map<string, number>();
    const nextOffset = new Map<number, number>();
    const violations: string[] = [];
    const violation = (text: string): void => {
      if (violations.length < VIOLATIONS_SHOWN) violations.push(text);
    };
    let read = 0;
    let unacknowledged = 0;
    for await (const batch of records) {
      for (const { partition, offset, key, value } of batch) {
        read++;
        const at = `partition ${partition}, offset ${offset}`;
        const expected = nextOffset.get(partition) ?? 0;
        if (offset !== expected) violation(`${at}: expected offset ${expected}`);
        nextOffset.set(partition, offset + 1);
        if (key === null || value === null) {
          violation(`${at}: no key or no value`);
          continue;
        }
        const number = Number.parseInt(Buffer.from(value.subarray(0, 16)).toString("latin1"), 10);
        const entry = this.#entries[number];
        if (entry === undefined || entry.checksum !== crc32c(Buffer.from(value))) {
          violation(`${at}: a record that nobody sent`);
          continue;
        }
        if (seen[number] === 1) violation(`${at}: record ${number} for the second time`);
        seen[number] = 1;
        if (entry.partition === -1) unacknowledged++;
        else if (
          entry.partition !== partition ||
          (entry.offset !== offset && entry.offset !== -1)
        ) {
          violation(
            `${at}: record ${number} was acknowledged at partition ${entry.partition}, offset ${entry.offset}`,
          );
        }
        const name = Buffer.from(key).toString("utf8");
        const last = lastOfKey.get(name) ?? -1;
        if (number < last) violation(`${at}: record ${number} of ${name} after record ${last}`);
        lastOfKey.set(name, number);
        const home = partitionOfKey.get(name) ?? partition;
        if (home !== partition) violation(`${at}: ${name} lives in partition ${home}`);
        partitionOfKey.set(name, home);
      }
    }
    for (let number = 0; number < this.#entries.length; number++) {
      const entry = this.#entries[number] as Entry;
      if (entry.partition !== -1 && seen[number] === 0) {
        violation(
          `record ${number}, acknowledged at partition ${entry.partition}, offset ${entry.offset}, is gone`,
        );
      }
    }
    return { read, unacknowledged, violations };
  }
}
