/**
 * What a leader sends its followers. Frames carry all replicated bytes, so they are written by hand
 * into a buffer of their exact size; the numbers of fields are those of `internal.proto`.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { bytesTag, uintSize, varintTag, writeUint } from "../base/protobuf.ts";
import { varlongSize, writeVarlong } from "../base/varint.ts";
import { ottla } from "../gen/internal.js";
import { decodeMessage, encodeMessage } from "../grpc/messages.ts";
import { type ErrorCode, isErrorCode, OttlaError } from "../model/errors.ts";
import type { FetchedPartition, FetchRefusal, ReplicationDown } from "../replica/messages.ts";

const v1 = ottla.internal.v1;

const FRAME_FIELD = 1;
const PARTITIONS_FIELD = 1;
const HANDLE_FIELD = 1;
const HIGH_WATERMARK_FIELD = 2;
const LOG_START_FIELD = 3;
const BATCHES_FIELD = 4;
const FOUR_TAGS_BYTES = 4;

export function encodeReplicationDown(message: ReplicationDown): Buffer {
  if (message.type === "frame") return encodeFrame(message.partitions);
  const partitions = message.partitions.map((each) => ({
    ...each,
    error: each.error ?? null,
    diverging: each.diverging ?? null,
  }));
  return encodeMessage(v1.ReplicationDown, new v1.ReplicationDown({ refuse: { partitions } }));
}

function encodeFrame(partitions: readonly FetchedPartition[]): Buffer {
  const sizes = partitions.map(partitionSize);
  let frameSize = 0;
  for (const size of sizes) frameSize += 1 + uintSize(size) + size;
  const bytes = Buffer.allocUnsafe(1 + uintSize(frameSize) + frameSize);
  bytes[0] = bytesTag(FRAME_FIELD);
  let at = writeUint(bytes, 1, frameSize);
  for (const [index, partition] of partitions.entries()) {
    bytes[at] = bytesTag(PARTITIONS_FIELD);
    at = writePartition(bytes, writeUint(bytes, at + 1, sizes[index] as number), partition);
  }
  return bytes;
}

function partitionSize({
  handle,
  highWatermark,
  logStartOffset,
  batches,
}: FetchedPartition): number {
  return (
    FOUR_TAGS_BYTES +
    uintSize(handle) +
    varlongSize(highWatermark) +
    varlongSize(logStartOffset) +
    uintSize(batches.length) +
    batches.length
  );
}

function writePartition(bytes: Buffer, from: number, partition: FetchedPartition): number {
  let at = from;
  bytes[at++] = varintTag(HANDLE_FIELD);
  at = writeUint(bytes, at, partition.handle);
  bytes[at++] = varintTag(HIGH_WATERMARK_FIELD);
  at = writeVarlong(bytes, at, partition.highWatermark);
  bytes[at++] = varintTag(LOG_START_FIELD);
  at = writeVarlong(bytes, at, partition.logStartOffset);
  bytes[at++] = bytesTag(BATCHES_FIELD);
  at = writeUint(bytes, at, partition.batches.length);
  bytes.set(partition.batches, at);
  return at + partition.batches.length;
}

export function decodeReplicationDown(bytes: Buffer): ReplicationDown {
  const { frame, refuse } = decodeMessage(v1.ReplicationDown, bytes);
  if (frame) {
    return {
      type: "frame",
      partitions: (frame.partitions ?? []).map((each) => ({
        handle: each.handle ?? 0,
        highWatermark: each.highWatermark ?? 0,
        logStartOffset: each.logStartOffset ?? 0,
        batches: each.batches ?? EMPTY_BYTES,
      })),
    };
  }
  if (refuse) return { type: "refuse", partitions: (refuse.partitions ?? []).map(refusal) };
  throw new OttlaError("INVALID_REQUEST", "a replication message of an unknown kind");
}

function refusal(message: ottla.internal.v1.FetchRefusal.$Properties): FetchRefusal {
  const { diverging } = message;
  return {
    handle: message.handle ?? 0,
    error: errorCode(message.error),
    diverging: diverging
      ? { epoch: diverging.epoch ?? 0, endOffset: diverging.endOffset ?? 0 }
      : undefined,
    logStartOffset: message.logStartOffset ?? 0,
    logEndOffset: message.logEndOffset ?? 0,
  };
}

/** A newer leader may know more errors than this follower. */
function errorCode(code: string | null | undefined): ErrorCode | undefined {
  if (code === null || code === undefined) return undefined;
  return isErrorCode(code) ? code : "UNKNOWN_SERVER_ERROR";
}
