/**
 * Checksums and compression without native code. The CRC-32C is the real one, because batches of
 * the simulation are read by production code. gzip is the real one too; the other codecs are
 * stand-ins with the same contract (a declared size that is checked before anything is opened),
 * made of runs of equal bytes: to set up zlib costs more than all else that an event does.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { concatBytes, readInt32, readUint32, writeInt32 } from "../../../src/base/bytes.ts";
import { type Compression, compressionId } from "../../../src/model/compression.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type { Codecs } from "../../../src/ports/codecs.ts";
import type { Incarnation } from "./sim-node.ts";

/** Eight tables, so that eight bytes are folded at a time. */
const TABLES: readonly Uint32Array[] = makeTables();

function makeTables(): Uint32Array[] {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  const first = tables[0] as Uint32Array;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    first[byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    let crc = first[byte] as number;
    for (let index = 1; index < 8; index++) {
      crc = (first[crc & 0xff] as number) ^ (crc >>> 8);
      (tables[index] as Uint32Array)[byte] = crc;
    }
  }
  return tables;
}

export function crc32c(bytes: Uint8Array, seed = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as unknown as readonly [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  let crc = ~seed;
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (t7[crc & 0xff] as number) ^
      (t6[(crc >>> 8) & 0xff] as number) ^
      (t5[(crc >>> 16) & 0xff] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number);
  }
  for (; at < bytes.length; at++) {
    crc = (t0[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

const HEAD_BYTES = 8;
const MARK = 0x53494d00;

export class SimCodecs implements Codecs {
  readonly crc32c = crc32c;
  readonly #incarnation: Incarnation;

  constructor(incarnation: Incarnation) {
    this.#incarnation = incarnation;
  }

  compress(compression: Compression, bytes: Uint8Array): Promise<Uint8Array> {
    const copy = bytes.slice();
    return this.#incarnation.promise(0, "compute", "compress", () => compressed(compression, copy));
  }

  decompress(compression: Compression, bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
    const copy = bytes.slice();
    return this.#incarnation.promise(0, "compute", "decompress", () =>
      decompressed(compression, copy, maxBytes),
    );
  }
}

function compressed(compression: Compression, bytes: Uint8Array): Uint8Array {
  if (compression === "none") return bytes;
  if (compression === "gzip") return new Uint8Array(gzipSync(bytes));
  const head = new Uint8Array(HEAD_BYTES);
  writeInt32(head, 0, MARK | compressionId(compression));
  writeInt32(head, 4, bytes.length);
  return concatBytes([head, packed(bytes)]);
}

/** Also for those who look at stored batches from outside. */
export function decompressed(
  compression: Compression,
  bytes: Uint8Array,
  maxBytes: number,
): Uint8Array {
  if (compression === "none") {
    checkSize(bytes.length, maxBytes);
    return bytes;
  }
  if (compression === "gzip") return inflated(() => gunzipSync(bytes, limit(maxBytes)), maxBytes);
  if (bytes.length < HEAD_BYTES || readInt32(bytes, 0) !== (MARK | compressionId(compression))) {
    throw new OttlaError("CORRUPT_MESSAGE", `not a ${compression} frame`);
  }
  const size = readUint32(bytes, 4);
  checkSize(size, maxBytes);
  return unpacked(bytes.subarray(HEAD_BYTES), size);
}

/** Of a run: a head of 0 to 127 stands before one byte more than that, as they are. */
const LITERALS_MAX = 128;
/** A head from 128 up stands before one byte, which comes so many times more than 126 below it. */
const REPEATS_MAX = 129;
const REPEATS_MIN = 3;

/** PackBits (Apple, 1984), with two's complement spelled out. */
function packed(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + Math.ceil(bytes.length / LITERALS_MAX));
  let end = 0;
  let literalsAt = 0;
  const putLiterals = (upTo: number): void => {
    while (literalsAt < upTo) {
      const to = Math.min(upTo, literalsAt + LITERALS_MAX);
      out[end++] = to - literalsAt - 1;
      out.set(bytes.subarray(literalsAt, to), end);
      end += to - literalsAt;
      literalsAt = to;
    }
  };
  for (let at = 0; at < bytes.length; ) {
    let to = at + 1;
    while (to < bytes.length && bytes[to] === bytes[at] && to - at < REPEATS_MAX) to++;
    if (to - at >= REPEATS_MIN) {
      putLiterals(at);
      out[end++] = to - at + 126;
      out[end++] = bytes[at] as number;
      literalsAt = to;
    }
    at = to;
  }
  putLiterals(bytes.length);
  return out.slice(0, end);
}

function unpacked(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let end = 0;
  for (let at = 0; at < bytes.length; ) {
    const head = bytes[at++] as number;
    const count = head < LITERALS_MAX ? head + 1 : head - 126;
    const taken = head < LITERALS_MAX ? count : 1;
    if (at + taken > bytes.length || end + count > size) {
      throw new OttlaError("CORRUPT_MESSAGE", `a run of ${count} bytes is not whole`);
    }
    if (head < LITERALS_MAX) out.set(bytes.subarray(at, at + taken), end);
    else out.fill(bytes[at] as number, end, end + count);
    at += taken;
    end += count;
  }
  if (end !== size) {
    throw new OttlaError("CORRUPT_MESSAGE", `${end} bytes where ${size} were declared`);
  }
  return out;
}

function limit(maxBytes: number): { readonly maxOutputLength: number } {
  return { maxOutputLength: Math.max(1, maxBytes) };
}

function checkSize(size: number, maxBytes: number): void {
  if (size > maxBytes) {
    throw new OttlaError("LIMIT_EXCEEDED", `${size} bytes decompressed, allowed are ${maxBytes}`);
  }
}

function inflated(run: () => Uint8Array, maxBytes: number): Uint8Array {
  try {
    const out = run();
    checkSize(out.length, maxBytes);
    return new Uint8Array(out);
  } catch (thrown) {
    if (thrown instanceof OttlaError) throw thrown;
    const { code } = thrown as { code?: string };
    if (code === "ERR_BUFFER_TOO_LARGE") {
      throw new OttlaError("LIMIT_EXCEEDED", `more than ${maxBytes} bytes decompressed`);
    }
    throw new OttlaError("CORRUPT_MESSAGE", "the compressed bytes are malformed", {
      cause: thrown,
    });
  }
}
