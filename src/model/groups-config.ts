/** What a broker runs consumer groups with, from its properties. */
import { type Compression, compressionFromId } from "./compression.ts";
import { configNumber } from "./config-values.ts";
import { OttlaError } from "./errors.ts";

/** Each is the Kafka key of its name. */
export interface GroupsConfig {
  readonly initialRebalanceDelayMs: number;
  readonly minSessionTimeoutMs: number;
  readonly maxSessionTimeoutMs: number;
  readonly maxSize: number;
  /**
   * `group.coordinator.append.linger.ms`: how long records are collected; with -1 those that come
   * while an append is under way ride in the next.
   */
  readonly appendLingerMs: number;
  readonly offsetMetadataMaxBytes: number;
  readonly offsetsCommitTimeoutMs: number;
  readonly offsetsLoadBufferBytes: number;
  readonly offsetsRetentionCheckIntervalMs: number;
  /** `offsets.retention.minutes` */
  readonly offsetsRetentionMs: number;
  readonly offsetsTopicCompression: Compression;
  readonly offsetsTopicPartitions: number;
  readonly offsetsTopicReplicationFactor: number;
  readonly offsetsTopicSegmentBytes: number;
}

const MINUTE_MS = 60_000;

/** Throws INVALID_CONFIG. */
export function groupsConfig(properties: ReadonlyMap<string, string>): GroupsConfig {
  const number = (key: string, least: number): number => {
    const value = configNumber("broker", key, { properties });
    if (value < least) refuse(key, value, `at least ${least}`);
    return value;
  };
  const codecKey = "offsets.topic.compression.codec";
  const codec = number(codecKey, 0);
  const offsetsTopicCompression = compressionFromId(codec);
  if (offsetsTopicCompression === undefined) {
    refuse(codecKey, codec, "0 (none), 1 (gzip), 2 (snappy), 3 (lz4) or 4 (zstd)");
  }
  const minSessionTimeoutMs = number("group.min.session.timeout.ms", 1);
  return {
    initialRebalanceDelayMs: number("group.initial.rebalance.delay.ms", 0),
    minSessionTimeoutMs,
    maxSessionTimeoutMs: number("group.max.session.timeout.ms", minSessionTimeoutMs),
    maxSize: number("group.max.size", 1),
    appendLingerMs: number("group.coordinator.append.linger.ms", -1),
    offsetMetadataMaxBytes: number("offset.metadata.max.bytes", 0),
    offsetsCommitTimeoutMs: number("offsets.commit.timeout.ms", 1),
    offsetsLoadBufferBytes: number("offsets.load.buffer.size", 1),
    offsetsRetentionCheckIntervalMs: number("offsets.retention.check.interval.ms", 1),
    offsetsRetentionMs: number("offsets.retention.minutes", 1) * MINUTE_MS,
    offsetsTopicCompression,
    offsetsTopicPartitions: number("offsets.topic.num.partitions", 1),
    offsetsTopicReplicationFactor: number("offsets.topic.replication.factor", 1),
    offsetsTopicSegmentBytes: number("offsets.topic.segment.bytes", 1),
  };
}

function refuse(key: string, value: number, allowed: string): never {
  throw new OttlaError("INVALID_CONFIG", `${key} is ${value}; allowed is ${allowed}`, {
    field: key,
  });
}
