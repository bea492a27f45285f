/** Checksums and compression: the same contract for the native codecs and for the simulator's. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { COMPRESSIONS } from "../../src/model/compression.ts";
import type { Codecs } from "../../src/ports/codecs.ts";

const MEBIBYTE = 1024 * 1024;

export function codecsSuite(name: string, make: () => Codecs): void {
  describe(`${name} as Codecs`, () => {
    // Check values of RFC 3720, appendix B.4, and of the usual "123456789".
    test("crc32c has the published values", () => {
      const { crc32c } = make();
      expect(crc32c(utf8("123456789")) >>> 0).toBe(0xe3069283);
      expect(crc32c(new Uint8Array(32)) >>> 0).toBe(0x8a9136aa);
      expect(crc32c(new Uint8Array(32).fill(0xff)) >>> 0).toBe(0x62a8ab43);
      expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index)) >>> 0).toBe(0x46dd794e);
      expect(crc32c(new Uint8Array(0)) >>> 0).toBe(0);
    });

    test("crc32c continues from a seed, and minds views", () => {
      const { crc32c } = make();
      fc.assert(
        fc.property(fc.uint8Array(), fc.uint8Array(), (left, right) => {
          const whole = concatBytes([left, right]);
          const view = concatBytes([utf8("pad"), whole, utf8("pad")]).subarray(3, 3 + whole.length);
          expect(crc32c(right, crc32c(left)) >>> 0).toBe(crc32c(whole) >>> 0);
          expect(crc32c(view) >>> 0).toBe(crc32c(whole) >>> 0);
        }),
      );
    });

    describe.each(COMPRESSIONS)("%s", (compression) => {
      test("gives back what it was given", async () => {
        const codecs = make();
        await fc.assert(
          fc.asyncProperty(fc.uint8Array({ maxLength: 5_000 }), async (bytes) => {
            const compressed = await codecs.compress(compression, bytes);
            const back = await codecs.decompress(compression, compressed, MEBIBYTE);
            expect([...back]).toEqual([...bytes]);
          }),
          { numRuns: 25 },
        );
      });

      test("refuses more than maxBytes, takes exactly maxBytes", async () => {
        const codecs = make();
        const bytes = new Uint8Array(300_000).fill(97);
        const compressed = await codecs.compress(compression, bytes);
        const back = await codecs.decompress(compression, compressed, bytes.length);
        expect(back.length).toBe(bytes.length);
        await expect(
          codecs.decompress(compression, compressed, bytes.length - 1),
        ).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
        await expect(codecs.decompress(compression, compressed, 10)).rejects.toMatchObject({
          code: "LIMIT_EXCEEDED",
        });
      });

      if (compression === "none") return;
      test("refuses malformed input", async () => {
        const codecs = make();
        const garbage = utf8("this is certainly not the output of any compressor");
        await expect(codecs.decompress(compression, garbage, MEBIBYTE)).rejects.toMatchObject({
          code: expect.stringMatching(/^(CORRUPT_MESSAGE|LIMIT_EXCEEDED)$/) as string,
        });
        const bytes = Uint8Array.from({ length: 50_000 }, (_, index) => (index * 7919) >>> 3);
        const compressed = await codecs.compress(compression, bytes);
        const cut = compressed.subarray(0, compressed.length >> 1);
        await expect(codecs.decompress(compression, cut, MEBIBYTE)).rejects.toMatchObject({
          code: "CORRUPT_MESSAGE",
        });
      });
    });
  });
}
