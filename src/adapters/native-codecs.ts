/**
 * Checksums and compression by native code, off the event loop where the library can. All output
 * is bounded before it is made; zstd falls back to WebAssembly where Node has none of its own.
 */
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { crc32c } from "@node-rs/crc32";
import { compressFrame, decompressFrame } from "lz4-napi";
import { compress as compressSnappy, uncompress as uncompressSnappy } from "snappy";
import { concatBytes, EMPTY_BYTES, writeInt32 } from "../base/bytes.ts";
import type { Compression } from "../model/compression.ts";
import { OttlaError } from "../model/errors.ts";
import type { Codecs } from "../ports/codecs.ts";
import {
  checkLz4Frame,
  checkSize,
  corrupt,
  snappyBlocks,
  XERIAL_HEAD,
  type ZstdFrame,
  zstdFrames,
} from "./frame-sizes.ts";

const gzip = promisify(zlib.gzip);
const gunzip = promisify(zlib.gunzip as Zlib);
/** Uncompressed bytes of one Snappy block. */
const SNAPPY_BLOCK_BYTES = 1024 * 1024;
const WASM_DESTINATION_TOO_SMALL = /code -70$/;

type Zlib = (
  bytes: Uint8Array,
  options: { readonly maxOutputLength?: number },
  callback: (error: Error | null, result: Uint8Array) => void,
) => void;

/** Of Node 22.15 and later. */
const nativeZstd = zlib as unknown as {
  readonly zstdCompress?: Zlib;
  readonly zstdDecompress?: Zlib;
};

export const nativeCodecs: Codecs = {
  crc32c: (bytes, seed = 0) => crc32c(bytes, seed),

  async compress(compression: Compression, bytes: Uint8Array): Promise<Uint8Array> {
    switch (compression) {
      case "none":
        return bytes;
      case "gzip":
        return plain(await gzip(bytes));
      case "snappy":
        return snappyFrame(bytes);
      case "lz4":
        return plain(await compressFrame(bytes));
      case "zstd":
        return compressZstd(bytes);
    }
  },

  async decompress(
    compression: Compression,
    bytes: Uint8Array,
    maxBytes: number,
  ): Promise<Uint8Array> {
    try {
      const out = await decompressed(compression, bytes, maxBytes);
      checkSize(out.length, maxBytes);
      return out;
    } catch (thrown) {
      if (thrown instanceof OttlaError) throw thrown;
      if ((thrown as { readonly code?: unknown }).code === "ERR_BUFFER_TOO_LARGE") {
        checkSize(Number.POSITIVE_INFINITY, maxBytes);
      }
      throw corrupt(`the batch does not decompress as ${compression}`, thrown);
    }
  },
};

async function decompressed(
  compression: Compression,
  bytes: Uint8Array,
  maxBytes: number,
): Promise<Uint8Array> {
  switch (compression) {
    case "none":
      return bytes;
    case "gzip":
      return plain(await gunzip(bytes, bounded(maxBytes)));
    case "snappy":
      return unframeSnappy(bytes, maxBytes);
    case "lz4":
      checkLz4Frame(bytes, maxBytes);
      return plain(await decompressFrame(bytes));
    case "zstd":
      return decompressZstd(bytes, maxBytes);
  }
}

/** Node refuses a bound of 0. */
function bounded(maxBytes: number): { readonly maxOutputLength: number } {
  return { maxOutputLength: Math.max(1, maxBytes) };
}

async function snappyFrame(bytes: Uint8Array): Promise<Uint8Array> {
  const parts: Uint8Array[] = [XERIAL_HEAD];
  for (let at = 0; at < bytes.length; at += SNAPPY_BLOCK_BYTES) {
    const block = await compressSnappy(bytes.subarray(at, at + SNAPPY_BLOCK_BYTES));
    const length = new Uint8Array(4);
    writeInt32(length, 0, block.length);
    parts.push(length, block);
  }
  return concatBytes(parts);
}

async function unframeSnappy(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const block of snappyBlocks(bytes, maxBytes)) {
    const part = await uncompressSnappy(block, { asBuffer: true });
    parts.push(plain(part as Uint8Array));
  }
  return concatBytes(parts);
}

async function compressZstd(bytes: Uint8Array): Promise<Uint8Array> {
  const { zstdCompress } = nativeZstd;
  if (zstdCompress !== undefined) return plain(await promisify(zstdCompress)(bytes, {}));
  return (await wasmZstd()).compress(bytes);
}

async function decompressZstd(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const frames = zstdFrames(bytes, maxBytes);
  const { zstdDecompress } = nativeZstd;
  if (zstdDecompress !== undefined) {
    return plain(await promisify(zstdDecompress)(bytes, bounded(maxBytes)));
  }
  const { decompress } = await wasmZstd();
  return concatBytes(frames.map((frame) => decompressFrameIn(decompress, frame, maxBytes)));
}

type WasmZstd = typeof import("@bokuweb/zstd-wasm");

function decompressFrameIn(
  decompress: WasmZstd["decompress"],
  frame: ZstdFrame,
  maxBytes: number,
): Uint8Array {
  if (frame.sizeBytes === 0) return EMPTY_BYTES;
  try {
    return decompress(frame.bytes, { defaultHeapSize: Math.min(frame.sizeBytes, maxBytes) });
  } catch (thrown) {
    // Without a declared size the room given was what the blocks can hold, or all that is allowed.
    if (thrown instanceof Error && WASM_DESTINATION_TOO_SMALL.test(thrown.message)) {
      checkSize(frame.sizeBytes, maxBytes);
    }
    throw thrown;
  }
}

let loading: Promise<WasmZstd> | undefined;

/** Compiled once, when somebody needs it. */
function wasmZstd(): Promise<WasmZstd> {
  loading ??= import("@bokuweb/zstd-wasm").then(async (module) => {
    await module.init();
    return module;
  });
  return loading;
}

/** The `slice` of a `Buffer` shares its bytes, where everybody expects a copy. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
