/** One broker's Produce stream: requests up, each with its number, results down in any order. */
import { isErrorCode, type OttlaError } from "../model/errors.ts";
import type { ProducerBatch } from "./core/producer-batch.ts";
import type { ProduceOutcome } from "./core/producer-core.ts";
import type { ProducePartitionResult, ProduceRequest, ProduceResponse } from "./messages.ts";
import type { ClientStream, Connection } from "./transport.ts";

interface Sent<Attachment> {
  readonly batch: ProducerBatch<Attachment>;
  readonly attempt: number;
}

export interface ProduceLinkEvents<Attachment> {
  onResult(
    batch: ProducerBatch<Attachment>,
    attempt: number,
    outcome: ProduceOutcome,
    result: ProducePartitionResult,
  ): void;
  /** After all results of one response. */
  onResponse(): void;
  onEnd(error: OttlaError): void;
}

export class ProduceLink<Attachment> {
  readonly #events: ProduceLinkEvents<Attachment>;
  readonly #stream: ClientStream<ProduceRequest>;
  readonly #acks: -1 | 0 | 1;
  readonly #timeoutMs: number;
  readonly #sent = new Map<number, readonly Sent<Attachment>[]>();
  #nextCorrelationId = 1;

  constructor(
    connection: Connection,
    options: { readonly acks: -1 | 0 | 1; readonly timeoutMs: number },
    events: ProduceLinkEvents<Attachment>,
  ) {
    this.#events = events;
    this.#acks = options.acks;
    this.#timeoutMs = options.timeoutMs;
    this.#stream = connection.openProduce({
      onMessage: (response) => this.#onResponse(response),
      onEnd: (error) => events.onEnd(error),
    });
  }

  send(batches: readonly ProducerBatch<Attachment>[]): void {
    const correlationId = this.#nextCorrelationId++;
    // With acks 0 only refusals are answered, and there is nobody left to tell.
    if (this.#acks !== 0) {
      this.#sent.set(
        correlationId,
        batches.map((batch) => ({ batch, attempt: batch.attempt })),
      );
    }
    this.#stream.send({
      correlationId,
      acks: this.#acks,
      timeoutMs: this.#timeoutMs,
      partitions: batches.map(({ bytes, queue }) => ({
        topic: queue.topic,
        partition: queue.partition,
        batch: bytes as Uint8Array,
      })),
    });
  }

  close(): void {
    this.#stream.close();
  }

  #onResponse(response: ProduceResponse): void {
    const sent = this.#sent.get(response.correlationId);
    if (sent === undefined) return;
    let rest = sent;
    for (const result of response.partitions) {
      const found = rest.find(
        ({ batch }) =>
          batch.queue.partition === result.partition && batch.queue.topic === result.topic,
      );
      if (found === undefined) continue;
      rest = rest.filter((each) => each !== found);
      this.#events.onResult(found.batch, found.attempt, outcomeOf(result), result);
    }
    // A broker may answer partition by partition.
    if (rest.length === 0) this.#sent.delete(response.correlationId);
    else this.#sent.set(response.correlationId, rest);
    this.#events.onResponse();
  }
}

function outcomeOf(result: ProducePartitionResult): ProduceOutcome {
  const { baseOffset, logAppendTimeMs } = result;
  const { error } = result;
  if (error === null) return { error: undefined, baseOffset, logAppendTimeMs };
  const code = isErrorCode(error.code) ? error.code : "UNKNOWN_SERVER_ERROR";
  return { error: { code, message: error.message }, baseOffset: -1, logAppendTimeMs: -1 };
}
