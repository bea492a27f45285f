/**
 * The last offset of each key of a stretch of a log, in memory that does not grow: a hash of 128
 * bits stands for the key, as in Kafka's SkimpyOffsetMap, but a keyed one, because two keys that
 * collide would cost the older one its value.
 */
import { assert } from "../base/assert.ts";
import { SipHash } from "../base/sip-hash.ts";
import type { Offset } from "../model/ids.ts";

const HASH_WORDS = 4;
/** Within a slot. */
const LOW = 4;
const HIGH = 5;
const SLOT_WORDS = 6;
export const OFFSET_MAP_ENTRY_BYTES = SLOT_WORDS * 4;
const TWO_32 = 0x1_0000_0000;

export interface OffsetMapOptions {
  /** Bytes that the map may take. */
  readonly bytes: number;
  /** How full it may become, of (0, 1). */
  readonly loadFactor: number;
  /** No more entries than this will ever be asked for. */
  readonly entriesCountMax: number;
  /** 16 secret bytes. */
  readonly hashKey: Uint8Array;
}

export class OffsetMap {
  readonly #hash: SipHash;
  readonly #slots: number;
  readonly #limit: number;
  readonly #words: Int32Array;
  /**
   * Of each slot the hash, and the offset plus one as two halves: memory begins as zeros, which mean
   * an empty slot. Side by side, because a slot is hardly ever in the processor's cache.
   */
  readonly #table: Int32Array;
  #count = 0;

  constructor(options: OffsetMapOptions) {
    const { bytes, loadFactor, entriesCountMax } = options;
    assert(loadFactor > 0 && loadFactor < 1, "a map that may be full is searched for ever");
    const room = Math.floor(bytes / OFFSET_MAP_ENTRY_BYTES);
    const wanted = Math.ceil(entriesCountMax / loadFactor) + 1;
    // A prime, so that every step of the second hash comes by all slots; as large as wanted if there
    // is room, or a batch of as many keys as announced would not fit.
    const prime = primeAtLeast(Math.max(Math.min(room, wanted), 3));
    this.#slots = prime <= room ? prime : primeAtMost(Math.max(room, 3));
    this.#limit = Math.max(1, Math.floor(this.#slots * loadFactor));
    this.#hash = new SipHash(options.hashKey);
    this.#words = new Int32Array(this.#hash.words.buffer);
    this.#table = new Int32Array(this.#slots * SLOT_WORDS);
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count >= this.#limit;
  }

  /** Part of the slots that is in use. */
  get utilization(): number {
    return this.#count / this.#slots;
  }

  /**
   * Notes that the key of `bytes` in `[start, end)` stands at `offset`, which is larger than every
   * earlier one. False if the key is new and the map is full: nothing is noted then.
   */
  put(bytes: Uint8Array, start: number, end: number, offset: Offset): boolean {
    const table = this.#table;
    const at = this.#find(bytes, start, end);
    if (table[at + LOW] === 0 && table[at + HIGH] === 0) {
      if (this.isFull) return false;
      for (let word = 0; word < HASH_WORDS; word++) table[at + word] = this.#words[word] as number;
      this.#count++;
    }
    const high = Math.floor((offset + 1) / TWO_32);
    table[at + HIGH] = high;
    table[at + LOW] = offset + 1 - high * TWO_32;
    return true;
  }

  /** The key's last offset; -1 if it is not here. */
  get(bytes: Uint8Array, start: number, end: number): Offset {
    const at = this.#find(bytes, start, end);
    const low = (this.#table[at + LOW] as number) >>> 0;
    return (this.#table[at + HIGH] as number) * TWO_32 + low - 1;
  }

  /** Where the key's slot begins in the table, or the empty one where it belongs. */
  #find(bytes: Uint8Array, start: number, end: number): number {
    this.#hash.hash(bytes, start, end);
    const table = this.#table;
    const words = this.#words;
    const h0 = words[0] as number;
    const h1 = words[1] as number;
    const h2 = words[2] as number;
    const h3 = words[3] as number;
    let slot = (h0 >>> 1) % this.#slots;
    let step = 0;
    for (;;) {
      const at = slot * SLOT_WORDS;
      if (table[at + LOW] === 0 && table[at + HIGH] === 0) return at;
      if (
        table[at] === h0 &&
        table[at + 1] === h1 &&
        table[at + 2] === h2 &&
        table[at + 3] === h3
      ) {
        return at;
      }
      if (step === 0) step = 1 + ((h1 >>> 1) % (this.#slots - 1));
      slot += step;
      if (slot >= this.#slots) slot -= this.#slots;
    }
  }
}

function primeAtLeast(bound: number): number {
  for (let candidate = bound; ; candidate++) if (isPrime(candidate)) return candidate;
}

function primeAtMost(bound: number): number {
  for (let candidate = bound; ; candidate--) if (isPrime(candidate)) return candidate;
}

function isPrime(value: number): boolean {
  if (value < 4) return value > 1;
  if (value % 2 === 0) return false;
  for (let factor = 3; factor * factor <= value; factor += 2) {
    if (value % factor === 0) return false;
  }
  return true;
}
