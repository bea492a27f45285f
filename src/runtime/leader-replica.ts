/**
 * A partition that this broker leads, in one leader epoch: takes appends, hears the followers, and
 * tells everybody who waits (producers, follower feeds, consumers) when something moved.
 */
import type { PartitionState } from "../metadata/records.ts";
import type { ErrorCode } from "../model/errors.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { BrokerEpoch, BrokerId, LeaderEpoch, Offset } from "../model/ids.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { Timer } from "../ports/clock.ts";
import type { Ports } from "../ports/ports.ts";
import { type Batch, placeBatch } from "../record/batch.ts";
import {
  type FollowerProgress,
  type IsrMember,
  PartitionLeader,
} from "../replica/partition-leader.ts";
import type { PartitionLog, ReplicaName } from "../storage/log.ts";
import { AckQueue, type AckWaiter } from "./ack-queue.ts";

/** A consumer's fetch, or a follower's feed: told when there may be more for it. */
export interface LeaderListener {
  /** The high watermark rose, or the log start. */
  onWatermark(): void;
  /** The replica leads no more; nothing comes after this. */
  onLeaderGone(error: ErrorCode): void;
}

export interface FollowerListener extends LeaderListener {
  onAppended(): void;
}

export interface LeaderReplicaOptions {
  readonly self: BrokerId;
  readonly name: ReplicaName;
  readonly log: PartitionLog;
  readonly state: PartitionState;
  readonly config: TopicConfig;
  readonly highWatermark: Offset;
  readonly lagTimeMaxMs: number;
  /** A follower that is not in the ISR may now belong to it. */
  readonly onIsrDue: (replica: LeaderReplica) => void;
  /** The log refused an append for want of space. */
  readonly onDiskFull: () => void;
}

/** A follower's fetch stream may be gone for so long before it leaves the ISR. */
const BROKEN_STREAM_MS = 2_000;

/** Kafka's effective value: no topic can ask for more replicas than it has. */
export function effectiveMinIsr(config: TopicConfig, state: PartitionState): number {
  return Math.min(config.minInsyncReplicas, state.replicas.length);
}

export class LeaderReplica {
  readonly name: ReplicaName;
  readonly log: PartitionLog;
  readonly leaderEpoch: LeaderEpoch;
  readonly #ports: Ports;
  readonly #core: PartitionLeader;
  readonly #onIsrDue: (replica: LeaderReplica) => void;
  readonly #onDiskFull: () => void;
  readonly #feeds = new Map<BrokerId, FollowerListener>();
  readonly #readers = new Set<LeaderListener>();
  /** acks=all: wait for the high watermark. acks=1: for the own disk. */
  readonly #replicated = new AckQueue();
  readonly #durable = new AckQueue();
  /** delete-records: wait for the low watermark. */
  readonly #deleting = new AckQueue();
  #config: TopicConfig;
  #expiry: { readonly timer: Timer; readonly atMs: number } | undefined;
  #closed = false;
  /** After a refused proposal the next one waits, or it would be made at the speed of progress. */
  isrNotBeforeMs = 0;

  constructor(ports: Ports, options: LeaderReplicaOptions) {
    const { log, state, config } = options;
    this.#ports = ports;
    this.name = options.name;
    this.log = log;
    this.leaderEpoch = state.leaderEpoch;
    this.#config = config;
    this.#onIsrDue = options.onIsrDue;
    this.#onDiskFull = options.onDiskFull;
    this.#core = new PartitionLeader({
      self: options.self,
      leaderEpoch: state.leaderEpoch,
      state,
      minIsr: effectiveMinIsr(config, state),
      logEndOffset: log.logEndOffset,
      durableEndOffset: log.durableEndOffset,
      highWatermark: options.highWatermark,
      nowMs: ports.clock.monotonicMs(),
      lagTimeMaxMs: options.lagTimeMaxMs,
      brokenStreamMs: BROKEN_STREAM_MS,
    });
    log.saveHighWatermark(this.#core.highWatermark);
  }

  get closed(): boolean {
    return this.#closed;
  }
  get config(): TopicConfig {
    return this.#config;
  }
  get highWatermark(): Offset {
    return this.#core.highWatermark;
  }
  get underMinIsr(): boolean {
    return this.#core.underMinIsr;
  }
  get isr(): readonly BrokerId[] {
    return this.#core.isr;
  }
  /** False while an earlier leader may have served more than this one's high watermark. */
  get settled(): boolean {
    return this.#core.settled;
  }
  get partitionEpoch(): number {
    return this.#core.partitionEpoch;
  }
  followers(): ReturnType<PartitionLeader["followers"]> {
    return this.#core.followers();
  }
  /** Producers and deletions whose answers are held back. */
  get waiting(): { readonly producesCount: number; readonly deletesCount: number } {
    return {
      producesCount: this.#replicated.size + this.#durable.size,
      deletesCount: this.#deleting.size,
    };
  }

  /** Places the batch at the log's end and appends it; returns its base offset. */
  append(batch: Batch): Offset {
    const baseOffset = this.log.logEndOffset;
    try {
      this.log.append([placeBatch(batch, { baseOffset, leaderEpoch: this.leaderEpoch })]);
    } catch (thrown) {
      if (toOttlaError(thrown).code === "DISK_FULL") this.#onDiskFull();
      throw thrown;
    }
    this.#core.onAppend(this.log.logEndOffset, this.#ports.clock.monotonicMs());
    for (const feed of this.#feeds.values()) feed.onAppended();
    return baseOffset;
  }

  /** Settles the waiter when the high watermark (`acks` -1) or the own disk (1) reaches its end. */
  wait(acks: -1 | 1, waiter: AckWaiter): void {
    const reached = acks === 1 ? this.log.durableEndOffset : this.#core.highWatermark;
    if (waiter.endOffset <= reached) {
      waiter.settle(undefined);
      return;
    }
    (acks === 1 ? this.#durable : this.#replicated).push(waiter);
    this.#armExpiry(waiter.deadlineMs);
  }

  /** The own disk has more. */
  onDurable(): void {
    this.#durable.release(this.log.durableEndOffset);
    if (this.#core.onOwnDurable(this.log.durableEndOffset)) this.#onHighWatermark();
  }

  onMetadata(state: PartitionState, config: TopicConfig): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const before = this.#core.isr;
    this.#config = config;
    const rose = this.#core.onMetadata(state, effectiveMinIsr(config, state), nowMs);
    this.#countIsrChange(before, state.isr);
    if (rose) this.#onHighWatermark();
    this.#onLowWatermark();
  }

  /** A follower's fetch begins; an earlier one of the same follower is over. */
  attachFollower(
    id: BrokerId,
    start: { readonly brokerEpoch: BrokerEpoch; readonly fetchOffset: Offset },
    feed: FollowerListener,
  ): void {
    this.#feeds.set(id, feed);
    this.#core.onStreamStarted(id, start, this.#ports.clock.monotonicMs());
  }

  detachFollower(id: BrokerId, feed: FollowerListener): void {
    if (this.#feeds.get(id) !== feed) return;
    this.#feeds.delete(id);
    this.#core.onStreamBroken(id, this.#ports.clock.monotonicMs());
  }

  onFollowerProgress(id: BrokerId, feed: FollowerListener, progress: FollowerProgress): void {
    if (this.#closed || this.#feeds.get(id) !== feed) return;
    if (this.#core.onProgress(id, progress, this.#ports.clock.monotonicMs())) {
      this.#onHighWatermark();
    }
    this.#onLowWatermark();
    if (!this.#core.isr.includes(id)) this.#onIsrDue(this);
  }

  addReader(reader: LeaderListener): void {
    this.#readers.add(reader);
  }

  removeReader(reader: LeaderListener): void {
    this.#readers.delete(reader);
  }

  proposeIsr(epochOf: (id: BrokerId) => BrokerEpoch | undefined): readonly IsrMember[] | undefined {
    return this.#core.proposeIsr(this.#ports.clock.monotonicMs(), epochOf);
  }

  onProposalRefused(): void {
    this.#core.onProposalRefused();
  }

  onProposalLost(): void {
    this.#core.onProposalLost();
  }

  /** Smallest log start of the ISR. */
  get lowWatermark(): Offset {
    return this.#core.lowWatermark(this.log.logStartOffset);
  }

  /**
   * delete-records: settles once the low watermark is at `offset`, so that no leader elected from
   * the ISR serves what is below. Rejects with OFFSET_OUT_OF_RANGE above the high watermark, and
   * with REQUEST_TIMED_OUT: it goes on all the same.
   */
  async deleteBefore(offset: Offset, deadlineMs: number): Promise<void> {
    await this.raiseLogStart(offset);
    if (this.#closed) throw new OttlaError("NOT_LEADER_OR_FOLLOWER", "this replica leads no more");
    if (this.lowWatermark >= offset) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (error: ErrorCode | undefined): void => {
        if (error === undefined) resolve();
        else reject(new OttlaError(error, `not every replica in sync has deleted below ${offset}`));
      };
      this.#deleting.push({ endOffset: offset, deadlineMs, settle });
      this.#armExpiry(deadlineMs);
    });
  }

  /** Durable here when settled; followers learn it with their next frame. */
  async raiseLogStart(offset: Offset): Promise<void> {
    if (offset > this.#core.highWatermark) {
      throw new OttlaError(
        "OFFSET_OUT_OF_RANGE",
        `offset ${offset} is above the high watermark ${this.#core.highWatermark}`,
      );
    }
    await this.log.raiseLogStart(offset);
    this.onLogStartRaised();
  }

  onLogStartRaised(): void {
    if (this.#closed) return;
    for (const feed of this.#feeds.values()) feed.onWatermark();
  }

  /** Everybody who waits is told; what was appended may survive or not. */
  close(error: ErrorCode): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#expiry?.timer.cancel();
    this.#replicated.failAll(error);
    this.#durable.failAll(error);
    this.#deleting.failAll(error);
    const listeners = [...this.#feeds.values(), ...this.#readers];
    this.#feeds.clear();
    this.#readers.clear();
    for (const listener of listeners) listener.onLeaderGone(error);
  }

  #onHighWatermark(): void {
    const { highWatermark } = this.#core;
    this.#replicated.release(highWatermark);
    this.log.saveHighWatermark(highWatermark);
    for (const feed of this.#feeds.values()) feed.onWatermark();
    for (const reader of this.#readers) reader.onWatermark();
  }

  #onLowWatermark(): void {
    if (this.#deleting.size > 0) this.#deleting.release(this.lowWatermark);
  }

  #countIsrChange(before: readonly BrokerId[], after: readonly BrokerId[]): void {
    if (before === after) return;
    if (before.some((id) => !after.includes(id))) {
      this.#ports.meter.count("kafka_server_replicamanager_isrshrinks_total", {}, 1);
    }
    if (after.some((id) => !before.includes(id))) {
      this.#ports.meter.count("kafka_server_replicamanager_isrexpands_total", {}, 1);
    }
  }

  /** One timer for all that wait: set for the earliest deadline, left to run when that is met. */
  #armExpiry(atMs: number): void {
    if (this.#expiry !== undefined && this.#expiry.atMs <= atMs) return;
    this.#expiry?.timer.cancel();
    const delayMs = Math.max(0, atMs - this.#ports.clock.monotonicMs());
    this.#expiry = { atMs, timer: this.#ports.timers.after(delayMs, () => this.#expire()) };
  }

  #expire(): void {
    this.#expiry = undefined;
    const nowMs = this.#ports.clock.monotonicMs();
    const late = this.#core.underMinIsr ? "NOT_ENOUGH_REPLICAS_AFTER_APPEND" : "REQUEST_TIMED_OUT";
    this.#replicated.expire(nowMs, late);
    this.#durable.expire(nowMs, "REQUEST_TIMED_OUT");
    this.#deleting.expire(nowMs, "REQUEST_TIMED_OUT");
    const next = Math.min(
      this.#replicated.earliestDeadlineMs(),
      this.#durable.earliestDeadlineMs(),
      this.#deleting.earliestDeadlineMs(),
    );
    if (next !== Number.POSITIVE_INFINITY) this.#armExpiry(next);
  }
}
