/**
 * One batch of a producer, from its first record to its outcome. Its states:
 *
 *   open -> sealed -> in-flight -> done          (-> retry -> in-flight as often as needed)
 *
 * A sealed batch takes no more records; it gets its sequence when it is sent for the first time
 * and keeps bytes and sequence through every retry, so that a broker recognises a repetition.
 */
import { assert } from "../../base/assert.ts";
import type { Compression } from "../../model/compression.ts";
import type { OttlaError } from "../../model/errors.ts";
import type { BrokerId, Offset } from "../../model/ids.ts";
import {
  BATCH_HEADER_BYTES,
  MAGIC_V2,
  readBatchHeader,
  writeBatchHeader,
} from "../../record/batch.ts";
import { BatchBuilder, visitRecords } from "../../record/records.ts";
import type { PartitionQueue } from "./partition-queue.ts";

/** What an idempotent producer signs its batches with (KIP-98). */
export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface Written {
  /** Offset of the batch's first record; -1 if the broker told none (acks 0, or an old repetition). */
  readonly baseOffset: Offset;
  /** -1 unless the topic stamps LogAppendTime. */
  readonly logAppendTimeMs: number;
}

export type BatchState = "open" | "sealed" | "in-flight" | "retry" | "done";

interface Part<Attachment> {
  readonly fromIndex: number;
  readonly batch: ProducerBatch<Attachment>;
}

export interface BatchPlace {
  /** Rises with the batches of a producer; halves of a split batch lie between. */
  readonly order: number;
  readonly orderSpan: number;
  readonly createdMs: number;
}

export class ProducerBatch<Attachment = unknown> {
  readonly queue: PartitionQueue<Attachment>;
  readonly place: BatchPlace;
  readonly builder: BatchBuilder;
  state: BatchState = "open";
  /** What the caller of the core hangs on the batch: who waits for it. */
  attachment: Attachment | undefined;
  /** Bytes of `buffer.memory` that it holds. */
  reservedBytes = 0;
  /** Undefined: no compression was asked for, or it is not done yet. */
  compressed: Uint8Array | undefined;
  /** The wire form, once sent. */
  bytes: Uint8Array | undefined;
  identity: ProducerIdentity | undefined;
  /** -1: none yet. */
  baseSequence = -1;
  /** Rises with each send; a result of an earlier attempt is stale. */
  attempt = 0;
  sentMs = 0;
  sentTo: BrokerId = -1;
  /** An earlier attempt may have been appended without our hearing of it. */
  ambiguous = false;
  written: Written | undefined;
  error: OttlaError | undefined;
  /** Set once it was refused as too large and split. */
  parts: readonly Part<Attachment>[] | undefined;
  parent: ProducerBatch<Attachment> | undefined;

  constructor(queue: PartitionQueue<Attachment>, place: BatchPlace, builder: BatchBuilder) {
    this.queue = queue;
    this.place = place;
    this.builder = builder;
  }

  get recordsCount(): number {
    return this.builder.recordsCount;
  }

  /** Offset of one record, -1 if no broker told it; throws the batch's error. Only once settled. */
  offsetOf(index: number): Offset {
    const part = this.#partOf(index);
    if (part !== undefined) return part.batch.offsetOf(index - part.fromIndex);
    if (this.error !== undefined) throw this.error;
    assert(this.written !== undefined, "only a settled batch has an outcome");
    const { baseOffset } = this.written;
    return baseOffset < 0 ? -1 : baseOffset + index;
  }

  /** The record's timestamp in the log, which is its own unless the topic stamps LogAppendTime. */
  timestampOf(index: number, own: number): number {
    const part = this.#partOf(index);
    if (part !== undefined) return part.batch.timestampOf(index - part.fromIndex, own);
    const stamped = this.written?.logAppendTimeMs ?? -1;
    return stamped >= 0 ? stamped : own;
  }

  /** Writes header and CRC with the present identity and sequence. */
  encode(codec: Compression, crc32c: (bytes: Uint8Array) => number): Uint8Array {
    const producerId = this.identity?.producerId ?? -1;
    const producerEpoch = this.identity?.producerEpoch ?? -1;
    if (this.bytes === undefined) {
      this.bytes = this.builder.seal({
        codec,
        compressed: this.compressed,
        producerId,
        producerEpoch,
        baseSequence: this.baseSequence,
        crc32c,
      });
      return this.bytes;
    }
    const header = readBatchHeader(this.bytes);
    assert(header.magic === MAGIC_V2, "a batch that was sent has a header");
    const { baseSequence } = this;
    writeBatchHeader(this.bytes, { ...header, producerId, producerEpoch, baseSequence }, crc32c);
    return this.bytes;
  }

  #partOf(index: number): Part<Attachment> | undefined {
    return this.parts?.findLast((each) => each.fromIndex <= index);
  }

  /** Two batches with the first and the second half of the records, in order. */
  split(): readonly [ProducerBatch<Attachment>, ProducerBatch<Attachment>] {
    const { order, orderSpan, createdMs } = this.place;
    const middle = this.recordsCount >> 1;
    const capacity = BATCH_HEADER_BYTES + (this.builder.sizeBytes >> 1) + 1024;
    const half = (index: 0 | 1) => {
      const place = { order: order + (index * orderSpan) / 2, orderSpan: orderSpan / 2, createdMs };
      return new ProducerBatch<Attachment>(this.queue, place, new BatchBuilder(capacity));
    };
    const halves = [half(0), half(1)] as const;
    let index = 0;
    const header = {
      ...SECTION_HEADER,
      recordsCount: this.recordsCount,
      baseTimestamp: this.builder.baseTimestamp,
    };
    visitRecords(header, this.builder.section(), (_offset, timestamp, key, value, headers) => {
      halves[index < middle ? 0 : 1].builder.appendFields(timestamp, key, value, headers);
      index++;
    });
    const firstShare = Math.floor((this.reservedBytes * middle) / this.recordsCount);
    halves[0].reservedBytes = firstShare;
    halves[1].reservedBytes = this.reservedBytes - firstShare;
    this.reservedBytes = 0;
    this.parts = [
      { fromIndex: 0, batch: halves[0] },
      { fromIndex: middle, batch: halves[1] },
    ];
    for (const each of halves) each.parent = this;
    return halves;
  }
}

/** What `visitRecords` needs to know of records that have no place in a log yet. */
const SECTION_HEADER = {
  baseOffset: 0,
  sizeBytes: 0,
  leaderEpoch: -1,
  magic: MAGIC_V2,
  crc: 0,
  attributes: 0,
  lastOffsetDelta: 0,
  maxTimestamp: 0,
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
};
