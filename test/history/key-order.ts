/**
 * The log of one key as everybody together saw it: the offsets that are known to hold a record,
 * ascending, and what stands there. Known are all offsets that were read, and those acknowledged
 * with acks=all: a leader alone may acknowledge with acks=1 what the next leader does not have.
 */
import { ACKS_ALL, type KeyTable, OK } from "./tables.ts";

export class KeyOrder {
  readonly table: KeyTable;
  readonly offsets: Float64Array;
  /** By position, the value that was found there first. */
  readonly values: Int32Array;
  /** By position, the first of the key's reads that has it; -1 where nobody read. */
  readonly firstRead: Int32Array;

  constructor(table: KeyTable) {
    this.table = table;
    const { sent, readOffsets, readValues } = table;
    const acknowledged: number[] = [];
    for (let id = 0; id < sent.count; id++) if (isCommitted(table, id)) acknowledged.push(id);
    const all = new Float64Array(readOffsets.length + acknowledged.length);
    all.set(readOffsets);
    all.set(
      acknowledged.map((id) => sent.offset[id] as number),
      readOffsets.length,
    );
    all.sort();
    let count = 0;
    for (const offset of all) if (count === 0 || all[count - 1] !== offset) all[count++] = offset;
    this.offsets = all.slice(0, count);
    this.values = new Int32Array(count).fill(-1);
    this.firstRead = new Int32Array(count).fill(-1);
    let position = -1;
    for (let read = 0; read < readOffsets.length; read++) {
      position = this.#positionAfter(position, readOffsets[read] as number);
      if (this.firstRead[position] !== -1) continue;
      this.firstRead[position] = read;
      this.values[position] = readValues[read] as number;
    }
    for (const id of acknowledged) {
      position = this.#positionAfter(position, sent.offset[id] as number);
      if (this.values[position] === -1) this.values[position] = id;
    }
  }

  get count(): number {
    return this.offsets.length;
  }

  /** The first position at or behind `offset`. */
  lowerBound(offset: number): number {
    let low = 0;
    let high = this.offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.offsets[middle] as number) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Position of an offset that is known; mostly it is the one behind the last that was asked for. */
  #positionAfter(position: number, offset: number): number {
    return this.offsets[position + 1] === offset ? position + 1 : this.lowerBound(offset);
  }

  /** Visits each read in order with its position. */
  forEachRead(visit: (read: number, position: number) => void): void {
    const { readOffsets } = this.table;
    let position = -1;
    for (let read = 0; read < readOffsets.length; read++) {
      position = this.#positionAfter(position, readOffsets[read] as number);
      visit(read, position);
    }
  }

  /** The line of the poll that gave a read. */
  lineOfRead(read: number): number {
    const { end, completedAt } = this.table.deliveries;
    let low = 0;
    let high = end.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((end[middle] as number) > read) high = middle;
      else low = middle + 1;
    }
    return completedAt[low] ?? -1;
  }
}

/** Acknowledged with acks=all and an offset: it must stand there for good. */
export function isCommitted({ sent }: KeyTable, id: number): boolean {
  return sent.outcome[id] === OK && sent.acks[id] === ACKS_ALL && (sent.offset[id] as number) >= 0;
}
