/**
 * The world around `core/fetch-core.ts`: streams to brokers, metadata, offset lookups, timers. Once
 * in each turn of the event loop in which something happened, it drains the core and does what
 * comes out.
 */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { BrokerId } from "../model/ids.ts";
import type { Timer } from "../ports/clock.ts";
import { type ClusterClient, RETRY_LIMITS } from "./cluster-client.ts";
import {
  FetchCore,
  type FetchCoreOptions,
  type FetchRequestEffect,
  type LookupEffect,
} from "./core/fetch-core.ts";
import { retryDelayMs } from "./core/retry-delay.ts";
import { errorFrom, isUnreachable } from "./errors.ts";
import { FetchLink } from "./fetch-link.ts";
import type { MetadataResponse } from "./messages.ts";

const RECONNECT_ATTEMPT_MS = 1_000;
const RECONNECT_LIMITS = { minMs: 50, maxMs: 1_000 };
/** A topic that every broker asked denies for this long does not exist. */
const UNKNOWN_TOPIC_MS = 3_000;

export interface ConsumerDriverEvents {
  /** After each drain: a batch or an error may have come, or an offset. */
  onReady(): void;
  /** A topic that is read is not there. True: somebody sees to it; else its partitions fail. */
  onTopicGone(): boolean;
}

export class ConsumerDriver {
  readonly core: FetchCore;
  readonly #cluster: ClusterClient;
  readonly #options: FetchCoreOptions;
  readonly #events: ConsumerDriverEvents;
  readonly #links = new Map<BrokerId, FetchLink>();
  readonly #reconnecting = new Set<BrokerId>();
  readonly #missingSinceMs = new Map<string, number>();
  /** Topics that have fewer partitions than are read of them. */
  readonly #shortSinceMs = new Map<string, number>();
  readonly #closing = new AbortController();
  #drainScheduled = false;
  #wakeTimer: Timer | undefined;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #metadataWanted = false;
  #refreshing = false;
  #closed = false;

  constructor(cluster: ClusterClient, options: FetchCoreOptions, events: ConsumerDriverEvents) {
    this.core = new FetchCore(options);
    this.#cluster = cluster;
    this.#options = options;
    this.#events = events;
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

  /** Gives the core what is known of a topic, and asks for it if nothing is. */
  publish(name: string): void {
    const topic = this.#cluster.cache.topic(name);
    if (topic === undefined) this.#wantMetadata();
    else this.core.updateLeaders(name, topic.partitions, this.#cluster.nowMs());
  }

  close(): void {
    this.#closed = true;
    this.#closing.abort();
    this.#wakeTimer?.cancel();
    this.core.clear();
    for (const link of this.#links.values()) link.close();
  }

  #drain(): void {
    this.#drainScheduled = false;
    if (this.#closed) return;
    const nowMs = this.#cluster.nowMs();
    const effects = this.core.drain(nowMs);
    for (const request of effects.requests) this.#request(request);
    this.#lookUp(effects.lookups);
    if (effects.metadataWanted) this.#wantMetadata();
    else this.#metadataWanted = false;
    this.#arm(effects.wakeAtMs, nowMs);
    this.#events.onReady();
  }

  #arm(wakeAtMs: number, nowMs: number): void {
    // A timer that fires early does no harm; one that fires late would.
    if (wakeAtMs >= this.#wakeAtMs) return;
    this.#wakeTimer?.cancel();
    this.#wakeAtMs = wakeAtMs;
    this.#wakeTimer = this.#cluster.environment.timers.after(
      Math.max(0, Math.ceil(wakeAtMs - nowMs)),
      () => {
        this.#wakeAtMs = Number.POSITIVE_INFINITY;
        this.touch();
      },
    );
  }

  #request(request: FetchRequestEffect): void {
    const { brokerId } = request;
    const link = this.#links.get(brokerId) ?? this.#openLink(brokerId);
    if (link !== undefined) link.send(request, this.#options.maxPartitionFetchBytes);
    else {
      this.#onBrokerLost(
        brokerId,
        new OttlaError("LEADER_NOT_AVAILABLE", `broker ${brokerId} is not known`),
      );
    }
  }

  #openLink(brokerId: BrokerId): FetchLink | undefined {
    const connection = this.#cluster.connection(brokerId);
    if (connection === undefined) return undefined;
    const link = new FetchLink(connection, {
      onHint: (handle, leader) => {
        const state = this.core.stateOf(handle);
        if (state === undefined) return;
        const { partition, topic } = state;
        if (this.#cluster.takeHint(topic, partition, leader)) this.publish(topic);
      },
      onFetched: (fetched) => {
        this.core.onFetched(brokerId, fetched, this.#cluster.nowMs());
        this.touch();
      },
      onEnd: (error) => {
        if (this.#links.get(brokerId) !== link) return;
        this.#links.delete(brokerId);
        this.#onBrokerLost(brokerId, error);
      },
    });
    this.#links.set(brokerId, link);
    return link;
  }

  #onBrokerLost(brokerId: BrokerId, error: OttlaError): void {
    if (this.#closed) return;
    const lost = new OttlaError("NETWORK_EXCEPTION", error.message, { cause: error });
    this.core.onBrokerLost(brokerId, lost, this.#cluster.nowMs());
    this.touch();
    if (this.#reconnecting.has(brokerId)) return;
    this.#reconnecting.add(brokerId);
    this.#reconnect(brokerId).then(
      () => this.#reconnecting.delete(brokerId),
      () => this.#reconnecting.delete(brokerId),
    );
  }

  async #reconnect(brokerId: BrokerId): Promise<void> {
    const { timers } = this.#cluster.environment;
    const sinceMs = this.#cluster.nowMs();
    while (!this.#closed) {
      try {
        const connection = this.#cluster.connection(brokerId);
        if (connection !== undefined) {
          await connection.ready(RECONNECT_ATTEMPT_MS);
          this.core.onBrokerUp(brokerId);
          this.touch();
          return;
        }
      } catch (thrown) {
        if (!isUnreachable(toOttlaError(thrown))) throw thrown;
      }
      const waitMs = retryDelayMs(this.#cluster.nowMs() - sinceMs, RECONNECT_LIMITS);
      await timers.sleep(waitMs, this.#closing.signal);
    }
  }

  #lookUp(lookups: readonly LookupEffect[]): void {
    const byBroker = new Map<BrokerId, LookupEffect[]>();
    for (const lookup of lookups) {
      const list = byBroker.get(lookup.brokerId);
      if (list === undefined) byBroker.set(lookup.brokerId, [lookup]);
      else list.push(lookup);
    }
    for (const [brokerId, list] of byBroker) {
      this.#lookUpAt(brokerId, list).catch((thrown: unknown) => {
        const error = toOttlaError(thrown);
        const nowMs = this.#cluster.nowMs();
        for (const { lookup, partition, topic } of list) {
          this.core.onOffset(topic, partition, lookup, { error }, nowMs);
        }
        this.touch();
      });
    }
  }

  async #lookUpAt(brokerId: BrokerId, lookups: readonly LookupEffect[]): Promise<void> {
    const connection = this.#cluster.connection(brokerId);
    if (connection === undefined) {
      throw new OttlaError("LEADER_NOT_AVAILABLE", `broker ${brokerId} is not known`);
    }
    const { requestTimeoutMs: timeoutMs } = this.#cluster.options;
    const partitions = lookups.map(({ partition, timestamp, topic }) => ({
      topic,
      partition,
      timestamp,
    }));
    const options = { timeoutMs, signal: this.#closing.signal };
    const response = await connection.call("ListOffsets", { partitions }, options);
    const nowMs = this.#cluster.nowMs();
    for (const { error, leader, offset, partition, topic } of response.partitions) {
      const lookup = lookups.find((each) => each.partition === partition && each.topic === topic);
      if (lookup === undefined) continue;
      if (this.#cluster.takeHint(topic, partition, leader)) this.publish(topic);
      const result =
        error === null ? { offset } : { error: errorFrom(error, `${topic}-${partition}: `) };
      this.core.onOffset(topic, partition, lookup.lookup, result, nowMs);
    }
    this.touch();
  }

  #wantMetadata(): void {
    this.#metadataWanted = true;
    if (this.#refreshing || this.#closed) return;
    this.#refreshing = true;
    this.#refreshWhileWanted().catch(() => undefined);
  }

  async #refreshWhileWanted(): Promise<void> {
    const { timers } = this.#cluster.environment;
    const sinceMs = this.#cluster.nowMs();
    while (this.#metadataWanted && !this.#closed) {
      const topics = this.core.topics();
      try {
        const response = await this.#cluster.refresh(topics, {
          timeoutMs: this.#cluster.options.requestTimeoutMs,
          signal: this.#closing.signal,
          allowAutoTopicCreation: false,
        });
        this.#onMetadata(response);
      } catch (thrown) {
        // Once the cluster has been reached, the consumer waits for it as long as it takes.
        if (this.#cluster.cache.brokers().length === 0) this.core.failAll(toOttlaError(thrown));
        this.touch();
      }
      // Whatever is asked next, now or when the next leader is silent, is asked elsewhere.
      this.#cluster.askAnother();
      // What came is drained before the loop decides whether to go on.
      const waitMs = retryDelayMs(this.#cluster.nowMs() - sinceMs, RETRY_LIMITS);
      await timers.sleep(waitMs, this.#closing.signal);
    }
    // In the same step as the check above: a wish that comes between would be lost.
    this.#refreshing = false;
  }

  #onMetadata(response: MetadataResponse): void {
    const nowMs = this.#cluster.nowMs();
    for (const { error, name } of response.topics) {
      if (error === null) {
        this.#missingSinceMs.delete(name);
        this.publish(name);
        this.#checkCount(name, nowMs);
        continue;
      }
      const refusal = errorFrom(error);
      const sinceMs = this.#missingSinceMs.get(name) ?? nowMs;
      this.#missingSinceMs.set(name, sinceMs);
      const hopeless = !refusal.retriable || nowMs - sinceMs >= UNKNOWN_TOPIC_MS;
      if (hopeless && !this.#events.onTopicGone()) this.core.failTopic(name, refusal);
    }
    this.touch();
  }

  /** A partition that was added a moment ago may not have reached the broker that answers. */
  #checkCount(name: string, nowMs: number): void {
    const count = this.#cluster.cache.topic(name)?.partitions.length ?? 0;
    if (!this.core.readsBeyond(name, count)) {
      this.#shortSinceMs.delete(name);
      return;
    }
    const sinceMs = this.#shortSinceMs.get(name) ?? nowMs;
    this.#shortSinceMs.set(name, sinceMs);
    if (nowMs - sinceMs < UNKNOWN_TOPIC_MS || this.#events.onTopicGone()) return;
    this.#shortSinceMs.delete(name);
    this.core.failBeyond(name, count);
  }
}
