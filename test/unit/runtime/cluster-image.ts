/** Metadata images of a small cluster, made by hand: what a controller would have published. */
import { EMPTY_IMAGE, type MetadataImage } from "../../../src/metadata/image.ts";
import type { PartitionState } from "../../../src/metadata/records.ts";
import type { TopicConfig } from "../../../src/model/topic-config.ts";
import { BatchBuilder } from "../../../src/record/records.ts";

export const TOPIC_ID = "topic-id";
export const TOPIC = "topic";

export function partition(state: Partial<PartitionState> = {}): PartitionState {
  return {
    replicas: [1, 2, 3],
    directories: ["directory", "directory", "directory"],
    isr: [1, 2, 3],
    elr: [],
    lastKnownLeader: -1,
    adding: [],
    removing: [],
    leader: 1,
    leaderEpoch: 1,
    partitionEpoch: 1,
    ...state,
  };
}

/** Brokers 1 to 3 with epoch 10 and more, reached at host `node-<id>`, port 9392. */
export function image(
  partitions: readonly PartitionState[],
  change: Partial<MetadataImage> = {},
): MetadataImage {
  const brokers = [1, 2, 3].map((id) => ({
    id,
    epoch: 10 + id,
    incarnationId: `life-${id}`,
    endpoints: [{ name: "INTERNAL", host: `node-${id}`, port: 9392 }],
    rack: null,
    directories: ["directory"],
    features: [1, 1] as const,
    fenced: false,
    inControlledShutdown: false,
  }));
  const topic = { id: TOPIC_ID, name: TOPIC, partitions };
  return {
    ...EMPTY_IMAGE,
    clusterId: "cluster",
    brokers: new Map(brokers.map((broker) => [broker.id, broker])),
    topics: new Map([[topic.id, topic]]),
    topicIds: new Map([[topic.name, topic.id]]),
    ...change,
  };
}

export const TOPIC_CONFIG: TopicConfig = {
  cleanupPolicy: ["delete"],
  compressionType: "producer",
  deleteRetentionMs: 86_400_000,
  fileDeleteDelayMs: 60_000,
  flushMessages: 1,
  flushMs: 1_000,
  maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
  maxMessageBytes: 1_048_588,
  messageTimestampType: "CreateTime",
  messageTimestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  messageTimestampAfterMaxMs: 3_600_000,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  minInsyncReplicas: 2,
  retentionBytes: -1,
  retentionMs: -1,
  segmentBytes: 1024 * 1024 * 1024,
  segmentMs: 604_800_000,
  uncleanLeaderElectionEnable: false,
};

export interface BatchOptions {
  readonly records?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly timestamp?: number;
  /** Of every record; default: none has a key. */
  readonly key?: string;
  /** The section is what this makes of it; gzip, says the batch. */
  readonly compressed?: (section: Uint8Array) => Uint8Array;
}

/** A sealed batch as a producer sends it. */
export function sealedBatch(
  text: string,
  crc32c: (bytes: Uint8Array) => number,
  options: BatchOptions = {},
): Uint8Array {
  const { records = 1, producerId = -1, producerEpoch = -1, baseSequence = -1 } = options;
  const builder = new BatchBuilder(1024);
  for (let index = 0; index < records; index++) {
    builder.append({
      timestamp: options.timestamp ?? 1_000,
      key: options.key === undefined ? null : new TextEncoder().encode(options.key),
      value: new TextEncoder().encode(`${text} ${index}`),
      headers: [],
    });
  }
  const compressed = options.compressed?.(builder.section());
  const codec = compressed === undefined ? "none" : "gzip";
  return builder.seal({ codec, compressed, crc32c, producerId, producerEpoch, baseSequence });
}
