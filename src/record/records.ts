/**
 * The records inside a batch: each a varint length, an attribute byte, deltas of timestamp and
 * offset, key, value and headers. Decoding makes views, no copies.
 */
import { Reader, varintSize, varlongSize, writeVarint, writeVarlong } from "../base/varint.ts";
import { type Compression, compressionId } from "../model/compression.ts";
import { OttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  isLogAppendTime,
  writeBatchHeader,
} from "./batch.ts";

export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** One record as stored: key and value are views of the batch's bytes. */
export interface StoredRecord {
  readonly offset: Offset;
  /** Milliseconds since 1970: the producer's, or the broker's with LogAppendTime. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

const NO_HEADERS: readonly RecordHeader[] = [];
const decoder = new TextDecoder();
const encoder = new TextEncoder();

function field(reader: Reader): Uint8Array | null {
  const size = reader.varint();
  return size < 0 ? null : reader.take(size);
}

/** Called with each record of a batch in order; key and value are views of the section. */
export type RecordVisitor = (
  offset: Offset,
  timestamp: number,
  key: Uint8Array | null,
  value: Uint8Array | null,
  headers: readonly RecordHeader[],
) => void;

/** Decodes an uncompressed records section record by record. Throws CORRUPT_MESSAGE. */
export function visitRecords(header: BatchHeader, section: Uint8Array, visit: RecordVisitor): void {
  const reader = new Reader(section);
  const appendTime = isLogAppendTime(header);
  let index = 0;
  try {
    for (; index < header.recordsCount; index++) {
      const size = reader.varint();
      const end = reader.position + size;
      reader.byte();
      const timestamp = header.baseTimestamp + reader.varlong();
      const offset = header.baseOffset + reader.varint();
      const key = field(reader);
      const value = field(reader);
      const headersCount = reader.varint();
      const headers = headersCount > 0 ? recordHeaders(reader, headersCount) : NO_HEADERS;
      if (size < 0 || headersCount < 0 || reader.position !== end)
        throw new RangeError("record length");
      visit(offset, appendTime ? header.maxTimestamp : timestamp, key, value, headers);
    }
  } catch (error) {
    if (error instanceof RangeError) {
      throw new OttlaError("CORRUPT_MESSAGE", `record ${index} of the batch is malformed`);
    }
    throw error;
  }
  if (reader.remaining !== 0) {
    throw new OttlaError(
      "CORRUPT_MESSAGE",
      `${reader.remaining} bytes follow the batch's last record`,
    );
  }
}

function recordHeaders(reader: Reader, count: number): RecordHeader[] {
  const list: RecordHeader[] = [];
  for (let at = 0; at < count; at++) {
    list.push({ key: decoder.decode(reader.take(reader.varint())), value: field(reader) });
  }
  return list;
}

/** Decodes an uncompressed records section. Throws CORRUPT_MESSAGE. */
export function decodeRecords(header: BatchHeader, section: Uint8Array): StoredRecord[] {
  const out: StoredRecord[] = [];
  visitRecords(header, section, (offset, timestamp, key, value, headers) => {
    out.push({ offset, timestamp, key, value, headers });
  });
  return out;
}

/**
 * Walks an uncompressed section once, without making objects: every record's length, its offset
 * delta (index by index), and the count; with `keysRequired` that each has a key. Throws
 * INVALID_RECORD (as Kafka's LogValidator does).
 */
export function walkRecords(header: BatchHeader, section: Uint8Array, keysRequired = false): void {
  const reader = new Reader(section);
  let index = 0;
  try {
    for (; index < header.recordsCount; index++) {
      const size = reader.varint();
      const end = reader.position + size;
      if (size < 6) throw new RangeError("record too short");
      reader.skip(1);
      reader.varlong();
      const delta = reader.varint();
      if (delta !== index) {
        throw new OttlaError(
          "INVALID_RECORD",
          `record ${index} of the batch has offset delta ${delta}, allowed is ${index}`,
        );
      }
      if (keysRequired && reader.varint() < 0) {
        throw new OttlaError(
          "INVALID_RECORD",
          `record ${index} of the batch has no key, which a topic with cleanup.policy=compact requires`,
        );
      }
      if (end > reader.end) throw new RangeError("record too long");
      reader.position = end;
    }
  } catch (error) {
    if (error instanceof RangeError) {
      throw new OttlaError("INVALID_RECORD", `record ${index} of the batch is malformed`);
    }
    throw error;
  }
  if (reader.remaining !== 0) {
    throw new OttlaError(
      "INVALID_RECORD",
      `${reader.remaining} bytes follow the batch's last record`,
    );
  }
}

/** A record on its way into a batch. */
export interface NewRecord {
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** A key or value on its way into a batch; a string is written as UTF-8. */
export type FieldValue = Uint8Array | string | null;

interface EncodedHeader {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

const NO_ENCODED_HEADERS: readonly EncodedHeader[] = [];
/** Below this length a plain loop beats the call into the engine's copy or encoder. */
const SHORT_BYTES = 24;
const SHORT_CHARACTERS = 160;

/** The string itself if it is short ASCII, which `writeField` copies without an object between; else its bytes. */
function prepareField(value: FieldValue): FieldValue {
  if (typeof value !== "string") return value;
  if (value.length > SHORT_CHARACTERS) return encoder.encode(value);
  for (let at = 0; at < value.length; at++) {
    if (value.charCodeAt(at) > 0x7f) return encoder.encode(value);
  }
  return value;
}

function fieldSize(value: FieldValue): number {
  return value === null ? 1 : varintSize(value.length) + value.length;
}

function writeField(bytes: Uint8Array, at: number, value: FieldValue): number {
  if (value === null) return writeVarint(bytes, at, -1);
  const { length } = value;
  const position = writeVarint(bytes, at, length);
  if (typeof value === "string") {
    for (let index = 0; index < length; index++) bytes[position + index] = value.charCodeAt(index);
  } else if (length <= SHORT_BYTES) {
    for (let index = 0; index < length; index++) bytes[position + index] = value[index] as number;
  } else bytes.set(value, position);
  return position + length;
}

/** Most bytes that a record can take in a batch, whatever its place in it: for planning a batch's size. */
export function recordSizeBytesMax(record: NewRecord): number {
  let size = 1 + 10 + 5 + 5 + 5 + 5 + 5 + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const header of record.headers)
    size += 10 + header.key.length * 3 + (header.value?.length ?? 0);
  return size;
}

/**
 * Collects records and seals them as one batch: what a producer does. Grows its buffer by doubling;
 * sealing an uncompressed batch copies nothing.
 */
export class BatchBuilder {
  #bytes: Uint8Array;
  #position = BATCH_HEADER_BYTES;
  #count = 0;
  #baseTimestamp = 0;
  #maxTimestamp = 0;

  /** `buffer`: memory to begin in, which is then this builder's and its batch's alone. */
  constructor(capacityBytes: number, buffer?: Uint8Array) {
    this.#bytes = buffer ?? new Uint8Array(Math.max(capacityBytes, BATCH_HEADER_BYTES + 64));
  }

  get recordsCount(): number {
    return this.#count;
  }

  /** Size of the batch if it were sealed uncompressed now. */
  get sizeBytes(): number {
    return this.#position;
  }

  /** Timestamp of the first record, which the section's deltas count from. */
  get baseTimestamp(): number {
    return this.#baseTimestamp;
  }

  append(record: NewRecord): void {
    this.appendFields(record.timestamp, record.key, record.value, record.headers);
  }

  /** `append` without an object for each record. */
  appendFields(
    timestamp: number,
    keyValue: FieldValue,
    valueValue: FieldValue,
    recordHeaders: readonly RecordHeader[],
  ): void {
    const count = this.#count;
    if (count === 0) {
      this.#baseTimestamp = timestamp;
      this.#maxTimestamp = timestamp;
    } else if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp;
    const timestampDelta = timestamp - this.#baseTimestamp;
    const key = prepareField(keyValue);
    const value = prepareField(valueValue);
    const headers: readonly EncodedHeader[] =
      recordHeaders.length === 0
        ? NO_ENCODED_HEADERS
        : recordHeaders.map((header) => ({
            key: encoder.encode(header.key),
            value: header.value,
          }));
    let size =
      1 +
      varlongSize(timestampDelta) +
      varintSize(count) +
      fieldSize(key) +
      fieldSize(value) +
      varintSize(headers.length);
    for (const header of headers) size += fieldSize(header.key) + fieldSize(header.value);
    this.#reserve(varintSize(size) + size);
    const bytes = this.#bytes;
    let at = writeVarint(bytes, this.#position, size);
    bytes[at++] = 0;
    at = writeVarlong(bytes, at, timestampDelta);
    at = writeVarint(bytes, at, count);
    at = writeField(bytes, at, key);
    at = writeField(bytes, at, value);
    at = writeVarint(bytes, at, headers.length);
    for (const header of headers) {
      at = writeField(bytes, at, header.key);
      at = writeField(bytes, at, header.value);
    }
    this.#position = at;
    this.#count = count + 1;
  }

  /** The uncompressed records section as collected so far: what a codec compresses. */
  section(): Uint8Array {
    return this.#bytes.subarray(BATCH_HEADER_BYTES, this.#position);
  }

  /**
   * The finished batch. `compressed`: the records section after `codec`, absent for none. The
   * builder must not be used again.
   */
  seal(options: SealOptions): Uint8Array {
    let bytes: Uint8Array;
    if (options.compressed === undefined) {
      bytes = this.#bytes.subarray(0, this.#position);
    } else {
      bytes = new Uint8Array(BATCH_HEADER_BYTES + options.compressed.length);
      bytes.set(options.compressed, BATCH_HEADER_BYTES);
    }
    writeBatchHeader(
      bytes,
      {
        baseOffset: 0,
        leaderEpoch: -1,
        attributes: options.compressed === undefined ? 0 : compressionId(options.codec),
        lastOffsetDelta: this.#count - 1,
        baseTimestamp: this.#baseTimestamp,
        maxTimestamp: this.#maxTimestamp,
        producerId: options.producerId,
        producerEpoch: options.producerEpoch,
        baseSequence: options.baseSequence,
        recordsCount: this.#count,
      },
      options.crc32c,
    );
    return bytes;
  }

  /** The memory that the batch lies in, which may be used again once nobody needs the batch. */
  get buffer(): Uint8Array {
    return this.#bytes;
  }

  #reserve(size: number): void {
    const needed = this.#position + size;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#position));
    this.#bytes = grown;
  }
}

export interface SealOptions {
  readonly codec: Compression;
  readonly compressed?: Uint8Array | undefined;
  /** -1 without idempotence; then epoch and sequence are -1 too. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly crc32c: (bytes: Uint8Array) => number;
}
