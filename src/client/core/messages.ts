/** Batches as the application sees them. */
import { OttlaError } from "../../model/errors.ts";
import type { Offset, PartitionIndex } from "../../model/ids.ts";
import type { BatchHeader } from "../../record/batch.ts";
import { type RecordHeader, visitRecords } from "../../record/records.ts";

/** A record as it comes out of the log. */
export interface Message<Key, Value> {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly offset: Offset;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly key: Key;
  readonly value: Value;
  readonly headers: readonly RecordHeader[];
}

export interface Deserializers<Key, Value> {
  readonly key: ((bytes: Uint8Array | null, topic: string) => Key) | undefined;
  readonly value: ((bytes: Uint8Array | null, topic: string) => Value) | undefined;
}

/**
 * The batch's messages from `fromOffset` on. `section` is its uncompressed records. Throws
 * CORRUPT_MESSAGE, or INVALID_RECORD around what a deserializer throws; both name the place.
 */
export function decodeMessages<Key, Value>(
  source: {
    readonly topic: string;
    readonly partition: PartitionIndex;
    readonly fromOffset: Offset;
    readonly header: BatchHeader;
    readonly section: Uint8Array;
  },
  deserializers: Deserializers<Key, Value>,
): Message<Key, Value>[] {
  const { fromOffset, header, partition, section, topic } = source;
  const { key: toKey, value: toValue } = deserializers;
  const messages: Message<Key, Value>[] = [];
  visitRecords(header, section, (offset, timestamp, keyBytes, valueBytes, headers) => {
    if (offset < fromOffset) return;
    let key: Key;
    let value: Value;
    try {
      key = toKey === undefined ? (keyBytes as Key) : toKey(keyBytes, topic);
      value = toValue === undefined ? (valueBytes as Value) : toValue(valueBytes, topic);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new OttlaError(
        "INVALID_RECORD",
        `${topic}-${partition} at offset ${offset}: the deserializer says: ${why}`,
        { cause: thrown },
      );
    }
    messages.push({ topic, partition, offset, timestamp, key, value, headers });
  });
  return messages;
}
