/** Who waits for a batch's outcome, and sends that wait for memory or metadata. */
import { type OttlaError, toOttlaError } from "../model/errors.ts";
import type { Offset, PartitionIndex } from "../model/ids.ts";
import { onAbort } from "./abort.ts";
import type { ProducerBatch } from "./core/producer-batch.ts";
import type { SendJob } from "./core/send-queue.ts";
import { abortedError } from "./errors.ts";

/** Where a record lies in the log. */
export interface RecordMetadata {
  readonly topic: string;
  readonly partition: PartitionIndex;
  /** -1 with acks 0, or if the broker recognised the record as one written long before. */
  readonly offset: Offset;
  /** Milliseconds since 1970: the record's, or the broker's if the topic stamps LogAppendTime. */
  readonly timestamp: number;
}

/** Settles when its batch has its outcome; the outcome stands in the batch. */
export class Settlement {
  readonly promise: Promise<void>;
  settle: () => void = () => undefined;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.settle = resolve;
    });
  }
}

export type Batch = ProducerBatch<Settlement>;

export function settlementOf(batch: Batch): Settlement {
  batch.attachment ??= new Settlement();
  return batch.attachment;
}

function metadataOf(batch: Batch, index: number, timestamp: number): RecordMetadata {
  const { partition, topic } = batch.queue;
  const offset = batch.offsetOf(index);
  return { topic, partition, offset, timestamp: batch.timestampOf(index, timestamp) };
}

/** The place of the record that was appended to the batch last. */
export function acknowledgement(batch: Batch, timestamp: number): Promise<RecordMetadata> {
  const index = batch.recordsCount - 1;
  return settlementOf(batch).promise.then(() => metadataOf(batch, index, timestamp));
}

/** Consecutive records of one `sendBatch` that lie in one batch. */
interface Run {
  readonly batch: Batch;
  readonly firstIndex: number;
  readonly timestamps: number[];
}

/** The records of a `sendBatch` by the batches they went to. */
export class Runs {
  readonly #runs: Run[] = [];

  /** Notes the record that was appended to the batch last. */
  add(batch: Batch, timestamp: number): void {
    const last = this.#runs.at(-1);
    if (last?.batch === batch) last.timestamps.push(timestamp);
    else {
      settlementOf(batch);
      this.#runs.push({ batch, firstIndex: batch.recordsCount - 1, timestamps: [timestamp] });
    }
  }

  /** All places, in order, once every batch is settled; throws the first failure. */
  async settled(): Promise<RecordMetadata[]> {
    for (const { batch } of this.#runs) await settlementOf(batch).promise;
    const out: RecordMetadata[] = [];
    for (const { batch, firstIndex, timestamps } of this.#runs) {
      for (let at = 0; at < timestamps.length; at++) {
        out.push(metadataOf(batch, firstIndex + at, timestamps[at] as number));
      }
    }
    return out;
  }
}

/** What the driver knows of a send that waits. */
export interface WaitingSend extends SendJob {
  readonly done: Promise<unknown>;
}

/** A send that may have to wait: `step` goes on as far as there is room. */
export class Job<Result> implements WaitingSend {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly deadlineMs: number;
  readonly done: Promise<Result>;
  readonly #step: () => Promise<Result> | undefined;
  #resolve: (result: Result | Promise<Result>) => void = () => undefined;
  #reject: (error: OttlaError) => void = () => undefined;
  #abandoned = false;

  /** `step` returns undefined while there is no room, at the end the promise of the outcome. */
  constructor(
    { partition, topic }: { readonly topic: string; readonly partition: PartitionIndex },
    deadlineMs: number,
    step: () => Promise<Result> | undefined,
  ) {
    this.topic = topic;
    this.partition = partition;
    this.deadlineMs = deadlineMs;
    this.#step = step;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get abandoned(): boolean {
    return this.#abandoned;
  }

  run(): boolean {
    try {
      const result = this.#step();
      if (result === undefined) return false;
      this.#resolve(result);
    } catch (thrown) {
      this.#reject(toOttlaError(thrown));
    }
    return true;
  }

  fail(error: OttlaError): void {
    this.#reject(error);
  }

  /** `done`, or ABORTED once the signal aborts: what is not appended by then is dropped. */
  abortable(signal: AbortSignal): Promise<Result> {
    const forget = onAbort(signal, () => {
      this.#abandoned = true;
      this.#reject(abortedError(signal));
    });
    this.done.then(forget, forget);
    return this.done;
  }
}
