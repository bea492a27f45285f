/**
 * What stands where.
 *
 * - inconsistent-offset: one offset held two different values.
 * - duplicate: a value that was sent idempotently stands at two offsets.
 * - phantom: a value was read that nobody had sent by then, or whose send failed for certain.
 */
import { isCommitted } from "../key-order.ts";
import { FAIL } from "../tables.ts";
import { type KeyCheck, nameOf } from "./key-check.ts";

export function checkValues(check: KeyCheck): void {
  const { key, order } = check;
  const { sent, readValues } = key;
  const places = new Places(check);
  order.forEachRead((read, position) => {
    const value = readValues[read] as number;
    places.found(value, position, () => order.lineOfRead(read));
  });
  let position = -1;
  for (let value = 0; value < sent.count; value++) {
    if (!isCommitted(key, value)) continue;
    const offset = sent.offset[value] as number;
    position = order.offsets[position + 1] === offset ? position + 1 : order.lowerBound(offset);
    places.found(value, position, () => sent.completedAt[value] as number);
  }
  checkPhantoms(check, places);
}

/** Where each value was found first. */
class Places {
  readonly #check: KeyCheck;
  readonly #positionOf: Int32Array;
  readonly #twice = new Set<number>();
  readonly #conflicts = new Set<string>();

  constructor(check: KeyCheck) {
    this.#check = check;
    this.#positionOf = new Int32Array(check.key.sent.count).fill(-1);
  }

  positionOf(value: number): number {
    return this.#positionOf[value] ?? -1;
  }

  found(value: number, position: number, line: () => number): void {
    if (this.#check.order.values[position] !== value) this.#conflict(value, position, line());
    const first = this.#positionOf[value];
    if (first === -1) this.#positionOf[value] = position;
    else if (first !== position) this.#second(value, position, line());
  }

  #conflict(value: number, position: number, line: number): void {
    const known = `${position} ${value}`;
    if (this.#conflicts.has(known)) return;
    this.#conflicts.add(known);
    const { findings, key, order } = this.#check;
    const other = order.values[position] as number;
    findings.add("inconsistent-offset", () => ({
      key: key.name,
      text: `offset ${order.offsets[position]} held both ${nameOf(this.#check, other)} and ${nameOf(this.#check, value)}`,
      lines: [lineOfPosition(this.#check, position), line],
    }));
  }

  #second(value: number, position: number, line: number): void {
    if (this.#twice.has(value)) return;
    this.#twice.add(value);
    const { findings, key, order, allowed } = this.#check;
    if (key.sent.idempotent[value] !== true) {
      allowed.duplicates++;
      return;
    }
    const first = this.#positionOf[value] as number;
    findings.add("duplicate", () => ({
      key: key.name,
      text: `${nameOf(this.#check, value)} was sent once, idempotently, and stands at the offsets ${order.offsets[first]} and ${order.offsets[position]}`,
      lines: [key.sent.invokedAt[value] as number, lineOfPosition(this.#check, first), line],
    }));
  }
}

/** The line from which the value of a position is known: of a poll, else of its acknowledgement. */
export function lineOfPosition({ key, order }: KeyCheck, position: number): number {
  const read = order.firstRead[position] as number;
  if (read !== -1) return order.lineOfRead(read);
  return key.sent.completedAt[order.values[position] as number] ?? -1;
}

function checkPhantoms(check: KeyCheck, places: Places): void {
  const { key, order, findings } = check;
  const { sent } = key;
  const told = new Set<number>();
  for (const { value, at } of key.unsent) {
    if (told.has(value)) continue;
    told.add(value);
    const invokedAt = sent.invokedAt[value] as number;
    findings.add("phantom", () => ({
      key: key.name,
      text: `${nameOf(check, value)} was read, ${invokedAt === -1 ? "but nobody sent it" : "before it was sent"}`,
      lines: [at, invokedAt],
    }));
  }
  for (let value = 0; value < sent.count; value++) {
    const position = places.positionOf(value);
    if (sent.outcome[value] !== FAIL || position === -1) continue;
    findings.add("phantom", () => ({
      key: key.name,
      text: `${nameOf(check, value)} was read at offset ${order.offsets[position]}, but its send failed for certain`,
      lines: [
        sent.invokedAt[value] as number,
        sent.completedAt[value] as number,
        lineOfPosition(check, position),
      ],
    }));
  }
}
