/**
 * MurmurHash2, 32 bits, as Kafka's `Utils.murmur2` computes it (Austin Appleby's original with
 * seed 0x9747b28c): the partition of a key must be the same whichever client wrote it.
 */
const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;

/** The hash as a signed 32-bit integer. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
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

/** Kafka's `toPositive(murmur2(key)) % partitionsCount`. */
export function partitionOfKey(key: Uint8Array, partitionsCount: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitionsCount;
}
