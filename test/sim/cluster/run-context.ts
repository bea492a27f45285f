/** What the invariants of one run look at, and how they are told of what happened. */

import type { FetchedOne } from "../../../src/broker/broker-api.ts";
import type { MetadataImage, PartitionImage } from "../../../src/metadata/image.ts";
import type { Offset, PartitionIndex, TopicId } from "../../../src/model/ids.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import type { SentMessage } from "../world/sim-network.ts";
import type { World } from "../world/world.ts";
import type { LogObserver, ObservedBatch, ObservedLogs } from "./observed-logs.ts";

/** A produce request was answered with success, as the answer left the broker. */
export interface Acknowledged {
  readonly node: string;
  readonly key: string;
  readonly baseOffset: Offset;
  readonly recordsCount: number;
  readonly crc: number;
  readonly acks: -1 | 1;
  /** Of the partition: min(min.insync.replicas, replicas). */
  readonly minIsr: number;
}

/** A leader showed a high watermark to somebody: a follower or a consumer. */
export interface HighWatermarkShown {
  readonly node: string;
  /** Which life of the process on the node. */
  readonly life: number;
  readonly key: string;
  readonly leaderEpoch: number;
  readonly highWatermark: Offset;
}

export interface Served {
  readonly node: string;
  readonly key: string;
  readonly fetched: FetchedOne;
}

export interface ImageChange {
  readonly node: string;
  readonly before: MetadataImage | undefined;
  readonly after: MetadataImage;
}

export interface PartitionChange {
  readonly key: string;
  readonly before: PartitionImage | undefined;
  readonly after: PartitionImage;
}

export interface Invariant extends LogObserver {
  onSent?(sent: SentMessage): void;
  onAcknowledged?(acknowledged: Acknowledged): void;
  onHighWatermark?(shown: HighWatermarkShown): void;
  onServed?(served: Served): void;
  /** A broker applied metadata. */
  onImage?(change: ImageChange): void;
  /** The newest metadata of the cluster changed this partition. */
  onPartition?(change: PartitionChange): void;
  /** Once, at the end, when everything has healed and come to rest. */
  atEnd?(): void;
}

export interface RunContext {
  readonly world: World;
  readonly logs: ObservedLogs;
  /** The newest metadata that any broker has applied. */
  newestImage(): MetadataImage;
  /** Name of the machine on which a broker runs. */
  nodeOf(brokerId: number): string;
  /** Whether the machine was given an empty disk: what it vouched for it cannot hold any more. */
  wasWiped(node: string): boolean;
  readonly anyWiped: boolean;
  fail(invariant: string, detail: string): void;
}

export function partitionOf(
  image: MetadataImage,
  topicId: TopicId,
  partition: PartitionIndex,
): PartitionImage | undefined {
  return image.topics.get(topicId)?.partitions[partition];
}

/** By key `<topicId>-<partition>`. */
export function partitionByKey(image: MetadataImage, key: string): PartitionImage | undefined {
  const dash = key.lastIndexOf("-");
  return partitionOf(image, key.slice(0, dash), Number(key.slice(dash + 1)));
}

export function* partitionsOf(
  image: MetadataImage,
): IterableIterator<readonly [string, PartitionImage]> {
  for (const topic of image.topics.values()) {
    for (const [index, partition] of topic.partitions.entries()) {
      yield [partitionKey(topic.id, index), partition];
    }
  }
}

export function describeBatch(batch: ObservedBatch): string {
  const { baseOffset, endOffset, leaderEpoch, crc } = batch;
  return `[${baseOffset},${endOffset}) epoch ${leaderEpoch} crc ${crc.toString(16)}`;
}
