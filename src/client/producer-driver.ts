/**
 * The world around `core/producer-core.ts`: streams to brokers, metadata, producer ids, timers.
 * Once in each turn of the event loop in which something happened, it drains the core and does
 * what comes out.
 */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { BrokerId } from "../model/ids.ts";
import type { Timer } from "../ports/clock.ts";
import { type ClusterClient, RETRY_LIMITS } from "./cluster-client.ts";
import { ProducerCore } from "./core/producer-core.ts";
import { retryDelayMs } from "./core/retry-delay.ts";
import { SendQueue } from "./core/send-queue.ts";
import { closedError, errorFrom, isUnreachable } from "./errors.ts";
import type { MetadataResponse } from "./messages.ts";
import { ProduceLink } from "./produce-link.ts";
import type { ResolvedProducerOptions } from "./producer-options.ts";
import { type Batch, type Settlement, settlementOf, type WaitingSend } from "./send-jobs.ts";

/** A topic that every broker asked denies for this long does not exist. */
const UNKNOWN_TOPIC_MS = 3_000;
/** One attempt at a broker that was lost; the next follows at once. */
const RECONNECT_ATTEMPT_MS = 1_000;
const RECONNECT_LIMITS = { minMs: 50, maxMs: 1_000 };

interface Missing {
  readonly sinceMs: number;
  readonly error: OttlaError;
}

export class ProducerDriver {
  readonly core: ProducerCore<Settlement>;
  readonly jobs = new SendQueue<WaitingSend>();
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedProducerOptions;
  readonly #links = new Map<BrokerId, ProduceLink<Settlement>>();
  readonly #reconnecting = new Set<BrokerId>();
  readonly #topics = new Set<string>();
  /** Topics that are asked for in vain. */
  readonly #missing = new Map<string, Missing>();
  readonly #closing = new AbortController();
  readonly #ageTimer: Timer;
  /** The clocks as read at the beginning of this turn: once for all its sends. */
  #turnMs = 0;
  #turnWallMs = 0;
  #drainScheduled = false;
  #wakeTimer: Timer | undefined;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #flushing = 0;
  #metadataWanted = false;
  #refreshing = false;
  #identifying = false;
  #closed = false;

  constructor(cluster: ClusterClient, options: ResolvedProducerOptions) {
    this.#cluster = cluster;
    this.#options = options;
    const { codecs, random, timers } = cluster.environment;
    const { crc32c } = codecs;
    this.core = new ProducerCore({ ...options.core, crc32c, seed: random.below(0x1_0000_0000) });
    this.#ageTimer = timers.every(options.metadataMaxAgeMs, () => {
      if (this.#topics.size > 0) this.#wantMetadata();
    });
  }

  /** Makes sure that a drain follows in this turn; returns the turn's monotonic time. */
  touch(): number {
    if (this.#drainScheduled) return this.#turnMs;
    this.#drainScheduled = true;
    const { clock, timers } = this.#cluster.environment;
    this.#turnMs = clock.monotonicMs();
    this.#turnWallMs = clock.wallMs();
    timers.yield().then(
      () => this.#drain(),
      () => undefined,
    );
    return this.#turnMs;
  }

  /** Milliseconds since 1970, as of this turn. */
  wallMs(): number {
    this.touch();
    return this.#turnWallMs;
  }

  /** The job runs once the topic's metadata has come (again). */
  waitForTopic(job: WaitingSend): void {
    this.jobs.waitForTopic(job);
    this.#topics.add(job.topic);
    this.touch();
    this.#wantMetadata();
    // Beside the metadata, not after it.
    if (this.core.lacksIdentity) this.#identify();
  }

  waitForRoom(job: WaitingSend): void {
    this.jobs.waitForRoom(job);
    this.touch();
  }

  /** Settles when all sends so far have their outcome; nothing lingers meanwhile. */
  async settleAll(): Promise<void> {
    this.#flushing++;
    this.touch();
    try {
      const batches = this.core.unsettled();
      await Promise.allSettled(this.jobs.jobs().map(({ done }) => done));
      await Promise.all(batches.map((batch) => settlementOf(batch).promise));
    } finally {
      this.#flushing--;
    }
  }

  /** Fails what is left with CLOSED. */
  close(): void {
    this.#closed = true;
    this.#closing.abort();
    this.#ageTimer.cancel();
    this.#wakeTimer?.cancel();
    const error = closedError("producer");
    this.jobs.failAll(error);
    this.core.failAll(error);
    this.#settle(this.core.drain(this.#cluster.nowMs(), false).settled);
    for (const link of this.#links.values()) link.close();
  }

  #drain(): void {
    this.#drainScheduled = false;
    if (this.#closed) return;
    const nowMs = this.#cluster.nowMs();
    const effects = this.core.drain(nowMs, this.jobs.waitsForRoom || this.#flushing > 0);
    for (const { batches, brokerId } of effects.sends) this.#transmit(brokerId, batches);
    for (const batch of effects.compress) this.#compress(batch);
    this.#settle(effects.settled);
    for (const brokerId of effects.hungBrokers) {
      const message = `broker ${brokerId} did not answer within ${this.#options.core.requestTimeoutMs} ms`;
      this.#dropLink(brokerId, new OttlaError("REQUEST_TIMED_OUT", message));
    }
    if (effects.metadataWanted) this.#wantMetadata();
    else this.#metadataWanted = this.jobs.topics().length > 0;
    if (effects.identityWanted) this.#identify();
    const deadlineMs = this.jobs.expire(nowMs, (topic) => this.#missingError(topic));
    this.jobs.run();
    this.#arm(Math.min(effects.wakeAtMs, deadlineMs), nowMs);
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

  #settle(batches: readonly Batch[]): void {
    for (const batch of batches) batch.attachment?.settle();
  }

  #compress(batch: Batch): void {
    const { codecs } = this.#cluster.environment;
    codecs.compress(this.#options.core.compression, batch.builder.section()).then(
      (section) => {
        this.core.onCompressed(batch, section);
        this.touch();
      },
      (thrown: unknown) => {
        this.core.onCompressionFailed(batch, toOttlaError(thrown));
        this.touch();
      },
    );
  }

  #transmit(brokerId: BrokerId, batches: readonly Batch[]): void {
    const link = this.#links.get(brokerId) ?? this.#openLink(brokerId);
    if (link !== undefined) link.send(batches);
    else {
      // The leader's address has not come yet: metadata brings it.
      const error = new OttlaError("LEADER_NOT_AVAILABLE", `broker ${brokerId} is not known`);
      this.#onBrokerLost(brokerId, error);
    }
  }

  #openLink(brokerId: BrokerId): ProduceLink<Settlement> | undefined {
    const connection = this.#cluster.connection(brokerId);
    if (connection === undefined) return undefined;
    const { acks, requestTimeoutMs: timeoutMs } = this.#options.core;
    const link = new ProduceLink<Settlement>(
      connection,
      { acks, timeoutMs },
      {
        onResult: (batch, attempt, outcome, result) => {
          const { partition, topic } = batch.queue;
          if (this.#cluster.takeHint(topic, partition, result.leader)) this.#publish(topic);
          this.core.onResult(batch, attempt, outcome, this.#cluster.nowMs());
        },
        onResponse: () => {
          this.touch();
        },
        onEnd: (error) => {
          if (this.#links.get(brokerId) === link) this.#dropLink(brokerId, error);
        },
      },
    );
    this.#links.set(brokerId, link);
    return link;
  }

  #dropLink(brokerId: BrokerId, error: OttlaError): void {
    this.#links.get(brokerId)?.close();
    this.#links.delete(brokerId);
    this.#onBrokerLost(brokerId, error);
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

  #wantMetadata(): void {
    this.#metadataWanted = true;
    if (this.#refreshing || this.#closed) return;
    this.#refreshing = true;
    this.#refreshWhileWanted().catch(() => undefined);
  }

  /** One loop at a time: metadata until every partition that has records has a usable leader. */
  async #refreshWhileWanted(): Promise<void> {
    const { timers } = this.#cluster.environment;
    const sinceMs = this.#cluster.nowMs();
    while (this.#metadataWanted && !this.#closed) {
      try {
        const response = await this.#cluster.refresh([...this.#topics], {
          timeoutMs: this.#cluster.options.requestTimeoutMs,
          signal: this.#closing.signal,
          allowAutoTopicCreation: true,
        });
        this.#onMetadata(response);
      } catch (thrown) {
        this.#onMetadataFailed(toOttlaError(thrown));
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
      let refusal: OttlaError;
      if (error === null) {
        this.#publish(name);
        const count = this.core.topic(name)?.queues.length ?? 0;
        const beyond = this.jobs.onTopicKnown(name, count);
        if (beyond === undefined) {
          this.#missing.delete(name);
          continue;
        }
        refusal = noPartition(name, beyond.partition, count);
      } else refusal = errorFrom(error);
      const sinceMs = this.#missing.get(name)?.sinceMs ?? nowMs;
      this.#missing.set(name, { sinceMs, error: refusal });
      // What was created a moment ago may not have reached the broker that answers.
      const hopeless = !refusal.retriable || nowMs - sinceMs >= UNKNOWN_TOPIC_MS;
      if (!hopeless) continue;
      this.jobs.failTopic(name, refusal);
      this.#missing.delete(name);
      if (this.core.topic(name) === undefined) this.#topics.delete(name);
    }
    this.touch();
  }

  #onMetadataFailed(error: OttlaError): void {
    if (this.#closed) return;
    const nowMs = this.#cluster.nowMs();
    for (const name of this.jobs.topics()) {
      const sinceMs = this.#missing.get(name)?.sinceMs ?? nowMs;
      this.#missing.set(name, { sinceMs, error });
      // The cluster was never reached: `find` has looked for a broker as long as it may.
      if (this.#cluster.cache.brokers().length === 0) this.jobs.failTopic(name, error);
    }
    this.touch();
  }

  #missingError(topic: string): OttlaError {
    const missing = this.#missing.get(topic);
    if (missing !== undefined) return missing.error;
    const message = `no metadata of topic ${topic} within ${this.#options.maxBlockMs} ms`;
    return new OttlaError("REQUEST_TIMED_OUT", message);
  }

  #publish(name: string): void {
    const topic = this.#cluster.cache.topic(name);
    if (topic === undefined) return;
    this.core.updateLeaders(name, topic.partitions, this.#cluster.nowMs());
  }

  #identify(): void {
    if (this.#identifying || this.#closed) return;
    this.#identifying = true;
    this.#fetchIdentity().then(
      () => {
        this.#identifying = false;
        this.touch();
      },
      () => {
        this.#identifying = false;
      },
    );
  }

  async #fetchIdentity(): Promise<void> {
    const { timers } = this.#cluster.environment;
    const { signal } = this.#closing;
    const sinceMs = this.#cluster.nowMs();
    while (!this.#closed) {
      try {
        const { requestTimeoutMs: timeoutMs } = this.#cluster.options;
        const options = { timeoutMs, signal, hedge: true };
        const response = await this.#cluster.find("InitProducerId", {}, options);
        if (response.error !== null) throw errorFrom(response.error);
        const { producerEpoch, producerId } = response;
        this.core.setIdentity({ producerId, producerEpoch });
        return;
      } catch (thrown) {
        // Records wait for it as long as `deliveryTimeoutMs` lets them, whatever the reason.
        this.core.noteIdentityError(toOttlaError(thrown));
      }
      const waitMs = retryDelayMs(this.#cluster.nowMs() - sinceMs, RETRY_LIMITS);
      await timers.sleep(waitMs, signal);
    }
  }
}

export function noPartition(topic: string, partition: number, count: number): OttlaError {
  return new OttlaError(
    "UNKNOWN_TOPIC_OR_PARTITION",
    `topic ${topic} has no partition ${partition}, allowed are 0 to ${count - 1}`,
    { field: "partition" },
  );
}
