/** A history's bytes as lines, with the place of each, so that a report can show them again. */
import type { HistoryLine } from "./format.ts";
import { HistoryError, LINE_LENGTH_MAX, parseLine } from "./parse.ts";

const NEWLINE = 0x0a;

export class HistoryFile {
  readonly name: string;
  readonly #bytes: Buffer;
  /** Index of each line, rising, and where it starts. */
  readonly #indexes: number[] = [];
  readonly #starts: number[] = [];
  readonly #numbers: number[] = [];
  #lineNumber = 0;

  constructor(name: string, bytes: Buffer) {
    this.name = name;
    this.#bytes = bytes;
  }

  /** Of the line that was read last, from 1. */
  get lineNumber(): number {
    return this.#lineNumber;
  }

  /** Reads it from the beginning; once. Throws `HistoryError`. */
  *lines(): Generator<HistoryLine, void, undefined> {
    for (let start = 0; start < this.#bytes.length; ) {
      const end = this.#endOf(start);
      this.#lineNumber++;
      const line = parseLine(this.#textOf(start, end), this.#lineNumber);
      if (line !== undefined) {
        this.#indexes.push(line.i);
        this.#starts.push(start);
        this.#numbers.push(this.#lineNumber);
        yield line;
      }
      start = end + 1;
    }
  }

  /** Number and text of the line with this index, of those read. */
  find(index: number): { readonly number: number; readonly text: string } | undefined {
    let low = 0;
    let high = this.#indexes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#indexes[middle] as number) < index) low = middle + 1;
      else high = middle;
    }
    const start = this.#starts[low];
    if (start === undefined || this.#indexes[low] !== index) return undefined;
    return { number: this.#numbers[low] as number, text: this.#textOf(start, this.#endOf(start)) };
  }

  #endOf(start: number): number {
    const end = this.#bytes.indexOf(NEWLINE, start);
    return end === -1 ? this.#bytes.length : end;
  }

  #textOf(start: number, end: number): string {
    if (end - start > LINE_LENGTH_MAX) {
      throw new HistoryError(
        `has ${end - start} bytes, at most ${LINE_LENGTH_MAX} are allowed`,
        this.#lineNumber,
      );
    }
    return this.#bytes.toString("utf8", start, end);
  }
}
