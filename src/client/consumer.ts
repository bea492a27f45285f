/** The consumer as a program sees it: partitions assigned by hand, messages out by iteration. */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { Offset, PartitionIndex } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import {
  type Batch,
  compressionOf,
  hasValidCrc,
  isControl,
  lastOffset,
  recordsSection,
} from "../record/batch.ts";
import { ClusterClient } from "./cluster-client.ts";
import { ConsumerDriver } from "./consumer-driver.ts";
import {
  type ConsumerOptions,
  consumerOptions,
  type ResolvedConsumerOptions,
} from "./consumer-options.ts";
import {
  type PartitionState,
  type ReadyBatch,
  type StartOffset,
  timestampOf,
} from "./core/fetch-core.ts";
import { type Deserializers, decodeMessages, type Message } from "./core/messages.ts";
import { abortedError, closedError } from "./errors.ts";
import { callLeaders, QUICK_ATTEMPT_MS } from "./leader-calls.ts";
import { abortable } from "./send-jobs.ts";

export interface TopicPartition {
  readonly topic: string;
  readonly partition: PartitionIndex;
}

export interface Assignment extends TopicPartition {
  /**
   * Where to begin: an offset, "beginning", "end" (what is written from now on), or the first record
   * that is not older than a time. Default "beginning".
   */
  readonly offset?: StartOffset;
}

export interface PartitionOffset extends TopicPartition {
  readonly offset: Offset;
}

export interface TimestampQuery extends TopicPartition {
  /** Milliseconds since 1970. */
  readonly timestampMs: number;
}

export interface OffsetForTime extends TopicPartition {
  /** First record that is not older; null if there is none. */
  readonly offset: Offset | null;
  /** The record's timestamp in ms since 1970; -1 if there is none. */
  readonly timestamp: number;
}

/** Consecutive messages of one partition, as they lay in one stored batch. */
export interface MessageBatch<Key, Value> extends TopicPartition {
  /** At least one. */
  readonly messages: readonly Message<Key, Value>[];
  /** End of what consumers may read, as of this fetch. */
  readonly highWatermark: Offset;
}

export interface IterationOptions {
  /** Ends the iteration with ABORTED. */
  readonly signal?: AbortSignal;
}

interface Current<Key, Value> {
  readonly ready: ReadyBatch;
  readonly messages: readonly Message<Key, Value>[];
  index: number;
}

interface Latch {
  readonly promise: Promise<void>;
  readonly open: () => void;
}

function latch(): Latch {
  let open: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/**
 * Reads records of assigned partitions, each once and in order of its partition, over reconnects
 * and changes of leaders.
 *
 *     await using consumer = new Consumer({ bootstrapServers: "127.0.0.1:9192" });
 *     await consumer.assign([{ topic: "orders", partition: 0, offset: "beginning" }]);
 *     for await (const message of consumer) console.log(message.offset, message.value);
 *
 * Iteration goes on until `close`, and where it was left if it is begun again. It throws
 * OFFSET_OUT_OF_RANGE (with `autoOffsetReset` "none"), CORRUPT_MESSAGE, INVALID_RECORD (a
 * deserializer threw), UNKNOWN_TOPIC_OR_PARTITION, NO_BROKER_REACHABLE (never reached any), ABORTED:
 * the partition named then stands still until a seek, others go on when iteration is begun again.
 */
export class Consumer<Key = Uint8Array | null, Value = Uint8Array | null>
  implements AsyncDisposable, AsyncIterable<Message<Key, Value>>
{
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedConsumerOptions;
  readonly #deserializers: Deserializers<Key, Value>;
  readonly #driver: ConsumerDriver;
  /** Decompressed sections of batches whose turn has not come yet. */
  readonly #prepared = new WeakMap<ReadyBatch, Promise<Uint8Array>>();
  #current: Current<Key, Value> | undefined;
  #loading: Promise<void> | undefined;
  /** Opens when something has changed: a batch came, an offset, the end. */
  #change = latch();
  #assignments = 0;
  #closed = false;

  constructor(options: ConsumerOptions<Key, Value>) {
    this.#cluster = new ClusterClient(options);
    this.#options = consumerOptions(options);
    const { keyDeserializer: key, valueDeserializer: value } = options;
    this.#deserializers = {
      key: key === undefined ? undefined : (bytes, topic) => key(bytes, { topic }),
      value: value === undefined ? undefined : (bytes, topic) => value(bytes, { topic }),
    };
    this.#driver = new ConsumerDriver(this.#cluster, this.#options.core, () => this.#changed());
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
    this.#driver.core.seek(this.#state(target), target.offset);
    this.#driver.touch();
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

  [Symbol.asyncIterator](): AsyncIterableIterator<Message<Key, Value>> {
    return this.messages();
  }

  /** Message by message. */
  messages(options: IterationOptions = {}): AsyncIterableIterator<Message<Key, Value>> {
    return this.#iterate(() => this.#takeMessage(), options.signal);
  }

  /** Batch by batch: the fastest way. */
  batches(options: IterationOptions = {}): AsyncIterableIterator<MessageBatch<Key, Value>> {
    return this.#iterate(() => this.#takeBatch(), options.signal);
  }

  /** Ends every iteration and all connections. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#current = undefined;
    this.#driver.close();
    this.#cluster.close();
    this.#changed();
    await this.#loading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #assign(partitions: readonly Assignment[]): Promise<void> {
    this.#checkOpen();
    const seen = new Set<string>();
    for (const { offset = "beginning", partition, topic } of partitions) {
      checkStart(offset);
      if (!Number.isSafeInteger(partition) || partition < 0) {
        throw invalid("partition", partition, "an integer of at least 0");
      }
      const key = `${topic}-${partition}`;
      if (seen.has(key)) throw invalid("partitions", key, "each partition once");
      seen.add(key);
    }
    const { core } = this.#driver;
    core.clear();
    this.#current = undefined;
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
      await this.#change.promise;
      this.#checkOpen();
    }
  }

  #iterate<Item>(
    take: () => Item | undefined,
    signal: AbortSignal | undefined,
  ): AsyncIterableIterator<Item> {
    const next = (): Promise<IteratorResult<Item>> => {
      if (signal?.aborted === true) return Promise.reject(abortedError(signal));
      const value = take();
      // What lies ready is handed out without a turn through an async function.
      if (value !== undefined) return Promise.resolve({ done: false, value });
      return this.#nextLoaded(take, signal);
    };
    const iterator: AsyncIterableIterator<Item> = {
      next,
      return: () => Promise.resolve({ done: true, value: undefined }),
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  async #nextLoaded<Item>(
    take: () => Item | undefined,
    signal: AbortSignal | undefined,
  ): Promise<IteratorResult<Item>> {
    for (;;) {
      if (this.#closed) return { done: true, value: undefined };
      const value = take();
      if (value !== undefined) return { done: false, value };
      this.#loading ??= this.#load().finally(() => {
        this.#loading = undefined;
      });
      await (signal === undefined ? this.#loading : abortable(this.#loading, signal));
    }
  }

  /** The rest of the batch in hand, if it has not been voided by a seek or a pause. */
  #valid(): Current<Key, Value> | undefined {
    const current = this.#current;
    if (current === undefined || current.ready.state.version === current.ready.version)
      return current;
    this.#current = undefined;
    return undefined;
  }

  #takeMessage(): Message<Key, Value> | undefined {
    const current = this.#valid();
    if (current === undefined) return undefined;
    const { messages, ready } = current;
    const message = messages[current.index++] as Message<Key, Value>;
    if (current.index < messages.length) ready.state.position = message.offset + 1;
    else this.#finish(ready);
    return message;
  }

  #takeBatch(): MessageBatch<Key, Value> | undefined {
    const current = this.#valid();
    if (current === undefined) return undefined;
    const { index, ready } = current;
    const { highWatermark, partition, topic } = ready.state;
    const messages = index === 0 ? current.messages : current.messages.slice(index);
    this.#finish(ready);
    return { topic, partition, messages, highWatermark };
  }

  #finish(ready: ReadyBatch): void {
    ready.state.position = lastOffset(ready.batch.header) + 1;
    this.#current = undefined;
  }

  /** Settles when a batch is in hand, or the consumer closed; rejects with a partition's error. */
  async #load(): Promise<void> {
    const { core } = this.#driver;
    while (!this.#closed && this.#valid() === undefined) {
      const ready = core.next();
      if (ready === undefined) {
        await this.#change.promise;
        continue;
      }
      this.#driver.touch();
      const { header } = ready.batch;
      if (isControl(header)) {
        if (ready.state.version === ready.version) this.#finish(ready);
        continue;
      }
      try {
        const prepared = this.#prepared.get(ready) ?? this.#prepare(ready.batch);
        const section = prepared instanceof Uint8Array ? prepared : await prepared;
        const { partition, position = 0, topic, version } = ready.state;
        if (version !== ready.version) continue;
        const messages = decodeMessages(
          { topic, partition, fromOffset: position, header, section },
          this.#deserializers,
        );
        if (messages.length === 0) this.#finish(ready);
        else this.#current = { ready, messages, index: 0 };
      } catch (thrown) {
        core.failBatch(ready, placed(ready, toOttlaError(thrown)));
      }
      this.#prepareNext();
    }
  }

  /** Decompresses the next batch while the application works on this one. */
  #prepareNext(): void {
    const ready = this.#driver.core.peek();
    if (ready === undefined || compressionOf(ready.batch.header) === "none") return;
    if (this.#prepared.has(ready)) return;
    try {
      const prepared = this.#prepare(ready.batch);
      if (prepared instanceof Uint8Array) return;
      prepared.catch(() => undefined);
      this.#prepared.set(ready, prepared);
    } catch {
      // The same failure comes when its turn does, and is reported then.
    }
  }

  /** The batch's records, uncompressed; a promise only if they have to be decompressed. */
  #prepare(batch: Batch): Uint8Array | Promise<Uint8Array> {
    const { codecs } = this.#cluster.environment;
    if (this.#options.checkCrcs && !hasValidCrc(batch, codecs.crc32c)) {
      throw new OttlaError("CORRUPT_MESSAGE", "the batch's CRC-32C is not that of its bytes");
    }
    const compression = compressionOf(batch.header);
    if (compression === undefined) {
      throw new OttlaError("UNSUPPORTED_COMPRESSION_TYPE", "the batch names an unknown codec");
    }
    const section = recordsSection(batch);
    if (compression === "none") return section;
    return codecs.decompress(compression, section, LIMITS.decompressedBatchBytes);
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

  #checkOpen(): void {
    if (this.#closed) throw closedError("consumer");
  }

  #changed(): void {
    const { open } = this.#change;
    this.#change = latch();
    open();
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

/** The error with the batch's place in front, unless it says where it was itself. */
function placed(ready: ReadyBatch, error: OttlaError): OttlaError {
  const { partition, topic } = ready.state;
  const place = `${topic}-${partition} at offset `;
  if (error.message.startsWith(place)) return error;
  const message = `${place}${ready.batch.header.baseOffset}: ${error.message}`;
  return new OttlaError(error.code, message, { cause: error });
}
