/** Chance, from the operating system or from a seed. */
export interface Random {
  bytes(size: number): Uint8Array;
  /** An integer of `[0, bound)`; `bound` at most 2^32. */
  below(bound: number): number;
}
