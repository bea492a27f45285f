/** Produce: one batch for one partition, from the door to the acknowledgement. */
import { OFFSETS_TOPIC } from "../group/partition-of.ts";
import { type ErrorCode, OttlaError, toOttlaError } from "../model/errors.ts";
import { NONE, type Offset } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import type { Ports } from "../ports/ports.ts";
import { type Batch, compressionOf, stampLogAppendTime } from "../record/batch.ts";
import { validateKeys, validateProducedBatch } from "../record/validate.ts";
import type { DuplicateBatch } from "../replica/producer-states.ts";
import type { AckWaiter } from "../runtime/ack-queue.ts";
import type { LeaderReplica } from "../runtime/leader-replica.ts";
import { openBatch } from "../storage/open-batch.ts";
import type { LeaderHint, ProduceOne, ProduceResult } from "./broker-api.ts";
import { itemError, type Partitions } from "./partitions.ts";
import type { Traffic } from "./traffic.ts";

export interface ProducerDeskOptions {
  readonly partitions: Partitions;
  readonly traffic: Traffic;
}

const PRODUCE_LABELS = { request: "Produce" };
/** Longest wait for the ISR: what a timer can hold. */
const TIMEOUT_LONGEST_MS = 0x7fff_ffff;

/** A batch that is in the log and waits for its acknowledgement. */
interface PlacedProduce {
  readonly leader: LeaderReplica;
  readonly one: ProduceOne;
  readonly baseOffset: Offset;
  readonly endOffset: Offset;
  readonly logAppendTimeMs: number;
  readonly startedMs: number;
  /** What is answered in place of the offsets. */
  readonly refusal?: OttlaError;
}

class PendingProduce implements AckWaiter {
  readonly desk: ProducerDesk;
  readonly leader: LeaderReplica;
  readonly one: ProduceOne;
  readonly baseOffset: Offset;
  readonly endOffset: Offset;
  readonly logAppendTimeMs: number;
  readonly startedMs: number;
  readonly refusal: OttlaError | undefined;
  readonly deadlineMs: number;
  readonly resolve: (result: ProduceResult) => void;

  constructor(desk: ProducerDesk, placed: PlacedProduce, resolve: (result: ProduceResult) => void) {
    this.desk = desk;
    this.leader = placed.leader;
    this.one = placed.one;
    this.baseOffset = placed.baseOffset;
    this.endOffset = placed.endOffset;
    this.logAppendTimeMs = placed.logAppendTimeMs;
    this.startedMs = placed.startedMs;
    this.refusal = placed.refusal;
    const timeoutMs = Math.min(Math.max(0, placed.one.timeoutMs), TIMEOUT_LONGEST_MS);
    this.deadlineMs = placed.startedMs + timeoutMs;
    this.resolve = resolve;
  }

  settle(error: ErrorCode | undefined): void {
    this.desk.settle(this, error);
  }
}

export class ProducerDesk {
  readonly #ports: Ports;
  readonly #partitions: Partitions;
  readonly #traffic: Traffic;
  /**
   * Compressed batches of compacted topics are opened to see their keys, which takes a while: what
   * comes for the same partition meanwhile waits its turn.
   */
  readonly #opening = new Map<LeaderReplica, Promise<void>>();
  #inFlightBytes = 0;

  /** Bytes of batches that wait for acknowledgement, or to be opened. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  constructor(ports: Ports, options: ProducerDeskOptions) {
    this.#ports = ports;
    this.#partitions = options.partitions;
    this.#traffic = options.traffic;
  }

  /** Never rejects. */
  produce(one: ProduceOne): Promise<ProduceResult> {
    const startedMs = this.#ports.clock.monotonicMs();
    if (one.topic === OFFSETS_TOPIC) {
      const message = `topic ${OFFSETS_TOPIC} is written by the group coordinators alone`;
      const error = new OttlaError("INVALID_TOPIC_EXCEPTION", message, { field: "topic" });
      return Promise.resolve(this.#refuse(one, error, NONE));
    }
    const leader = this.#partitions.leader(one.topic, one.partition);
    if (leader === undefined) {
      const { error, leader: hint } = this.#partitions.refusal(one.topic, one.partition);
      const traffic = error.code === "UNKNOWN_TOPIC_OR_PARTITION";
      const counted = traffic ? this.#traffic.unknown : this.#traffic.of(one.topic);
      counted.produceRequests++;
      counted.produceFailures++;
      this.#traffic.failed("Produce", error.code);
      return Promise.resolve(refused(new OttlaError(error.code, error.message), NONE, hint));
    }
    this.#traffic.of(one.topic).produceRequests++;
    try {
      return this.#append(leader, one, startedMs);
    } catch (thrown) {
      return Promise.resolve(this.#failed(leader, one, thrown));
    }
  }

  /** Called by the pending batch itself, once. */
  settle(pending: PendingProduce, error: ErrorCode | undefined): void {
    const { one, leader, startedMs } = pending;
    this.#inFlightBytes -= one.batch.length;
    const seconds = (this.#ports.clock.monotonicMs() - startedMs) / 1_000;
    this.#ports.meter.observe("ottla_request_duration_seconds", PRODUCE_LABELS, seconds);
    const { logStartOffset } = leader.log;
    if (error !== undefined) {
      const why = new OttlaError(error, lateMessage(error, one));
      pending.resolve(this.#refuse(one, why, logStartOffset));
      return;
    }
    const { baseOffset, logAppendTimeMs, refusal } = pending;
    if (refusal !== undefined) {
      pending.resolve(this.#refuse(one, refusal, logStartOffset));
      return;
    }
    pending.resolve({
      error: undefined,
      baseOffset,
      logAppendTimeMs,
      logStartOffset,
      leader: undefined,
    });
  }

  #append(leader: LeaderReplica, one: ProduceOne, startedMs: number): Promise<ProduceResult> {
    const { acks } = one;
    if (acks !== -1 && acks !== 0 && acks !== 1) {
      throw new OttlaError("INVALID_REQUIRED_ACKS", `acks is ${acks}, allowed are -1, 0 and 1`);
    }
    const { config } = leader;
    const keysRequired = config.cleanupPolicy.includes("compact");
    const batch = validateProducedBatch(one.batch, {
      maxMessageBytes: config.maxMessageBytes,
      crc32c: this.#ports.codecs.crc32c,
      keysRequired,
    });
    const closed = keysRequired && compressionOf(batch.header) !== "none";
    if (!closed && !this.#opening.has(leader)) return this.#place(leader, one, batch, startedMs);
    this.#checkRoom(leader, one);
    return this.#inTurn(leader, one, async () => {
      if (closed) validateKeys(batch, await openBatch(batch, this.#ports.codecs));
      if (leader.closed) {
        throw new OttlaError(
          "NOT_LEADER_OR_FOLLOWER",
          "the replica led no more once it was opened",
        );
      }
      return { placed: this.#place(leader, one, batch, startedMs) };
    });
  }

  /** Runs `work` after what came before for the same partition; the acknowledgement is waited for later. */
  async #inTurn(
    leader: LeaderReplica,
    one: ProduceOne,
    work: () => Promise<{ readonly placed: Promise<ProduceResult> }>,
  ): Promise<ProduceResult> {
    const bytes = one.batch.length;
    this.#inFlightBytes += bytes;
    const turn = (this.#opening.get(leader) ?? Promise.resolve()).then(work);
    const over = turn
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        if (this.#opening.get(leader) === over) this.#opening.delete(leader);
      });
    this.#opening.set(leader, over);
    let placed: Promise<ProduceResult>;
    try {
      ({ placed } = await turn);
    } catch (thrown) {
      return this.#failed(leader, one, thrown);
    } finally {
      this.#inFlightBytes -= bytes;
    }
    return placed;
  }

  #place(
    leader: LeaderReplica,
    one: ProduceOne,
    batch: Batch,
    startedMs: number,
  ): Promise<ProduceResult> {
    const { config, log } = leader;
    const { acks, topic } = one;
    const short = acks === -1 && leader.underMinIsr;
    let duplicate: DuplicateBatch | undefined;
    try {
      duplicate = short ? repeatedBatch(leader, batch) : log.producers.check(batch.header);
    } catch (thrown) {
      const refusal = toOttlaError(thrown);
      const last = log.producers.get(batch.header.producerId)?.batches.at(-1);
      if (refusal.code !== "DUPLICATE_SEQUENCE_NUMBER" || last === undefined) throw thrown;
      // Producers take it for an acknowledgement, and it may repeat what nobody has acknowledged: a
      // part of a batch that was split since. So it is true once all of the producer's is committed.
      const endOffset = last.lastOffset + 1;
      const placed = { leader, one, baseOffset: NONE, endOffset, logAppendTimeMs: NONE };
      return this.#wait({ ...placed, startedMs, refusal });
    }
    if (duplicate !== undefined) {
      const { baseOffset, lastOffset } = duplicate;
      const placed = { leader, one, baseOffset, endOffset: lastOffset + 1, startedMs };
      return this.#wait({ ...placed, logAppendTimeMs: NONE });
    }
    if (short) throw notEnoughReplicas(leader, one);
    this.#checkRoom(leader, one);
    const nowMs = this.#ports.clock.wallMs();
    let stamped = batch;
    let logAppendTimeMs = NONE;
    if (config.messageTimestampType === "LogAppendTime") {
      logAppendTimeMs = nowMs;
      stamped = stampLogAppendTime(batch, nowMs, this.#ports.codecs.crc32c);
    } else checkTimestamps(leader, batch, nowMs);
    const baseOffset = leader.append(stamped);
    const traffic = this.#traffic.of(topic);
    traffic.messagesIn += batch.header.recordsCount;
    traffic.bytesIn += batch.header.sizeBytes;
    const endOffset = baseOffset + batch.header.lastOffsetDelta + 1;
    return this.#wait({ leader, one, baseOffset, endOffset, logAppendTimeMs, startedMs });
  }

  #wait(placed: PlacedProduce): Promise<ProduceResult> {
    const { acks } = placed.one;
    return new Promise((resolve) => {
      this.#inFlightBytes += placed.one.batch.length;
      const pending = new PendingProduce(this, placed, resolve);
      if (acks === 0) pending.settle(undefined);
      else placed.leader.wait(acks, pending);
    });
  }

  #checkRoom({ log }: LeaderReplica, one: ProduceOne): void {
    const bytes = one.batch.length;
    if (this.#inFlightBytes + bytes > LIMITS.produceInFlightBytes) {
      throw new OttlaError(
        "THROTTLING_QUOTA_EXCEEDED",
        `${this.#inFlightBytes} bytes wait for acknowledgement in this broker, allowed are ${LIMITS.produceInFlightBytes}`,
      );
    }
    if (log.queuedBytes + bytes > LIMITS.appendQueueBytes) {
      throw new OttlaError(
        "THROTTLING_QUOTA_EXCEEDED",
        `${log.queuedBytes} bytes wait for the disk of ${one.topic}-${one.partition}, allowed are ${LIMITS.appendQueueBytes}`,
      );
    }
  }

  #failed(leader: LeaderReplica, one: ProduceOne, thrown: unknown): ProduceResult {
    const error = toOttlaError(thrown);
    // Not a refusal: an invariant broke while the log was being changed.
    if (error.code === "UNKNOWN_SERVER_ERROR") this.#ports.fatal("produce failed", thrown);
    return this.#refuse(one, error, leader.log.logStartOffset);
  }

  #refuse(one: ProduceOne, error: OttlaError, logStartOffset: Offset): ProduceResult {
    const traffic = this.#traffic.of(one.topic);
    traffic.produceFailures++;
    if (error.code === "MESSAGE_TOO_LARGE") traffic.bytesRejected += one.batch.length;
    this.#traffic.failed("Produce", error.code);
    const moved = error.code === "NOT_LEADER_OR_FOLLOWER";
    const hint = moved ? this.#partitions.hint(one.topic, one.partition) : undefined;
    return refused(error, logStartOffset, hint);
  }
}

function refused(
  error: OttlaError,
  logStartOffset: Offset,
  leader: LeaderHint | undefined,
): ProduceResult {
  const baseOffset = NONE;
  return { error: itemError(error), baseOffset, logAppendTimeMs: NONE, logStartOffset, leader };
}

/**
 * While the ISR is too small every new batch is refused as such, whatever its sequence: were a
 * second batch in flight told OUT_OF_ORDER, its producer would give up where it should wait.
 */
function repeatedBatch(
  { log }: LeaderReplica,
  batch: Batch,
): ReturnType<typeof log.producers.check> {
  try {
    return log.producers.check(batch.header);
  } catch (thrown) {
    const { code } = toOttlaError(thrown);
    if (code === "OUT_OF_ORDER_SEQUENCE_NUMBER" || code === "UNKNOWN_PRODUCER_ID") return undefined;
    throw thrown;
  }
}

/**
 * `message.timestamp.before.max.ms` and `after.max.ms`, by the batch's first and largest timestamp:
 * the records between them are not opened for this.
 */
function checkTimestamps({ config }: LeaderReplica, { header }: Batch, nowMs: number): void {
  const { messageTimestampBeforeMaxMs, messageTimestampAfterMaxMs } = config;
  if (header.baseTimestamp >= 0 && nowMs - header.baseTimestamp > messageTimestampBeforeMaxMs) {
    throw new OttlaError(
      "INVALID_TIMESTAMP",
      `timestamp ${header.baseTimestamp} is more than ${messageTimestampBeforeMaxMs} ms before the broker's clock`,
      { field: "message.timestamp.before.max.ms" },
    );
  }
  if (header.maxTimestamp - nowMs > messageTimestampAfterMaxMs) {
    throw new OttlaError(
      "INVALID_TIMESTAMP",
      `timestamp ${header.maxTimestamp} is more than ${messageTimestampAfterMaxMs} ms after the broker's clock`,
      { field: "message.timestamp.after.max.ms" },
    );
  }
}

function notEnoughReplicas({ isr, config }: LeaderReplica, one: ProduceOne): OttlaError {
  return new OttlaError(
    "NOT_ENOUGH_REPLICAS",
    `${one.topic}-${one.partition} has ${isr.length} in-sync replicas, min.insync.replicas is ${config.minInsyncReplicas}`,
    { field: "min.insync.replicas" },
  );
}

function lateMessage(error: ErrorCode, one: ProduceOne): string {
  const partition = `${one.topic}-${one.partition}`;
  switch (error) {
    case "REQUEST_TIMED_OUT":
      return `${partition}: appended, but not acknowledged by the in-sync replicas within ${one.timeoutMs} ms`;
    case "NOT_ENOUGH_REPLICAS_AFTER_APPEND":
      return `${partition}: appended, then the in-sync replicas became fewer than min.insync.replicas`;
    case "KAFKA_STORAGE_ERROR":
      return `${partition}: the leader's disk failed before the batch was durable`;
    default:
      return `${partition}: the leader changed before the batch was acknowledged`;
  }
}
