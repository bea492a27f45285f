/**
 * 64-bit integers of a protobufjs reader as numbers. Its own methods make an object of the `long`
 * package whenever that package is installed, for every field of every message; what this project
 * sends stays within 2^53, and a receiver refuses what does not (`Number.isSafeInteger`).
 */
const TWO_32 = 0x1_0000_0000;

let low = 0;
let high = 0;

function readHalves(reader) {
  const { buf, len } = reader;
  let position = reader.pos;
  low = 0;
  high = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    if (position >= len) throw new RangeError("a 64-bit integer runs over the end of its message");
    const byte = buf[position++];
    const bits = byte & 0x7f;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high |= bits >>> 4;
    } else high |= bits << (shift - 32);
    if (byte < 0x80) {
      reader.pos = position;
      low >>>= 0;
      high >>>= 0;
      return;
    }
  }
  throw new RangeError("a 64-bit integer is longer than 10 bytes");
}

export function uint64(reader) {
  readHalves(reader);
  return high * TWO_32 + low;
}

export function sint64(reader) {
  readHalves(reader);
  const negative = (low & 1) === 1;
  const magnitude = (high >>> 1) * TWO_32 + (((low >>> 1) | ((high & 1) << 31)) >>> 0);
  return negative ? -magnitude - 1 : magnitude;
}
