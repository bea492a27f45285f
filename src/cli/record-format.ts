/** `--format` of `ottla consume`: text with tokens, compiled once. */
import { UsageError } from "./output.ts";

export interface PrintableRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

type Part = Uint8Array | ((record: PrintableRecord) => Uint8Array | string);

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  "0": "\0",
  "\\": "\\",
};

/** A null key or value prints as this, as with Kafka's console consumer. */
const NULL_TEXT = "null";

const TOKENS: Readonly<Record<string, (record: PrintableRecord) => Uint8Array | string>> = {
  t: (record) => record.topic,
  p: (record) => String(record.partition),
  o: (record) => String(record.offset),
  T: (record) => String(record.timestamp),
  k: (record) => record.key ?? NULL_TEXT,
  v: (record) => record.value ?? NULL_TEXT,
};

/** Keys and values come out byte for byte, whatever they are. Throws UsageError. */
export function compileFormat(format: string): (record: PrintableRecord) => Uint8Array {
  const parts: Part[] = [];
  let literal = "";
  for (let index = 0; index < format.length; index++) {
    const character = format[index] as string;
    const next = format[index + 1];
    if (character === "\\") {
      const escaped = next === undefined ? undefined : ESCAPES[next];
      if (escaped === undefined) {
        throw new UsageError(
          `--format has "\\${next ?? ""}"; the escapes are \\n \\t \\r \\0 and \\\\`,
        );
      }
      literal += escaped;
      index++;
    } else if (character === "%") {
      index++;
      if (next === "%") {
        literal += "%";
        continue;
      }
      const token = next === undefined ? undefined : TOKENS[next];
      if (token === undefined) {
        throw new UsageError(
          `--format has "%${next ?? ""}"; the tokens are %t topic, %p partition, %o offset, %T timestamp, %k key, %v value and %%`,
        );
      }
      parts.push(Buffer.from(literal), token);
      literal = "";
    } else literal += character;
  }
  parts.push(Buffer.from(literal));
  return (record) =>
    Buffer.concat(
      parts.map((part) => {
        const bytes = typeof part === "function" ? part(record) : part;
        return typeof bytes === "string" ? Buffer.from(bytes) : bytes;
      }),
    );
}

/** One JSON object; what is no UTF-8 comes as `{"base64": "..."}` so that nothing is lost. */
export function recordToJson(record: PrintableRecord): Readonly<Record<string, unknown>> {
  const { topic, partition, offset, timestamp } = record;
  const key = textOrBase64(record.key);
  const value = textOrBase64(record.value);
  return { topic, partition, offset, timestamp, key, value };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOrBase64(bytes: Uint8Array | null): string | null | { readonly base64: string } {
  if (bytes === null) return null;
  try {
    return utf8.decode(bytes);
  } catch {
    return { base64: Buffer.from(bytes).toString("base64") };
  }
}
