/**
 * The batches of one partition in the order of their records:
 *
 *   in-flight and retry (by order)  <  sealed  <  open
 *
 * What keeps the order under retry: while a batch waits to be sent again, nothing that comes
 * after it is sent; and it is sent only when everything still in flight comes before it.
 */
import type { OttlaError } from "../../model/errors.ts";
import type { BrokerId, LeaderEpoch, PartitionIndex } from "../../model/ids.ts";
import { NONE } from "../../model/ids.ts";
import type { ProducerBatch, ProducerIdentity } from "./producer-batch.ts";

/** Why a partition's batches need a new producer identity and new sequences. */
export type ResetReason = "out-of-order" | "unknown-producer";

export class PartitionQueue<Attachment = unknown> {
  readonly topic: string;
  readonly partition: PartitionIndex;
  leader: BrokerId = NONE;
  leaderEpoch: LeaderEpoch = NONE;
  /** A refusal or a silence says that `leader` may not be it any more. */
  leaderSuspect = false;

  open: ProducerBatch<Attachment> | undefined;
  readonly sealed: ProducerBatch<Attachment>[] = [];
  /** By order. */
  readonly inFlight: ProducerBatch<Attachment>[] = [];
  /** By order. */
  readonly retry: ProducerBatch<Attachment>[] = [];

  identity: ProducerIdentity | undefined;
  /** The identity that a reset gave up: never taken again here. */
  retiredIdentity: ProducerIdentity | undefined;
  nextSequence = 0;
  reset: ResetReason | undefined;
  /**
   * Order of the last batch that failed while a copy of it may still reach the broker: it may yet
   * fill its place in the sequence, and copies of those behind it then fit too. Cleared once a later
   * one is acknowledged.
   */
  uncertainOrder = -1;

  /** First failure since the last success; undefined while all is well. */
  failingSinceMs: number | undefined;
  lastError: OttlaError | undefined;
  retryAtMs = 0;
  /** Size to begin the next batch's buffer with: that of the last ones. */
  capacityHintBytes = 1024;
  /** Halved whenever the broker finds a batch too large. */
  batchSizeBytes: number;

  constructor(topic: string, partition: PartitionIndex, batchSizeBytes: number) {
    this.topic = topic;
    this.partition = partition;
    this.batchSizeBytes = batchSizeBytes;
  }

  get isEmpty(): boolean {
    return (
      this.open === undefined &&
      this.sealed.length === 0 &&
      this.inFlight.length === 0 &&
      this.retry.length === 0
    );
  }

  /** Nothing of this partition is under way or waits: a new batch need not wait for company. */
  get isIdle(): boolean {
    return this.sealed.length === 0 && this.inFlight.length === 0 && this.retry.length === 0;
  }

  /** The batch that may be sent next, whatever the state of its leader. */
  nextToSend(): ProducerBatch<Attachment> | undefined {
    const again = this.retry[0];
    if (again === undefined) return this.sealed[0];
    const last = this.inFlight.at(-1);
    return last === undefined || last.place.order < again.place.order ? again : undefined;
  }

  /** Whether every batch before this one has its outcome. */
  isHead(batch: ProducerBatch<Attachment>): boolean {
    const { order } = batch.place;
    const first = this.inFlight[0];
    const again = this.retry[0];
    return (
      (first === undefined || first === batch || first.place.order > order) &&
      (again === undefined || again === batch || again.place.order > order)
    );
  }

  /** Takes the batch out of whichever list holds it. */
  remove(batch: ProducerBatch<Attachment>): void {
    if (this.open === batch) this.open = undefined;
    for (const list of [this.inFlight, this.retry, this.sealed]) {
      const index = list.indexOf(batch);
      if (index >= 0) list.splice(index, 1);
    }
  }

  /** Puts the batch where its order says. */
  addToRetry(batch: ProducerBatch<Attachment>): void {
    batch.state = "retry";
    let index = this.retry.length;
    while (
      index > 0 &&
      (this.retry[index - 1] as ProducerBatch<Attachment>).place.order > batch.place.order
    ) {
      index--;
    }
    this.retry.splice(index, 0, batch);
  }
}
