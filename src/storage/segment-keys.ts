/**
 * Keys of a segment's database. A batch lies under its last offset (8 bytes, big-endian): the batch
 * that holds an offset is the first batch key >= it, without an index. What lies beside a batch has
 * the same offset first and its kind as a ninth byte, so that keys only ever grow: a second key
 * family would make every memtable overlap every other, and compaction rewrite everything.
 */
import { readInt64, writeInt64 } from "../base/bytes.ts";
import type { Offset } from "../model/ids.ts";

export const BATCH_KEY_BYTES = 8;
const KIND_TIME = 0x74;
const KIND_BARRIER = 0x7a;

export function batchKey(lastOffset: Offset): Uint8Array {
  const key = new Uint8Array(BATCH_KEY_BYTES);
  writeInt64(key, 0, lastOffset);
  return key;
}

/** An entry of the sparse time index: the largest timestamp of the segment up to this batch. */
export function timeKey(lastOffset: Offset): Uint8Array {
  return sideKey(lastOffset, KIND_TIME);
}

/** Means nothing: what is written to make everything before it durable. */
export function barrierKey(lastOffset: Offset): Uint8Array {
  return sideKey(lastOffset, KIND_BARRIER);
}

function sideKey(lastOffset: Offset, kind: number): Uint8Array {
  const key = new Uint8Array(BATCH_KEY_BYTES + 1);
  writeInt64(key, 0, lastOffset);
  key[BATCH_KEY_BYTES] = kind;
  return key;
}

export function isBatchKey(key: Uint8Array): boolean {
  return key.length === BATCH_KEY_BYTES;
}

export function isTimeKey(key: Uint8Array): boolean {
  return key.length === BATCH_KEY_BYTES + 1 && key[BATCH_KEY_BYTES] === KIND_TIME;
}

export function keyOffset(key: Uint8Array): Offset {
  return readInt64(key, 0);
}

export function timeValue(maxTimestamp: number): Uint8Array {
  const value = new Uint8Array(8);
  writeInt64(value, 0, maxTimestamp);
  return value;
}

export function readTimeValue(value: Uint8Array): number {
  return readInt64(value, 0);
}

/** Name of a segment's directory: its base offset in 20 digits, as Kafka names its files. */
export function segmentName(baseOffset: Offset): string {
  return String(baseOffset).padStart(20, "0");
}

/** The base offset that a directory name stands for; undefined if it is not a segment's. */
export function segmentBase(name: string): Offset | undefined {
  if (!/^\d{20}$/.test(name)) return undefined;
  const base = Number(name);
  return Number.isSafeInteger(base) ? base : undefined;
}
