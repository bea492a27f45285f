/**
 * MurmurHash2, 32 bits, as Kafka's `Utils.murmur2` computes it (Austin Appleby's original with
 * seed 0x9747b28c): the partition of a key must be the same whichever client wrote it.
 */
import { utf8 } from "../../base/bytes.ts";

const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;

/** The hash of the first `length` bytes as a signed 32-bit integer. */
export function murmur2(bytes: Uint8Array, length = bytes.length): number {
  let hash = SEED ^ length;
  const blocksEnd = length & ~3;
  for (let at = 0; at < blocksEnd; at += 4) {
    let block =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    block = Math.imul(block, MULTIPLIER);
    block ^= block >>> 24;
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(block, MULTIPLIER);
  }
  const rest = length & 3;
  if (rest === 3) hash ^= (bytes[blocksEnd + 2] as number) << 16;
  if (rest >= 2) hash ^= (bytes[blocksEnd + 1] as number) << 8;
  if (rest >= 1) {
    hash ^= bytes[blocksEnd] as number;
    hash = Math.imul(hash, MULTIPLIER);
  }
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MULTIPLIER);
  hash ^= hash >>> 15;
  return hash;
}

/** Short keys of ASCII are spelled out here, without an object for each. */
const scratch = new Uint8Array(128);

function murmur2OfText(text: string): number {
  const { length } = text;
  if (length > scratch.length) return murmur2(utf8(text));
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return murmur2(utf8(text));
    scratch[at] = code;
  }
  return murmur2(scratch, length);
}

/** Kafka's `toPositive(murmur2(key)) % partitionsCount`; a string is hashed as UTF-8. */
export function partitionOfKey(key: Uint8Array | string, partitionsCount: number): number {
  const hash = typeof key === "string" ? murmur2OfText(key) : murmur2(key);
  return (hash & 0x7fff_ffff) % partitionsCount;
}
