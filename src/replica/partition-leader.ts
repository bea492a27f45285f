/**
 * What a partition's leader knows and decides during one leader epoch: how far each follower is
 * durable, the high watermark, and which ISR to propose. Pure: told what happened and when.
 *
 * Terms, with their invariants:
 * - committed ISR: as the controller decided it; `maximal` ISR: that, united with every proposal
 *   whose fate is open. The high watermark waits for the maximal ISR (P4, P10), because the
 *   controller may elect from a proposal that was applied before its answer reached the leader.
 * - high watermark: never falls within the epoch (P5), moves only while the committed ISR has
 *   `min.insync.replicas` members, and is <= the durable end of each member of the maximal ISR.
 * - a follower counts by what it has fsynced in this epoch, never by what it received.
 */
import { assert } from "../base/assert.ts";
import type { PartitionState } from "../metadata/records.ts";
import type { BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch } from "../model/ids.ts";

export interface PartitionLeaderOptions {
  readonly self: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
  readonly state: PartitionState;
  /** min(`min.insync.replicas`, replicas). */
  readonly minIsr: number;
  readonly logEndOffset: Offset;
  readonly durableEndOffset: Offset;
  /** What this replica knew as a follower, or had saved; may lag what the last leader served. */
  readonly highWatermark: Offset;
  readonly nowMs: number;
  /** `replica.lag.time.max.ms` */
  readonly lagTimeMaxMs: number;
  /** How long a follower's fetch stream may be gone before it leaves the ISR. */
  readonly brokenStreamMs: number;
}

export interface IsrMember {
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
}

export interface FollowerProgress {
  readonly durableEnd: Offset;
  readonly logStartOffset: Offset;
}

interface Follower {
  /** -1 until its first progress in this epoch. */
  durableEnd: Offset;
  logStartOffset: Offset;
  /** Of the life that fetches; -1 before the first stream. */
  brokerEpoch: BrokerEpoch;
  /** Last time at which it held everything that the leader had at that time. */
  caughtUpMs: number;
  /** The leader's log end at `sampleMs`: reaching it means caught up as of then. */
  sampleEnd: Offset;
  sampleMs: number;
  /** Since when it has no fetch stream; undefined while it has one. */
  brokenSinceMs: number | undefined;
  /** It came back with less than it had fsynced: distrusted until it has caught up anew. */
  lostTail: boolean;
}

export class PartitionLeader {
  readonly leaderEpoch: LeaderEpoch;
  readonly #self: BrokerId;
  readonly #lagTimeMaxMs: number;
  readonly #brokenStreamMs: number;
  /** The log end when the epoch began: below it the epoch's own first batch cannot lie. */
  readonly #epochStartOffset: Offset;
  readonly #followers = new Map<BrokerId, Follower>();
  #state: PartitionState;
  #minIsr: number;
  #logEndOffset: Offset;
  #durableEndOffset: Offset;
  #highWatermark: Offset;
  #inFlight: readonly BrokerId[] | undefined;
  /** Members of proposals whose answers were lost; they count until newer metadata arrives. */
  #uncertain: readonly BrokerId[] = [];
  /** Kept beside its three sources, because every progress of every follower reads it. */
  #maximalIsr: readonly BrokerId[] = [];

  constructor(options: PartitionLeaderOptions) {
    assert(options.state.leader === options.self, "a leader's state names itself as the leader");
    assert(options.highWatermark <= options.logEndOffset, "high watermark above the log end");
    this.leaderEpoch = options.leaderEpoch;
    this.#self = options.self;
    this.#lagTimeMaxMs = options.lagTimeMaxMs;
    this.#brokenStreamMs = options.brokenStreamMs;
    this.#epochStartOffset = options.logEndOffset;
    this.#state = options.state;
    this.#minIsr = options.minIsr;
    this.#logEndOffset = options.logEndOffset;
    this.#durableEndOffset = options.durableEndOffset;
    this.#highWatermark = options.highWatermark;
    this.#uniteIsr();
    this.#syncFollowers(options.nowMs);
    this.#maybeRaiseHighWatermark();
  }

  get highWatermark(): Offset {
    return this.#highWatermark;
  }

  /** As the controller decided it. */
  get isr(): readonly BrokerId[] {
    return this.#state.isr;
  }

  get partitionEpoch(): PartitionEpoch {
    return this.#state.partitionEpoch;
  }

  get underMinIsr(): boolean {
    return this.#state.isr.length < this.#minIsr;
  }

  /**
   * Whether the high watermark has reached what the log held when the epoch began. Before that an
   * earlier leader may have served more: "latest" offsets are not yet known (P5, KIP-207).
   */
  get settled(): boolean {
    return this.#highWatermark >= this.#epochStartOffset;
  }

  /** Committed ISR united with open proposals. */
  get maximalIsr(): readonly BrokerId[] {
    return this.#maximalIsr;
  }

  *followers(): IterableIterator<{
    readonly id: BrokerId;
    readonly durableEnd: Offset;
    readonly logStartOffset: Offset;
    readonly lagRecords: number;
    /** Last time at which it held everything that the leader had at that time. */
    readonly caughtUpMs: number;
    /** It came back with less than it had fsynced, and has not caught up since. */
    readonly lostTail: boolean;
  }> {
    for (const [id, { caughtUpMs, durableEnd, logStartOffset, lostTail }] of this.#followers) {
      const lagRecords = Math.max(0, this.#logEndOffset - Math.max(durableEnd, 0));
      yield { id, durableEnd, logStartOffset, lagRecords, caughtUpMs, lostTail };
    }
  }

  /**
   * The smallest log start of the maximal ISR: below it no leader to come has records, unless it is
   * elected from outside the ISR. Kafka's low watermark.
   */
  lowWatermark(ownLogStartOffset: Offset): Offset {
    let lowest = ownLogStartOffset;
    for (const id of this.#maximalIsr) {
      if (id === this.#self) continue;
      lowest = Math.min(lowest, this.#followers.get(id)?.logStartOffset ?? 0);
    }
    return lowest;
  }

  onAppend(logEndOffset: Offset, nowMs: number): void {
    assert(logEndOffset >= this.#logEndOffset, "a leader's log end fell");
    for (const follower of this.#followers.values()) {
      if (follower.durableEnd >= this.#logEndOffset) follower.caughtUpMs = nowMs;
    }
    this.#logEndOffset = logEndOffset;
  }

  /** True if the high watermark rose. */
  onOwnDurable(durableEndOffset: Offset): boolean {
    assert(durableEndOffset <= this.#logEndOffset, "durable beyond the log end");
    if (durableEndOffset > this.#durableEndOffset) this.#durableEndOffset = durableEndOffset;
    return this.#maybeRaiseHighWatermark();
  }

  /**
   * A follower's fetch of this partition begins at `fetchOffset`, its log end. Less than it had
   * reported as durable in this epoch: it lost its tail, and leaves the ISR at the next proposal.
   */
  onStreamStarted(
    id: BrokerId,
    start: { readonly brokerEpoch: BrokerEpoch; readonly fetchOffset: Offset },
    nowMs: number,
  ): void {
    const follower = this.#followers.get(id);
    if (follower === undefined) return;
    if (start.fetchOffset < follower.durableEnd) follower.lostTail = true;
    follower.brokenSinceMs = undefined;
    follower.brokerEpoch = start.brokerEpoch;
    follower.durableEnd = -1;
    follower.sampleEnd = this.#logEndOffset;
    follower.sampleMs = nowMs;
  }

  onStreamBroken(id: BrokerId, nowMs: number): void {
    const follower = this.#followers.get(id);
    if (follower !== undefined) follower.brokenSinceMs ??= nowMs;
  }

  /** True if the high watermark rose. */
  onProgress(id: BrokerId, progress: FollowerProgress, nowMs: number): boolean {
    const follower = this.#followers.get(id);
    if (follower === undefined || follower.brokenSinceMs !== undefined) return false;
    // More than the leader has is not this log: a follower that did not truncate. Count nothing.
    if (progress.durableEnd > this.#logEndOffset) return false;
    if (progress.durableEnd < follower.durableEnd) follower.lostTail = true;
    follower.durableEnd = progress.durableEnd;
    follower.logStartOffset = progress.logStartOffset;
    if (follower.durableEnd >= this.#logEndOffset) {
      follower.caughtUpMs = nowMs;
      follower.lostTail = false;
    } else if (follower.durableEnd >= follower.sampleEnd) {
      follower.caughtUpMs = Math.max(follower.caughtUpMs, follower.sampleMs);
    }
    if (follower.durableEnd >= follower.sampleEnd) {
      follower.sampleEnd = this.#logEndOffset;
      follower.sampleMs = nowMs;
    }
    return this.#maybeRaiseHighWatermark();
  }

  /** Newer metadata of the same leader epoch. True if the high watermark rose. */
  onMetadata(state: PartitionState, minIsr: number, nowMs: number): boolean {
    assert(state.leaderEpoch === this.leaderEpoch, "metadata of another leader epoch");
    if (state.partitionEpoch > this.#state.partitionEpoch) {
      // A proposal made against the older partition epoch is now either in `state` or refused.
      this.#inFlight = undefined;
      this.#uncertain = [];
    }
    this.#state = state;
    this.#minIsr = minIsr;
    this.#uniteIsr();
    this.#syncFollowers(nowMs);
    return this.#maybeRaiseHighWatermark();
  }

  /**
   * The ISR that should be, if it differs from the one that is and no proposal is under way; marks
   * it as under way. `epochOf` gives a broker's current epoch if it may be in an ISR (registered,
   * unfenced, not shutting down).
   *
   * Joins (P8): a live stream of the broker's current life, durable up to the high watermark and
   * to the start of this epoch. Leaves: behind for `replica.lag.time.max.ms`, stream gone for
   * `brokenStreamMs`, tail lost, or not eligible.
   */
  proposeIsr(
    nowMs: number,
    epochOf: (id: BrokerId) => BrokerEpoch | undefined,
  ): readonly IsrMember[] | undefined {
    if (this.#inFlight !== undefined) return undefined;
    const ownEpoch = epochOf(this.#self);
    if (ownEpoch === undefined) return undefined;
    const members: IsrMember[] = [];
    for (const id of this.#state.replicas) {
      if (id === this.#self) {
        members.push({ brokerId: id, brokerEpoch: ownEpoch });
        continue;
      }
      const brokerEpoch = epochOf(id);
      const follower = this.#followers.get(id);
      if (brokerEpoch === undefined || follower === undefined) continue;
      // A laggard holds the high watermark back, so it meets the rule for joining: ask members
      // only whether they stay.
      const belongs = this.#state.isr.includes(id)
        ? !this.#isLagging(follower, nowMs)
        : this.#mayJoin(follower, brokerEpoch);
      if (belongs) members.push({ brokerId: id, brokerEpoch });
    }
    const same =
      members.length === this.#state.isr.length &&
      members.every(({ brokerId }) => this.#state.isr.includes(brokerId));
    if (same) return undefined;
    this.#inFlight = members.map(({ brokerId }) => brokerId);
    this.#uniteIsr();
    return members;
  }

  /** The controller said no: nothing was changed by this proposal. */
  onProposalRefused(): void {
    this.#inFlight = undefined;
    this.#uniteIsr();
  }

  /** No answer came: it may be applied yet, so its members count until newer metadata arrives. */
  onProposalLost(): void {
    this.#uncertain = [...new Set([...this.#uncertain, ...(this.#inFlight ?? [])])];
    this.#inFlight = undefined;
  }

  #uniteIsr(): void {
    this.#maximalIsr = [
      ...new Set([...this.#state.isr, ...(this.#inFlight ?? []), ...this.#uncertain]),
    ];
  }

  #isLagging(follower: Follower, nowMs: number): boolean {
    if (follower.lostTail) return true;
    if (follower.brokenSinceMs !== undefined) {
      return nowMs - follower.brokenSinceMs > this.#brokenStreamMs;
    }
    if (follower.durableEnd >= this.#logEndOffset) return false;
    return nowMs - follower.caughtUpMs > this.#lagTimeMaxMs;
  }

  #mayJoin(follower: Follower, brokerEpoch: BrokerEpoch): boolean {
    return (
      follower.brokenSinceMs === undefined &&
      !follower.lostTail &&
      follower.brokerEpoch === brokerEpoch &&
      follower.durableEnd >= this.#highWatermark &&
      follower.durableEnd >= this.#epochStartOffset
    );
  }

  #syncFollowers(nowMs: number): void {
    for (const id of this.#followers.keys()) {
      if (!this.#state.replicas.includes(id)) this.#followers.delete(id);
    }
    for (const id of this.#state.replicas) {
      if (id === this.#self || this.#followers.has(id)) continue;
      this.#followers.set(id, {
        durableEnd: -1,
        logStartOffset: 0,
        brokerEpoch: -1,
        caughtUpMs: nowMs,
        sampleEnd: this.#logEndOffset,
        sampleMs: nowMs,
        brokenSinceMs: nowMs,
        lostTail: false,
      });
    }
  }

  #maybeRaiseHighWatermark(): boolean {
    if (this.underMinIsr) return false;
    let lowest = this.#durableEndOffset;
    for (const id of this.#maximalIsr) {
      if (id === this.#self) continue;
      const durableEnd = this.#followers.get(id)?.durableEnd ?? -1;
      if (durableEnd < lowest) lowest = durableEnd;
    }
    if (lowest <= this.#highWatermark) return false;
    this.#highWatermark = lowest;
    return true;
  }
}
