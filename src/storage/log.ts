/**
 * What the storage room offers to the rest of a broker: one `Logs` per incarnation, one
 * `PartitionLog` per replica. `LevelLogs` and `LevelPartitionLog` implement them on the ports.
 *
 * A batch's way: `append` puts it into the tail cache and the queue of the partition's writer, in
 * the same turn; `logEndOffset` rises at once. One write is under way at a time; what came
 * meanwhile rides in the next (group commit). `durableEndOffset` rises when a write settles.
 */
import type { OttlaError } from "../model/errors.ts";
import type {
  BrokerEpoch,
  ClusterId,
  DirectoryId,
  LeaderEpoch,
  Offset,
  PartitionIndex,
  TopicId,
  TopicPartition,
} from "../model/ids.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { Batch } from "../record/batch.ts";
import type { LeaderEpochs } from "../replica/leader-epochs.ts";
import type { ProducerStates } from "../replica/producer-states.ts";

export interface Logs {
  /** Identity of each `log.dirs` entry, in order; the first also holds the metadata log. */
  readonly directories: readonly DirectoryId[];
  /** Undefined in an empty directory; written once by `adoptCluster`. */
  readonly clusterId: ClusterId | undefined;
  /** From the marker of the last clean stop; -1: the last stop was unclean. */
  readonly cleanShutdownEpoch: BrokerEpoch;
  /** Replicas found below their durable mark or quarantined by `recover`. */
  readonly lostReplicas: readonly TopicPartition[];
  /** What lies on disk, by name and id. */
  readonly replicas: readonly LocalReplica[];
  /**
   * Verifies every log that the last life may have been writing (all but those closed and marked
   * clean): cuts a defect above the mark, quarantines a replica with one below. Reports and logs.
   */
  recover(): Promise<RecoveryReport>;
  /** Records that the directories belong to this cluster. Rejects with INCONSISTENT_CLUSTER_ID. */
  adoptCluster(clusterId: ClusterId): Promise<void>;
  /**
   * Opens the replica's log, creating it (in the least loaded directory) if it is not there. One
   * that a storage error took offline is closed, opened anew and verified; the result is a new
   * object, without listeners, and `lostReplicas` may have grown. Rejects with the storage error
   * while the disk does not let it: try again later. With `rebuildable` (default false) another
   * replica leads: a log that can be read at no attempt is then set aside for an empty one.
   */
  open(
    replica: ReplicaName,
    config: TopicConfig,
    options?: { readonly rebuildable: boolean },
  ): Promise<PartitionLog>;
  /** Whether the replica, as last opened or verified, holds less than it had vouched for. */
  isLost(replica: TopicPartition): boolean;
  /** Closes and removes it; offsets and data are gone once settled. */
  delete(replica: TopicPartition): Promise<void>;
  directoryOf(replica: TopicPartition): DirectoryId | undefined;
  /** Oldest storage operation under way, in ms; the broker fences itself past a bound. */
  oldestPendingMs(): number;
  openDatabasesCount(): number;
  /** Of the file systems of the directories. */
  spaces(): Promise<readonly DirectorySpace[]>;
  /** Flushes, writes marks, and with an epoch the clean-shutdown marker, last. */
  close(options: { readonly cleanShutdownEpoch: BrokerEpoch | undefined }): Promise<void>;
}

export interface DirectorySpace {
  readonly directory: string;
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface ReplicaName extends TopicPartition {
  readonly topic: string;
}

export interface LocalReplica extends ReplicaName {
  readonly directoryId: DirectoryId;
}

export interface RecoveryReport {
  readonly verified: number;
  readonly truncated: readonly {
    readonly replica: ReplicaName;
    readonly from: Offset;
    readonly to: Offset;
  }[];
  readonly quarantined: readonly { readonly replica: ReplicaName; readonly reason: string }[];
}

export interface PartitionLog {
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  /** First offset that may be read. */
  readonly logStartOffset: Offset;
  /** One past the last batch appended, durable or not. */
  readonly logEndOffset: Offset;
  /** One past the last batch that counts: fsynced, or with the relaxed profile written. */
  readonly durableEndOffset: Offset;
  /** As it was last saved; what a restarted replica begins from. */
  readonly savedHighWatermark: Offset;
  readonly sizeBytes: number;
  readonly segmentsCount: number;
  /** Folds of the log, kept in step by `append` and `truncateTo`. */
  readonly epochs: LeaderEpochs;
  readonly producers: ProducerStates;
  /** Bytes that wait for the disk. */
  readonly queuedBytes: number;
  /** Undefined while the replica is online; else what took it offline. */
  readonly failure: OttlaError | undefined;

  /** Called after `durableEndOffset` rose. */
  onDurable: () => void;
  /** Called once, when a storage error took the log offline; nothing is accepted after it. */
  onFailure: (error: OttlaError) => void;

  /**
   * Takes batches that are placed (offset, epoch), contiguous with `logEndOffset`, and validated.
   * The bytes belong to the log from now on. Throws KAFKA_STORAGE_ERROR if offline, CLOSED,
   * DISK_FULL while free space is below the reserve, THROTTLING_QUOTA_EXCEEDED if more than
   * LIMITS.appendQueueBytes wait; then nothing of it is taken.
   */
  append(batches: readonly Batch[]): void;
  /**
   * Whole batches from the one that holds `from`, below `upTo`, about `maxBytes` but at least one.
   * Empty if `from >= upTo`. Synchronous (an array) if the tail cache has them. Throws or rejects
   * with OFFSET_OUT_OF_RANGE below the start or above the end, KAFKA_STORAGE_ERROR, or
   * CORRUPT_MESSAGE if a stored batch's CRC fails (the log then is offline).
   */
  read(from: Offset, limits: ReadLimits): readonly Batch[] | Promise<readonly Batch[]>;
  /** Removes everything at and above `offset`, durably. Nothing is appended meanwhile. */
  truncateTo(offset: Offset): Promise<void>;
  /** Empties the log so that it starts and ends at `offset` (the leader's start has passed ours). */
  resetTo(offset: Offset): Promise<void>;
  /** Raises the log start (delete-records, or the leader's has risen); drops whole old segments. */
  raiseLogStart(offset: Offset): Promise<void>;
  /** First record with a timestamp >= `timestamp`, below `upTo`; undefined if there is none. */
  offsetForTimestamp(timestamp: number, upTo: Offset): Promise<TimestampedOffset | undefined>;
  /** The record with the largest timestamp below `upTo`. */
  offsetOfMaxTimestamp(upTo: Offset): Promise<TimestampedOffset | undefined>;
  /** Remembered lazily, durable within a second or so; never above `durableEndOffset`. */
  saveHighWatermark(highWatermark: Offset): void;
  /** Rolls by `segment.ms`, drops segments by retention.ms and .bytes, all below `highWatermark`. */
  applyRetention(nowMs: number, highWatermark: Offset): Promise<void>;
  configure(config: TopicConfig): void;
  /** Settles when everything appended so far is fsynced. */
  flush(): Promise<void>;
}

export interface ReadLimits {
  readonly maxBytes: number;
  /** Exclusive. */
  readonly upTo: Offset;
}

export interface TimestampedOffset {
  readonly offset: Offset;
  readonly timestamp: number;
  readonly leaderEpoch: LeaderEpoch;
}
