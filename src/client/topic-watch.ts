/**
 * How many partitions topics have, looked up again when that is asked for or gets old; and which
 * topics a pattern means.
 */
import { OFFSETS_TOPIC } from "../group/partition-of.ts";
import { type OttlaError, toOttlaError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { Timer } from "../ports/clock.ts";
import { type ClusterClient, RETRY_LIMITS } from "./cluster-client.ts";
import { retryDelayMs } from "./core/retry-delay.ts";

export interface TopicWatchOptions {
  readonly maxAgeMs: number;
  readonly signal: AbortSignal;
  /** `names`: what the pattern means now; undefined without one. `request`: as in `watch`. */
  readonly onTopics: (
    names: readonly string[] | undefined,
    counts: ReadonlyMap<string, number>,
    request: number | undefined,
  ) => void;
  /** No broker has ever answered. */
  readonly onUnreachable: (error: OttlaError) => void;
}

/** Topics that are the brokers' own are meant by no pattern (Kafka: exclude.internal.topics). */
const INTERNAL_TOPICS: ReadonlySet<string> = new Set([OFFSETS_TOPIC, "__transaction_state"]);
/** A topic that is subscribed to and not there is looked for again so soon. */
const MISSING_RETRY_MS = 1_000;
/** A topic that every broker asked denies for this long does not exist. */
const UNKNOWN_TOPIC_MS = 3_000;

export class TopicWatch {
  readonly #cluster: ClusterClient;
  readonly #options: TopicWatchOptions;
  readonly #missingSinceMs = new Map<string, number>();
  #pattern: RegExp | undefined;
  #names: readonly string[] = [];
  #request: number | undefined;
  /** The request answered last. */
  #answered: number | undefined;
  #refreshing = false;
  #wanted = false;
  #timer: Timer | undefined;

  constructor(cluster: ClusterClient, options: TopicWatchOptions) {
    this.#cluster = cluster;
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#timer?.cancel(), { once: true });
  }

  get pattern(): RegExp | undefined {
    return this.#pattern;
  }

  follow(pattern: RegExp | undefined): void {
    // `g` and `y` make a pattern remember where it was.
    this.#pattern =
      pattern === undefined
        ? undefined
        : new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ""));
    if (pattern !== undefined) this.refreshNow();
  }

  /** Nothing is looked up any more until `follow` or `watch`. */
  stop(): void {
    this.#pattern = undefined;
    this.#names = [];
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** With a request that is not answered yet: at once. */
  watch(names: readonly string[], request: number | undefined): void {
    // Asked with every drain: the same list is the same topics.
    const known = names === this.#names ? undefined : new Set(this.#names);
    const isNew = known !== undefined && names.some((name) => !known.has(name));
    this.#names = names;
    if (request !== undefined && request !== this.#answered) {
      if (request === this.#request) return;
      this.#request = request;
      this.refreshNow();
    } else if (isNew) this.refreshNow();
  }

  refreshNow(): void {
    this.#wanted = true;
    if (this.#refreshing || this.#options.signal.aborted) return;
    this.#refreshing = true;
    this.#refreshWhileWanted().catch(() => undefined);
  }

  async #refreshWhileWanted(): Promise<void> {
    const { signal } = this.#options;
    const sinceMs = this.#cluster.nowMs();
    while (this.#wanted && !signal.aborted) {
      this.#wanted = false;
      try {
        await this.#refresh();
      } catch (thrown) {
        this.#wanted = true;
        if (this.#cluster.cache.brokers().length === 0) {
          this.#options.onUnreachable(toOttlaError(thrown));
        }
        const waitMs = retryDelayMs(this.#cluster.nowMs() - sinceMs, RETRY_LIMITS);
        await this.#cluster.environment.timers.sleep(waitMs, signal);
      }
    }
    // In the same step as the check above: a wish that comes between would be lost.
    this.#refreshing = false;
  }

  async #refresh(): Promise<void> {
    const { onTopics, signal } = this.#options;
    const pattern = this.#pattern;
    const names = this.#names;
    const request = this.#request;
    const all = pattern !== undefined;
    const found = new Set<string>();
    // All at once, or as many as a request may name.
    const batchSize = all ? names.length + 1 : LIMITS.topicsPerRequestCount;
    for (let at = 0; at === 0 || at < names.length; at += batchSize) {
      const some = all ? [] : names.slice(at, at + batchSize);
      const response = await this.#cluster.find(
        "Metadata",
        { topics: some, noTopics: !all && some.length === 0, allowAutoTopicCreation: false },
        { timeoutMs: this.#cluster.options.requestTimeoutMs, signal, hedge: true },
      );
      this.#cluster.remember(response);
      for (const { error, name } of response.topics) if (error === null) found.add(name);
    }
    const nowMs = this.#cluster.nowMs();
    const counts = new Map<string, number>();
    for (const name of found) this.#see(name, counts);
    let missing = false;
    for (const name of names) {
      if (counts.has(name)) continue;
      missing = true;
      const sinceMs = this.#missingSinceMs.get(name) ?? nowMs;
      this.#missingSinceMs.set(name, sinceMs);
      // The broker asked may lag behind the one that told of the topic.
      if (nowMs - sinceMs < UNKNOWN_TOPIC_MS) this.#keep(name, counts);
    }
    if (request !== undefined) this.#answered = request;
    if (signal.aborted) return;
    this.#again(
      missing ? Math.min(MISSING_RETRY_MS, this.#options.maxAgeMs) : this.#options.maxAgeMs,
    );
    const meant =
      pattern === undefined || this.#pattern !== pattern
        ? undefined
        : [...counts.keys()].filter((name) => !INTERNAL_TOPICS.has(name) && pattern.test(name));
    onTopics(meant, counts, request);
  }

  #see(name: string, counts: Map<string, number>): void {
    this.#missingSinceMs.delete(name);
    this.#keep(name, counts);
  }

  #keep(name: string, counts: Map<string, number>): void {
    const topic = this.#cluster.cache.topic(name);
    if (topic !== undefined) counts.set(name, topic.partitions.length);
  }

  #again(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#pattern === undefined && this.#names.length === 0) return;
    this.#timer = this.#cluster.environment.timers.after(delayMs, () => this.refreshNow());
  }
}
