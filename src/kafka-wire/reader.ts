/**
 * Reads the primitives of Kafka's protocol from one frame. Every read is bounded by the bytes that
 * are there; a list's count is held against them before anything is made, so that no claimed length
 * ever allocates. What does not fit throws `MalformedFrame`, the only thing that a reader throws; it
 * is caught in one place (requests.ts).
 *
 * Byte fields are views of the frame: who keeps one beyond the request copies it, or keeps the whole
 * frame alive.
 *
 * An int64 becomes the nearest number. Exact within 2^53, which no offset, timestamp or producer id
 * that a broker gave out ever leaves; beyond, the value is no safe integer, stands for "huge", and is
 * refused by whoever needs an offset. A bigint would cost every honest Fetch for the sake of those.
 */
import { EMPTY_BYTES, readInt16, readInt32, readInt64, text } from "../base/bytes.ts";
import { LIMITS } from "../model/limits.ts";

export class MalformedFrame extends Error {
  override readonly name = "MalformedFrame";
}

/** 16 zero bytes: Kafka's "no id". */
export const ZERO_UUID = "AAAAAAAAAAAAAAAAAAAAAA";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CODES: Uint8Array = Uint8Array.from(LETTERS, (letter) => letter.charCodeAt(0));
/** Up to here a loop beats the decoder's call. */
const SHORT_TEXT_BYTES = 48;

export class WireReader {
  readonly #bytes: Uint8Array;
  #at: number;
  #elements = 0;

  /** @param at where to begin in `bytes`. */
  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  bool(): boolean {
    return this.#bytes[this.#take(1)] !== 0;
  }

  int8(): number {
    return ((this.#bytes[this.#take(1)] as number) << 24) >> 24;
  }

  int16(): number {
    return readInt16(this.#bytes, this.#take(2));
  }

  uint16(): number {
    return readInt16(this.#bytes, this.#take(2)) & 0xffff;
  }

  int32(): number {
    return readInt32(this.#bytes, this.#take(4));
  }

  int64(): number {
    return readInt64(this.#bytes, this.#take(8));
  }

  /** An unsigned varint of 32 bits. */
  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#take(1)] as number;
      // The fifth byte has room for four bits; more would be lost without a word.
      if (shift === 28 && byte > 0x0f) break;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new MalformedFrame("an unsigned varint that does not fit 32 bits");
  }

  /** As Kafka prints it: 22 characters of URL-safe base64. */
  uuid(): string {
    const at = this.#take(16);
    const bytes = this.#bytes;
    const out = new Uint8Array(22);
    let next = 0;
    for (let index = at; index < at + 15; index += 3) {
      const bits = (bytes[index]! << 16) | (bytes[index + 1]! << 8) | bytes[index + 2]!;
      out[next++] = CODES[bits >> 18]!;
      out[next++] = CODES[(bits >> 12) & 63]!;
      out[next++] = CODES[(bits >> 6) & 63]!;
      out[next++] = CODES[bits & 63]!;
    }
    const last = bytes[at + 15]!;
    out[20] = CODES[last >> 2]!;
    out[21] = CODES[(last & 3) << 4]!;
    return String.fromCharCode.apply(null, out as unknown as number[]);
  }

  string(): string {
    return this.#text(this.#given(this.int16()));
  }

  nullableString(): string | null {
    const size = this.int16();
    return size === -1 ? null : this.#text(size);
  }

  compactString(): string {
    return this.#text(this.#given(this.uvarint() - 1));
  }

  compactNullableString(): string | null {
    const size = this.uvarint() - 1;
    return size === -1 ? null : this.#text(size);
  }

  bytes(): Uint8Array {
    return this.#view(this.#given(this.int32()));
  }

  nullableBytes(): Uint8Array | null {
    const size = this.int32();
    return size === -1 ? null : this.#view(size);
  }

  compactBytes(): Uint8Array {
    return this.#view(this.#given(this.uvarint() - 1));
  }

  compactNullableBytes(): Uint8Array | null {
    const size = this.uvarint() - 1;
    return size === -1 ? null : this.#view(size);
  }

  /** How many elements a list has. */
  count(): number {
    return this.#counted(this.#given(this.int32()));
  }

  /** The same; -1 is a null list. */
  nullableCount(): number {
    const count = this.int32();
    return count === -1 ? -1 : this.#counted(count);
  }

  compactCount(): number {
    return this.#counted(this.#given(this.uvarint() - 1));
  }

  compactNullableCount(): number {
    const count = this.uvarint() - 1;
    return count === -1 ? -1 : this.#counted(count);
  }

  /** The marker before a structure that may be null. */
  isPresent(): boolean {
    return this.int8() >= 0;
  }

  /**
   * The number of the next tagged field, which must be above the one before: KIP-482 has them in
   * ascending order, and so a field given twice is seen without remembering which were there.
   */
  tag(previous: number): number {
    const tag = this.uvarint();
    if (tag <= previous) throw new MalformedFrame(`tagged field ${tag} after ${previous}`);
    return tag;
  }

  /** Where the tagged field ends whose size follows. */
  tagEnd(): number {
    const size = this.uvarint();
    if (size > this.remaining) {
      throw new MalformedFrame(`a tagged field of ${size} bytes where ${this.remaining} are left`);
    }
    return this.#at + size;
  }

  skipTo(end: number): void {
    this.#at = end;
  }

  expectAt(end: number): void {
    if (this.#at !== end) throw new MalformedFrame("a tagged field of another size than it claims");
  }

  /** Passes over the tagged fields of a structure that knows none. */
  skipTags(): void {
    let tag = -1;
    for (let count = this.uvarint(); count > 0; count--) {
      tag = this.tag(tag);
      this.#at = this.tagEnd();
    }
  }

  #take(size: number): number {
    const at = this.#at;
    if (size > this.#bytes.length - at) {
      throw new MalformedFrame(`${size} bytes expected where ${this.#bytes.length - at} are left`);
    }
    this.#at = at + size;
    return at;
  }

  #given(size: number): number {
    if (size < 0) throw new MalformedFrame("null where none is allowed");
    return size;
  }

  #counted(count: number): number {
    // Every element takes a byte at least, and every object made of one some fifty: the second
    // limit keeps a frame of empty structures from becoming gigabytes of them.
    if (count < 0 || count > this.remaining) {
      throw new MalformedFrame(
        `a list of ${count} elements where ${this.remaining} bytes are left`,
      );
    }
    this.#elements += count;
    if (this.#elements > LIMITS.frameElementsCount) {
      throw new MalformedFrame(`more than ${LIMITS.frameElementsCount} list elements in one frame`);
    }
    return count;
  }

  #view(size: number): Uint8Array {
    if (size < 0) throw new MalformedFrame(`a length of ${size}`);
    if (size === 0) return EMPTY_BYTES;
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  #text(size: number): string {
    if (size < 0) throw new MalformedFrame(`a length of ${size}`);
    if (size === 0) return "";
    const at = this.#take(size);
    const bytes = this.#bytes.subarray(at, at + size);
    if (size > SHORT_TEXT_BYTES) return text(bytes);
    for (let index = 0; index < size; index++) if (bytes[index]! >= 0x80) return text(bytes);
    return String.fromCharCode.apply(null, bytes as unknown as number[]);
  }
}
