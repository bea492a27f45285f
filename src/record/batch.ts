/**
 * RecordBatch v2 (magic 2), Kafka's on-disk and on-wire unit: a header of 61 bytes, then records,
 * compressed as one section if at all. Integers are big-endian. The CRC-32C covers everything after
 * itself, so that base offset and leader epoch can be patched without touching it (KIP-98, KIP-101).
 *
 *   0 baseOffset i64 · 8 batchLength i32 · 12 partitionLeaderEpoch i32 · 16 magic i8 · 17 crc u32
 *   21 attributes i16 · 23 lastOffsetDelta i32 · 27 baseTimestamp i64 · 35 maxTimestamp i64
 *   43 producerId i64 · 51 producerEpoch i16 · 53 baseSequence i32 · 57 recordsCount i32 · 61 records
 */
import {
  readInt16,
  readInt32,
  readInt64,
  readUint32,
  writeInt16,
  writeInt32,
  writeInt64,
} from "../base/bytes.ts";
import { type Compression, compressionFromId } from "../model/compression.ts";
import { OttlaError } from "../model/errors.ts";
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId } from "../model/ids.ts";

export const BATCH_HEADER_BYTES = 61;
/** Bytes before and including `batchLength`, which does not count them. */
export const BATCH_OVERHEAD_BYTES = 12;
export const MAGIC_V2 = 2;
const CRC_AT = 17;
const CRC_FROM = 21;
const ATTRIBUTE_COMPRESSION = 0x07;
const ATTRIBUTE_LOG_APPEND_TIME = 0x08;
const ATTRIBUTE_TRANSACTIONAL = 0x10;
const ATTRIBUTE_CONTROL = 0x20;
const ATTRIBUTE_DELETE_HORIZON = 0x40;

export interface BatchHeader {
  readonly baseOffset: Offset;
  /** Size of the whole batch, header included. */
  readonly sizeBytes: number;
  readonly leaderEpoch: LeaderEpoch;
  readonly magic: number;
  readonly crc: number;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: ProducerId;
  readonly producerEpoch: ProducerEpoch;
  readonly baseSequence: number;
  readonly recordsCount: number;
}

/** Offset of the batch's last record. */
export function lastOffset(header: BatchHeader): Offset {
  return header.baseOffset + header.lastOffsetDelta;
}

/** Sequence of the batch's last record; sequences wrap at 2^31 (KIP-98). */
export function lastSequence(header: BatchHeader): number {
  return (header.baseSequence + header.lastOffsetDelta) % 0x8000_0000;
}

/** The codec, or undefined if the attribute names none that exists. */
export function compressionOf(header: BatchHeader): Compression | undefined {
  return compressionFromId(header.attributes & ATTRIBUTE_COMPRESSION);
}

export function isLogAppendTime(header: BatchHeader): boolean {
  return (header.attributes & ATTRIBUTE_LOG_APPEND_TIME) !== 0;
}

export function isTransactional(header: BatchHeader): boolean {
  return (header.attributes & ATTRIBUTE_TRANSACTIONAL) !== 0;
}

export function isControl(header: BatchHeader): boolean {
  return (header.attributes & ATTRIBUTE_CONTROL) !== 0;
}

/** Whether records of the batch were compacted away: offsets then are no longer one after the other. */
export function isCompacted(header: BatchHeader): boolean {
  return header.recordsCount !== header.lastOffsetDelta + 1;
}

/**
 * When the batch's tombstones may go (KIP-534), in wall-clock ms; undefined before the log cleaner
 * has passed for the first time. It stands in place of the base timestamp.
 */
export function deleteHorizonOf(header: BatchHeader): number | undefined {
  return hasDeleteHorizon(header) ? header.baseTimestamp : undefined;
}

export function hasDeleteHorizon(header: BatchHeader): boolean {
  return (header.attributes & ATTRIBUTE_DELETE_HORIZON) !== 0;
}

/** The header with a delete horizon; timestamps of its records have to be counted from there. */
export function withDeleteHorizon(header: BatchHeader, horizonMs: number): BatchHeader {
  const attributes = header.attributes | ATTRIBUTE_DELETE_HORIZON;
  return { ...header, attributes, baseTimestamp: horizonMs };
}

/** Attributes of a batch without records: nothing is compressed, nothing waits for a horizon. */
export function attributesWithoutRecords(header: BatchHeader): number {
  return header.attributes & ~(ATTRIBUTE_COMPRESSION | ATTRIBUTE_DELETE_HORIZON);
}

function corrupt(message: string): OttlaError {
  return new OttlaError("CORRUPT_MESSAGE", message);
}

/**
 * Reads the header at `at` and checks that the whole batch lies within `bytes`.
 * Throws CORRUPT_MESSAGE, or UNSUPPORTED_FOR_MESSAGE_FORMAT for another magic.
 */
export function readBatchHeader(bytes: Uint8Array, at = 0): BatchHeader {
  const available = bytes.length - at;
  if (available < BATCH_HEADER_BYTES) {
    throw corrupt(`batch header needs ${BATCH_HEADER_BYTES} bytes, ${available} are there`);
  }
  const magic = bytes[at + 16] as number;
  if (magic !== MAGIC_V2) {
    throw new OttlaError("UNSUPPORTED_FOR_MESSAGE_FORMAT", `magic is ${magic}, allowed is 2`);
  }
  const sizeBytes = readInt32(bytes, at + 8) + BATCH_OVERHEAD_BYTES;
  if (sizeBytes < BATCH_HEADER_BYTES || sizeBytes > available) {
    throw corrupt(`batch says it has ${sizeBytes} bytes, ${available} are there`);
  }
  return {
    baseOffset: readInt64(bytes, at),
    sizeBytes,
    leaderEpoch: readInt32(bytes, at + 12),
    magic,
    crc: readUint32(bytes, at + CRC_AT),
    attributes: readInt16(bytes, at + 21),
    lastOffsetDelta: readInt32(bytes, at + 23),
    baseTimestamp: readInt64(bytes, at + 27),
    maxTimestamp: readInt64(bytes, at + 35),
    producerId: readInt64(bytes, at + 43),
    producerEpoch: readInt16(bytes, at + 51),
    baseSequence: readInt32(bytes, at + 53),
    recordsCount: readInt32(bytes, at + 57),
  };
}

/** One batch with its header: the unit that storage and replication pass on. */
export interface Batch {
  readonly header: BatchHeader;
  /** Exactly the batch: `header.sizeBytes` bytes, often a view of a larger buffer. */
  readonly bytes: Uint8Array;
}

/** Splits a section into its batches without copying. Throws as `readBatchHeader`. */
export function splitBatches(section: Uint8Array): Batch[] {
  const out: Batch[] = [];
  for (let at = 0; at < section.length; ) {
    const header = readBatchHeader(section, at);
    out.push({ header, bytes: section.subarray(at, at + header.sizeBytes) });
    at += header.sizeBytes;
  }
  return out;
}

/** Whether the stored CRC is that of the bytes. */
export function hasValidCrc(batch: Batch, crc32c: (bytes: Uint8Array) => number): boolean {
  return crc32c(batch.bytes.subarray(CRC_FROM)) >>> 0 === batch.header.crc;
}

/** The records section: compressed if the header says so. */
export function recordsSection(batch: Batch): Uint8Array {
  return batch.bytes.subarray(BATCH_HEADER_BYTES);
}

/**
 * Gives the batch its place in a log: writes base offset and leader epoch into its bytes, both
 * outside the CRC, and returns it with the new header. The bytes must be the caller's own.
 */
export function placeBatch(
  batch: Batch,
  place: { readonly baseOffset: Offset; readonly leaderEpoch: LeaderEpoch },
): Batch {
  writeInt64(batch.bytes, 0, place.baseOffset);
  writeInt32(batch.bytes, 12, place.leaderEpoch);
  return { bytes: batch.bytes, header: { ...batch.header, ...place } };
}

/**
 * Turns the batch to LogAppendTime (KIP-32): its records then have `timestamp` as theirs. This
 * changes bytes under the CRC, which is computed anew.
 */
export function stampLogAppendTime(
  batch: Batch,
  timestamp: number,
  crc32c: (bytes: Uint8Array) => number,
): Batch {
  const attributes = batch.header.attributes | ATTRIBUTE_LOG_APPEND_TIME;
  writeInt16(batch.bytes, 21, attributes);
  writeInt64(batch.bytes, 35, timestamp);
  const crc = crc32c(batch.bytes.subarray(CRC_FROM)) >>> 0;
  writeInt32(batch.bytes, CRC_AT, crc);
  return {
    bytes: batch.bytes,
    header: { ...batch.header, attributes, maxTimestamp: timestamp, crc },
  };
}

/** Writes a whole header, CRC last; `bytes` holds the records section already. */
export function writeBatchHeader(
  bytes: Uint8Array,
  header: Omit<BatchHeader, "crc" | "magic" | "sizeBytes">,
  crc32c: (bytes: Uint8Array) => number,
): void {
  writeInt64(bytes, 0, header.baseOffset);
  writeInt32(bytes, 8, bytes.length - BATCH_OVERHEAD_BYTES);
  writeInt32(bytes, 12, header.leaderEpoch);
  bytes[16] = MAGIC_V2;
  writeInt16(bytes, 21, header.attributes);
  writeInt32(bytes, 23, header.lastOffsetDelta);
  writeInt64(bytes, 27, header.baseTimestamp);
  writeInt64(bytes, 35, header.maxTimestamp);
  writeInt64(bytes, 43, header.producerId);
  writeInt16(bytes, 51, header.producerEpoch);
  writeInt32(bytes, 53, header.baseSequence);
  writeInt32(bytes, 57, header.recordsCount);
  writeInt32(bytes, CRC_AT, crc32c(bytes.subarray(CRC_FROM)) >>> 0);
}
