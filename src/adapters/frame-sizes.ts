/**
 * How large compressed bytes become, read from their structure alone. The libraries allocate what
 * the input asks for: a batch of a few bytes may ask for gigabytes, so its size is known before
 * anything is opened. Sums stop once they pass `maxBytes`.
 */
import { readUint32 } from "../base/bytes.ts";
import { Reader } from "../base/varint.ts";
import { OttlaError } from "../model/errors.ts";

export function corrupt(what: string, cause?: unknown): OttlaError {
  return new OttlaError("CORRUPT_MESSAGE", what, { cause });
}

export function checkSize(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) {
    throw new OttlaError(
      "LIMIT_EXCEEDED",
      `a batch takes more than ${maxBytes} bytes decompressed, which is the most allowed`,
    );
  }
}

/** The uncompressed length that a raw Snappy block begins with. */
function snappyBlockSize(block: Uint8Array): number {
  let size = 0;
  for (let index = 0; index < 5; index++) {
    const byte = block[index];
    if (byte === undefined) break;
    size += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return size;
  }
  throw corrupt("a Snappy block without its length");
}

const LZ4_MAGIC = 0x184d2204;
const LZ4_UNCOMPRESSED_BLOCK = 0x8000_0000;

/** Walks an LZ4 frame (lz4_Frame_format.md): most Kafka clients declare no size. */
export function checkLz4Frame(frame: Uint8Array, maxBytes: number): void {
  if (frame.length < 7 || littleEndian(new Reader(frame), 4) !== LZ4_MAGIC) {
    throw corrupt("not an LZ4 frame");
  }
  const flags = frame[4] as number;
  const blockSizeId = ((frame[5] as number) >> 4) & 7;
  if (flags >> 6 !== 1 || blockSizeId < 4) throw corrupt("an LZ4 frame of an unknown version");
  const blockChecksum = (flags & 0x10) === 0 ? 0 : 4;
  const contentSize = (flags & 0x08) === 0 ? 0 : 8;
  const contentChecksum = (flags & 0x04) === 0 ? 0 : 4;
  const dictionary = (flags & 0x01) === 0 ? 0 : 4;
  const blockBytesMax = 2 ** (8 + 2 * blockSizeId);
  let at = 7 + contentSize + dictionary;
  let size = 0;
  for (;;) {
    if (at + 4 > frame.length) throw corrupt("an LZ4 frame without its end");
    const head = littleEndian(new Reader(frame, at), 4);
    at += 4;
    if (head === 0) break;
    const stored = head >= LZ4_UNCOMPRESSED_BLOCK;
    const length = stored ? head - LZ4_UNCOMPRESSED_BLOCK : head;
    const end = at + length;
    if (end > frame.length) throw corrupt("an LZ4 block that is cut off");
    if (stored) size += length;
    // The exact size costs a walk over the block, which is only due where its bound is too much.
    else if (size + blockBytesMax <= maxBytes) size += blockBytesMax;
    else size += lz4BlockSize(frame.subarray(at, end), maxBytes - size);
    checkSize(size, maxBytes);
    at = end + blockChecksum;
  }
  if (at + contentChecksum !== frame.length) throw corrupt("bytes after the end of an LZ4 frame");
}

function lz4BlockSize(block: Uint8Array, maxBytes: number): number {
  let at = 0;
  let size = 0;
  const extended = (): number => {
    let sum = 15;
    let byte = 255;
    while (byte === 255 && at < block.length) {
      byte = block[at++] as number;
      sum += byte;
    }
    return sum;
  };
  while (at < block.length && size <= maxBytes) {
    const token = block[at++] as number;
    const literals = token >> 4 === 15 ? extended() : token >> 4;
    at += literals;
    size += literals;
    if (at >= block.length) break;
    at += 2;
    size += 4 + ((token & 15) === 15 ? extended() : token & 15);
  }
  if (at > block.length) throw corrupt("an LZ4 block that is cut off");
  return size;
}

const ZSTD_MAGIC = 0xfd2fb528;
const ZSTD_SKIPPABLE_MAGIC = 0x184d2a50;
const ZSTD_BLOCK_BYTES = 128 * 1024;
/** What decoders must support at least (RFC 8878, 3.1.1.1.2). */
const ZSTD_WINDOW_BYTES = 8 * 1024 * 1024;

export interface ZstdFrame {
  readonly bytes: Uint8Array;
  /** As declared, or what its blocks can hold at most. */
  readonly sizeBytes: number;
}

/** The frames of RFC 8878 in `bytes`, skippable ones left out; their declared sizes are checked. */
export function zstdFrames(bytes: Uint8Array, maxBytes: number): readonly ZstdFrame[] {
  const frames: ZstdFrame[] = [];
  let declared = 0;
  try {
    for (let at = 0; at < bytes.length; ) {
      const magic = littleEndian(new Reader(bytes, at), 4);
      if (magic >>> 4 === ZSTD_SKIPPABLE_MAGIC >>> 4) {
        at += 8 + littleEndian(new Reader(bytes, at + 4), 4);
        continue;
      }
      if (magic !== ZSTD_MAGIC) throw corrupt("not a zstd frame");
      const frame = readZstdFrame(bytes, at, maxBytes);
      declared += frame.declaredBytes ?? 0;
      checkSize(declared, maxBytes);
      frames.push(frame);
      at += frame.bytes.length;
    }
  } catch (thrown) {
    if (thrown instanceof RangeError) throw corrupt("a zstd frame that is cut off", thrown);
    throw thrown;
  }
  return frames;
}

function readZstdFrame(
  bytes: Uint8Array,
  start: number,
  maxBytes: number,
): ZstdFrame & { readonly declaredBytes: number | undefined } {
  const reader = new Reader(bytes, start + 4);
  const descriptor = reader.byte();
  const singleSegment = (descriptor & 0x20) !== 0;
  if (!singleSegment) {
    const window = reader.byte();
    const base = 2 ** (10 + (window >> 3));
    checkSize(base + (base / 8) * (window & 7), Math.max(maxBytes, ZSTD_WINDOW_BYTES));
  }
  reader.skip([0, 1, 2, 4][descriptor & 3] as number);
  const declaredBytes = zstdContentSize(reader, descriptor >> 6, singleSegment);
  checkSize(declaredBytes ?? 0, maxBytes);
  let sizeBytes = 0;
  for (let last = false; !last; ) {
    const head = littleEndian(reader, 3);
    const length = head >> 3;
    const type = (head >> 1) & 3;
    last = (head & 1) === 1;
    if (type === 3) throw corrupt("a zstd block of an unknown type");
    reader.skip(type === 1 ? 1 : length);
    sizeBytes += type === 2 ? ZSTD_BLOCK_BYTES : length;
  }
  if ((descriptor & 0x04) !== 0) reader.skip(4);
  return {
    bytes: bytes.subarray(start, reader.position),
    sizeBytes: declaredBytes ?? sizeBytes,
    declaredBytes,
  };
}

function zstdContentSize(reader: Reader, flag: number, singleSegment: boolean): number | undefined {
  if (flag === 0) return singleSegment ? reader.byte() : undefined;
  if (flag === 1) return littleEndian(reader, 2) + 256;
  return littleEndian(reader, flag === 2 ? 4 : 8);
}

function littleEndian(reader: Reader, size: number): number {
  let value = 0;
  for (let index = 0; index < size; index++) value += reader.byte() * 2 ** (8 * index);
  return value;
}

const XERIAL_MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const XERIAL_HEAD_BYTES = 16;
/** Magic, version 1, compatible with version 1: what the Java client writes. */
export const XERIAL_HEAD = new Uint8Array([...XERIAL_MAGIC, 0, 0, 0, 1, 0, 0, 0, 1]);

/** Snappy's blocks: in the Java client's frame, or one raw block as librdkafka writes it. */
export function snappyBlocks(bytes: Uint8Array, maxBytes: number): readonly Uint8Array[] {
  const blocks: Uint8Array[] = [];
  if (!XERIAL_MAGIC.every((byte, index) => bytes[index] === byte)) blocks.push(bytes);
  else {
    if (bytes.length < XERIAL_HEAD_BYTES) throw corrupt("a Snappy frame that is cut off");
    for (let at = XERIAL_HEAD_BYTES; at < bytes.length; ) {
      if (at + 4 > bytes.length) throw corrupt("a Snappy frame that is cut off");
      const end = at + 4 + readUint32(bytes, at);
      if (end > bytes.length) throw corrupt("a Snappy frame that is cut off");
      blocks.push(bytes.subarray(at + 4, end));
      at = end;
    }
  }
  let size = 0;
  for (const block of blocks) {
    size += snappyBlockSize(block);
    checkSize(size, maxBytes);
  }
  return blocks;
}
