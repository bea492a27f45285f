/**
 * The world around `core/group-core.ts`: the Session stream, the coordinator's whereabouts, topics,
 * timers; and the steps of a rebalance, done one after the other: what is processed is finished and
 * committed, the program is told, reading ends or begins.
 */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { type BrokerId, NONE } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import type { Timer } from "../ports/clock.ts";
import { onAbort } from "./abort.ts";
import type { Change } from "./change.ts";
import type { ClusterClient } from "./cluster-client.ts";
import type { ConsumerDriver } from "./consumer-driver.ts";
import type { PartitionState } from "./core/fetch-core.ts";
import type { OffsetToCommit } from "./core/group-commits.ts";
import { GroupCore } from "./core/group-core.ts";
import type { GroupStep } from "./core/group-member.ts";
import type { Hands } from "./core/hands.ts";
import { flatten, type PartitionLists } from "./core/partition-lists.ts";
import type { SendCallsEffect } from "./core/session-calls.ts";
import { closedError, errorFrom } from "./errors.ts";
import { GroupLink } from "./group-link.ts";
import type { FetchedOffsetMessage } from "./group-messages.ts";
import type { ResolvedGroupOptions } from "./group-options.ts";
import type { TopicPartitionMessage } from "./messages.ts";
import { TopicWatch } from "./topic-watch.ts";

export type RebalanceCallback = (
  partitions: readonly TopicPartitionMessage[],
) => void | Promise<void>;

export interface RebalanceCallbacks {
  /** Partitions are this consumer's from now on; it may seek. Nothing of them has been delivered. */
  readonly onAssigned?: RebalanceCallback;
  /** Partitions go: all delivered of them is processed; it may still commit. */
  readonly onRevoked?: RebalanceCallback;
  /** Partitions are gone, perhaps another member's already. Default: `onRevoked`. */
  readonly onLost?: RebalanceCallback;
}

export interface GroupDriverOptions extends ResolvedGroupOptions {
  readonly fetching: ConsumerDriver;
  readonly hands: Hands;
  readonly change: Change;
  /** Where to begin without a committed offset. */
  readonly autoOffsetReset: "earliest" | "latest" | "none";
}

const OFFSETS_RETRY_MS = 200;
const ERRORS_MOST = 16;

/** Also what a callback threw, which may be anything. */
export interface Thrown {
  readonly error: unknown;
}

export class GroupDriver {
  readonly core: GroupCore;
  readonly #cluster: ClusterClient;
  readonly #options: GroupDriverOptions;
  readonly #topics: TopicWatch;
  readonly #closing = new AbortController();
  readonly #errors: Thrown[] = [];
  #link: { readonly brokerId: BrokerId; readonly link: GroupLink } | undefined;
  #callbacks: RebalanceCallbacks = {};
  #steps: GroupStep[] = [];
  #stepping = false;
  /** Rises with each loss of partitions: a step under way then has nothing left to do. */
  #losses = 0;
  #assigned = false;
  #pulls = 0;
  #waiting = 0;
  #drainScheduled = false;
  #wakeTimer: Timer | undefined;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #commitTimer: Timer | undefined;
  #committing = false;
  /** Nobody waits for what is being processed: the program itself wants to end. */
  #leaving = false;
  #closed = false;

  constructor(cluster: ClusterClient, options: GroupDriverOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.core = new GroupCore(options.core);
    this.#topics = new TopicWatch(cluster, {
      maxAgeMs: options.metadataMaxAgeMs,
      signal: this.#closing.signal,
      onTopics: (names, counts, request) => {
        const nowMs = cluster.nowMs();
        if (names !== undefined) this.core.member.subscribe(names, nowMs);
        this.core.onTopics(counts, request, nowMs);
        this.touch();
      },
      onUnreachable: (error) => this.#report(error),
    });
    if (options.enableAutoCommit) {
      this.#commitTimer = cluster.environment.timers.every(options.autoCommitIntervalMs, () =>
        this.#autoCommit(),
      );
    }
  }

  get isSubscribed(): boolean {
    return this.core.member.isSubscribed || this.#topics.pattern !== undefined;
  }

  /** Whether the group's first assignment since `subscribe` has been taken up. */
  get isAssigned(): boolean {
    return this.#assigned;
  }

  subscribe(what: readonly string[] | RegExp, callbacks: RebalanceCallbacks): void {
    this.#callbacks = callbacks;
    if (!this.isSubscribed) this.#assigned = false;
    this.#leaving = false;
    if (what instanceof RegExp) this.#topics.follow(what);
    else {
      this.#topics.follow(undefined);
      const { member } = this.core;
      member.subscribe(what, this.#cluster.nowMs());
      if (!member.isStable) this.#assigned = false;
    }
    this.touch();
  }

  /** Gives up its partitions and leaves. Settles when it has, or with the signal. */
  async leave(signal: AbortSignal): Promise<void> {
    this.#leaving = true;
    this.#topics.stop();
    const { member } = this.core;
    member.leave(this.#cluster.nowMs());
    this.touch();
    this.#options.change.tell();
    const forget = onAbort(signal, () => this.#options.change.tell());
    // Left, or wanted again meanwhile.
    const isOver = () => this.isSubscribed || (member.isOut && !this.#stepping);
    while (!isOver() && !signal.aborted && !this.#closed) await this.#options.change.next;
    forget();
  }

  close(): void {
    this.#closed = true;
    this.core.failAll(closedError("consumer"), this.#cluster.nowMs());
    this.#closing.abort();
    this.#wakeTimer?.cancel();
    this.#commitTimer?.cancel();
    this.#link?.link.close();
    this.#options.change.tell();
  }

  /** The program asks for a message. */
  pulled(): void {
    this.#pulls++;
  }

  /** The program waits for one until the returned function is called. */
  waits(): () => void {
    this.#waiting++;
    // Who was out for not asking comes back; else the next drain is soon enough to note it.
    if (this.core.member.isOut) this.touch();
    return () => {
      this.#waiting--;
    };
  }

  /** What iteration is to throw next. */
  takeError(): Thrown | undefined {
    return this.#errors.shift() ?? thrownOf(this.core.member.takeFailure());
  }

  get failure(): Thrown | undefined {
    return this.#errors[0] ?? thrownOf(this.core.member.failure);
  }

  /** Rejects with the first partition's error, others may be committed. */
  async commit(offsets: readonly OffsetToCommit[]): Promise<void> {
    for (let at = 0; at < offsets.length; at += LIMITS.offsetsPerRequestCount) {
      await this.#commitSome(offsets.slice(at, at + LIMITS.offsetsPerRequestCount));
    }
  }

  /** What is processed and not known to be committed; all of it, or of these. */
  async commitProcessed(
    states: readonly PartitionState[] = this.#options.fetching.core.states(),
  ): Promise<void> {
    const offsets: OffsetToCommit[] = [];
    for (const state of states) {
      const processed = this.#options.hands.processed(state);
      if (processed === undefined || processed.offset === state.committed) continue;
      const { partition, topic } = state;
      offsets.push({ topic, partition, ...processed, metadata: "" });
    }
    if (offsets.length > 0) await this.commit(offsets);
  }

  /** In the order of the partitions. Rejects after `requestTimeoutMs`, or with the group's error. */
  async committed(
    partitions: readonly TopicPartitionMessage[],
  ): Promise<readonly FetchedOffsetMessage[]> {
    const deadlineMs = this.#cluster.nowMs() + this.#options.core.requestTimeoutMs;
    const found: FetchedOffsetMessage[] = [];
    for (let at = 0; at < partitions.length; ) {
      const some = partitions.slice(at, at + LIMITS.offsetsPerRequestCount);
      const offsets = await this.#fetchOffsets(some);
      const failed = offsets.find(({ error }) => error !== null)?.error;
      if (failed !== undefined && failed !== null) {
        const error = errorFrom(failed);
        if (!error.retriable || this.#cluster.nowMs() >= deadlineMs) throw error;
        // A commit of it is under way.
        const { timers } = this.#cluster.environment;
        await timers.sleep(OFFSETS_RETRY_MS, this.#closing.signal);
        continue;
      }
      found.push(...offsets);
      at += some.length;
    }
    return found;
  }

  /** A topic that is read is not there any more: the group's leader is to see it soon. */
  refreshTopics(): void {
    this.#topics.refreshNow();
  }

  /** Makes sure that a drain follows in this turn. */
  touch(): void {
    if (this.#drainScheduled || this.#closed) return;
    this.#drainScheduled = true;
    this.#cluster.environment.timers.yield().then(
      () => this.#drain(),
      () => undefined,
    );
  }

  #drain(): void {
    this.#drainScheduled = false;
    if (this.#closed) return;
    const nowMs = this.#cluster.nowMs();
    this.core.member.onProgress(this.#pulls, this.#waiting > 0, nowMs);
    const { drops, lookupWanted, sends, steps, topics, wakeAtMs } = this.core.drain(nowMs);
    for (const brokerId of drops) this.#dropLink(brokerId);
    for (const send of sends) this.#send(send);
    if (lookupWanted) this.#lookUp();
    for (const step of steps) this.#take(step);
    this.#topics.watch(this.core.member.watchedTopics, topics?.request);
    this.#arm(wakeAtMs, nowMs);
    this.#options.change.tell();
  }

  #arm(wakeAtMs: number, nowMs: number): void {
    if (wakeAtMs >= this.#wakeAtMs) return;
    this.#wakeTimer?.cancel();
    this.#wakeAtMs = wakeAtMs;
    const delayMs = Math.min(0x7fff_ffff, Math.max(0, Math.ceil(wakeAtMs - nowMs)));
    this.#wakeTimer = this.#cluster.environment.timers.after(delayMs, () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.touch();
    });
  }

  #send(effect: SendCallsEffect): void {
    const { brokerId } = effect;
    if (this.#link !== undefined && this.#link.brokerId !== brokerId) {
      this.#dropLink(this.#link.brokerId);
    }
    this.#link ??= this.#openLink(brokerId);
    if (this.#link !== undefined) this.#link.link.send(effect);
    else
      this.#lost(
        brokerId,
        new OttlaError("BROKER_NOT_AVAILABLE", `broker ${brokerId} is not known`),
      );
  }

  #openLink(
    brokerId: BrokerId,
  ): { readonly brokerId: BrokerId; readonly link: GroupLink } | undefined {
    const connection = this.#cluster.connection(brokerId);
    if (connection === undefined) return undefined;
    const link = new GroupLink(connection, {
      onAnswers: (answers) => {
        if (this.#link?.link !== link) return;
        this.core.onAnswers(brokerId, answers, this.#cluster.nowMs());
        this.touch();
      },
      onEnd: (error) => {
        if (this.#link?.link !== link) return;
        this.#link = undefined;
        this.#lost(brokerId, error);
      },
    });
    return { brokerId, link };
  }

  #lost(brokerId: BrokerId, error: OttlaError): void {
    this.core.onLinkLost(brokerId, error, this.#cluster.nowMs());
    this.touch();
  }

  #dropLink(brokerId: BrokerId): void {
    if (this.#link?.brokerId !== brokerId) return;
    this.#link.link.close();
    this.#link = undefined;
  }

  #lookUp(): void {
    this.#findCoordinator().then(
      () => this.touch(),
      (thrown: unknown) => {
        const error = toOttlaError(thrown);
        // Once the cluster has been reached, the consumer waits for it as long as it takes.
        const final = !error.retriable || this.#cluster.cache.brokers().length === 0;
        this.core.onLookupFailed(error, { final }, this.#cluster.nowMs());
        this.touch();
      },
    );
  }

  async #findCoordinator(): Promise<void> {
    const { groupId, requestTimeoutMs: timeoutMs } = this.#options.core;
    const options = { timeoutMs, signal: this.#closing.signal, hedge: true };
    const response = await this.#cluster.find("FindCoordinator", { groupIds: [groupId] }, options);
    // A coordinator that is cut off from the others says that it is the one: another lookup asks
    // somebody else.
    this.#cluster.askAnother();
    const found = response.coordinators[0];
    if (found === undefined || found.error !== null) {
      throw found?.error ? errorFrom(found.error) : noCoordinator(groupId);
    }
    if (found.coordinator === null) throw noCoordinator(groupId);
    const { brokerId, leaderEpoch } = found.coordinator;
    if (this.#cluster.cache.broker(brokerId) === undefined) {
      await this.#cluster.refresh([], {
        timeoutMs,
        signal: this.#closing.signal,
        allowAutoTopicCreation: false,
      });
    }
    this.core.onCoordinator({ brokerId, leaderEpoch }, this.#cluster.nowMs());
  }

  #report(error: unknown): void {
    // Nobody may be iterating: what recurs is told once more, not without end.
    if (this.#errors.length < ERRORS_MOST) this.#errors.push({ error });
    this.#options.change.tell();
  }

  #commitSome(offsets: readonly OffsetToCommit[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.core.commit(offsets, this.#cluster.nowMs(), (error) => {
        if (error !== undefined) {
          reject(error);
          return;
        }
        for (const { offset, partition, topic } of offsets) {
          const state = this.#options.fetching.core.state(topic, partition);
          if (state !== undefined) state.committed = offset;
        }
        resolve();
      });
      this.touch();
    });
  }

  #fetchOffsets(
    partitions: readonly TopicPartitionMessage[],
  ): Promise<readonly FetchedOffsetMessage[]> {
    return new Promise((resolve, reject) => {
      this.core.fetchOffsets(partitions, this.#cluster.nowMs(), (error, offsets) => {
        if (error === undefined) resolve(offsets);
        else reject(error);
      });
      this.touch();
    });
  }

  /**
   * What a failed commit leaves is committed by the next one, or delivered again: that is what
   * committing after processing means. A member that is out hears of it by other ways.
   */
  #autoCommit(): void {
    if (this.#committing || this.#closed) return;
    this.#committing = true;
    const done = () => {
      this.#committing = false;
    };
    this.commitProcessed().then(done, done);
  }

  /** Losses count at once, whatever is under way; the rest has its turn. */
  #take(step: GroupStep): void {
    if (step.kind === "lost") {
      this.#losses++;
      this.#steps = [];
      for (const state of this.#statesOf(step.partitions))
        this.#options.fetching.core.remove(state);
      this.#options.fetching.touch();
    }
    this.#steps.push(step);
    if (this.#stepping) return;
    this.#stepping = true;
    this.#runSteps().catch((thrown: unknown) => this.#report(thrown));
  }

  async #runSteps(): Promise<void> {
    for (;;) {
      const step = this.#steps.shift();
      if (step === undefined || this.#closed) break;
      if (step.kind === "assign") await this.#assign(step);
      else if (step.kind === "revoke") await this.#revoke(step);
      else {
        const { onLost, onRevoked } = this.#callbacks;
        await this.#call(onLost ?? onRevoked, step.partitions);
      }
      this.core.member.onStepDone(step.id, this.#cluster.nowMs());
      this.touch();
    }
    // In the same step as the check: what comes later begins anew.
    this.#stepping = false;
    this.#options.change.tell();
  }

  async #revoke({ partitions }: GroupStep): Promise<void> {
    const { enableAutoCommit, fetching, hands } = this.#options;
    const losses = this.#losses;
    const states = this.#statesOf(partitions);
    for (const state of states) fetching.core.hold(state);
    fetching.touch();
    while (!this.#leaving && states.some((state) => hands.holds(state))) {
      await this.#handsChange(states);
      if (losses !== this.#losses || this.#closed) return;
    }
    if (enableAutoCommit) await this.commitProcessed(states).catch(() => undefined);
    if (losses !== this.#losses || this.#closed) return;
    await this.#call(this.#callbacks.onRevoked, partitions);
    for (const state of states) fetching.core.remove(state);
  }

  /**
   * Somebody may have left an iteration without a word, while another one goes on asking: what is in
   * a hand for `maxPollIntervalMs` keeps a partition no longer. It was not acknowledged, so it is
   * delivered again, to whoever is next.
   */
  async #handsChange(states: readonly PartitionState[]): Promise<void> {
    const { change, core, hands } = this.#options;
    const { timers } = this.#cluster.environment;
    const nowMs = this.#cluster.nowMs();
    let sinceMs: number | undefined;
    for (const state of states) {
      const next = hands.expire(state, nowMs - core.maxPollIntervalMs);
      if (next !== undefined) sinceMs = Math.min(sinceMs ?? next, next);
    }
    if (sinceMs === undefined) return;
    const waitMs = Math.ceil(sinceMs + core.maxPollIntervalMs - nowMs);
    const timer = timers.after(waitMs, () => change.tell());
    await change.next;
    timer.cancel();
  }

  async #assign({ partitions }: GroupStep): Promise<void> {
    const { autoOffsetReset, fetching } = this.#options;
    const losses = this.#losses;
    const offsets = await this.#committedSurely(flatten(partitions), losses);
    if (losses !== this.#losses || this.#closed) return;
    const states = offsets.map(({ leaderEpoch, offset, partition, topic }) => {
      const reset = autoOffsetReset === "earliest" ? "beginning" : "end";
      const start = offset < 0 ? reset : offset;
      const state = fetching.core.add(topic, partition, start, offset < 0 ? NONE : leaderEpoch);
      fetching.core.hold(state);
      if (offset >= 0) {
        state.committed = offset;
      } else if (autoOffsetReset === "none") {
        const message = `${topic}-${partition}: the group has committed no offset, and autoOffsetReset is none`;
        fetching.core.failPartition(state, new OttlaError("OFFSET_OUT_OF_RANGE", message));
      }
      return state;
    });
    for (const { topic } of partitions) fetching.publish(topic);
    fetching.touch();
    await this.#call(this.#callbacks.onAssigned, partitions);
    if (losses !== this.#losses || this.#closed) return;
    for (const state of states) fetching.core.release(state);
    this.#assigned = true;
    fetching.touch();
  }

  /** The group's offsets, however long it takes to get them. */
  async #committedSurely(
    partitions: readonly TopicPartitionMessage[],
    losses: number,
  ): Promise<readonly FetchedOffsetMessage[]> {
    for (;;) {
      try {
        return await this.committed(partitions);
      } catch (thrown) {
        const error = toOttlaError(thrown);
        if (losses !== this.#losses || this.#closed) return [];
        if (!error.retriable) this.#report(error);
        await this.#cluster.environment.timers.sleep(OFFSETS_RETRY_MS, this.#closing.signal);
      }
    }
  }

  async #call(callback: RebalanceCallback | undefined, partitions: PartitionLists): Promise<void> {
    try {
      await callback?.(flatten(partitions));
    } catch (thrown) {
      // The rebalance concerns the whole group: it goes on, and the iteration says what was wrong.
      this.#report(thrown);
    }
  }

  #statesOf(partitions: PartitionLists): PartitionState[] {
    return flatten(partitions)
      .map(({ partition, topic }) => this.#options.fetching.core.state(topic, partition))
      .filter((state) => state !== undefined);
  }
}

function thrownOf(error: OttlaError | undefined): Thrown | undefined {
  return error === undefined ? undefined : { error };
}

function noCoordinator(groupId: string): OttlaError {
  const message = `nobody coordinates group ${groupId} at the moment`;
  return new OttlaError("COORDINATOR_NOT_AVAILABLE", message);
}
