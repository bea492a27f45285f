/**
 * The way to the cluster that Producer, Consumer and Admin share: connections to brokers, what is
 * known of them, and unary calls that find a broker able to answer.
 */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { BrokerId } from "../model/ids.ts";
import type { Timer } from "../ports/clock.ts";
import { addressText, parseBootstrapServers } from "./addresses.ts";
import { type BrokerAddress, MetadataCache, type TopicMetadata } from "./core/metadata-cache.ts";
import { type RetryLimits, retryDelayMs } from "./core/retry-delay.ts";
import { type ClientEnvironment, clientEnvironment } from "./environment.ts";
import { abortedError, closedError, isUnreachable } from "./errors.ts";
import type { LeaderHintMessage, MetadataResponse, UnaryCalls, UnaryName } from "./messages.ts";
import { type ClientOptions, type SharedOptions, sharedOptions } from "./options.ts";
import type { CallOptions, Connection } from "./transport.ts";

/** Between attempts to find a leader or a broker: an eighth of the outage so far, within these. */
export const RETRY_LIMITS: RetryLimits = { minMs: 20, maxMs: 250 };
/** A broker that has not answered metadata for this long is asked no longer alone. */
const HEDGE_MS = 300;
/** A broker that failed is asked after those whose answers of the last second were no help. */
const FAILED_MS = 1_000;
/** One attempt at one broker for what any broker can answer. */
const ATTEMPT_MS = 2_000;

export interface FindOptions extends CallOptions {
  /** Whether a second broker may be asked while the first still thinks: only for what changes nothing. */
  readonly hedge: boolean;
}

export class ClusterClient {
  readonly cache = new MetadataCache();
  readonly environment: ClientEnvironment;
  readonly options: SharedOptions;
  readonly #bootstrap: readonly BrokerAddress[];
  readonly #connections = new Map<string, Connection>();
  /** When an address last failed; absent: it never did, or worked since. */
  readonly #failedAtMs = new Map<string, number>();
  /** When the answer of an address was last no help. */
  readonly #uselessAtMs = new Map<string, number>();
  /** Which known broker is asked first: the same one as long as it answers, so that what a call
   * changed is seen by the next. */
  #turn: number;
  #answeredLast: BrokerAddress | undefined;
  #known = false;
  #closed = false;

  constructor(options: ClientOptions) {
    this.environment = clientEnvironment(options.environment);
    this.options = sharedOptions(options);
    this.#bootstrap = parseBootstrapServers(options.bootstrapServers);
    this.#turn = this.environment.random.below(1024);
  }

  get closed(): boolean {
    return this.#closed;
  }

  nowMs(): number {
    return this.environment.clock.monotonicMs();
  }

  /** The connection to a broker, or undefined if its address is not known. */
  connection(brokerId: BrokerId): Connection | undefined {
    const address = this.cache.broker(brokerId);
    return address === undefined ? undefined : this.#connectionTo(address);
  }

  /**
   * Asks one broker after the other, those first that last worked, until one answers; the rounds
   * end at `timeoutMs`. Rejects with the broker's error, or with NO_BROKER_REACHABLE.
   */
  async find<Name extends UnaryName>(
    name: Name,
    request: UnaryCalls[Name]["request"],
    options: FindOptions,
  ): Promise<UnaryCalls[Name]["response"]> {
    const startMs = this.nowMs();
    const { connectTimeoutMs } = this.options;
    // Metadata first: it may be asked of several brokers at once, so one that hangs costs little.
    if (!this.#known && name !== "Metadata") {
      const { signal, timeoutMs } = options;
      await this.refresh([], { timeoutMs, signal, allowAutoTopicCreation: false });
    }
    // Of all rounds: the deadline may end the last one after its first broker.
    const tried = new Set<string>();
    for (;;) {
      let triedCount = 0;
      const spentMs = this.nowMs() - startMs;
      const patienceMs = this.#known
        ? options.timeoutMs
        : Math.min(options.timeoutMs, connectTimeoutMs);
      let lastError: OttlaError | undefined;
      for (const address of this.#candidates()) {
        if (this.#closed) throw closedError("client");
        const restMs = patienceMs - (this.nowMs() - startMs);
        if (restMs <= 0 && triedCount > 0) break;
        triedCount++;
        tried.add(addressText(address));
        try {
          return await this.#attempt(address, name, request, options, Math.max(restMs, 1));
        } catch (thrown) {
          lastError = toOttlaError(thrown);
          if (!isUnreachable(lastError)) throw lastError;
        }
      }
      const waitMs = retryDelayMs(spentMs, RETRY_LIMITS);
      if (patienceMs - (this.nowMs() - startMs) <= waitMs) {
        if (lastError?.code === "REQUEST_TIMED_OUT" && !options.hedge) throw lastError;
        throw this.#unreachable(name, [...tried], patienceMs, lastError);
      }
      await this.environment.timers.sleep(waitMs, options.signal);
    }
  }

  /** Asks for brokers and the named topics and remembers what comes. */
  async refresh(
    topics: readonly string[],
    options: CallOptions & { readonly allowAutoTopicCreation: boolean },
  ): Promise<MetadataResponse> {
    const { allowAutoTopicCreation } = options;
    const noTopics = topics.length === 0;
    const request = { topics, noTopics, allowAutoTopicCreation };
    const response = await this.find("Metadata", request, { ...options, hedge: true });
    this.remember(response);
    return response;
  }

  remember(response: MetadataResponse): void {
    this.cache.updateBrokers(response.brokers.map(({ id, host, port }) => ({ id, host, port })));
    this.#known = true;
    for (const { error, id, name, partitions } of response.topics) {
      if (error !== null) continue;
      const fresh: TopicMetadata = {
        name,
        id,
        partitions: partitions
          .map(({ partition, leader, leaderEpoch }) => ({ partition, leader, leaderEpoch }))
          .sort((left, right) => left.partition - right.partition),
      };
      this.cache.updateTopic(fresh);
    }
    this.#dropStrangers();
  }

  /** Takes the hint of a refusal; false if it is no news. */
  takeHint(topic: string, partition: number, hint: LeaderHintMessage | null): boolean {
    if (hint === null) return false;
    const { brokerId: leader, host, leaderEpoch, port } = hint;
    return this.cache.applyHint({ topic, partition, leader, leaderEpoch }, { host, port });
  }

  /**
   * The next question goes to another broker, since the last answer was no help. A broker that the
   * others do not reach answers a client that does reach it at once, and names itself as the leader
   * of what it once led: whoever asked only it would wait until it is healed.
   */
  askAnother(): void {
    if (this.#answeredLast === undefined) return;
    this.#uselessAtMs.set(addressText(this.#answeredLast), this.nowMs());
    this.#answeredLast = undefined;
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  async #attempt<Name extends UnaryName>(
    address: BrokerAddress,
    name: Name,
    request: UnaryCalls[Name]["request"],
    options: FindOptions,
    restMs: number,
  ): Promise<UnaryCalls[Name]["response"]> {
    const timeoutMs = options.hedge ? Math.min(restMs, ATTEMPT_MS) : restMs;
    const first = this.#call(address, name, request, { timeoutMs, signal: options.signal });
    const other = options.hedge
      ? this.#candidates().find((each) => !same(each, address))
      : undefined;
    if (other === undefined) return await first;
    let ended = false;
    let hedge: Timer | undefined;
    const second = new Promise<UnaryCalls[Name]["response"]>((resolve) => {
      hedge = this.environment.timers.after(HEDGE_MS, () => {
        this.#call(other, name, request, { timeoutMs, signal: options.signal }).then(
          (answer) => {
            // The first still thinks: it is asked last from now on.
            if (!ended) this.#failedAtMs.set(addressText(address), this.nowMs());
            resolve(answer);
          },
          () => resolve(first),
        );
      });
    });
    try {
      // Whichever answers first counts. If the first fails before the second is asked, the caller
      // goes on to the next broker itself; if the second fails, the first may still answer.
      return await Promise.race([first, second]);
    } finally {
      ended = true;
      hedge?.cancel();
    }
  }

  async #call<Name extends UnaryName>(
    address: BrokerAddress,
    name: Name,
    request: UnaryCalls[Name]["request"],
    options: CallOptions,
  ): Promise<UnaryCalls[Name]["response"]> {
    const key = addressText(address);
    try {
      const response = await this.#connectionTo(address).call(name, request, options);
      this.#failedAtMs.delete(key);
      this.#answeredLast = address;
      return response;
    } catch (thrown) {
      const error = toOttlaError(thrown);
      if (options.signal?.aborted === true) throw abortedError(options.signal);
      if (isUnreachable(error)) {
        this.#failedAtMs.set(key, this.nowMs());
        this.#turn++;
      }
      throw error;
    }
  }

  /**
   * Known brokers, then bootstrap addresses. Those stand last that failed; before them, those whose
   * answers were no help, the newest last. A failure counts for a second longer: where all others
   * are asked in vain, one that failed may have the news by now, but to try it costs a hedge.
   */
  #candidates(): BrokerAddress[] {
    const known = this.cache.brokers();
    const first = known.length === 0 ? 0 : this.#turn % known.length;
    const rotated: BrokerAddress[] = [...known.slice(first), ...known.slice(0, first)];
    for (const address of this.#bootstrap) {
      if (!rotated.some((each) => same(each, address))) rotated.push(address);
    }
    const rank = (address: BrokerAddress): number => {
      const key = addressText(address);
      const failedAtMs = this.#failedAtMs.get(key);
      if (failedAtMs === undefined) return this.#uselessAtMs.get(key) ?? 0;
      return failedAtMs + FAILED_MS;
    };
    return rotated.sort((left, right) => rank(left) - rank(right));
  }

  #connectionTo(address: BrokerAddress): Connection {
    if (this.#closed) throw closedError("client");
    const key = addressText(address);
    let connection = this.#connections.get(key);
    if (connection === undefined) {
      connection = this.environment.transport.connect(address);
      this.#connections.set(key, connection);
    }
    return connection;
  }

  /** Closes connections to addresses that neither the cluster nor the caller names any more. */
  #dropStrangers(): void {
    const wanted = new Set([...this.cache.brokers(), ...this.#bootstrap].map(addressText));
    for (const [key, connection] of this.#connections) {
      if (wanted.has(key)) continue;
      connection.close();
      this.#connections.delete(key);
      this.#failedAtMs.delete(key);
      this.#uselessAtMs.delete(key);
    }
  }

  #unreachable(
    name: string,
    tried: readonly string[],
    patienceMs: number,
    cause: OttlaError | undefined,
  ): OttlaError {
    const last = cause === undefined ? "" : `; the last said: ${cause.message}`;
    return new OttlaError(
      "NO_BROKER_REACHABLE",
      `no broker answered ${name} within ${patienceMs} ms; tried ${tried.join(", ")}${last}`,
      { cause },
    );
  }
}

function same(left: BrokerAddress, right: BrokerAddress): boolean {
  return left.port === right.port && left.host === right.host;
}
