/**
 * A replica that follows a leader in one leader epoch: what it asks for, what it does with what
 * comes, and how it finds the common end of both logs. Which stream carries it is the fetcher's
 * affair.
 */
import type { ErrorCode } from "../model/errors.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { BrokerId, LeaderEpoch, Offset } from "../model/ids.ts";
import type { Ports } from "../ports/ports.ts";
import { hasValidCrc, lastOffset, splitBatches } from "../record/batch.ts";
import type { FetchedPartition, FetchRefusal, FetchStart } from "../replica/messages.ts";
import type { PartitionLog, ReplicaName } from "../storage/log.ts";

export interface FollowerReplicaOptions {
  readonly name: ReplicaName;
  readonly log: PartitionLog;
  readonly leaderId: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
  readonly highWatermark: Offset;
  /** Whether records below the high watermark may have been given up by an unclean election. */
  readonly mayLoseCommitted: () => boolean;
  readonly onChangeNeeded: (change: LogChange) => void;
  /** The log start has to follow the leader's. */
  readonly onLogStartDue: (offset: Offset) => void;
  /** The log refused an append for want of space. */
  readonly onDiskFull: () => void;
}

/**
 * What has to happen before this replica can fetch again. `cut`: remove everything from the offset
 * on. `reset`: empty the log, to start at the offset. `wait`: nothing in this leader epoch.
 */
export type LogChange =
  | { readonly action: "cut"; readonly offset: Offset }
  | { readonly action: "reset"; readonly offset: Offset }
  | { readonly action: "wait" };

export class FollowerReplica {
  readonly name: ReplicaName;
  readonly log: PartitionLog;
  readonly leaderId: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
  readonly #ports: Ports;
  readonly #options: FollowerReplicaOptions;
  #highWatermark: Offset;
  #leaderHighWatermark: Offset = 0;
  #leaderLogStart: Offset = 0;

  constructor(ports: Ports, options: FollowerReplicaOptions) {
    this.#ports = ports;
    this.name = options.name;
    this.log = options.log;
    this.leaderId = options.leaderId;
    this.leaderEpoch = options.leaderEpoch;
    this.#options = options;
    this.#highWatermark = options.highWatermark;
  }

  /** What this replica knows to be committed and holds durably. */
  get highWatermark(): Offset {
    return this.#highWatermark;
  }

  /** Records that the leader has shown to consumers and this replica does not hold durably. */
  get lagRecords(): number {
    return Math.max(0, this.#leaderHighWatermark - this.log.durableEndOffset);
  }

  start(handle: number): FetchStart {
    const { log } = this;
    return {
      handle,
      topicId: this.name.topicId,
      partition: this.name.partition,
      leaderEpoch: this.leaderEpoch,
      fetchOffset: log.logEndOffset,
      lastFetchedEpoch: log.epochs.latest,
      logStartOffset: log.logStartOffset,
    };
  }

  /**
   * Appends what the leader sent. Throws CORRUPT_MESSAGE if it is not what follows this log,
   * DISK_FULL, KAFKA_STORAGE_ERROR if the log is offline. Returns what the log needs first, if anything.
   */
  receive(fetched: FetchedPartition): LogChange | undefined {
    const { log } = this;
    const batches = splitBatches(fetched.batches);
    const first = batches[0];
    // An empty log was set to the leader's start, which may lie within a batch: begin with it.
    if (
      first !== undefined &&
      first.header.baseOffset < log.logEndOffset &&
      lastOffset(first.header) >= log.logEndOffset &&
      log.logStartOffset === log.logEndOffset
    ) {
      return { action: "reset", offset: first.header.baseOffset };
    }
    let end = log.logEndOffset;
    let epoch = log.epochs.latest;
    for (const batch of batches) {
      const { header } = batch;
      if (header.baseOffset !== end) {
        throw this.#corrupt(`a batch at ${header.baseOffset} where the log ends at ${end}`);
      }
      if (header.leaderEpoch < epoch || header.leaderEpoch > this.leaderEpoch) {
        throw this.#corrupt(
          `a batch at ${end} of epoch ${header.leaderEpoch}, allowed are ${epoch} to ${this.leaderEpoch}`,
        );
      }
      if (!hasValidCrc(batch, this.#ports.codecs.crc32c)) {
        throw this.#corrupt(`a batch at ${end} whose CRC-32C is not that of its bytes`);
      }
      end = lastOffset(header) + 1;
      epoch = header.leaderEpoch;
    }
    try {
      if (batches.length > 0) log.append(batches);
    } catch (thrown) {
      if (toOttlaError(thrown).code === "DISK_FULL") this.#options.onDiskFull();
      throw thrown;
    }
    this.#leaderHighWatermark = fetched.highWatermark;
    this.#leaderLogStart = fetched.logStartOffset;
    this.advance();
    return undefined;
  }

  /** Either the leader's high watermark or the own durable end has moved. */
  advance(): void {
    const known = Math.min(this.#leaderHighWatermark, this.log.durableEndOffset);
    if (known > this.#highWatermark) {
      this.#highWatermark = known;
      this.log.saveHighWatermark(known);
    }
    // Nothing uncommitted is removed, though the leader's start may be past what is known here.
    const dueStart = Math.min(this.#leaderLogStart, this.#highWatermark);
    if (dueStart > this.log.logStartOffset) this.#options.onLogStartDue(dueStart);
  }

  /** Judges why the leader does not send. Undefined: ask again later; the log is left as it is. */
  judge(refusal: FetchRefusal): LogChange | undefined {
    const { log } = this;
    if (refusal.diverging !== undefined) {
      const { epoch, endOffset } = refusal.diverging;
      const own = log.epochs.endOf(epoch, log.logEndOffset);
      const target = Math.min(own.endOffset, endOffset);
      if (target < log.logStartOffset) return this.#reset(refusal.logStartOffset);
      return this.#mayRemoveFrom(target) ? { action: "cut", offset: target } : { action: "wait" };
    }
    return refusal.error === "OFFSET_OUT_OF_RANGE"
      ? this.#reset(refusal.logStartOffset)
      : undefined;
  }

  onChangeNeeded(change: LogChange): void {
    this.#options.onChangeNeeded(change);
  }

  /** The log was cut or emptied: what is known to be committed lies within it. */
  onLogChanged(): void {
    const { logStartOffset, durableEndOffset } = this.log;
    this.#highWatermark = Math.max(logStartOffset, Math.min(this.#highWatermark, durableEndOffset));
    this.log.saveHighWatermark(this.#highWatermark);
  }

  #reset(offset: Offset): LogChange {
    return this.#mayRemoveFrom(offset) ? { action: "reset", offset } : { action: "wait" };
  }

  /**
   * A leader that lacks what this replica knows to be committed can only come from an unclean
   * election. Without one the records stay here, for a person to look at (P12).
   */
  #mayRemoveFrom(offset: Offset): boolean {
    if (offset >= this.#highWatermark) return true;
    const unclean = this.#options.mayLoseCommitted();
    const fields = {
      topic: this.name.topic,
      partition: this.name.partition,
      offset,
      highWatermark: this.#highWatermark,
      leader: this.leaderId,
      leaderEpoch: this.leaderEpoch,
    };
    if (unclean)
      this.#ports.logger.warn("committed records are given up to the leader's log", fields);
    else this.#ports.logger.error("the leader lacks committed records; this replica waits", fields);
    return unclean;
  }

  #corrupt(what: string): OttlaError {
    const code: ErrorCode = "CORRUPT_MESSAGE";
    const { topic, partition } = this.name;
    return new OttlaError(code, `${topic}-${partition}: leader ${this.leaderId} sent ${what}`);
  }
}
