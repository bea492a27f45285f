/**
 * SipHash with 128 bits of output (Aumasson and Bernstein, 2012): a keyed hash. With a secret key
 * nobody can choose inputs that collide, and by chance none of a billion keys do.
 */
import { assert } from "./assert.ts";

export interface SipRounds {
  readonly compression: number;
  readonly finalization: number;
}

/** Enough to keep chosen inputs from colliding, which is all that is asked of it here. */
const FAST: SipRounds = { compression: 1, finalization: 3 };

export class SipHash {
  readonly #rounds: SipRounds;
  readonly #key: readonly [number, number, number, number];
  /** The last hash, as four words of 32 bits: a caller reads them before the next. */
  readonly words = new Uint32Array(4);

  /** `key`: 16 bytes. */
  constructor(key: Uint8Array, rounds: SipRounds = FAST) {
    assert(key.length === 16, "a key of SipHash has 16 bytes");
    this.#rounds = rounds;
    this.#key = [word(key, 0), word(key, 4), word(key, 8), word(key, 12)];
  }

  /** Hashes `bytes` of `[start, end)` into `words`. */
  hash(bytes: Uint8Array, start: number, end: number): void {
    const { compression, finalization } = this.#rounds;
    const [k0, k1, k2, k3] = this.#key;
    // Each state of 64 bits as a low and a high half.
    let v0l = k0 ^ 0x70736575;
    let v0h = k1 ^ 0x736f6d65;
    let v1l = k2 ^ 0x6e646f6d ^ 0xee;
    let v1h = k3 ^ 0x646f7261;
    let v2l = k0 ^ 0x6e657261;
    let v2h = k1 ^ 0x6c796765;
    let v3l = k2 ^ 0x79746573;
    let v3h = k3 ^ 0x74656462;
    const length = end - start;
    const blocks = (length >>> 3) + 1;
    const { words } = this;
    // The blocks of input, then the two halves of the output.
    for (let phase = 0; phase < blocks + 2; phase++) {
      let ml = 0;
      let mh = 0;
      let rounds = compression;
      if (phase < blocks - 1) {
        const at = start + phase * 8;
        ml = word(bytes, at);
        mh = word(bytes, at + 4);
      } else if (phase === blocks - 1) {
        const at = start + phase * 8;
        for (let index = 0; index < (length & 7); index++) {
          const byte = bytes[at + index] as number;
          if (index < 4) ml |= byte << (index * 8);
          else mh |= byte << ((index - 4) * 8);
        }
        mh |= length << 24;
      } else {
        rounds = finalization;
        if (phase === blocks) v2l ^= 0xee;
        else v1l ^= 0xdd;
      }
      v3l ^= ml;
      v3h ^= mh;
      for (let round = 0; round < rounds; round++) {
        let sum = (v0l + v1l) | 0;
        v0h = (v0h + v1h + carry(v0l, v1l, sum)) | 0;
        v0l = sum;
        let low = v1l;
        v1l = ((low << 13) | (v1h >>> 19)) ^ v0l;
        v1h = ((v1h << 13) | (low >>> 19)) ^ v0h;
        low = v0l;
        v0l = v0h;
        v0h = low;
        sum = (v2l + v3l) | 0;
        v2h = (v2h + v3h + carry(v2l, v3l, sum)) | 0;
        v2l = sum;
        low = v3l;
        v3l = ((low << 16) | (v3h >>> 16)) ^ v2l;
        v3h = ((v3h << 16) | (low >>> 16)) ^ v2h;
        sum = (v0l + v3l) | 0;
        v0h = (v0h + v3h + carry(v0l, v3l, sum)) | 0;
        v0l = sum;
        low = v3l;
        v3l = ((low << 21) | (v3h >>> 11)) ^ v0l;
        v3h = ((v3h << 21) | (low >>> 11)) ^ v0h;
        sum = (v2l + v1l) | 0;
        v2h = (v2h + v1h + carry(v2l, v1l, sum)) | 0;
        v2l = sum;
        low = v1l;
        v1l = ((low << 17) | (v1h >>> 15)) ^ v2l;
        v1h = ((v1h << 17) | (low >>> 15)) ^ v2h;
        low = v2l;
        v2l = v2h;
        v2h = low;
      }
      v0l ^= ml;
      v0h ^= mh;
      if (phase >= blocks) {
        const at = (phase - blocks) * 2;
        words[at] = v0l ^ v1l ^ v2l ^ v3l;
        words[at + 1] = v0h ^ v1h ^ v2h ^ v3h;
      }
    }
  }
}

/** Of the lower halves' sum. In 32-bit integers throughout: floating point took twice as long. */
function carry(left: number, right: number, sum: number): number {
  return ((left & right) | ((left | right) & ~sum)) >>> 31;
}

/** Little-endian, as SipHash is defined. */
function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
