/** Chance of one incarnation, from the seed. */
import type { Prng } from "../../../src/base/prng.ts";
import type { Random } from "../../../src/ports/random.ts";

export class SimRandom implements Random {
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  bytes(size: number): Uint8Array {
    return this.#prng.bytes(size);
  }

  below(bound: number): number {
    return this.#prng.below(bound);
  }
}
