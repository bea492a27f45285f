/**
 * Protocol Buffers written by hand, for the few messages that carry batches: their size is counted
 * first, so that each batch is copied once into a buffer that fits, where a general encoder grows
 * its buffer and moves what it wrote whenever a length turns out to need another byte.
 */
const TWO_32 = 0x1_0000_0000;

/** The first byte of a field with a number below 16 that holds an integer. */
export function varintTag(field: number): number {
  return field << 3;
}

/** The first byte of a field with a number below 16 that holds bytes or a message. */
export function bytesTag(field: number): number {
  return (field << 3) | 2;
}

/** Bytes of a safe integer >= 0 as `uint32` or `uint64`. */
export function uintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  if (value < 0x8_0000_0000) return 5;
  if (value < 0x400_0000_0000) return 6;
  if (value < 0x2_0000_0000_0000) return 7;
  return 8;
}

/** Writes at `at` and returns the position after it. */
export function writeUint(bytes: Uint8Array, at: number, value: number): number {
  let position = at;
  let rest = value;
  for (; rest >= TWO_32; rest = Math.floor(rest / 128)) bytes[position++] = (rest % 128) | 0x80;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes[position++] = (rest & 0x7f) | 0x80;
  bytes[position++] = rest;
  return position;
}
