/**
 * A seeded generator (xoshiro128**, Blackman and Vigna 2018) with integers only: no floating
 * point, so that one seed gives the same run on every platform and Node version.
 */
export class Prng {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.#state = new Uint32Array(4);
    let x = seed >>> 0;
    for (let index = 0; index < 4; index++) {
      x = (x + 0x9e3779b9) >>> 0;
      let z = x;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      this.#state[index] = (z ^ (z >>> 16)) >>> 0;
    }
  }

  /** A generator of its own for one concern, so that a draw more in one leaves others as they were. */
  fork(label: string): Prng {
    let hash = this.uint32();
    for (let index = 0; index < label.length; index++) {
      hash = Math.imul(hash ^ label.charCodeAt(index), 0x01000193) >>> 0;
    }
    return new Prng(hash);
  }

  uint32(): number {
    const s = this.#state as unknown as [number, number, number, number];
    const product = Math.imul(s[1], 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** An integer of `[0, bound)`; `bound` at most 2^32. */
  below(bound: number): number {
    return Math.floor((this.uint32() * bound) / 0x1_0000_0000);
  }

  /** An integer of `[low, high]`. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True `numerator` times in `denominator`. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("pick from an empty list");
    return item;
  }

  shuffle<Item>(items: readonly Item[]): Item[] {
    const out = [...items];
    for (let index = out.length - 1; index > 0; index--) {
      const other = this.below(index + 1);
      [out[index], out[other]] = [out[other] as Item, out[index] as Item];
    }
    return out;
  }

  bytes(size: number): Uint8Array {
    const out = new Uint8Array(size);
    for (let index = 0; index < size; index++) out[index] = this.uint32() & 0xff;
    return out;
  }
}
