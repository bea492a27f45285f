/**
 * A producer's decisions: which batch a record joins, when a batch is sealed and sent, what a
 * result means. No clock, no promise, no socket: time comes in as `nowMs` (monotonic), what is to
 * be done goes out as `ProducerEffects`. What it promises, whatever fails and is sent again:
 * with idempotence, the acknowledged records of a partition lie in its log in the order of their
 * `append`, each once.
 */
import { assert } from "../../base/assert.ts";
import { Prng } from "../../base/prng.ts";
import type { Compression } from "../../model/compression.ts";
import { type ErrorCode, OttlaError } from "../../model/errors.ts";
import { type BrokerId, type LeaderEpoch, NONE, type Offset } from "../../model/ids.ts";
import { BatchBuilder, type FieldValue, type RecordHeader } from "../../record/records.ts";
import { BufferPool } from "./buffer-pool.ts";
import { PartitionQueue } from "./partition-queue.ts";
import { RoundRobin, UnkeyedChoice } from "./partitioner.ts";
import { ProducerBatch, type ProducerIdentity, type Written } from "./producer-batch.ts";
import { type RetryLimits, retryDelayMs } from "./retry-delay.ts";

export interface ProducerCoreOptions {
  readonly acks: -1 | 0 | 1;
  readonly idempotent: boolean;
  /** Longest wait of a record for company. */
  readonly lingerMs: number;
  /** Whether a record whose partition has nothing under way goes at once, whatever `lingerMs`. */
  readonly sendWhenIdle: boolean;
  readonly batchSizeBytes: number;
  /** Largest record, and most bytes of batches in one request. */
  readonly maxRequestBytes: number;
  /** Batches of one partition under way at once. */
  readonly maxInFlightBatches: number;
  readonly bufferBytes: number;
  readonly deliveryTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** A request unanswered for this long makes the leader suspect. */
  readonly stallMs: number;
  readonly retry: RetryLimits;
  readonly compression: Compression;
  readonly crc32c: (bytes: Uint8Array) => number;
  /** For the choice of partitions without a key. */
  readonly seed: number;
}

/** A record for `append`. */
export interface AppendedRecord {
  readonly key: FieldValue;
  readonly value: FieldValue;
  readonly headers: readonly RecordHeader[];
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** Its `recordBytes`. */
  readonly bytes: number;
}

export interface LeaderState {
  readonly partition: number;
  readonly leader: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
}

export interface ProduceOutcome {
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
  readonly baseOffset: Offset;
  readonly logAppendTimeMs: number;
}

export interface SendEffect<Attachment> {
  readonly brokerId: BrokerId;
  /** Of different partitions; `bytes` is set. The bytes must be copied before the next drain. */
  readonly batches: readonly ProducerBatch<Attachment>[];
}

export interface ProducerEffects<Attachment> {
  readonly sends: readonly SendEffect<Attachment>[];
  /** To be compressed; then `onCompressed`. */
  readonly compress: readonly ProducerBatch<Attachment>[];
  /** Batches that have their outcome now. */
  readonly settled: readonly ProducerBatch<Attachment>[];
  /** Some partition has no usable leader. */
  readonly metadataWanted: boolean;
  readonly identityWanted: boolean;
  /** Brokers that left a request unanswered for `requestTimeoutMs`. */
  readonly hungBrokers: readonly BrokerId[];
  /** When `drain` must be called again at the latest; Infinity: not before something happens. */
  readonly wakeAtMs: number;
}

/** Refusals after which nobody knows whether the batch was appended. */
const AMBIGUOUS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "REQUEST_TIMED_OUT",
  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  "NETWORK_EXCEPTION",
]);
/** Refusals that say: the leader is elsewhere, or not yet here. */
const LEADER_SUSPECT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "NOT_LEADER_OR_FOLLOWER",
  "LEADER_NOT_AVAILABLE",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "KAFKA_STORAGE_ERROR",
  "REPLICA_NOT_AVAILABLE",
  "BROKER_NOT_AVAILABLE",
  "NETWORK_EXCEPTION",
  "SHUTTING_DOWN",
]);
const SEQUENCE_MODULUS = 0x8000_0000;
/** Varints, attributes and deltas of a record around its key and value, at most. */
const RECORD_OVERHEAD_BYTES = 36;
const SMALLEST_BATCH_BYTES = 1024;

/** About how many bytes the record takes in a batch; exact or more unless a string is not ASCII. */
export function recordBytes(
  key: FieldValue,
  value: FieldValue,
  headers: readonly RecordHeader[],
): number {
  let size = RECORD_OVERHEAD_BYTES + (key === null ? 0 : key.length);
  if (value !== null) size += value.length;
  for (const header of headers) size += 10 + header.key.length * 3 + (header.value?.length ?? 0);
  return size;
}

/** A topic's queues, by partition, and where its records without a key go. */
export interface TopicQueues<Attachment> {
  readonly name: string;
  readonly queues: PartitionQueue<Attachment>[];
  readonly unkeyed: UnkeyedChoice;
  readonly roundRobin: RoundRobin;
  /** Of a partition: whether its leader is known and reachable. */
  readonly isAvailable: (partition: number) => boolean;
}

export class ProducerCore<Attachment> {
  readonly #options: ProducerCoreOptions;
  readonly #prng: Prng;
  readonly #pool: BufferPool;
  readonly #topics = new Map<string, TopicQueues<Attachment>>();
  /** Queues that hold a batch. */
  readonly #active = new Set<PartitionQueue<Attachment>>();
  readonly #unsettled = new Set<ProducerBatch<Attachment>>();
  readonly #down = new Set<BrokerId>();
  #settled: ProducerBatch<Attachment>[] = [];
  #compress: ProducerBatch<Attachment>[] = [];
  #identity: ProducerIdentity | undefined;
  #usedBytes = 0;
  #nextOrder = 1;
  #rotation = 0;

  constructor(options: ProducerCoreOptions) {
    assert(options.maxInFlightBatches >= 1, "at least one batch must be allowed under way");
    this.#options = options;
    this.#prng = new Prng(options.seed);
    this.#pool = new BufferPool(options.batchSizeBytes, options.bufferBytes);
  }

  /** Batches without an outcome yet, oldest first. */
  unsettled(): readonly ProducerBatch<Attachment>[] {
    return [...this.#unsettled];
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Undefined before the topic's first metadata. */
  topic(name: string): TopicQueues<Attachment> | undefined {
    return this.#topics.get(name);
  }

  /** The partition of a record of `bytes` without a key. */
  unkeyedPartition(topic: TopicQueues<Attachment>, bytes: number): number {
    const choose = () => topic.unkeyed.current(topic.queues.length, topic.isAvailable, this.#below);
    const partition = choose();
    const queue = topic.queues[partition];
    // Sealed here, not in `append`: else this record would begin a batch that no other one joins.
    if (queue?.open === undefined || this.#fits(queue, queue.open, bytes)) return partition;
    this.#seal(queue, queue.open);
    return choose();
  }

  roundRobinPartition(topic: TopicQueues<Attachment>): number {
    return topic.roundRobin.next(topic.queues.length, topic.isAvailable);
  }

  hasRoomFor(bytes: number): boolean {
    return this.#usedBytes + bytes <= this.#options.bufferBytes;
  }

  /** Takes the leaders of all partitions of a topic, in order. */
  updateLeaders(name: string, leaders: readonly LeaderState[], nowMs: number): void {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = this.#newTopic(name);
      this.#topics.set(name, topic);
    }
    const { queues } = topic;
    // Fewer than before: another topic of the same name. Nothing may choose what is gone, and what
    // waits for it goes nowhere.
    for (const gone of queues.splice(leaders.length)) gone.leader = NONE;
    for (const { partition, leader, leaderEpoch } of leaders) {
      let queue = queues[partition];
      if (queue === undefined) {
        queue = new PartitionQueue<Attachment>(name, partition, this.#options.batchSizeBytes);
        queues[partition] = queue;
      }
      if (queue.leader === leader && queue.leaderEpoch === leaderEpoch) continue;
      queue.leader = leader;
      queue.leaderEpoch = leaderEpoch;
      queue.leaderSuspect = false;
      // News of a leader is the reason to try at once.
      queue.retryAtMs = nowMs;
    }
  }

  /** The identity that partitions without one sign their batches with from now on. */
  setIdentity(identity: ProducerIdentity): void {
    this.#identity = identity;
  }

  /** Whether the first batch will have to wait for an identity. */
  get lacksIdentity(): boolean {
    return this.#options.idempotent && this.#identity === undefined;
  }

  /** No identity is to be had now: what expires meanwhile says so. */
  noteIdentityError(error: OttlaError): void {
    for (const queue of this.#active) {
      if (queue.identity === undefined) queue.lastError = error;
    }
  }

  /**
   * Adds a record to its partition's open batch and returns the batch; the record's index in it is
   * `batch.recordsCount - 1`. The caller has asked `hasRoomFor` and knows the partition.
   */
  append(
    topic: TopicQueues<Attachment>,
    partition: number,
    record: AppendedRecord,
    nowMs: number,
  ): ProducerBatch<Attachment> {
    const queue = topic.queues[partition];
    assert(queue !== undefined, "records are appended to known partitions");
    let batch = queue.open;
    if (batch !== undefined && !this.#fits(queue, batch, record.bytes)) {
      this.#seal(queue, batch);
      batch = undefined;
    }
    if (batch === undefined) batch = this.#openBatch(queue, record.bytes, nowMs);
    batch.builder.appendFields(record.timestamp, record.key, record.value, record.headers);
    batch.reservedBytes += record.bytes;
    this.#usedBytes += record.bytes;
    return batch;
  }

  onCompressed(batch: ProducerBatch<Attachment>, section: Uint8Array): void {
    if (batch.state !== "done") batch.compressed = section;
  }

  onCompressionFailed(batch: ProducerBatch<Attachment>, error: OttlaError): void {
    if (batch.state !== "done") this.#fail(batch, error);
  }

  /** The broker's stream broke: what it was sent and did not answer is sent again. */
  onBrokerLost(brokerId: BrokerId, error: OttlaError, nowMs: number): void {
    this.#down.add(brokerId);
    for (const queue of this.#active) {
      for (const batch of [...queue.inFlight]) {
        if (batch.sentTo === brokerId) this.#retryLater(batch, error, true, nowMs);
      }
    }
  }

  /** The broker can be reached (again). */
  onBrokerUp(brokerId: BrokerId): void {
    this.#down.delete(brokerId);
  }

  /** A broker's answer for one batch; ignored unless it belongs to the batch's present attempt. */
  onResult(
    batch: ProducerBatch<Attachment>,
    attempt: number,
    outcome: ProduceOutcome,
    nowMs: number,
  ): void {
    if (batch.state !== "in-flight" || batch.attempt !== attempt) return;
    const { queue } = batch;
    const { error } = outcome;
    if (error === undefined || error.code === "DUPLICATE_SEQUENCE_NUMBER") {
      queue.failingSinceMs = undefined;
      queue.lastError = undefined;
      queue.leaderSuspect = false;
      if (batch.place.order > queue.uncertainOrder) queue.uncertainOrder = -1;
      const baseOffset = error === undefined ? outcome.baseOffset : -1;
      this.#settle(batch, { baseOffset, logAppendTimeMs: outcome.logAppendTimeMs });
      return;
    }
    const refusal = new OttlaError(
      error.code,
      `${queue.topic}-${queue.partition}: ${error.message}`,
    );
    if (this.#isSequenceRefusal(batch, error.code)) {
      if (queue.isHead(batch)) {
        queue.reset ??=
          error.code === "OUT_OF_ORDER_SEQUENCE_NUMBER" ? "out-of-order" : "unknown-producer";
      }
      this.#retryLater(batch, refusal, false, nowMs);
    } else if (error.code === "MESSAGE_TOO_LARGE" && batch.recordsCount > 1) {
      this.#split(batch);
    } else if (refusal.retriable) {
      this.#retryLater(batch, refusal, AMBIGUOUS.has(error.code), nowMs);
    } else {
      this.#fail(batch, refusal, true);
    }
  }

  /** Gives up every batch: the producer is closed without waiting. */
  failAll(error: OttlaError): void {
    for (const batch of [...this.#unsettled]) {
      if (batch.parts === undefined) this.#fail(batch, error);
    }
  }

  /** `pressed`: somebody waits for memory or for a flush, so batches go as soon as they can. */
  drain(nowMs: number, pressed: boolean): ProducerEffects<Attachment> {
    this.#pool.recycle();
    const hung = new Set<BrokerId>();
    const sendable: PartitionQueue<Attachment>[] = [];
    let metadataWanted = false;
    let identityWanted = false;
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const queue of this.#active) {
      const expiresMs = this.#expire(queue, nowMs);
      const stalledAtMs = this.#checkInFlight(queue, nowMs, hung);
      if (queue.reset !== undefined && queue.inFlight.length === 0) this.#applyReset(queue);
      if (queue.isEmpty) {
        this.#active.delete(queue);
        continue;
      }
      wakeAtMs = Math.min(wakeAtMs, expiresMs, stalledAtMs);
      const usable = queue.leader !== NONE && !this.#down.has(queue.leader);
      if (!usable || queue.leaderSuspect) metadataWanted = true;
      const signed = this.#hasIdentity(queue);
      if (!signed) identityWanted = true;
      if (!usable || !signed || queue.reset !== undefined) continue;
      if (queue.retryAtMs > nowMs) {
        wakeAtMs = Math.min(wakeAtMs, queue.retryAtMs);
        continue;
      }
      const dueMs = this.#sealIfDue(queue, nowMs, pressed);
      wakeAtMs = Math.min(wakeAtMs, dueMs);
      sendable.push(queue);
    }
    const sends = this.#collect(sendable, nowMs);
    if (sends.length > 0) wakeAtMs = Math.min(wakeAtMs, nowMs + this.#options.stallMs);
    const settled = this.#settled;
    const compress = this.#compress;
    this.#settled = [];
    this.#compress = [];
    const hungBrokers = [...hung];
    return { sends, compress, settled, metadataWanted, identityWanted, hungBrokers, wakeAtMs };
  }

  readonly #below = (bound: number): number => this.#prng.below(bound);

  #newTopic(name: string): TopicQueues<Attachment> {
    const queues: PartitionQueue<Attachment>[] = [];
    const isAvailable = (partition: number) => {
      const leader = queues[partition]?.leader ?? NONE;
      return leader !== NONE && !this.#down.has(leader);
    };
    const [unkeyed, roundRobin] = [new UnkeyedChoice(), new RoundRobin()];
    return { name, queues, unkeyed, roundRobin, isAvailable };
  }

  #fits(
    queue: PartitionQueue<Attachment>,
    batch: ProducerBatch<Attachment>,
    bytes: number,
  ): boolean {
    return batch.builder.sizeBytes + bytes <= queue.batchSizeBytes;
  }

  #openBatch(
    queue: PartitionQueue<Attachment>,
    recordSizeBytes: number,
    nowMs: number,
  ): ProducerBatch<Attachment> {
    const capacity = Math.max(queue.capacityHintBytes, recordSizeBytes + 64);
    const builder = new BatchBuilder(capacity, this.#pool.take(capacity));
    const place = { order: this.#nextOrder++, orderSpan: 1, createdMs: nowMs };
    const batch = new ProducerBatch<Attachment>(queue, place, builder);
    queue.open = batch;
    this.#active.add(queue);
    this.#unsettled.add(batch);
    return batch;
  }

  #seal(queue: PartitionQueue<Attachment>, batch: ProducerBatch<Attachment>): void {
    queue.open = undefined;
    batch.state = "sealed";
    queue.sealed.push(batch);
    this.#topics.get(queue.topic)?.unkeyed.onSealed(queue.partition);
    const { sizeBytes } = batch.builder;
    const wanted = sizeBytes > queue.batchSizeBytes / 2 ? queue.batchSizeBytes : sizeBytes * 2;
    queue.capacityHintBytes = Math.max(SMALLEST_BATCH_BYTES, wanted);
    this.#requestCompression(batch);
  }

  #requestCompression(batch: ProducerBatch<Attachment>): void {
    if (this.#options.compression !== "none") this.#compress.push(batch);
  }

  /** When the open batch is due to be sealed; Infinity if there is none or it has just been sealed. */
  #sealIfDue(queue: PartitionQueue<Attachment>, nowMs: number, pressed: boolean): number {
    const batch = queue.open;
    if (batch === undefined) return Number.POSITIVE_INFINITY;
    // While the partition has all that it may under way, waiting costs nothing: the batch fills.
    const waiting = queue.inFlight.length + queue.retry.length + queue.sealed.length;
    if (waiting >= this.#options.maxInFlightBatches) return Number.POSITIVE_INFINITY;
    const dueMs = batch.place.createdMs + this.#options.lingerMs;
    const due = nowMs >= dueMs || pressed || (this.#options.sendWhenIdle && queue.isIdle);
    if (!due) return dueMs;
    this.#seal(queue, batch);
    return Number.POSITIVE_INFINITY;
  }

  #hasIdentity(queue: PartitionQueue<Attachment>): boolean {
    if (!this.#options.idempotent || queue.identity !== undefined) return true;
    if (this.#identity === undefined || this.#identity === queue.retiredIdentity) return false;
    queue.identity = this.#identity;
    queue.nextSequence = 0;
    return true;
  }

  /** Takes what may be sent now: rounds of at most one batch for each partition, so none starves. */
  #collect(queues: readonly PartitionQueue<Attachment>[], nowMs: number): SendEffect<Attachment>[] {
    const sends: SendEffect<Attachment>[] = [];
    if (queues.length === 0) return sends;
    const first = this.#rotation++ % queues.length;
    for (let again = true; again; ) {
      again = false;
      const requests = new Map<BrokerId, { batches: ProducerBatch<Attachment>[]; bytes: number }>();
      for (let step = 0; step < queues.length; step++) {
        const queue = queues[(first + step) % queues.length] as PartitionQueue<Attachment>;
        const batch = this.#takeSendable(queue, nowMs);
        if (batch === undefined) continue;
        again = true;
        const size = batch.bytes?.length ?? 0;
        let request = requests.get(queue.leader);
        if (request !== undefined && request.bytes + size > this.#options.maxRequestBytes) {
          sends.push({ brokerId: queue.leader, batches: request.batches });
          request = undefined;
        }
        if (request === undefined) {
          request = { batches: [], bytes: 0 };
          requests.set(queue.leader, request);
        }
        request.batches.push(batch);
        request.bytes += size;
        if (this.#options.acks === 0) {
          this.#settle(batch, { baseOffset: -1, logAppendTimeMs: -1 });
        }
      }
      for (const [brokerId, { batches }] of requests) sends.push({ brokerId, batches });
    }
    return sends;
  }

  #takeSendable(
    queue: PartitionQueue<Attachment>,
    nowMs: number,
  ): ProducerBatch<Attachment> | undefined {
    if (queue.inFlight.length >= this.#options.maxInFlightBatches) return undefined;
    const batch = queue.nextToSend();
    if (batch === undefined) return undefined;
    const { compression, crc32c, idempotent } = this.#options;
    if (compression !== "none" && batch.compressed === undefined) return undefined;
    if (batch.state === "retry") queue.retry.shift();
    else queue.sealed.shift();
    if (idempotent && batch.baseSequence < 0) {
      batch.identity = queue.identity;
      batch.baseSequence = queue.nextSequence;
      queue.nextSequence = (queue.nextSequence + batch.recordsCount) % SEQUENCE_MODULUS;
      batch.encode(compression, crc32c);
    } else if (batch.bytes === undefined) batch.encode(compression, crc32c);
    batch.state = "in-flight";
    batch.attempt++;
    batch.sentMs = nowMs;
    batch.sentTo = queue.leader;
    queue.inFlight.push(batch);
    return batch;
  }

  /** Fails what has waited for longer than `deliveryTimeoutMs`; returns when the next one will have. */
  #expire(queue: PartitionQueue<Attachment>, nowMs: number): number {
    const { deliveryTimeoutMs } = this.#options;
    for (;;) {
      const oldest = oldestOf(queue);
      if (oldest === undefined) return Number.POSITIVE_INFINITY;
      const expiresMs = oldest.place.createdMs + deliveryTimeoutMs;
      if (expiresMs > nowMs) return expiresMs;
      const why =
        queue.lastError === undefined
          ? ""
          : `; the last error was ${queue.lastError.code}: ${queue.lastError.message}`;
      const message = `${queue.topic}-${queue.partition}: not acknowledged within deliveryTimeoutMs=${deliveryTimeoutMs}${why}`;
      this.#fail(oldest, new OttlaError("DELIVERY_TIMED_OUT", message, { cause: queue.lastError }));
    }
  }

  /** Looks at unanswered batches; returns when one of them must be looked at again. */
  #checkInFlight(queue: PartitionQueue<Attachment>, nowMs: number, hung: Set<BrokerId>): number {
    const { stallMs, requestTimeoutMs } = this.#options;
    const first = queue.inFlight[0];
    if (first === undefined) return Number.POSITIVE_INFINITY;
    // In order of sending, so the first is the oldest.
    if (nowMs - first.sentMs < stallMs) return first.sentMs + stallMs;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const batch of [...queue.inFlight]) {
      const age = nowMs - batch.sentMs;
      if (age < stallMs) {
        nextMs = Math.min(nextMs, batch.sentMs + stallMs);
        continue;
      }
      if (age >= requestTimeoutMs) hung.add(batch.sentTo);
      // A frozen broker keeps its connection; only news of another leader frees what it holds.
      if (queue.leader !== batch.sentTo) {
        const message = `broker ${batch.sentTo} did not answer within ${Math.round(age)} ms and no longer leads`;
        this.#retryLater(batch, new OttlaError("NETWORK_EXCEPTION", message), true, nowMs);
        queue.retryAtMs = nowMs;
      } else queue.leaderSuspect = true;
      nextMs = Math.min(nextMs, Math.max(nowMs + stallMs, batch.sentMs + requestTimeoutMs));
    }
    return nextMs;
  }

  #retryLater(
    batch: ProducerBatch<Attachment>,
    error: OttlaError,
    ambiguous: boolean,
    nowMs: number,
  ): void {
    const { queue } = batch;
    queue.remove(batch);
    if (ambiguous) batch.ambiguous = true;
    queue.failingSinceMs ??= nowMs;
    queue.lastError = error;
    if (LEADER_SUSPECT.has(error.code) && batch.sentTo === queue.leader) queue.leaderSuspect = true;
    queue.retryAtMs = nowMs + retryDelayMs(nowMs - queue.failingSinceMs, this.#options.retry);
    queue.addToRetry(batch);
  }

  #isSequenceRefusal(batch: ProducerBatch<Attachment>, code: ErrorCode): boolean {
    return (
      batch.identity !== undefined &&
      (code === "OUT_OF_ORDER_SEQUENCE_NUMBER" ||
        code === "UNKNOWN_PRODUCER_ID" ||
        code === "INVALID_PRODUCER_EPOCH")
    );
  }

  /**
   * The broker misses a sequence that will not come (its batch failed or expired), or forgot the
   * producer. What is left gets a new identity and sequences from 0: safe only for batches that
   * cannot reach the log any more as they were sent. That is so if every attempt was answered, and
   * behind a gap that is certain. But a batch that expired unanswered may lie in the socket of a
   * broken connection, with those behind it: if the broker reads them late, they fill the gap
   * themselves. Those are failed, like all unanswered ones once the broker forgot the producer.
   */
  #applyReset(queue: PartitionQueue<Attachment>): void {
    const certainGap = queue.reset === "out-of-order" && queue.uncertainOrder < 0;
    queue.reset = undefined;
    queue.retiredIdentity = queue.identity;
    queue.identity = undefined;
    queue.nextSequence = 0;
    queue.uncertainOrder = -1;
    for (const batch of [...queue.retry]) {
      if (batch.baseSequence < 0) continue;
      if (certainGap || !batch.ambiguous) {
        batch.baseSequence = -1;
        batch.ambiguous = false;
        continue;
      }
      const { lastError, partition, topic } = queue;
      const message = `${topic}-${partition}: unanswered, and the broker lost the producer's sequence; it may have been written`;
      this.#fail(batch, new OttlaError(lastError?.code ?? "UNKNOWN_PRODUCER_ID", message), true);
    }
  }

  /** The batch is larger than the topic's `max.message.bytes`: two halves take its sequences. */
  #split(batch: ProducerBatch<Attachment>): void {
    const { queue } = batch;
    queue.remove(batch);
    queue.batchSizeBytes = Math.max(SMALLEST_BATCH_BYTES, batch.builder.sizeBytes >> 1);
    queue.capacityHintBytes = Math.min(queue.capacityHintBytes, queue.batchSizeBytes);
    let sequence = batch.baseSequence;
    for (const half of batch.split()) {
      if (sequence >= 0) {
        half.identity = batch.identity;
        half.ambiguous = batch.ambiguous;
        half.baseSequence = sequence;
        sequence = (sequence + half.recordsCount) % SEQUENCE_MODULUS;
      }
      this.#unsettled.add(half);
      queue.addToRetry(half);
      this.#requestCompression(half);
    }
  }

  #settle(batch: ProducerBatch<Attachment>, written: Written): void {
    batch.written = written;
    this.#finish(batch);
  }

  /** `answered`: its last attempt got an answer. */
  #fail(batch: ProducerBatch<Attachment>, error: OttlaError, answered = false): void {
    const underWay = batch.ambiguous || (batch.state === "in-flight" && !answered);
    if (underWay && batch.identity !== undefined && batch.identity === batch.queue.identity) {
      batch.queue.uncertainOrder = Math.max(batch.queue.uncertainOrder, batch.place.order);
    }
    batch.error = error;
    this.#finish(batch);
  }

  #finish(batch: ProducerBatch<Attachment>): void {
    assert(batch.state !== "done", "a batch has one outcome");
    batch.queue.remove(batch);
    batch.state = "done";
    this.#usedBytes -= batch.reservedBytes;
    batch.reservedBytes = 0;
    this.#pool.give(batch.builder.buffer);
    this.#unsettled.delete(batch);
    this.#settled.push(batch);
    const { parent } = batch;
    if (parent?.parts?.every((part) => part.batch.state === "done") === true) this.#finish(parent);
  }
}

function oldestOf<Attachment>(
  queue: PartitionQueue<Attachment>,
): ProducerBatch<Attachment> | undefined {
  const sent = queue.inFlight[0];
  const again = queue.retry[0];
  if (sent !== undefined && again !== undefined) {
    return sent.place.order < again.place.order ? sent : again;
  }
  return sent ?? again ?? queue.sealed[0] ?? queue.open;
}
