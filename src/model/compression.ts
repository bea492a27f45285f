/** Codecs of a record batch; the index is the number in the batch's attributes (bits 0 to 2). */
export const COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export function compressionFromId(id: number): Compression | undefined {
  return COMPRESSIONS[id];
}

export function compressionId(compression: Compression): number {
  return COMPRESSIONS.indexOf(compression);
}
