/**
 * Bytes of the metadata log on disk. LevelDB hands out a flipped bit without a word, so every value
 * carries its own CRC-32C, over its key too: a value that strayed under another key is as wrong.
 *
 *   `e` <index: 8>   one entry: <crc: 4> <term: 8> <kind: 1> <payload>
 *   `b`              the entry before the first that is kept: <crc: 4> JSON
 *   `f`              what the cluster was formed with: <crc: 4> JSON
 *   `h`              hard state: <crc: 4> JSON
 */
import { assert } from "../base/assert.ts";
import { readInt64, readUint32, text, utf8, writeInt32, writeInt64 } from "../base/bytes.ts";
import type { LogIndex } from "../model/ids.ts";
import type { Crc32c } from "../ports/codecs.ts";
import type { EntryKind, RaftEntry } from "../raft/messages.ts";

const ENTRY_PREFIX = 0x65;
const ENTRY_HEADER_BYTES = 13;

export const BASE_KEY = utf8("b");
export const FORMATION_KEY = utf8("f");
export const HARD_STATE_KEY = utf8("h");

const KINDS: readonly EntryKind[] = ["data", "config", "no-op"];

export function entryKey(index: LogIndex): Uint8Array {
  const key = new Uint8Array(9);
  key[0] = ENTRY_PREFIX;
  writeInt64(key, 1, index);
  return key;
}

/** All keys of entries lie in `[entryKey(0), ENTRY_KEYS_END)`. */
export const ENTRY_KEYS_END: Uint8Array = new Uint8Array([ENTRY_PREFIX + 1]);

export function indexOfKey(key: Uint8Array): LogIndex {
  assert(key.length === 9 && key[0] === ENTRY_PREFIX, "an entry's key");
  return readInt64(key, 1);
}

export function encodeEntry(entry: RaftEntry, key: Uint8Array, crc32c: Crc32c): Uint8Array {
  const value = new Uint8Array(ENTRY_HEADER_BYTES + entry.payload.length);
  writeInt64(value, 4, entry.term);
  value[12] = KINDS.indexOf(entry.kind);
  value.set(entry.payload, ENTRY_HEADER_BYTES);
  seal(value, key, crc32c);
  return value;
}

/** Undefined if the value is damaged. The payload is a view of `value`. */
export function decodeEntry(
  key: Uint8Array,
  value: Uint8Array,
  crc32c: Crc32c,
): RaftEntry | undefined {
  if (value.length < ENTRY_HEADER_BYTES || !isSealed(value, key, crc32c)) return undefined;
  const kind = KINDS[value[12] as number];
  if (kind === undefined) return undefined;
  return {
    index: indexOfKey(key),
    term: readInt64(value, 4),
    kind,
    payload: value.subarray(ENTRY_HEADER_BYTES),
  };
}

/** A small value as JSON. */
export function encodeSealed(json: unknown, key: Uint8Array, crc32c: Crc32c): Uint8Array {
  const body = utf8(JSON.stringify(json));
  const value = new Uint8Array(4 + body.length);
  value.set(body, 4);
  seal(value, key, crc32c);
  return value;
}

/** Undefined if the value is damaged. */
export function decodeSealed(key: Uint8Array, value: Uint8Array, crc32c: Crc32c): unknown {
  if (value.length < 4 || !isSealed(value, key, crc32c)) return undefined;
  return JSON.parse(text(value.subarray(4)));
}

function seal(value: Uint8Array, key: Uint8Array, crc32c: Crc32c): void {
  writeInt32(value, 0, crc32c(value.subarray(4), crc32c(key)));
}

function isSealed(value: Uint8Array, key: Uint8Array, crc32c: Crc32c): boolean {
  return readUint32(value, 0) === crc32c(value.subarray(4), crc32c(key));
}
