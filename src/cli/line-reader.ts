/** Records of `ottla produce`: lines of bytes, with or without a key. */

import { OttlaError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";

const NEWLINE = 0x0a;

/**
 * Lines without their newline, as views of what was read; a last line without one counts too.
 * Throws LIMIT_EXCEEDED at a line that no request could carry.
 */
export async function* linesOf(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<readonly Uint8Array[]> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const chunk of input) {
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      const line = chunk.subarray(from, end);
      lines.push(rest.length === 0 ? line : Buffer.concat([...rest, line]));
      rest = [];
      restBytes = 0;
      from = end + 1;
    }
    if (from < chunk.length) {
      rest.push(chunk.subarray(from));
      restBytes += chunk.length - from;
      if (restBytes > LIMITS.grpcMessageBytes) {
        throw new OttlaError(
          "LIMIT_EXCEEDED",
          `a line of the input is longer than ${LIMITS.grpcMessageBytes} bytes`,
        );
      }
    }
    if (lines.length > 0) yield lines;
  }
  if (rest.length > 0) yield [Buffer.concat(rest)];
}

export interface LineFormat {
  /** Between key and value, at its first occurrence; undefined: lines are values. */
  readonly keySeparator: Buffer | undefined;
  /** A value that is exactly this is null: a tombstone. */
  readonly nullValue: Buffer | undefined;
}

export interface LineRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** Undefined: the line has no key separator. */
export function recordOf(line: Uint8Array, format: LineFormat): LineRecord | undefined {
  let key: Uint8Array | null = null;
  let value: Uint8Array = line;
  if (format.keySeparator !== undefined) {
    const at = Buffer.from(line.buffer, line.byteOffset, line.length).indexOf(format.keySeparator);
    if (at === -1) return undefined;
    key = line.subarray(0, at);
    value = line.subarray(at + format.keySeparator.length);
  }
  const isNull = format.nullValue?.equals(value) === true;
  return { key, value: isNull ? null : value };
}
