/**
 * Runs the groups of one partition of `__consumer_offsets` for as long as this broker leads it in
 * one leader epoch: reads them from the log, then takes calls, appends what they propose, and
 * answers once that is committed.
 *
 * Nothing is ever undone. What was appended stays in the leader's log, so it will be committed or
 * this leader falls, and its successor reads the log anew. What the disk refuses for the moment is
 * appended later, in the same order; meanwhile callers are told that nobody knows.
 */
import {
  type Answer,
  type DeleteOffsets,
  type GroupCall,
  type GroupError,
  type GroupResults,
  type Now,
  REFUSED,
  type Token,
} from "../../group/calls.ts";
import { GroupShard } from "../../group/shard.ts";
import { toOttlaError } from "../../model/errors.ts";
import type { GroupsConfig } from "../../model/groups-config.ts";
import type { Offset, PartitionIndex, TopicId } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type { Ports } from "../../ports/ports.ts";
import type { LeaderListener, LeaderReplica } from "../../runtime/leader-replica.ts";
import { OncePerTurn } from "../../runtime/once-per-turn.ts";
import { appendBatch, readOffsets, sealBatches } from "./offset-log.ts";

export interface CoordinatorShardOptions {
  readonly leader: LeaderReplica;
  readonly config: GroupsConfig;
  readonly now: () => Now;
  /** The shard's next deadline may be earlier than before. */
  readonly onDeadline: (atMs: number) => void;
  readonly onRebalancing: (groupId: string) => void;
  /** Undefined: there is no such topic. */
  readonly topicIdOf: (topic: string) => TopicId | undefined;
  /** It leads no more. */
  readonly onClosed: (shard: CoordinatorShard) => void;
}

interface Append {
  /** Sealed and not in the log yet. */
  readonly batches: Uint8Array[];
  readonly sequence: number;
  endOffset: Offset;
}

interface Caller {
  readonly call: GroupCall;
  readonly resolve: (result: GroupResults[GroupCall]) => void;
}

const RETRY_MS = 100;
const RELOAD_MS = 1_000;
const SLICE_MS = 2;

export class CoordinatorShard implements LeaderListener {
  readonly partition: PartitionIndex;
  readonly #ports: Ports;
  readonly #options: CoordinatorShardOptions;
  readonly #callers = new Map<Token, Caller>();
  readonly #deletedTopics = new Set<string>();
  readonly #flush: OncePerTurn;
  #groups: GroupShard;
  #state: "loading" | "active" | "closed" = "loading";
  #token = 0;
  #append: Append | undefined;
  #lingering = false;
  #expiring = false;
  #wakeLoader: (() => void) | undefined;

  constructor(ports: Ports, options: CoordinatorShardOptions) {
    this.#ports = ports;
    this.#options = options;
    this.partition = options.leader.name.partition;
    this.#groups = this.#newGroups();
    this.#flush = new OncePerTurn(ports, () => this.#startAppend());
    options.leader.addReader(this);
    this.#load().catch((error: unknown) => ports.fatal("groups could not be loaded", error));
  }

  get active(): boolean {
    return this.#state === "active";
  }

  /** For reading; only while it is active. */
  get groups(): GroupShard {
    return this.#groups;
  }

  /** Why nothing can be changed at the moment; undefined if it can. */
  get refusal(): GroupError | undefined {
    if (this.#state === "closed") return notCoordinator();
    if (this.#state === "loading") {
      const message = `the groups of partition ${this.partition} of __consumer_offsets are being read`;
      return { code: "COORDINATOR_LOAD_IN_PROGRESS", message };
    }
    return undefined;
  }

  /** As `refusal`, for calls that the log must hear of. */
  get writeRefusal(): GroupError | undefined {
    if (this.refusal !== undefined) return this.refusal;
    const { leader } = this.#options;
    const code = "COORDINATOR_NOT_AVAILABLE";
    if (leader.underMinIsr) {
      const message = `partition ${this.partition} of __consumer_offsets has ${leader.isr.length} in-sync replicas, min.insync.replicas is ${leader.config.minInsyncReplicas}`;
      return { code, message, field: "min.insync.replicas" };
    }
    if (this.#groups.waitingBytes > LIMITS.groupPendingBytes) {
      const message = `${this.#groups.waitingBytes} bytes wait for the disk of partition ${this.partition} of __consumer_offsets`;
      return { code, message };
    }
    return undefined;
  }

  /** Makes a call; `run` gives it to the groups with the token and the time. */
  call<Call extends GroupCall>(
    call: Call,
    run: (groups: GroupShard, token: Token, now: Now) => void,
  ): Promise<GroupResults[Call]> {
    return new Promise((resolve) => {
      const token = ++this.#token;
      const caller = { call, resolve } as unknown as Caller;
      this.#callers.set(token, caller);
      this.#guarded(() => run(this.#groups, token, this.#options.now()));
      this.#afterChange();
    });
  }

  tick(now: Now): void {
    if (this.#state !== "active") return;
    this.#guarded(() => this.#groups.tick(now));
    this.#afterChange();
  }

  onTopicDeleted(topic: string): void {
    if (this.#state === "loading") this.#deletedTopics.add(topic);
    if (this.#state !== "active") return;
    this.#groups.onTopicDeleted(topic);
    this.#afterChange();
  }

  /** Looks for expired offsets, in slices. */
  async expireOffsets(): Promise<void> {
    if (this.#state !== "active" || this.#expiring || this.writeRefusal !== undefined) return;
    this.#expiring = true;
    const { clock, timers } = this.#ports;
    try {
      let sliceMs = clock.monotonicMs();
      for (const groupId of this.#groups.groupIds()) {
        this.#groups.expire(groupId, this.#options.now());
        if (clock.monotonicMs() - sliceMs < SLICE_MS) continue;
        this.#afterChange();
        await timers.yield();
        if (this.#state !== "active") return;
        sliceMs = clock.monotonicMs();
      }
      this.#afterChange();
    } finally {
      this.#expiring = false;
    }
  }

  onWatermark(): void {
    this.#wakeLoader?.();
    const append = this.#append;
    if (append === undefined || append.batches.length > 0) return;
    if (this.#options.leader.highWatermark < append.endOffset) return;
    this.#append = undefined;
    this.#groups.onCommitted(append.sequence);
    this.#afterChange();
  }

  onLeaderGone(): void {
    this.close();
  }

  /** Whoever waits is told to look for the coordinator elsewhere. Idempotent. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#options.leader.removeReader(this);
    this.#wakeLoader?.();
    const callers = [...this.#callers.values()];
    this.#callers.clear();
    for (const { call, resolve } of callers) resolve(REFUSED[call](notCoordinator()));
    this.#options.onClosed(this);
  }

  #newGroups(): GroupShard {
    const { config } = this.#options;
    return new GroupShard({
      initialRebalanceDelayMs: config.initialRebalanceDelayMs,
      minSessionTimeoutMs: config.minSessionTimeoutMs,
      maxSessionTimeoutMs: config.maxSessionTimeoutMs,
      maxSize: config.maxSize,
      offsetMetadataMaxBytes: config.offsetMetadataMaxBytes,
      offsetsRetentionMs: config.offsetsRetentionMs,
      commitTimeoutMs: config.offsetsCommitTimeoutMs,
    });
  }

  /** Until all that was in the log when this epoch began is committed and read. */
  async #load(): Promise<void> {
    const { leader, config } = this.#options;
    const { clock, logger, timers } = this.#ports;
    const startedMs = clock.monotonicMs();
    const target = leader.log.logEndOffset;
    let at = leader.log.logStartOffset;
    while (this.#state === "loading" && at < target) {
      const upTo = Math.min(target, leader.highWatermark);
      if (at >= upTo) {
        await new Promise<void>((resolve) => {
          this.#wakeLoader = resolve;
        });
        this.#wakeLoader = undefined;
        continue;
      }
      try {
        at = await readOffsets(this.#ports, at, {
          leader,
          upTo,
          maxBytes: config.offsetsLoadBufferBytes,
          stopped: () => this.#state !== "loading",
          visit: (key, value) => this.#groups.replay(key, value),
        });
      } catch (thrown) {
        if (this.#state !== "loading") return;
        const { code, message } = toOttlaError(thrown);
        if (code === "UNKNOWN_SERVER_ERROR") throw thrown;
        logger.warn("groups could not be read and are read anew", {
          partition: this.partition,
          code,
          cause: message,
        });
        await timers.sleep(RELOAD_MS);
        this.#groups = this.#newGroups();
        at = leader.log.logStartOffset;
      }
    }
    const gone = await this.#goneOffsets();
    if (this.#state !== "loading") return;
    this.#state = "active";
    this.#groups.loaded(this.#options.now());
    for (const each of gone) this.#groups.dropOffsets(each);
    for (const topic of this.#deletedTopics) this.#groups.onTopicDeleted(topic);
    this.#deletedTopics.clear();
    this.#afterChange();
    if (target > 0) {
      logger.info("groups were loaded", {
        partition: this.partition,
        leaderEpoch: leader.leaderEpoch,
        groups: this.#groups.groupsCount,
        offsets: target,
        durationMs: Math.round(clock.monotonicMs() - startedMs),
      });
    }
  }

  /**
   * Offsets of topics that were deleted while nobody coordinated, and perhaps made anew since, which
   * the id tells; looked for in slices. The metadata here is not older than the record by which this
   * replica leads; whatever an earlier coordinator took offsets for is therefore in it, unless it
   * was deleted. What is deleted from now on comes as `onTopicDeleted`.
   */
  async #goneOffsets(): Promise<readonly DeleteOffsets[]> {
    const { clock, timers } = this.#ports;
    const { topicIdOf } = this.#options;
    const gone: DeleteOffsets[] = [];
    let sliceMs = clock.monotonicMs();
    for (const groupId of this.#groups.groupIds()) {
      const found = this.#groups.goneOffsets(groupId, (topic, topicId) => {
        const current = topicIdOf(topic);
        return current === undefined || (topicId !== undefined && topicId !== current);
      });
      if (found !== undefined) gone.push(found);
      if (clock.monotonicMs() - sliceMs < SLICE_MS) continue;
      await timers.yield();
      sliceMs = clock.monotonicMs();
    }
    return gone;
  }

  /** The groups may have answers, records and deadlines now. */
  #afterChange(): void {
    if (this.#state !== "active") return;
    for (const answer of this.#groups.takeAnswers()) this.#deliver(answer);
    for (const groupId of this.#groups.takeRebalancing()) this.#options.onRebalancing(groupId);
    const rebalancedCount = this.#groups.takeRebalancedCount();
    if (rebalancedCount > 0) {
      const name = "kafka_server_group_coordinator_metrics_group_completed_rebalance_count";
      this.#ports.meter.count(name, {}, rebalancedCount);
    }
    this.#options.onDeadline(this.#groups.nextDeadlineMs);
    if (this.#append === undefined && this.#groups.waitingBytes > 0) this.#scheduleAppend();
  }

  #deliver({ call, token, result }: Answer): void {
    if (call === "commit" && result.error === undefined) {
      const count = result.partitions.filter(({ error }) => error === undefined).length;
      const name = "kafka_server_group_coordinator_metrics_offset_commit_count";
      this.#ports.meter.count(name, {}, count);
    }
    const caller = this.#callers.get(token);
    this.#callers.delete(token);
    caller?.resolve(result);
  }

  /** Groups that are half changed must answer nobody. */
  #guarded(change: () => void): void {
    try {
      change();
    } catch (thrown) {
      this.#ports.fatal("an invariant of the groups is broken", thrown);
      throw thrown;
    }
  }

  /** What comes in one turn rides together, and so does what comes during an append. */
  #scheduleAppend(): void {
    const { appendLingerMs } = this.#options.config;
    if (appendLingerMs <= 0) this.#flush.schedule();
    else if (!this.#lingering) {
      this.#lingering = true;
      this.#ports.timers.after(appendLingerMs, () => {
        this.#lingering = false;
        this.#startAppend();
      });
    }
  }

  #startAppend(): void {
    if (this.#state !== "active" || this.#append !== undefined) return;
    const proposal = this.#groups.takeProposal();
    if (proposal === undefined) return;
    const { records, sequence } = proposal;
    const append: Append = { batches: [], sequence, endOffset: Number.POSITIVE_INFINITY };
    this.#append = append;
    sealBatches(records, this.#ports, this.#options.config.offsetsTopicCompression)
      .then((batches) => {
        append.batches.push(...batches);
        this.#continueAppend(append);
      })
      .catch((error: unknown) => this.#ports.fatal("group records could not be written", error));
  }

  #continueAppend(append: Append): void {
    const { leader } = this.#options;
    for (let batch = append.batches[0]; batch !== undefined; batch = append.batches[0]) {
      if (this.#state !== "active") return;
      try {
        append.endOffset = appendBatch(leader, batch);
      } catch (thrown) {
        const { code } = toOttlaError(thrown);
        if (code === "UNKNOWN_SERVER_ERROR") throw thrown;
        this.#ports.logger.warn("group records are written later", {
          partition: this.partition,
          code,
        });
        this.#ports.timers.after(RETRY_MS, () => this.#continueAppend(append));
        return;
      }
      append.batches.shift();
    }
    this.onWatermark();
  }
}

function notCoordinator(): GroupError {
  return {
    code: "NOT_COORDINATOR",
    message: "this broker does not coordinate the group any more",
  };
}
