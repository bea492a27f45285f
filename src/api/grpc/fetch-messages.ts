/**
 * Fetch responses. They carry all consumed bytes, so they are written by hand into a buffer of
 * their exact size, each batch straight from where the broker has it; the numbers of fields are
 * those of `ottla.proto`.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BYTES } from "../../base/bytes.ts";
import { bytesTag, uintSize, varintTag, writeUint } from "../../base/protobuf.ts";
import { varlongSize, writeVarlong } from "../../base/varint.ts";
import type { FetchedOne } from "../../broker/broker-api.ts";
import { ottla } from "../../gen/ottla.js";
import type { MetadataImage } from "../../metadata/image.ts";
import { LIMITS } from "../../model/limits.ts";
import { hintMessage } from "./image-messages.ts";
import { errorMessage } from "./status.ts";

const PARTITIONS_FIELD = 1;
const HANDLE_FIELD = 1;
const HIGH_WATERMARK_FIELD = 3;
const LAST_STABLE_FIELD = 4;
const LOG_START_FIELD = 5;
const BATCHES_FIELD = 6;
const FIVE_TAGS_BYTES = 5;
/** A response that has reached it gets no further partition. */
const RESPONSE_BYTES = LIMITS.grpcMessageBytes / 8;

interface Part {
  readonly one: FetchedOne;
  /** Error and leader, which are rare: fields that general code wrote. */
  readonly rest: Uint8Array;
  readonly batchesBytes: number;
  readonly sizeBytes: number;
}

/** As many messages as keep each below the limit, in order. */
export function encodeFetched(
  fetched: readonly FetchedOne[],
  image: MetadataImage,
  listenerName: string,
): Buffer[] {
  const messages: Buffer[] = [];
  let parts: Part[] = [];
  let size = 0;
  for (const one of fetched) {
    const part = partOf(one, image, listenerName);
    if (parts.length > 0 && size + part.sizeBytes > RESPONSE_BYTES) {
      messages.push(encode(parts));
      parts = [];
      size = 0;
    }
    parts.push(part);
    size += part.sizeBytes;
  }
  if (parts.length > 0) messages.push(encode(parts));
  return messages;
}

function partOf(one: FetchedOne, image: MetadataImage, listenerName: string): Part {
  let batchesBytes = 0;
  for (const { bytes } of one.batches) batchesBytes += bytes.length;
  const rest = restOf(one, image, listenerName);
  const sizeBytes =
    FIVE_TAGS_BYTES +
    uintSize(one.handle) +
    varlongSize(one.highWatermark) +
    varlongSize(one.lastStableOffset) +
    varlongSize(one.logStartOffset) +
    uintSize(batchesBytes) +
    batchesBytes +
    rest.length;
  return { one, rest, batchesBytes, sizeBytes };
}

function restOf(
  { divergedAt, error, leader }: FetchedOne,
  image: MetadataImage,
  listenerName: string,
): Uint8Array {
  if (error === undefined && leader === undefined) return EMPTY_BYTES;
  const hint = hintMessage(leader, image, listenerName);
  const message = { error: errorMessage(error), leader: hint, divergedAt: divergedAt ?? null };
  return ottla.v1.FetchedPartition.encode(message).finish();
}

function encode(parts: readonly Part[]): Buffer {
  let size = 0;
  for (const { sizeBytes } of parts) size += 1 + uintSize(sizeBytes) + sizeBytes;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const part of parts) {
    bytes[at] = bytesTag(PARTITIONS_FIELD);
    at = writePart(bytes, writeUint(bytes, at + 1, part.sizeBytes), part);
  }
  return bytes;
}

function writePart(bytes: Buffer, from: number, { one, rest, batchesBytes }: Part): number {
  let at = from;
  bytes[at++] = varintTag(HANDLE_FIELD);
  at = writeUint(bytes, at, one.handle);
  bytes[at++] = varintTag(HIGH_WATERMARK_FIELD);
  at = writeVarlong(bytes, at, one.highWatermark);
  bytes[at++] = varintTag(LAST_STABLE_FIELD);
  at = writeVarlong(bytes, at, one.lastStableOffset);
  bytes[at++] = varintTag(LOG_START_FIELD);
  at = writeVarlong(bytes, at, one.logStartOffset);
  bytes[at++] = bytesTag(BATCHES_FIELD);
  at = writeUint(bytes, at, batchesBytes);
  for (const { bytes: batch } of one.batches) {
    bytes.set(batch, at);
    at += batch.length;
  }
  bytes.set(rest, at);
  return at + rest.length;
}
