import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { compressFrame } from "lz4-napi";
import { compress as compressSnappy } from "snappy";
import { describe, expect, test } from "vitest";
import { nativeCodecs } from "../../../src/adapters/native-codecs.ts";
import { concatBytes, equalBytes } from "../../../src/base/bytes.ts";
import { COMPRESSIONS } from "../../../src/model/compression.ts";

const MEBIBYTE = 1024 * 1024;
const CODECS = COMPRESSIONS.filter((compression) => compression !== "none");

function bytesOf(...values: readonly (number | Uint8Array)[]): Uint8Array {
  return concatBytes(
    values.map((value) => (typeof value === "number" ? new Uint8Array([value]) : value)),
  );
}

function littleEndian(value: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => Math.floor(value / 256 ** index) % 256);
}

describe("bombs", () => {
  // Each claims or makes far more than its few bytes; the bound must hold before memory is taken.
  const zstdHead = littleEndian(0xfd2fb528, 4);
  const rleBlock = (last: number, size: number): Uint8Array =>
    bytesOf(littleEndian((size << 3) | (1 << 1) | last, 3), 97);
  const lz4Block = bytesOf(
    0x1f,
    97,
    1,
    0,
    new Uint8Array(60_000).fill(255),
    0,
    0x50,
    1,
    2,
    3,
    4,
    5,
  );
  const bombs: readonly (readonly [string, (typeof CODECS)[number], Uint8Array])[] = [
    ["gzip", "gzip", new Uint8Array(gzipSync(new Uint8Array(64 * MEBIBYTE)))],
    ["a Snappy length of 4 GiB", "snappy", bytesOf(255, 255, 255, 255, 15, 0)],
    [
      "many Snappy blocks",
      "snappy",
      bytesOf(
        new Uint8Array([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]),
        ...Array.from({ length: 9 }, () => bytesOf(0, 0, 0, 4, 0x80, 0x80, 0x08, 0)),
      ),
    ],
    [
      "an LZ4 block of 15 MB",
      "lz4",
      bytesOf(
        littleEndian(0x184d2204, 4),
        0x60,
        0x70,
        0x73,
        littleEndian(lz4Block.length, 4),
        lz4Block,
        littleEndian(0, 4),
      ),
    ],
    ["a declared zstd size", "zstd", bytesOf(zstdHead, 0xc0, 0x50, littleEndian(2 ** 45, 8))],
    ["a zstd window", "zstd", bytesOf(zstdHead, 0x00, 0xf8, rleBlock(1, 1))],
    [
      "zstd blocks without a declared size",
      "zstd",
      bytesOf(
        zstdHead,
        0x00,
        0x38,
        ...Array.from({ length: 40 }, () => rleBlock(0, 100_000)),
        rleBlock(1, 5),
      ),
    ],
  ];
  test.each(bombs)("%s is LIMIT_EXCEEDED", async (_name, compression, bomb) => {
    expect(bomb.length).toBeLessThan(MEBIBYTE / 8);
    await expect(nativeCodecs.decompress(compression, bomb, MEBIBYTE)).rejects.toMatchObject({
      code: "LIMIT_EXCEEDED",
    });
  });
});

describe("what other clients write", () => {
  const text = new TextEncoder().encode("the quick brown fox ".repeat(9_000));

  test("one raw Snappy block, as librdkafka", async () => {
    const raw = await compressSnappy(text);
    const back = await nativeCodecs.decompress("snappy", raw, MEBIBYTE);
    expect(equalBytes(back, text)).toBe(true);
    expect(back.constructor).toBe(Uint8Array);
  });

  test("Snappy blocks of 32 KiB in a frame, as the Java client", async () => {
    const parts: Uint8Array[] = [
      new Uint8Array([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]),
    ];
    for (let at = 0; at < text.length; at += 32_768) {
      const block = await compressSnappy(text.subarray(at, at + 32_768));
      parts.push(littleEndian(block.length, 4).reverse(), block);
    }
    const back = await nativeCodecs.decompress("snappy", concatBytes(parts), MEBIBYTE);
    expect(equalBytes(back, text)).toBe(true);
  });

  test("LZ4 frames with checksums", async () => {
    const options = { contentChecksum: true, blockChecksums: true };
    const frame = await compressFrame(text, options);
    for (const maxBytes of [MEBIBYTE, text.length]) {
      const back = await nativeCodecs.decompress("lz4", frame, maxBytes);
      expect(equalBytes(back, text)).toBe(true);
    }
  });

  test("a zstd frame without its size, as streaming encoders", async () => {
    // Two blocks: raw "ab", and "c" five times.
    const frame = bytesOf(
      littleEndian(0xfd2fb528, 4),
      0x00,
      0x38,
      littleEndian(2 << 3, 3),
      97,
      98,
      littleEndian((5 << 3) | (1 << 1) | 1, 3),
      99,
    );
    const back = await nativeCodecs.decompress("zstd", frame, 7);
    expect(new TextDecoder().decode(back)).toBe("abccccc");
    await expect(nativeCodecs.decompress("zstd", frame, 6)).rejects.toMatchObject({
      code: "LIMIT_EXCEEDED",
    });
  });
});

describe("damage", () => {
  test.each(CODECS)(
    "%s: garbage and flipped bytes end in an error of the table or in bytes",
    async (compression) => {
      const intact = await nativeCodecs.compress(
        compression,
        Uint8Array.from({ length: 3_000 }, (_, index) => (index * index) >> 5),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.nat(intact.length - 1),
          fc.nat(255),
          fc.nat(intact.length),
          fc.uint8Array({ maxLength: 40 }),
          async (at, value, cut, tail) => {
            const damaged = intact.slice(0, cut);
            if (at < cut) damaged[at] = value;
            const outcome = nativeCodecs.decompress(
              compression,
              concatBytes([damaged, tail]),
              100_000,
            );
            await outcome.then(
              (bytes) => expect(bytes.length).toBeLessThanOrEqual(100_000),
              (error: { readonly code: string }) =>
                expect(["CORRUPT_MESSAGE", "LIMIT_EXCEEDED"]).toContain(error.code),
            );
          },
        ),
        { numRuns: 150 },
      );
    },
  );
});
