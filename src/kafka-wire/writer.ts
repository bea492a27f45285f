/**
 * Writes the primitives of Kafka's protocol. One buffer grows as needed; record bytes are not copied
 * into it but handed on as views between its pieces, so that a Fetch response costs nothing per byte.
 *
 * The frame's size stands first and is filled in at the end, a tagged field's likewise; strings and
 * lists know theirs. So one pass suffices.
 */
import { utf8, writeInt16, writeInt32, writeInt64 } from "../base/bytes.ts";

/** Record batches: one view, or several that follow each other. */
export type WireRecords = Uint8Array | readonly Uint8Array[];

const FIRST_BYTES = 256;
/** Shorter ones are copied: a piece of its own costs the socket more. */
const COPIED_BYTES = 1024;
const INT64_END = 2 ** 63;

/** Values of the letters of URL-safe base64, by character code. */
const VALUES: Uint8Array = (() => {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const values = new Uint8Array(128);
  for (let index = 0; index < letters.length; index++) values[letters.charCodeAt(index)] = index;
  return values;
})();

export class WireWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #at = 0;
  /** Views to stand before the byte of the buffer at their place, in order. */
  readonly #views: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  #viewsBytes = 0;

  /** All that was written, in pieces, with no copy of what was handed on as views. */
  finish(): Uint8Array[] {
    const out: Uint8Array[] = [];
    let from = 0;
    for (const { at, bytes } of this.#views) {
      if (at > from) out.push(this.#bytes.subarray(from, at));
      out.push(bytes);
      from = at;
    }
    if (this.#at > from) out.push(this.#bytes.subarray(from, this.#at));
    return out;
  }

  /** Leaves room for the frame's size; `endFrame` fills it in. */
  beginFrame(): void {
    this.int32(0);
  }

  endFrame(): void {
    writeInt32(this.#bytes, 0, this.#at - 4 + this.#viewsBytes);
  }

  bool(value: boolean): void {
    this.int8(value ? 1 : 0);
  }

  int8(value: number): void {
    const at = this.#room(1);
    this.#bytes[at] = value;
  }

  int16(value: number): void {
    const at = this.#room(2);
    writeInt16(this.#bytes, at, value);
  }

  uint16(value: number): void {
    this.int16(value);
  }

  int32(value: number): void {
    const at = this.#room(4);
    writeInt32(this.#bytes, at, value);
  }

  /** Beyond what 64 bits hold, the nearest they do: what was read as 2^63 goes back as it came. */
  int64(value: number): void {
    const at = this.#room(8);
    if (value >= INT64_END) {
      writeInt32(this.#bytes, at, 0x7fff_ffff);
      writeInt32(this.#bytes, at + 4, -1);
    } else writeInt64(this.#bytes, at, Math.max(value, -INT64_END));
  }

  uvarint(value: number): void {
    let rest = value >>> 0;
    let at = this.#room(5);
    while (rest >= 0x80) {
      this.#bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[at++] = rest;
    this.#at = at;
  }

  /** @param value 22 characters of URL-safe base64. */
  uuid(value: string): void {
    if (value.length !== 22)
      throw new RangeError(`uuid '${value}': 22 characters of base64 are allowed`);
    let at = this.#room(16);
    const bytes = this.#bytes;
    let bits = 0;
    for (let index = 0; index < 22; index++) {
      bits = (bits << 6) | VALUES[value.charCodeAt(index) & 127]!;
      const held = ((index + 1) * 6) % 8;
      // After letters 2, 3 and 4 of each four there is a byte more.
      if (held < 6) bytes[at++] = bits >> held;
    }
  }

  string(value: string): void {
    const at = this.#room(2 + value.length * 3);
    const end = this.#text(at + 2, value);
    const size = end - at - 2;
    if (size > 0x7fff) throw new RangeError(`a string of ${size} bytes: at most 32767 are allowed`);
    writeInt16(this.#bytes, at, size);
    this.#at = end;
  }

  nullableString(value: string | null): void {
    if (value === null) this.int16(-1);
    else this.string(value);
  }

  compactString(value: string): void {
    const { length } = value;
    // Where a char is a byte, and 127 is not reached, the size takes one byte: the common case.
    const at = this.#room(5 + length * 3);
    const guess = uvarintSize(length + 1);
    const end = this.#text(at + guess, value);
    const size = end - at - guess;
    const needed = uvarintSize(size + 1);
    if (needed !== guess) this.#bytes.copyWithin(at + needed, at + guess, end);
    this.#at = at;
    this.uvarint(size + 1);
    this.#at = at + needed + size;
  }

  compactNullableString(value: string | null): void {
    if (value === null) this.uvarint(0);
    else this.compactString(value);
  }

  bytes(value: Uint8Array): void {
    this.int32(value.length);
    this.#copy(value);
  }

  nullableBytes(value: Uint8Array | null): void {
    if (value === null) this.int32(-1);
    else this.bytes(value);
  }

  compactBytes(value: Uint8Array): void {
    this.uvarint(value.length + 1);
    this.#copy(value);
  }

  compactNullableBytes(value: Uint8Array | null): void {
    if (value === null) this.uvarint(0);
    else this.compactBytes(value);
  }

  nullableRecords(value: WireRecords | null): void {
    if (value === null) this.int32(-1);
    else {
      this.int32(sizeOf(value));
      this.#records(value);
    }
  }

  compactNullableRecords(value: WireRecords | null): void {
    if (value === null) this.uvarint(0);
    else {
      this.uvarint(sizeOf(value) + 1);
      this.#records(value);
    }
  }

  /** How many elements a list has; -1: it is null. */
  count(count: number): void {
    this.int32(count);
  }

  compactCount(count: number): void {
    this.uvarint(count + 1);
  }

  present(value: object | null): void {
    this.int8(value === null ? -1 : 1);
  }

  /** The number of a tagged field; its bytes follow, then `endTag` with what came back. */
  beginTag(tag: number): number {
    this.uvarint(tag);
    return this.#at;
  }

  /** Puts the size before the bytes that were written since `beginTag`. */
  endTag(from: number): void {
    const size = this.#at - from;
    const shift = uvarintSize(size);
    this.#room(shift);
    this.#bytes.copyWithin(from + shift, from, from + size);
    this.#at = from;
    this.uvarint(size);
    this.#at = from + shift + size;
  }

  #records(value: WireRecords): void {
    if (value instanceof Uint8Array) this.#piece(value);
    else for (const bytes of value) this.#piece(bytes);
  }

  #piece(bytes: Uint8Array): void {
    if (bytes.length <= COPIED_BYTES) this.#copy(bytes);
    else {
      this.#views.push({ at: this.#at, bytes });
      this.#viewsBytes += bytes.length;
    }
  }

  #copy(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** UTF-8 at `at`, where there is room for three bytes a character; returns the end. */
  #text(at: number, value: string): number {
    const bytes = this.#bytes;
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) {
        const rest = utf8(value.slice(index));
        bytes.set(rest, at + index);
        return at + index + rest.length;
      }
      bytes[at + index] = code;
    }
    return at + value.length;
  }

  /** Makes room and moves on; returns where it begins. */
  #room(size: number): number {
    const at = this.#at;
    const end = at + size;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#at = end;
    return at;
  }
}

function sizeOf(value: WireRecords): number {
  if (value instanceof Uint8Array) return value.length;
  let size = 0;
  for (const bytes of value) size += bytes.length;
  return size;
}

function uvarintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}
