/** From values of the application to bytes and back. */
import { utf8 } from "../base/bytes.ts";

/** What goes into a record as it is; a string as UTF-8. Null: no key, or a tombstone. */
export type Bytes = Uint8Array | string | null;

/** Where a record goes, for serializers that depend on it. */
export interface RecordContext {
  readonly topic: string;
}

/** Must not keep or change what it returns. */
export type Serializer<Value> = (value: Value, context: RecordContext) => Bytes;

/** `bytes` is a view of received memory: a deserializer that keeps it should copy it. */
export type Deserializer<Value> = (bytes: Uint8Array | null, context: RecordContext) => Value;

const decoder = new TextDecoder("utf-8", { fatal: true });

export const serializers = {
  /** Strings as UTF-8, null as null. */
  string: (value: string | null): Bytes => value,
  /** JSON; undefined and null as null. */
  json: (value: unknown): Bytes =>
    value === undefined || value === null ? null : utf8(JSON.stringify(value)),
} as const;

export const deserializers = {
  /** UTF-8; throws if it is malformed. */
  string: (bytes: Uint8Array | null): string | null =>
    bytes === null ? null : decoder.decode(bytes),
  /** JSON; null for null. */
  json: (bytes: Uint8Array | null): unknown =>
    bytes === null ? null : (JSON.parse(decoder.decode(bytes)) as unknown),
} as const;
