/** Zig-zag variable-length integers as in Protocol Buffers and Kafka's record format. */
const TWO_32 = 0x1_0000_0000;

/** A position that moves over bytes. Reading past the end throws RangeError: the caller maps it. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly end: number;
  position: number;

  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  byte(): number {
    if (this.position >= this.end) throw new RangeError("read past the end");
    return this.bytes[this.position++] as number;
  }

  /** A signed 32-bit integer; throws RangeError if it does not fit 5 bytes. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return (value >>> 1) ^ -(value & 1);
    }
    throw new RangeError("varint longer than 5 bytes");
  }

  /** A signed 64-bit integer as a number; exact within 2^53. */
  varlong(): number {
    let low = 0;
    let high = 0;
    let shift = 0;
    for (; shift < 70; shift += 7) {
      const byte = this.byte();
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (shift - 32);
      if ((byte & 0x80) === 0) {
        const negative = (low & 1) === 1;
        const lowHalf = ((low >>> 1) | ((high & 1) << 31)) >>> 0;
        const magnitude = (high >>> 1) * TWO_32 + lowHalf;
        return negative ? -magnitude - 1 : magnitude;
      }
    }
    throw new RangeError("varlong longer than 10 bytes");
  }

  take(size: number): Uint8Array {
    if (size < 0 || size > this.remaining) throw new RangeError("read past the end");
    const out = this.bytes.subarray(this.position, this.position + size);
    this.position += size;
    return out;
  }

  skip(size: number): void {
    if (size < 0 || size > this.remaining) throw new RangeError("skip past the end");
    this.position += size;
  }
}

export function varintSize(value: number): number {
  const encoded = ((value << 1) ^ (value >> 31)) >>> 0;
  if (encoded < 0x80) return 1;
  if (encoded < 0x4000) return 2;
  if (encoded < 0x20_0000) return 3;
  if (encoded < 0x1000_0000) return 4;
  return 5;
}

/** Writes at `at` and returns the position after it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let encoded = ((value << 1) ^ (value >> 31)) >>> 0;
  let position = at;
  while (encoded >= 0x80) {
    bytes[position++] = (encoded & 0x7f) | 0x80;
    encoded >>>= 7;
  }
  bytes[position++] = encoded;
  return position;
}

/** The zig-zag image of a safe integer: at most 2^54, so a number holds it exactly (it is even or odd by sign). */
function zigZag(value: number): { readonly low: number; readonly high: number } {
  const magnitude = value < 0 ? -value - 1 : value;
  const high = Math.floor(magnitude / TWO_32);
  const low = magnitude - high * TWO_32;
  const bit = value < 0 ? 1 : 0;
  return {
    low: ((low << 1) | bit) >>> 0,
    high: ((high << 1) | (low >>> 31)) >>> 0,
  };
}

export function varlongSize(value: number): number {
  if (value >= -0x4000_0000 && value < 0x4000_0000) return varintSize(value);
  const { low, high } = zigZag(value);
  if (high === 0) return low < 0x1000_0000 ? 4 : 5;
  const bits = 64 - Math.clz32(high);
  return Math.ceil(bits / 7);
}

export function writeVarlong(bytes: Uint8Array, at: number, value: number): number {
  if (value >= -0x4000_0000 && value < 0x4000_0000) return writeVarint(bytes, at, value);
  let { low, high } = zigZag(value);
  let position = at;
  while (high !== 0 || low >= 0x80) {
    bytes[position++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  bytes[position++] = low;
  return position;
}
