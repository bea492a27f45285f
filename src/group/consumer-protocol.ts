/**
 * What members of protocol type "consumer" tell each other through the coordinator, which passes it
 * on unread but for the topics: Kafka's ConsumerProtocolSubscription and ConsumerProtocolAssignment,
 * versions 0 to 3 (KIP-429 owned partitions, KIP-792 generation, KIP-881 rack). A newer version is
 * read as the newest known one: fields are only ever added at the end.
 */
import { OttlaError } from "../model/errors.ts";
import { NONE, type PartitionIndex } from "../model/ids.ts";
import { FieldReader, FieldWriter } from "./fields.ts";

export const CONSUMER_PROTOCOL_TYPE = "consumer";

export interface TopicPartitions {
  readonly topic: string;
  readonly partitions: readonly PartitionIndex[];
}

export interface ConsumerSubscription {
  readonly topics: readonly string[];
  /** The assignor's own; null none. */
  readonly userData: Uint8Array | null;
  readonly ownedPartitions: readonly TopicPartitions[];
  /** In which the member owned them; -1 not known. */
  readonly generationId: number;
  readonly rackId: string | null;
}

export interface ConsumerAssignment {
  readonly partitions: readonly TopicPartitions[];
  readonly userData: Uint8Array | null;
}

const VERSION = 3;

export function encodeSubscription(subscription: ConsumerSubscription): Uint8Array {
  const writer = new FieldWriter();
  writer
    .int16(VERSION)
    .array(subscription.topics, (topic) => {
      writer.string(topic);
    })
    .bytes(subscription.userData);
  writeTopics(writer, subscription.ownedPartitions);
  return writer.int32(subscription.generationId).string(subscription.rackId).finish();
}

/** Throws INVALID_REQUEST if it is malformed. */
export function decodeSubscription(bytes: Uint8Array): ConsumerSubscription {
  return guarded("subscription", () => {
    const reader = new FieldReader(bytes);
    const version = reader.int16();
    const topics = reader.array(() => reader.string());
    const userData = reader.nullableBytes();
    const ownedPartitions = version >= 1 ? readTopics(reader) : [];
    const generationId = version >= 2 ? reader.int32() : NONE;
    const rackId = version >= 3 ? reader.nullableString() : null;
    return { topics, userData, ownedPartitions, generationId, rackId };
  });
}

export function encodeAssignment(assignment: ConsumerAssignment): Uint8Array {
  const writer = new FieldWriter().int16(VERSION);
  writeTopics(writer, assignment.partitions);
  return writer.bytes(assignment.userData).finish();
}

/** No bytes at all are no partitions. Throws INVALID_REQUEST if it is malformed. */
export function decodeAssignment(bytes: Uint8Array): ConsumerAssignment {
  if (bytes.length === 0) return { partitions: [], userData: null };
  return guarded("assignment", () => {
    const reader = new FieldReader(bytes);
    reader.int16();
    const partitions = readTopics(reader);
    return { partitions, userData: reader.nullableBytes() };
  });
}

/** The topics of a subscription; undefined if the bytes are something else. */
export function subscribedTopics(bytes: Uint8Array): readonly string[] | undefined {
  try {
    const reader = new FieldReader(bytes);
    reader.int16();
    return reader.array(() => reader.string());
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function readTopics(reader: FieldReader): TopicPartitions[] {
  return reader.array(() => {
    const topic = reader.string();
    return { topic, partitions: reader.array(() => reader.int32()) };
  });
}

function writeTopics(writer: FieldWriter, topics: readonly TopicPartitions[]): void {
  writer.array(topics, ({ topic, partitions }) => {
    writer.string(topic).array(partitions, (partition) => {
      writer.int32(partition);
    });
  });
}

function guarded<Value>(what: string, decode: () => Value): Value {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new OttlaError("INVALID_REQUEST", `the ${what} is not a consumer's: it ends too early`, {
      field: what,
      cause: error,
    });
  }
}
