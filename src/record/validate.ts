/**
 * What the door checks of a batch before a leader appends it (Kafka: LogValidator): the header's
 * own consistency, CRC, size, record lengths. A compressed batch is not opened here: its records
 * are the consumer's to check, and a bomb stays closed. Only where every record must have a key
 * does the broker open it first, and hands its records to `validateKeys`.
 */
import { OttlaError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import {
  type Batch,
  compressionOf,
  hasDeleteHorizon,
  hasValidCrc,
  isControl,
  recordsSection,
  splitBatches,
} from "./batch.ts";
import { walkRecords } from "./records.ts";

export interface ProduceRules {
  /** `max.message.bytes` of the topic: the largest batch. */
  readonly maxMessageBytes: number;
  readonly crc32c: (bytes: Uint8Array) => number;
  /** The topic is compacted: a record without key could never be superseded. */
  readonly keysRequired?: boolean;
}

/**
 * The one batch of a produce request for one partition (Kafka allows exactly one, KIP-98).
 * Throws CORRUPT_MESSAGE, UNSUPPORTED_FOR_MESSAGE_FORMAT, MESSAGE_TOO_LARGE,
 * UNSUPPORTED_COMPRESSION_TYPE or INVALID_RECORD.
 */
export function validateProducedBatch(section: Uint8Array, rules: ProduceRules): Batch {
  if (section.length > rules.maxMessageBytes) {
    throw new OttlaError(
      "MESSAGE_TOO_LARGE",
      `batch of ${section.length} bytes, max.message.bytes allows ${rules.maxMessageBytes}`,
      { field: "max.message.bytes" },
    );
  }
  const batches = splitBatches(section);
  const batch = batches[0];
  if (batch === undefined || batches.length !== 1) {
    throw new OttlaError(
      "INVALID_RECORD",
      `${batches.length} batches for one partition in a request, allowed is 1`,
    );
  }
  const { header } = batch;
  if (!hasValidCrc(batch, rules.crc32c)) {
    throw new OttlaError("CORRUPT_MESSAGE", `CRC-32C of the batch is not ${header.crc}`);
  }
  const compression = compressionOf(header);
  if (compression === undefined) {
    throw new OttlaError(
      "UNSUPPORTED_COMPRESSION_TYPE",
      `compression ${header.attributes & 7}, allowed are 0 to 4`,
    );
  }
  if (isControl(header)) {
    throw new OttlaError("INVALID_RECORD", "a producer may not write control batches");
  }
  if (header.recordsCount < 1 || header.recordsCount > LIMITS.recordsPerBatchCount) {
    throw new OttlaError(
      "INVALID_RECORD",
      `batch of ${header.recordsCount} records, allowed are 1 to ${LIMITS.recordsPerBatchCount}`,
    );
  }
  if (header.lastOffsetDelta !== header.recordsCount - 1) {
    throw new OttlaError(
      "INVALID_RECORD",
      `last offset delta is ${header.lastOffsetDelta} in a batch of ${header.recordsCount} records`,
    );
  }
  if (hasDeleteHorizon(header)) {
    throw new OttlaError("INVALID_RECORD", "a producer may not write a delete horizon");
  }
  checkProducerFields(batch);
  if (compression === "none") walkRecords(header, recordsSection(batch), rules.keysRequired);
  return batch;
}

/** The records of a compressed batch, `section` being what it holds. Throws INVALID_RECORD. */
export function validateKeys({ header }: Batch, section: Uint8Array): void {
  walkRecords(header, section, true);
}

function checkProducerFields({ header }: Batch): void {
  if (header.producerId === -1) return;
  const safe = Number.isSafeInteger(header.producerId) && header.producerId >= 0;
  if (!safe || header.producerEpoch < 0 || header.baseSequence < 0) {
    throw new OttlaError(
      "INVALID_RECORD",
      `producer id ${header.producerId}, epoch ${header.producerEpoch}, sequence ${header.baseSequence}: allowed are values >= 0, or -1 for all three`,
    );
  }
}
