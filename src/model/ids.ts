import { base64Url } from "../base/bytes.ts";
import type { Flavor } from "../base/flavor.ts";

/** `node.id` of a broker: an integer of [0, 2^31). */
export type BrokerId = Flavor<number, "BrokerId">;
/** Rises with each registration of a broker (KIP-631); fences requests of earlier lives (KIP-903). */
export type BrokerEpoch = Flavor<number, "BrokerEpoch">;
/** 16 random bytes, printed as Kafka prints a UUID: 22 characters of URL-safe base64. */
export type TopicId = Flavor<string, "TopicId">;
/** Identity of one `log.dirs` entry or of the metadata directory; a wiped disk gets a new one. */
export type DirectoryId = Flavor<string, "DirectoryId">;
/** One life of a broker process (KIP-631). */
export type IncarnationId = Flavor<string, "IncarnationId">;
export type ClusterId = Flavor<string, "ClusterId">;
export type PartitionIndex = Flavor<number, "PartitionIndex">;
/** Position of a record in a partition: a safe integer >= 0. Ranges are half-open. */
export type Offset = Flavor<number, "Offset">;
/** Rises by one at each change of a partition's leader (KIP-101). */
export type LeaderEpoch = Flavor<number, "LeaderEpoch">;
/** Rises by one at each change of a partition's metadata. */
export type PartitionEpoch = Flavor<number, "PartitionEpoch">;
export type ProducerId = Flavor<number, "ProducerId">;
export type ProducerEpoch = Flavor<number, "ProducerEpoch">;
/** Raft term and index of the metadata log. */
export type Term = Flavor<number, "Term">;
export type LogIndex = Flavor<number, "LogIndex">;

/** "no leader", "no producer", "no partition epoch": Kafka's own -1. */
export const NONE = -1;

export interface TopicPartition {
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
}

/** A map key for a topic partition: `<topicId>-<partition>`. */
export function partitionKey(topicId: TopicId, partition: PartitionIndex): string {
  return `${topicId}-${partition}`;
}

/**
 * A UUID from 16 random bytes. One that starts with `-` is re-drawn by clearing the first bit, so
 * that it can be typed after a command-line flag (Kafka does the same).
 */
export function uuidFrom(random: Uint8Array): string {
  const bytes = random.slice(0, 16);
  bytes[0] = (bytes[0] as number) & 0x7f;
  return base64Url(bytes);
}
