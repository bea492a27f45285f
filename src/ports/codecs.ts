import type { Compression } from "../model/compression.ts";

/** CRC-32C (Castagnoli) of `bytes`, continuing from `seed` (default 0). Unsigned. */
export type Crc32c = (bytes: Uint8Array, seed?: number) => number;

export interface Codecs {
  readonly crc32c: Crc32c;
  compress(compression: Compression, bytes: Uint8Array): Promise<Uint8Array>;
  /**
   * Rejects with LIMIT_EXCEEDED as soon as the declared or the produced size passes `maxBytes`, and
   * with CORRUPT_MESSAGE if the input is malformed.
   */
  decompress(compression: Compression, bytes: Uint8Array, maxBytes: number): Promise<Uint8Array>;
}
