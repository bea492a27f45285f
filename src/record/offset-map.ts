/**
 * The last offset of each key of a stretch of a log, in memory that does not grow: a hash of 128
 * bits stands for the key, as in Kafka's SkimpyOffsetMap, but a keyed one, because two keys that
 * collide would cost the older one its value.
 */
import { assert } from "../base/assert.ts";
import { SipHash } from "../base/sip-hash.ts";
import type { Offset } from "../model/ids.ts";

/** Four words of hash and an offset. */
export const OFFSET_MAP_ENTRY_BYTES = 24;

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
  readonly #hashes: Uint32Array;
  /** Offset plus one: memory begins as zeros, which mean an empty slot. */
  readonly #offsets: Float64Array;
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
    this.#hashes = new Uint32Array(this.#slots * 4);
    this.#offsets = new Float64Array(this.#slots);
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
    const slot = this.#find(bytes, start, end);
    if (this.#offsets[slot] === 0) {
      if (this.isFull) return false;
      this.#hashes.set(this.#hash.words, slot * 4);
      this.#count++;
    }
    this.#offsets[slot] = offset + 1;
    return true;
  }

  /** The key's last offset; -1 if it is not here. */
  get(bytes: Uint8Array, start: number, end: number): Offset {
    return (this.#offsets[this.#find(bytes, start, end)] as number) - 1;
  }

  /** The key's slot, or the empty one where it belongs. */
  #find(bytes: Uint8Array, start: number, end: number): number {
    this.#hash.hash(bytes, start, end);
    const { words } = this.#hash;
    const h0 = words[0] as number;
    const h1 = words[1] as number;
    const h2 = words[2] as number;
    const h3 = words[3] as number;
    const hashes = this.#hashes;
    const step = 1 + (h1 % (this.#slots - 1));
    let slot = h0 % this.#slots;
    while (this.#offsets[slot] !== 0) {
      const at = slot * 4;
      if (
        hashes[at] === h0 &&
        hashes[at + 1] === h1 &&
        hashes[at + 2] === h2 &&
        hashes[at + 3] === h3
      ) {
        return slot;
      }
      slot += step;
      if (slot >= this.#slots) slot -= this.#slots;
    }
    return slot;
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
