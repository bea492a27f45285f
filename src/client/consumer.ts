/** The consumer as a program sees it: partitions by hand or by group, messages out by iteration. */
import { OttlaError } from "../model/errors.ts";
import { NONE, type Offset, type PartitionIndex } from "../model/ids.ts";
import { abortable } from "./abort.ts";
import { Change } from "./change.ts";
import { ClusterClient } from "./cluster-client.ts";
import { ConsumerDriver } from "./consumer-driver.ts";
import {
  type ConsumerOptions,
  consumerOptions,
  type ResolvedConsumerOptions,
} from "./consumer-options.ts";
import type {
  Assignment,
  CommittedOffset,
  ConsumerCloseOptions,
  GroupMetadata,
  HandlerFailure,
  IterationOptions,
  OffsetCommit,
  OffsetForTime,
  PartitionOffset,
  RunOptions,
  Subscription,
  TimestampQuery,
  TopicPartition,
} from "./consumer-types.ts";
import { type PartitionState, type StartOffset, timestampOf } from "./core/fetch-core.ts";
import { type Hand, Hands } from "./core/hands.ts";
import type { Message } from "./core/messages.ts";
import { abortedError, closedError } from "./errors.ts";
import { GroupDriver, type RebalanceCallbacks } from "./group-driver.ts";
import { callLeaders, QUICK_ATTEMPT_MS } from "./leader-calls.ts";
import { type MessageBatch, MessageReader } from "./message-reader.ts";

const CLOSE_MS = 30_000;
const PATTERN_CHARACTERS = 1_024;
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/;

/**
 * Reads records, each partition's in order, over reconnects and changes of leaders: of partitions
 * that are assigned by hand, each record once,
 *
 *     await using consumer = new Consumer({ bootstrapServers: "127.0.0.1:9192" });
 *     await consumer.assign([{ topic: "orders", partition: 0, offset: "beginning" }]);
 *     for await (const message of consumer) console.log(message.offset, message.value);
 *
 * or as a member of a group, which divides its topics' partitions among its members and keeps the
 * place, each record at least once:
 *
 *     await using consumer = new Consumer({ bootstrapServers, groupId: "billing" });
 *     await consumer.subscribe({ topics: ["orders"] });
 *     for await (const message of consumer) await bill(message);
 *
 * A message counts as processed when the next one is asked for. With `enableAutoCommit` that is
 * committed every `autoCommitIntervalMs`, before partitions go to another member, and by `close`;
 * what a loop was in the midst of when it was left is not, and comes again.
 *
 * Iteration goes on until `close`, and where it was left if it is begun again. It throws
 * OFFSET_OUT_OF_RANGE (with `autoOffsetReset` "none"), CORRUPT_MESSAGE, INVALID_RECORD (a
 * deserializer threw), UNKNOWN_TOPIC_OR_PARTITION, NO_BROKER_REACHABLE (never reached any), ABORTED:
 * the partition named then stands still until a seek, others go on when iteration is begun again.
 * In a group also what ends the membership (FENCED_INSTANCE_ID, GROUP_MAX_SIZE_REACHED,
 * INCONSISTENT_GROUP_PROTOCOL, INVALID_SESSION_TIMEOUT), until `subscribe` is called again; and what
 * a rebalance callback threw.
 */
export class Consumer<Key = Uint8Array | null, Value = Uint8Array | null>
  implements AsyncDisposable, AsyncIterable<Message<Key, Value>>
{
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedConsumerOptions;
  readonly #driver: ConsumerDriver;
  readonly #group: GroupDriver | undefined;
  readonly #reader: MessageReader<Key, Value>;
  readonly #hands = new Hands();
  /** Something has changed: a batch came, an offset, the group, the end. */
  readonly #change = new Change();
  #assignments = 0;
  /** Nothing is handed out any more. */
  #ending = false;
  #closing: Promise<void> | undefined;
  #closed = false;

  constructor(options: ConsumerOptions<Key, Value>) {
    this.#cluster = new ClusterClient(options);
    this.#options = consumerOptions(options, this.#cluster.options.requestTimeoutMs);
    const { group } = this.#options;
    const { keyDeserializer: key, valueDeserializer: value } = options;
    this.#driver = new ConsumerDriver(this.#cluster, this.#options.core, {
      onReady: () => this.#change.tell(),
      onTopicGone: () => {
        if (this.#group?.isSubscribed !== true) return false;
        this.#group.refreshTopics();
        return true;
      },
    });
    if (group !== undefined) {
      this.#group = new GroupDriver(this.#cluster, {
        ...group,
        fetching: this.#driver,
        hands: this.#hands,
        change: this.#change,
        autoOffsetReset: this.#options.core.autoOffsetReset,
      });
    }
    this.#reader = new MessageReader({
      driver: this.#driver,
      codecs: this.#cluster.environment.codecs,
      checkCrcs: this.#options.checkCrcs,
      deserializers: {
        key: key === undefined ? undefined : (bytes, topic) => key(bytes, { topic }),
        value: value === undefined ? undefined : (bytes, topic) => value(bytes, { topic }),
      },
      change: this.#change,
      takeError: () => this.#group?.takeError(),
    });
  }

  /**
   * Joins the group, or changes what is consumed in it. Settles when the first assignment has been
   * taken up and the offset to begin with is known of each partition; there may be none for this
   * member. Rejects with what iteration would throw.
   */
  subscribe(subscription: Subscription): Promise<void> {
    const subscribed = this.#subscribe(subscription);
    // Who does not wait hears of the failure from the iteration.
    subscribed.catch(() => undefined);
    return subscribed;
  }

  /** Gives up what the group has assigned, as `close` does, and leaves it. */
  async unsubscribe(options: ConsumerCloseOptions = {}): Promise<void> {
    this.#checkOpen();
    if (this.#group?.isSubscribed === true) await this.#leave(options.timeoutMs);
  }

  /**
   * Reads these partitions from now on, and no others. Settles when the offset to begin with is
   * known of each: after it, "end" means a fixed offset. Rejects with what iteration would throw.
   */
  assign(partitions: readonly Assignment[]): Promise<void> {
    const assigned = this.#assign(partitions);
    // Who does not wait hears of the failure from the iteration.
    assigned.catch(() => undefined);
    return assigned;
  }

  /** What is assigned, in the order of assignment. */
  assignment(): readonly TopicPartition[] {
    return this.#driver.core.states().map(({ partition, topic }) => ({ topic, partition }));
  }

  /** Goes on elsewhere; what was fetched and not delivered yet is dropped. */
  seek(target: TopicPartition & { readonly offset: StartOffset }): void {
    checkStart(target.offset);
    this.#seek(this.#state(target), target.offset);
  }

  /** Goes on with the first record that is not older; without partitions: in all that are assigned. */
  seekToTimestamp(
    timestampMs: number,
    partitions: readonly TopicPartition[] = this.assignment(),
  ): void {
    for (const { partition, topic } of partitions) {
      this.seek({ topic, partition, offset: { timestampMs } });
    }
  }

  /** Delivers nothing of these partitions until `resume`. */
  pause(partitions: readonly TopicPartition[]): void {
    for (const each of partitions) this.#driver.core.pause(this.#state(each));
    this.#driver.touch();
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const each of partitions) this.#driver.core.resume(this.#state(each));
    this.#driver.touch();
  }

  paused(): readonly TopicPartition[] {
    const states = this.#driver.core.states().filter((state) => state.paused);
    return states.map(({ partition, topic }) => ({ topic, partition }));
  }

  /** Offset of the next message of the partition; undefined until it is known. */
  position(partition: TopicPartition): Offset | undefined {
    return this.#state(partition).position;
  }

  /** Offset of the first record that is still there (log start offset). */
  beginningOffsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffset[]> {
    return this.#listOffsets(partitions, () => -2);
  }

  /** Offset after the last record that consumers may read (high watermark). */
  endOffsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffset[]> {
    return this.#listOffsets(partitions, () => -1);
  }

  async offsetsForTimes(queries: readonly TimestampQuery[]): Promise<readonly OffsetForTime[]> {
    for (const { timestampMs } of queries) checkStart({ timestampMs });
    const results = await this.#listOffsets(queries, ({ timestampMs }) => timestampMs);
    return results.map((result) => ({
      ...result,
      offset: result.offset < 0 ? null : result.offset,
    }));
  }

  /**
   * Commits these offsets for the group; without arguments all that has been handed out, what the
   * program has in hand included. Rejects with ILLEGAL_GENERATION if a partition is not this member's
   * any more, OFFSET_METADATA_TOO_LARGE, UNKNOWN_TOPIC_OR_PARTITION, REQUEST_TIMED_OUT.
   */
  async commit(offsets?: readonly OffsetCommit[]): Promise<void> {
    this.#checkOpen();
    const group = this.#grouped("commit");
    if (offsets === undefined) {
      this.#hands.clear();
      await group.commitProcessed();
      return;
    }
    const seen = new Set<string>();
    const commits = offsets.map(({ metadata = "", offset, partition, topic }) => {
      checkPartition(partition);
      if (!Number.isSafeInteger(offset) || offset < 0) {
        throw invalid("offset", offset, "an integer of at least 0");
      }
      const key = `${topic}-${partition}`;
      if (seen.has(key)) throw invalid("offsets", key, "each partition once");
      seen.add(key);
      const state = this.#driver.core.state(topic, partition);
      // Of what has not been read nobody knows in which epoch it was written.
      const isRead = state?.position !== undefined && offset <= state.position;
      const leaderEpoch = isRead ? state.consumedEpoch : NONE;
      return { state, topic, partition, offset, leaderEpoch, metadata };
    });
    await group.commit(commits.map(({ state: _, ...commit }) => commit));
    for (const { state, ...commit } of commits) {
      if (state !== undefined) this.#hands.committed(state, commit);
    }
  }

  /** What the group has committed of these partitions; of those assigned if none are named. */
  async committed(
    partitions: readonly TopicPartition[] = this.assignment(),
  ): Promise<readonly CommittedOffset[]> {
    this.#checkOpen();
    const group = this.#grouped("committed");
    for (const { partition } of partitions) checkPartition(partition);
    const found = await group.committed(
      partitions.map(({ partition, topic }) => ({ topic, partition })),
    );
    return found.map(({ leaderEpoch, metadata, offset, partition, topic }) => ({
      topic,
      partition,
      offset: offset < 0 ? null : offset,
      leaderEpoch,
      metadata,
    }));
  }

  /** This member as the group knows it; undefined while it is not in one. */
  groupMetadata(): GroupMetadata | undefined {
    const member = this.#group?.core.member;
    if (member === undefined || member.generationId === NONE) return undefined;
    return { memberId: member.memberId, generationId: member.generationId };
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message<Key, Value>> {
    return this.messages();
  }

  /** Message by message. */
  messages(options: IterationOptions = {}): AsyncIterableIterator<Message<Key, Value>> {
    return this.#iterate((hand) => this.#reader.takeMessage(hand), options.signal);
  }

  /** Batch by batch: the fastest way. */
  batches(options: IterationOptions = {}): AsyncIterableIterator<MessageBatch<Key, Value>> {
    return this.#iterate((hand) => this.#reader.takeBatch(hand), options.signal);
  }

  /**
   * Calls the handler with one message, or batch, after the other. Settles when the consumer is
   * closed or the signal aborts, after the handler that is under way; rejects as iteration would.
   */
  async run(options: RunOptions<Key, Value>): Promise<void> {
    const { signal } = options;
    try {
      if (options.eachMessage !== undefined) {
        const { eachMessage, onError } = options;
        for await (const message of this.messages(signal === undefined ? {} : { signal })) {
          await this.#handle(() => eachMessage(message), message, onError);
        }
      } else {
        const { eachBatch, onError } = options;
        for await (const batch of this.batches(signal === undefined ? {} : { signal })) {
          const [first] = batch.messages;
          if (first !== undefined) await this.#handle(() => eachBatch(batch), first, onError);
        }
      }
    } catch (thrown) {
      if (signal?.aborted === true && thrown instanceof OttlaError && thrown.code === "ABORTED")
        return;
      throw thrown;
    }
  }

  /**
   * Ends every iteration; commits what is processed (with `enableAutoCommit`), gives its partitions
   * up and leaves its group; then ends all connections. Idempotent.
   */
  close(options: ConsumerCloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(timeoutMs: number | undefined): Promise<void> {
    this.#ending = true;
    const read = this.#reader.close();
    const group = this.#group;
    if (group?.isSubscribed === true) await this.#leave(timeoutMs);
    else if (group !== undefined && this.#options.group?.enableAutoCommit === true) {
      await this.#commitLast(group, timeoutMs);
    }
    this.#closed = true;
    this.#group?.close();
    this.#driver.close();
    this.#cluster.close();
    await read;
  }

  async #subscribe(subscription: Subscription): Promise<void> {
    this.#checkOpen();
    const group = this.#grouped("subscribe");
    const wanted = checkSubscription(subscription);
    if (!group.isSubscribed) {
      this.#driver.core.clear();
      this.#reader.drop();
    }
    const callbacks: RebalanceCallbacks = subscription;
    const generation = ++this.#assignments;
    group.subscribe(wanted, callbacks);
    while (generation === this.#assignments) {
      const { failure } = group;
      if (failure !== undefined) throw failure.error;
      const states = this.#driver.core.states();
      const failed = states.find((state) => state.failed);
      if (failed?.lastError !== undefined) throw failed.lastError;
      if (group.isAssigned && states.every((state) => state.position !== undefined)) return;
      await this.#change.next;
      this.#checkOpen();
    }
  }

  async #assign(partitions: readonly Assignment[]): Promise<void> {
    this.#checkOpen();
    if (this.#group?.isSubscribed === true) {
      throw invalid("assign", "called while subscribed", "after unsubscribe");
    }
    const seen = new Set<string>();
    for (const { offset = "beginning", partition, topic } of partitions) {
      checkStart(offset);
      checkPartition(partition);
      const key = `${topic}-${partition}`;
      if (seen.has(key)) throw invalid("partitions", key, "each partition once");
      seen.add(key);
    }
    const { core } = this.#driver;
    core.clear();
    this.#reader.drop();
    const generation = ++this.#assignments;
    const states = partitions.map(({ offset = "beginning", partition, topic }) =>
      core.add(topic, partition, offset),
    );
    for (const topic of core.topics()) this.#driver.publish(topic);
    this.#driver.touch();
    while (generation === this.#assignments) {
      const failed = states.find((state) => state.failed);
      if (failed?.lastError !== undefined) throw failed.lastError;
      if (states.every((state) => state.position !== undefined || state.failed)) return;
      await this.#change.next;
      this.#checkOpen();
    }
  }

  #iterate<Item>(
    take: (hand: Hand) => Item | undefined,
    signal: AbortSignal | undefined,
  ): AsyncIterableIterator<Item> {
    const { hand, inherited } = this.#hands.open();
    const end = (): IteratorResult<Item> => {
      this.#hands.leave(hand);
      return { done: true, value: undefined };
    };
    const taken = (): Item | undefined => {
      const item = take(hand);
      if (item !== undefined && this.#group !== undefined) hand.sinceMs = this.#cluster.nowMs();
      return item;
    };
    const next = (): Promise<IteratorResult<Item>> => {
      const { state } = hand;
      hand.state = undefined;
      if (!hand.open) this.#hands.reopen(hand);
      // A partition that goes waits for this.
      if (state?.held === true) this.#change.tell();
      if (inherited.length > 0) this.#hands.acknowledge(inherited.splice(0));
      this.#group?.pulled();
      if (this.#ending) return Promise.resolve(end());
      if (signal?.aborted === true) {
        this.#hands.leave(hand);
        return Promise.reject(abortedError(signal));
      }
      const value = taken();
      // What lies ready is handed out without a turn through an async function.
      if (value !== undefined) return Promise.resolve({ done: false, value });
      return this.#nextLoaded(taken, end, signal);
    };
    const iterator: AsyncIterableIterator<Item> = {
      next,
      return: () => Promise.resolve(end()),
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  async #nextLoaded<Item>(
    take: () => Item | undefined,
    end: () => IteratorResult<Item>,
    signal: AbortSignal | undefined,
  ): Promise<IteratorResult<Item>> {
    const waited = this.#group?.waits();
    try {
      for (;;) {
        if (this.#ending) return end();
        const value = take();
        if (value !== undefined) return { done: false, value };
        const loading = this.#reader.load();
        await (signal === undefined ? loading : abortable(loading, signal));
      }
    } catch (thrown) {
      // Whoever iterates with `for await` does not come back.
      end();
      throw thrown;
    } finally {
      waited?.();
    }
  }

  /** The handler's failure stops its partition before the message. */
  async #handle(
    handler: () => void | Promise<void>,
    { offset, partition, topic }: TopicPartition & { readonly offset: Offset },
    onError: (failure: HandlerFailure) => void,
  ): Promise<void> {
    const { core } = this.#driver;
    const state = core.state(topic, partition);
    try {
      await handler();
    } catch (error) {
      // Another member may have it by now: then it begins where the group is.
      if (state !== undefined && core.state(topic, partition) === state) {
        this.#seek(state, offset);
        core.pause(state);
        this.#driver.touch();
      }
      onError({ topic, partition, offset, error });
    }
  }

  #seek(state: PartitionState, offset: StartOffset): void {
    this.#hands.forget(state);
    this.#driver.core.seek(state, offset);
    this.#driver.touch();
  }

  async #leave(timeoutMs: number = CLOSE_MS): Promise<void> {
    const given = new AbortController();
    const timer = this.#cluster.environment.timers.after(timeoutMs, () => given.abort());
    await this.#group?.leave(given.signal).finally(() => timer.cancel());
  }

  /** What cannot be committed in time comes again: nobody who ends waits for it. */
  async #commitLast(group: GroupDriver, timeoutMs: number = CLOSE_MS): Promise<void> {
    const given = new AbortController();
    const late = this.#cluster.environment.timers.sleep(timeoutMs, given.signal);
    await Promise.race([group.commitProcessed(), late]).catch(() => undefined);
    given.abort();
    await late.catch(() => undefined);
  }

  async #listOffsets<Query extends TopicPartition>(
    queries: readonly Query[],
    timestampFor: (query: Query) => number,
  ): Promise<(PartitionOffset & { readonly timestamp: number })[]> {
    this.#checkOpen();
    const items = queries.map((query) => ({
      topic: query.topic,
      partition: query.partition,
      timestamp: timestampFor(query),
    }));
    const results = await callLeaders(
      this.#cluster,
      {
        items,
        attemptMs: QUICK_ATTEMPT_MS,
        send: async (connection, partitions, options) =>
          (await connection.call("ListOffsets", { partitions }, options)).partitions,
      },
      { timeoutMs: this.#cluster.options.requestTimeoutMs },
    );
    return results.map(({ offset, partition, timestamp, topic }) => ({
      topic,
      partition,
      offset,
      timestamp,
    }));
  }

  #state({ partition, topic }: TopicPartition): PartitionState {
    this.#checkOpen();
    const state = this.#driver.core.state(topic, partition);
    if (state !== undefined) return state;
    throw invalid("partition", `${topic}-${partition}`, "a partition that is assigned");
  }

  #grouped(what: string): GroupDriver {
    if (this.#group !== undefined) return this.#group;
    throw invalid("groupId", "missing", `a group's id, since ${what} is about one`);
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError("consumer");
  }
}

function checkStart(start: StartOffset): void {
  if (start === "beginning" || start === "end") return;
  const value = typeof start === "object" ? timestampOf(start) : start;
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw invalid(
    "offset",
    typeof start === "object" ? `{ timestampMs: ${value} }` : value,
    'an integer of at least 0, "beginning", "end" or { timestampMs } of at least 0',
  );
}

function invalid(field: string, value: unknown, allowed: string): OttlaError {
  const message = `${field} is ${String(value)}, allowed is ${allowed}`;
  return new OttlaError("INVALID_ARGUMENT", message, { field });
}

function checkPartition(partition: PartitionIndex): void {
  if (Number.isSafeInteger(partition) && partition >= 0) return;
  throw invalid("partition", partition, "an integer of at least 0");
}

/** The names, or the pattern. */
function checkSubscription({ pattern, topics }: Subscription): readonly string[] | RegExp {
  if (pattern !== undefined) {
    if (topics !== undefined) throw invalid("topics", "given beside pattern", "one of the two");
    if (pattern instanceof RegExp && pattern.source.length <= PATTERN_CHARACTERS) return pattern;
    throw invalid(
      "pattern",
      String(pattern).slice(0, 100),
      `a RegExp of at most ${PATTERN_CHARACTERS} characters`,
    );
  }
  if (!Array.isArray(topics) || topics.length === 0) {
    throw invalid("topics", JSON.stringify(topics), "a list of one or more topics");
  }
  for (const topic of topics) {
    if (typeof topic === "string" && TOPIC_NAME.test(topic)) continue;
    const shown = JSON.stringify(topic)?.slice(0, 100);
    throw invalid("topics", shown, "names of 1 to 249 characters of a-z A-Z 0-9 . _ -");
  }
  return topics;
}
