/**
 * Kafka's primitive fields (KIP-482): big-endian integers, strings and bytes behind their length,
 * arrays behind their count. In a *flexible* version lengths are unsigned varints, one too large,
 * and every struct ends with tagged fields.
 */
import {
  EMPTY_BYTES,
  readInt16,
  readInt32,
  readInt64,
  text,
  utf8,
  writeInt16,
  writeInt32,
  writeInt64,
} from "../base/bytes.ts";

const SHORT_ASCII = 64;
const STRING_LONGEST = 0x7fff;

/** Reading past the end, or a length that cannot be, throws RangeError: the caller maps it. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  #at: number;
  flexible = false;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  int16(): number {
    return readInt16(this.#bytes, this.#take(2));
  }

  int32(): number {
    return readInt32(this.#bytes, this.#take(4));
  }

  int64(): number {
    return readInt64(this.#bytes, this.#take(8));
  }

  string(): string {
    const value = this.nullableString();
    if (value === null) throw new RangeError("a string is null");
    return value;
  }

  nullableString(): string | null {
    const size = this.flexible ? this.#unsignedVarint() - 1 : this.int16();
    if (size < 0) return null;
    return decodeText(this.#bytes, this.#take(size), size);
  }

  /** A view. */
  bytes(): Uint8Array {
    const value = this.nullableBytes();
    if (value === null) throw new RangeError("bytes are null");
    return value;
  }

  nullableBytes(): Uint8Array | null {
    const size = this.flexible ? this.#unsignedVarint() - 1 : this.int32();
    if (size < 0) return null;
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  /** Each item has at least a byte, so a count beyond what is left is refused before any is read. */
  array<Item>(item: () => Item): Item[] {
    const count = this.flexible ? this.#unsignedVarint() - 1 : this.int32();
    if (count > this.remaining) throw new RangeError("an array is longer than its bytes");
    const items: Item[] = [];
    for (let index = 0; index < count; index++) items.push(item());
    return items;
  }

  /** Of a tagged field; `guess` itself if it is that: it need not be made again. */
  textAt(at: number, size: number, guess?: string): string {
    if (guess?.length !== size) return decodeText(this.#bytes, at, size);
    for (let index = 0; index < size; index++) {
      if (guess.charCodeAt(index) === this.#bytes[at + index]) continue;
      return decodeText(this.#bytes, at, size);
    }
    return guess;
  }

  /** Where the tagged fields at the end of a struct lie; none in an inflexible version. */
  tags(visit?: (tag: number, at: number, size: number) => void): void {
    if (!this.flexible) return;
    for (let left = this.#unsignedVarint(); left > 0; left--) {
      const tag = this.#unsignedVarint();
      const size = this.#unsignedVarint();
      const at = this.#take(size);
      visit?.(tag, at, size);
    }
  }

  #unsignedVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#take(1)] as number;
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value >>> 0;
    }
    throw new RangeError("varint longer than 5 bytes");
  }

  /** Moves on and returns where it was. */
  #take(size: number): number {
    const at = this.#at;
    if (size < 0 || size > this.#bytes.length - at) throw new RangeError("read past the end");
    this.#at = at + size;
    return at;
  }
}

/** Short ASCII, which names nearly always are, without the call into the decoder. */
function decodeText(bytes: Uint8Array, at: number, size: number): string {
  if (size > SHORT_ASCII) return text(bytes.subarray(at, at + size));
  let out = "";
  for (let index = at; index < at + size; index++) {
    const byte = bytes[index] as number;
    if (byte > 0x7f) return text(bytes.subarray(at, at + size));
    out += String.fromCharCode(byte);
  }
  return out;
}

export class FieldWriter {
  #bytes: Uint8Array;
  #at = 0;
  readonly #flexible: boolean;

  constructor(options: { readonly capacityBytes?: number; readonly flexible?: boolean } = {}) {
    this.#bytes = new Uint8Array(options.capacityBytes ?? 128);
    this.#flexible = options.flexible ?? false;
  }

  int16(value: number): this {
    const at = this.#reserve(2);
    writeInt16(this.#bytes, at, value);
    return this;
  }

  int32(value: number): this {
    const at = this.#reserve(4);
    writeInt32(this.#bytes, at, value);
    return this;
  }

  int64(value: number): this {
    const at = this.#reserve(8);
    writeInt64(this.#bytes, at, value);
    return this;
  }

  /** Throws RangeError if it is longer than the format can hold. */
  string(value: string | null): this {
    if (value === null) return this.#flexible ? this.#unsignedVarint(0) : this.int16(-1);
    if (value.length <= SHORT_ASCII) {
      const { length } = value;
      if (this.#flexible ? this.#ascii(value, length + 1, 1) : this.#ascii(value, length, 2)) {
        return this;
      }
    }
    const encoded = utf8(value);
    if (encoded.length > STRING_LONGEST)
      throw new RangeError("a string is longer than 32767 bytes");
    if (this.#flexible) this.#unsignedVarint(encoded.length + 1);
    else this.int16(encoded.length);
    return this.#raw(encoded);
  }

  bytes(value: Uint8Array | null): this {
    const size = value?.length ?? -1;
    if (this.#flexible) this.#unsignedVarint(size + 1);
    else this.int32(size);
    return this.#raw(value ?? EMPTY_BYTES);
  }

  array<Item>(items: readonly Item[], write: (item: Item) => void): this {
    if (this.#flexible) this.#unsignedVarint(items.length + 1);
    else this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  /** Ends a struct; tags must ascend. */
  tags(fields: readonly (readonly [tag: number, value: string])[] = []): this {
    if (!this.#flexible) return this;
    this.#unsignedVarint(fields.length);
    for (const [tag, value] of fields) {
      this.#unsignedVarint(tag);
      if (value.length <= SHORT_ASCII && this.#ascii(value, value.length, 1)) continue;
      const encoded = utf8(value);
      this.#unsignedVarint(encoded.length);
      this.#raw(encoded);
    }
    return this;
  }

  /** Without a copy, and without a view if the capacity was exact. */
  finish(): Uint8Array {
    return this.#at === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#at);
  }

  /**
   * A short string behind `length` in so many bytes, without the call into the encoder; false, and
   * nothing written, if it is not ASCII.
   */
  #ascii(value: string, length: number, lengthBytes: 1 | 2): boolean {
    const from = this.#at;
    const at = this.#reserve(lengthBytes + value.length);
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) {
        this.#at = from;
        return false;
      }
      this.#bytes[at + lengthBytes + index] = code;
    }
    if (lengthBytes === 2) writeInt16(this.#bytes, at, length);
    else this.#bytes[at] = length;
    return true;
  }

  #unsignedVarint(value: number): this {
    let left = value;
    for (; left >= 0x80; left >>>= 7) {
      const more = this.#reserve(1);
      this.#bytes[more] = (left & 0x7f) | 0x80;
    }
    const at = this.#reserve(1);
    this.#bytes[at] = left;
    return this;
  }

  #raw(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** Makes room and returns where it begins. */
  #reserve(size: number): number {
    const at = this.#at;
    this.#at = at + size;
    if (this.#at > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#at, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return at;
  }
}
