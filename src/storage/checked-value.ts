/**
 * Small JSON values under a CRC-32C of their own: LevelDB does not verify what it reads, and a
 * flipped bit in a log start or a truncation intent must not pass for a number.
 */
import { readUint32, text, utf8, writeInt32 } from "../base/bytes.ts";
import type { Crc32c } from "../ports/codecs.ts";

const CRC_BYTES = 4;

export function encodeChecked(value: unknown, crc32c: Crc32c): Uint8Array {
  const body = utf8(JSON.stringify(value));
  const out = new Uint8Array(CRC_BYTES + body.length);
  out.set(body, CRC_BYTES);
  writeInt32(out, 0, crc32c(body));
  return out;
}

/** Undefined if the bytes are damaged. */
export function decodeChecked(bytes: Uint8Array, crc32c: Crc32c): unknown {
  if (bytes.length <= CRC_BYTES) return undefined;
  const body = bytes.subarray(CRC_BYTES);
  if (crc32c(body) >>> 0 !== readUint32(bytes, 0)) return undefined;
  try {
    return JSON.parse(text(body));
  } catch {
    return undefined;
  }
}
