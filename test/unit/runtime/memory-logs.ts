/**
 * Logs in memory whose disk the test moves by hand or lets run by itself: what replicas do with a
 * log is tested against them, without a storage engine.
 */
import { OttlaError } from "../../../src/model/errors.ts";
import {
  type BrokerEpoch,
  type ClusterId,
  type DirectoryId,
  type Offset,
  partitionKey,
  type TopicPartition,
} from "../../../src/model/ids.ts";
import type { TopicConfig } from "../../../src/model/topic-config.ts";
import { type Batch, lastOffset } from "../../../src/record/batch.ts";
import { LeaderEpochs } from "../../../src/replica/leader-epochs.ts";
import { ProducerStates } from "../../../src/replica/producer-states.ts";
import type {
  DirectorySpace,
  LocalReplica,
  Logs,
  PartitionLog,
  ReadLimits,
  RecoveryReport,
  ReplicaName,
  TimestampedOffset,
} from "../../../src/storage/log.ts";

export class MemoryLog implements PartitionLog {
  readonly topicId: string;
  readonly partition: number;
  readonly epochs = new LeaderEpochs();
  readonly producers = new ProducerStates();
  readonly queuedBytes = 0;
  readonly segmentsCount = 1;
  batches: Batch[] = [];
  logStartOffset: Offset = 0;
  logEndOffset: Offset = 0;
  durableEndOffset: Offset = 0;
  savedHighWatermark: Offset = 0;
  failure: OttlaError | undefined;
  onDurable: () => void = () => undefined;
  onFailure: (error: OttlaError) => void = () => undefined;
  /** Takes nothing more, and stays readable. */
  full = false;
  /** False: what is appended becomes durable when the test calls `sync`. */
  autoSync = true;
  /** True: reads answer with promises, as if nothing were cached. */
  cold = false;
  /** So many reads of a cold log; then everything is cached. */
  coldReadsCount = Number.POSITIVE_INFINITY;
  /** How long the disk takes for a read. */
  seek: () => Promise<void> = () => Promise.resolve();
  /** What was done to the log from outside, in order. */
  readonly operations: string[] = [];

  constructor(name: TopicPartition) {
    this.topicId = name.topicId;
    this.partition = name.partition;
  }

  get sizeBytes(): number {
    return this.batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  append(batches: readonly Batch[]): void {
    if (this.failure !== undefined) throw this.failure;
    if (this.full) throw new OttlaError("DISK_FULL", "the disk is full");
    for (const batch of batches) {
      if (batch.header.baseOffset !== this.logEndOffset) throw new Error("not contiguous");
      this.epochs.assign(batch.header.leaderEpoch, batch.header.baseOffset);
      this.producers.update(batch.header);
      this.batches.push(batch);
      this.logEndOffset = lastOffset(batch.header) + 1;
    }
    if (this.autoSync) {
      Promise.resolve()
        .then(() => this.sync())
        .catch(() => undefined);
    }
  }

  sync(upTo: Offset = this.logEndOffset): void {
    if (upTo <= this.durableEndOffset) return;
    this.durableEndOffset = upTo;
    this.onDurable();
  }

  fail(code: "KAFKA_STORAGE_ERROR" = "KAFKA_STORAGE_ERROR"): void {
    this.failure = new OttlaError(code, "the disk failed");
    this.onFailure(this.failure);
  }

  read(from: Offset, limits: ReadLimits): readonly Batch[] | Promise<readonly Batch[]> {
    if (this.failure !== undefined) throw this.failure;
    if (from < this.logStartOffset || from > this.logEndOffset) {
      throw new OttlaError("OFFSET_OUT_OF_RANGE", `offset ${from}`);
    }
    const out: Batch[] = [];
    let bytes = 0;
    for (const batch of this.batches) {
      if (lastOffset(batch.header) < from || batch.header.baseOffset >= limits.upTo) continue;
      if (out.length > 0 && bytes + batch.bytes.length > limits.maxBytes) break;
      out.push(batch);
      bytes += batch.bytes.length;
    }
    return this.cold && this.coldReadsCount-- > 0 ? this.seek().then(() => out) : out;
  }

  async truncateTo(offset: Offset): Promise<void> {
    this.operations.push(`truncate ${offset}`);
    this.batches = this.batches.filter(({ header }) => lastOffset(header) < offset);
    this.logEndOffset = Math.min(this.logEndOffset, offset);
    this.durableEndOffset = Math.min(this.durableEndOffset, offset);
    this.epochs.truncateTo(offset);
  }

  async resetTo(offset: Offset): Promise<void> {
    this.operations.push(`reset ${offset}`);
    this.batches = [];
    this.logStartOffset = offset;
    this.logEndOffset = offset;
    this.durableEndOffset = offset;
    this.epochs.clear();
  }

  async raiseLogStart(offset: Offset): Promise<void> {
    this.operations.push(`raise ${offset}`);
    this.logStartOffset = Math.max(this.logStartOffset, offset);
    this.batches = this.batches.filter(({ header }) => lastOffset(header) >= offset);
    this.epochs.raiseStart(offset);
  }

  async offsetForTimestamp(timestamp: number): Promise<TimestampedOffset | undefined> {
    const found = this.batches.find(({ header }) => header.maxTimestamp >= timestamp);
    return found === undefined
      ? undefined
      : {
          offset: found.header.baseOffset,
          timestamp: found.header.maxTimestamp,
          leaderEpoch: found.header.leaderEpoch,
        };
  }

  async offsetOfMaxTimestamp(): Promise<TimestampedOffset | undefined> {
    return undefined;
  }

  saveHighWatermark(highWatermark: Offset): void {
    if (highWatermark > this.durableEndOffset) throw new Error("high watermark beyond the disk");
    this.savedHighWatermark = highWatermark;
  }

  async applyRetention(): Promise<void> {
    this.operations.push("retention");
  }

  configure(): void {
    // Nothing in memory depends on the configuration.
  }

  async flush(): Promise<void> {
    this.sync();
  }
}

export class MemoryLogs implements Logs {
  readonly directories: readonly DirectoryId[] = ["directory"];
  clusterId: ClusterId | undefined;
  readonly cleanShutdownEpoch: BrokerEpoch = -1;
  readonly lostReplicas: readonly TopicPartition[] = [];
  readonly opened = new Map<string, MemoryLog>();
  readonly deleted: string[] = [];
  /** Replicas that are said to hold less than they had vouched for. */
  readonly lost = new Set<string>();
  replicas: readonly LocalReplica[] = [];
  /** The next opens are rejected with a storage error. */
  failOpens = 0;
  /** Of the opens so far: whether a log that cannot be read might have been given up. */
  readonly rebuildable: boolean[] = [];

  get(topicId: string, partition: number): MemoryLog {
    const log = this.opened.get(partitionKey(topicId, partition));
    if (log === undefined) throw new Error(`no log of ${topicId}-${partition} is open`);
    return log;
  }

  isLost({ topicId, partition }: TopicPartition): boolean {
    return this.lost.has(partitionKey(topicId, partition));
  }

  async recover(): Promise<RecoveryReport> {
    return { verified: 0, truncated: [], quarantined: [] };
  }

  async adoptCluster(clusterId: ClusterId): Promise<void> {
    this.clusterId = clusterId;
  }

  async open(
    name: ReplicaName,
    _config: TopicConfig,
    options = { rebuildable: false },
  ): Promise<PartitionLog> {
    this.rebuildable.push(options.rebuildable);
    if (this.failOpens > 0) {
      this.failOpens--;
      throw new OttlaError("KAFKA_STORAGE_ERROR", "cannot be opened");
    }
    const key = partitionKey(name.topicId, name.partition);
    const before = this.opened.get(key);
    const log = new MemoryLog(name);
    // A reopened log holds what was durable.
    for (const batch of before?.batches ?? []) {
      if (lastOffset(batch.header) < (before?.durableEndOffset ?? 0)) log.append([batch]);
    }
    log.durableEndOffset = log.logEndOffset;
    log.savedHighWatermark = before?.savedHighWatermark ?? 0;
    this.opened.set(key, log);
    return log;
  }

  async delete({ topicId, partition }: TopicPartition): Promise<void> {
    const key = partitionKey(topicId, partition);
    this.deleted.push(key);
    this.opened.delete(key);
  }

  directoryOf(): DirectoryId {
    return "directory";
  }

  oldestPendingMs(): number {
    return 0;
  }

  openDatabasesCount(): number {
    return 0;
  }

  async spaces(): Promise<readonly DirectorySpace[]> {
    return [];
  }

  async close(): Promise<void> {
    this.opened.clear();
  }
}
