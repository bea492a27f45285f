/**
 * Walks the records of an uncompressed section one by one without making objects: what the log
 * cleaner looks at, record by record, for every byte of a log.
 */
import { Reader } from "../base/varint.ts";
import { OttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";
import type { BatchHeader } from "./batch.ts";

export class RecordCursor {
  readonly bytes: Uint8Array;
  readonly #header: BatchHeader;
  readonly #reader: Reader;
  #index = 0;
  #delta = -1;
  /** The present record: all of it, from its length on. */
  start = 0;
  end = 0;
  /** Where its attributes stand; the timestamp's delta follows them. */
  attributesAt = 0;
  /** Where its offset delta stands: what follows does not depend on the batch's base timestamp. */
  restAt = 0;
  timestampDelta = 0;
  offset: Offset = -1;
  keyStart = 0;
  /** Below `keyStart`: it has no key. */
  keyEnd = -1;
  hasValue = false;

  constructor(header: BatchHeader, section: Uint8Array) {
    this.bytes = section;
    this.#header = header;
    this.#reader = new Reader(section);
  }

  get hasKey(): boolean {
    return this.keyEnd >= this.keyStart;
  }

  /** Moves to the next record; false after the last. Throws CORRUPT_MESSAGE. */
  next(): boolean {
    const { baseOffset, lastOffsetDelta, recordsCount } = this.#header;
    if (this.#index >= recordsCount) {
      if (this.#reader.remaining !== 0) throw this.#malformed("bytes follow the last record");
      return false;
    }
    try {
      const reader = this.#reader;
      this.start = reader.position;
      const size = reader.varint();
      this.end = reader.position + size;
      this.attributesAt = reader.position;
      if (size < 0 || this.end > reader.end) throw new RangeError("length");
      reader.skip(1);
      this.timestampDelta = reader.varlong();
      this.restAt = reader.position;
      const delta = reader.varint();
      // A compressed batch was not opened when it came: its offsets are believed by nobody.
      if (delta <= this.#delta || delta > lastOffsetDelta) throw new RangeError("offset delta");
      this.#delta = delta;
      this.offset = baseOffset + delta;
      const keyBytes = reader.varint();
      this.keyStart = reader.position;
      this.keyEnd = keyBytes < 0 ? -1 : this.keyStart + keyBytes;
      if (keyBytes > 0) reader.skip(keyBytes);
      const valueBytes = reader.varint();
      this.hasValue = valueBytes >= 0;
      if (valueBytes > 0) reader.skip(valueBytes);
      if (reader.position > this.end) throw new RangeError("fields");
      reader.position = this.end;
    } catch (error) {
      if (error instanceof RangeError) throw this.#malformed(error.message);
      throw error;
    }
    this.#index++;
    return true;
  }

  #malformed(what: string): OttlaError {
    return new OttlaError(
      "CORRUPT_MESSAGE",
      `record ${this.#index} of the batch at ${this.#header.baseOffset} is malformed: ${what}`,
    );
  }
}
