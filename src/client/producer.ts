/** The producer as a program sees it: records in, their places in the log out. */
import { assert } from "../base/assert.ts";
import { utf8 } from "../base/bytes.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { NONE, type PartitionIndex } from "../model/ids.ts";
import type { RecordHeader } from "../record/records.ts";
import { abortable } from "./abort.ts";
import { ClusterClient } from "./cluster-client.ts";
import { partitionOfKey } from "./core/murmur2.ts";
import { type AppendedRecord, recordBytes, type TopicQueues } from "./core/producer-core.ts";
import { abortedError, closedError } from "./errors.ts";
import { noPartition, ProducerDriver } from "./producer-driver.ts";
import {
  type ProducerOptions,
  producerOptions,
  type ResolvedProducerOptions,
} from "./producer-options.ts";
import {
  acknowledgement,
  type Batch,
  Job,
  type RecordMetadata,
  Runs,
  type Settlement,
} from "./send-jobs.ts";
import type { Bytes, Serializer } from "./serializers.ts";

export type HeadersInput =
  | readonly { readonly key: string; readonly value: Bytes }[]
  | Readonly<Record<string, Bytes>>;

/** What a record is besides its topic. */
export interface RecordInput<Key = Bytes, Value = Bytes> {
  readonly key?: Key | null;
  /** Null is a tombstone in a compacted topic. */
  readonly value: Value;
  readonly headers?: HeadersInput;
  /** Milliseconds since 1970. Default: now. */
  readonly timestamp?: number;
  /** Default: the partitioner's choice. */
  readonly partition?: PartitionIndex;
}

export interface ProducerRecord<Key = Bytes, Value = Bytes> extends RecordInput<Key, Value> {
  readonly topic: string;
}

export interface SendOptions {
  /** Gives the wait up: ABORTED. A record that is in a batch already may still be written. */
  readonly signal?: AbortSignal;
}

export interface CloseOptions {
  /** How long to wait for acknowledgements, in ms. Default: as long as `deliveryTimeoutMs` lets it. */
  readonly timeoutMs?: number;
}

const NO_HEADERS: readonly RecordHeader[] = [];

/**
 * Writes records. One instance serves a whole program: sends share batches and connections.
 *
 *     await using producer = new Producer({ bootstrapServers: "127.0.0.1:9192" });
 *     const { partition, offset } = await producer.send({ topic: "orders", key: "42", value: "paid" });
 *
 * Errors of a send: MESSAGE_TOO_LARGE, BUFFER_EXHAUSTED (no memory within `maxBlockMs`),
 * DELIVERY_TIMED_OUT, UNKNOWN_TOPIC_OR_PARTITION, NO_BROKER_REACHABLE, ABORTED, CLOSED,
 * INVALID_ARGUMENT, or the broker's refusal.
 */
export class Producer<Key = Bytes, Value = Bytes> implements AsyncDisposable {
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedProducerOptions;
  readonly #serializeKey: Serializer<Key> | undefined;
  readonly #serializeValue: Serializer<Value> | undefined;
  readonly #driver: ProducerDriver;
  #closed: Promise<void> | undefined;

  constructor(options: ProducerOptions<Key, Value>) {
    this.#cluster = new ClusterClient(options);
    this.#options = producerOptions(options, this.#cluster.options.requestTimeoutMs);
    this.#serializeKey = options.keySerializer;
    this.#serializeValue = options.valueSerializer;
    this.#driver = new ProducerDriver(this.#cluster, this.#options);
  }

  /**
   * Adds the record to its partition's batch and settles with its place once it is acknowledged.
   * Records of one partition are written in the order of their sends.
   */
  send(record: ProducerRecord<Key, Value>, options?: SendOptions): Promise<RecordMetadata> {
    const signal = options?.signal;
    try {
      this.#checkOpen(signal);
      const { topic: name, partition: wanted } = record;
      const prepared = this.#prepare(name, record);
      const { core, jobs } = this.#driver;
      const count = core.topic(name)?.queues.length ?? 0;
      const known = count > (wanted ?? 0);
      if (known && !jobs.isBusy(name)) {
        const batch = this.#append(name, wanted, prepared);
        if (batch !== undefined) {
          const acknowledged = acknowledgement(batch, prepared.timestamp);
          return signal === undefined ? acknowledged : abortable(acknowledged, signal);
        }
      }
      const step = () => {
        const batch = this.#append(name, wanted, prepared);
        return batch && acknowledgement(batch, prepared.timestamp);
      };
      const target = { topic: name, partition: wanted ?? NONE };
      const job = new Job<RecordMetadata>(target, this.#deadlineMs(), step);
      if (known) this.#driver.waitForRoom(job);
      else this.#driver.waitForTopic(job);
      return signal === undefined ? job.done : job.abortable(signal);
    } catch (thrown) {
      return Promise.reject(toOttlaError(thrown));
    }
  }

  /**
   * Sends many records of one topic with one promise: cheaper than a `send` for each. Settles with
   * their places, in their order, once all are acknowledged. Rejects with the first failure; the
   * records before and after it may have been written.
   */
  sendBatch(
    topic: string,
    records: readonly RecordInput<Key, Value>[],
    options?: SendOptions,
  ): Promise<readonly RecordMetadata[]> {
    const signal = options?.signal;
    try {
      this.#checkOpen(signal);
      const runs = new Runs();
      let index = 0;
      const step = () => {
        for (; index < records.length; index++) {
          const record = records[index] as RecordInput<Key, Value>;
          const prepared = this.#prepare(topic, record);
          const batch = this.#append(topic, record.partition, prepared);
          if (batch === undefined) return undefined;
          runs.add(batch, prepared.timestamp);
        }
        return runs.settled();
      };
      const { core, jobs } = this.#driver;
      const count = core.topic(topic)?.queues.length ?? 0;
      let largest = NONE;
      for (const { partition = NONE } of records) largest = Math.max(largest, partition);
      const known = count > Math.max(0, largest);
      const target = { topic, partition: largest };
      const job = new Job<RecordMetadata[]>(target, this.#deadlineMs(), step);
      if (!known) this.#driver.waitForTopic(job);
      else if (jobs.isBusy(topic) || !job.run()) this.#driver.waitForRoom(job);
      return signal === undefined ? job.done : job.abortable(signal);
    } catch (thrown) {
      return Promise.reject(toOttlaError(thrown));
    }
  }

  /** Sends what waits in open batches at once and settles when every send so far has its outcome. */
  async flush(): Promise<void> {
    this.#checkOpen(undefined);
    await this.#driver.settleAll();
  }

  /** Flushes and closes; sends without an outcome by then reject with CLOSED. Idempotent. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(options.timeoutMs);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(timeoutMs: number | undefined): Promise<void> {
    const settled = this.#driver.settleAll();
    if (timeoutMs === undefined) await settled;
    else {
      const given = new AbortController();
      const { timers } = this.#cluster.environment;
      const timedOut = timers.sleep(timeoutMs, given.signal).catch(() => undefined);
      await Promise.race([settled, timedOut]);
      given.abort();
    }
    this.#driver.close();
    this.#cluster.close();
    await settled;
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    if (this.#closed !== undefined) throw closedError("producer");
    if (signal?.aborted === true) throw abortedError(signal);
  }

  #deadlineMs(): number {
    return this.#driver.touch() + this.#options.maxBlockMs;
  }

  /** The record in bytes. Throws INVALID_ARGUMENT, MESSAGE_TOO_LARGE, or what a serializer throws. */
  #prepare(topic: string, record: RecordInput<Key, Value>): AppendedRecord {
    const { key: keyInput, partition, value: valueInput } = record;
    const timestamp = record.timestamp ?? this.#driver.wallMs();
    const key =
      keyInput === undefined || keyInput === null
        ? null
        : this.#serializeKey === undefined
          ? checkedBytes("key", keyInput)
          : this.#serializeKey(keyInput, { topic });
    const value =
      this.#serializeValue === undefined
        ? checkedBytes("value", valueInput)
        : this.#serializeValue(valueInput, { topic });
    if (partition !== undefined && !isCount(partition)) {
      throw invalid("partition", partition, "an integer of at least 0");
    }
    if (!isCount(timestamp)) {
      throw invalid("timestamp", timestamp, "an integer of milliseconds since 1970");
    }
    const headers = record.headers === undefined ? NO_HEADERS : headerList(record.headers);
    const bytes = recordBytes(key, value, headers);
    const { maxRequestBytes } = this.#options.core;
    if (bytes > maxRequestBytes) {
      throw new OttlaError(
        "MESSAGE_TOO_LARGE",
        `a record of ${bytes} bytes for ${topic}, maxRequestSize allows ${maxRequestBytes}`,
        { field: "maxRequestSize" },
      );
    }
    return { key, value, headers, timestamp, bytes };
  }

  /** The batch that has the record now, or undefined if there is no room for it. */
  #append(
    name: string,
    wanted: PartitionIndex | undefined,
    record: AppendedRecord,
  ): Batch | undefined {
    const { core } = this.#driver;
    if (!core.hasRoomFor(record.bytes)) return undefined;
    const topic = core.topic(name);
    assert(topic !== undefined, "a topic is known before records are appended to it");
    const partition = this.#partition(topic, wanted, record);
    return core.append(topic, partition, record, this.#driver.touch());
  }

  #partition(
    topic: TopicQueues<Settlement>,
    wanted: PartitionIndex | undefined,
    record: AppendedRecord,
  ): PartitionIndex {
    const partitionsCount = topic.queues.length;
    if (wanted !== undefined) {
      if (wanted < partitionsCount) return wanted;
      throw noPartition(topic.name, wanted, partitionsCount);
    }
    const { core } = this.#driver;
    const { partitioner } = this.#options;
    if (partitioner === "round-robin") return core.roundRobinPartition(topic);
    if (typeof partitioner === "function") {
      const key = typeof record.key === "string" ? utf8(record.key) : record.key;
      const chosen = partitioner({ topic: topic.name, key, partitionsCount });
      if (isCount(chosen) && chosen < partitionsCount) return chosen;
      throw invalid("partitioner", chosen, `a partition of 0 to ${partitionsCount - 1}`);
    }
    if (record.key === null) return core.unkeyedPartition(topic, record.bytes);
    return partitionOfKey(record.key, partitionsCount);
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function invalid(field: string, value: unknown, allowed: string): OttlaError {
  const message = `${field} is ${String(value)}, allowed is ${allowed}`;
  return new OttlaError("INVALID_ARGUMENT", message, { field });
}

function checkedBytes(field: string, value: unknown): Bytes {
  if (value instanceof Uint8Array || typeof value === "string" || value === null) return value;
  throw invalid(field, typeof value, `a Uint8Array, a string or null, or set ${field}Serializer`);
}

function headerList(headers: HeadersInput): RecordHeader[] {
  const entries: readonly { readonly key: string; readonly value: Bytes }[] = Array.isArray(headers)
    ? (headers as readonly { readonly key: string; readonly value: Bytes }[])
    : Object.entries(headers).map(([key, value]) => ({ key, value: value as Bytes }));
  return entries.map(({ key, value }) => ({
    key,
    value: typeof value === "string" ? utf8(value) : value,
  }));
}
