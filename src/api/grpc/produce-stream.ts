/**
 * The Produce stream. Batches reach the broker in the order of their arrival, in the turn in which
 * they arrived; acknowledgements leave as they come, in any order.
 */
import type { BrokerApi, ProduceResult } from "../../broker/broker-api.ts";
import { ottla } from "../../gen/ottla.js";
import { encodeMessage } from "../../grpc/messages.ts";
import { OttlaError, toOttlaError } from "../../model/errors.ts";
import { NONE } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type { Ports } from "../../ports/ports.ts";
import type { BidiStream } from "./bidi-stream.ts";
import { checkCount, checkName, checkNumber } from "./checks.ts";
import { hintMessage } from "./image-messages.ts";
import { errorMessage } from "./status.ts";

const v1 = ottla.v1;
type Request = ottla.v1.ProduceRequest.$Properties;
type Partition = ottla.v1.ProducePartition.$Properties;
type Result = ottla.v1.ProducePartitionResult.$Properties;

/** Of one stream, waiting for acknowledgement: beyond it the client's messages stay in the socket. */
const WAITING_BYTES = LIMITS.produceInFlightBytes / 8;

export interface ProduceStreamOptions {
  readonly broker: BrokerApi;
  readonly ports: Ports;
  readonly listenerName: string;
  readonly stream: BidiStream<Request>;
}

export function serveProduce(options: ProduceStreamOptions): void {
  options.stream.handle(() => new ProduceStream(options));
}

class ProduceStream {
  readonly #broker: BrokerApi;
  readonly #ports: Ports;
  readonly #listenerName: string;
  readonly #stream: BidiStream<Request>;
  #waitingBytes = 0;
  #paused: boolean = false;

  constructor({ broker, ports, listenerName, stream }: ProduceStreamOptions) {
    this.#broker = broker;
    this.#ports = ports;
    this.#listenerName = listenerName;
    this.#stream = stream;
  }

  onMessage(request: Request): void {
    const correlationId = checkNumber("correlation_id", request.correlationId, 0);
    const partitions = checkCount("partitions", request.partitions);
    let bytes = 0;
    for (const { batch } of partitions) bytes += batch?.length ?? 0;
    this.#waitingBytes += bytes;
    // All are appended before anything is awaited: the next request must not overtake this one.
    const results = partitions.map((partition) => this.#produce(request, partition));
    Promise.all(results)
      .then((settled) => this.#answer(request.acks === 0, correlationId, settled))
      .finally(() => {
        this.#waitingBytes -= bytes;
        this.#adjustReading();
      })
      .catch((thrown: unknown) => this.#stream.fail(thrown));
    this.#adjustReading();
  }

  onEnd(): void {}

  #produce(request: Request, { topic, partition, batch }: Partition): Promise<Result> {
    const about = { topic: topic ?? "", partition: partition ?? 0 };
    const acks = request.acks ?? 0;
    try {
      if (acks !== -1 && acks !== 0 && acks !== 1) {
        throw new OttlaError(
          "INVALID_REQUIRED_ACKS",
          `acks is ${acks}; it must be 0, 1 or -1 (all)`,
          {
            field: "acks",
          },
        );
      }
      checkName("partitions.topic", topic);
      if (!batch || batch.length === 0) {
        throw new OttlaError(
          "INVALID_RECORD",
          "partitions.batch is empty; it must be one RecordBatch",
          {
            field: "partitions.batch",
          },
        );
      }
      const produced = this.#broker.produce({
        ...about,
        batch,
        acks,
        timeoutMs: request.timeoutMs ?? 0,
      });
      return produced.then((result) => this.#result(about, result));
    } catch (thrown) {
      return Promise.resolve(refused(about, toOttlaError(thrown)));
    }
  }

  #result(
    about: { readonly topic: string; readonly partition: number },
    result: ProduceResult,
  ): Result {
    const { baseOffset, logAppendTimeMs, logStartOffset } = result;
    return {
      ...about,
      error: errorMessage(result.error),
      baseOffset,
      logAppendTimeMs,
      logStartOffset,
      leader: hintMessage(result.leader, this.#broker.image(), this.#listenerName),
    };
  }

  #answer(quiet: boolean, correlationId: number, partitions: Result[]): void {
    if (quiet && partitions.every(({ error }) => !error)) return;
    this.#stream.write(
      encodeMessage(v1.ProduceResponse, new v1.ProduceResponse({ correlationId, partitions })),
    );
    if (!this.#stream.full) return;
    // Who reads no answers is asked no more questions.
    this.#adjustReading();
    this.#stream.room()?.then(
      () => this.#adjustReading(),
      () => this.#ports.logger.debug("a Produce stream ended with answers unread"),
    );
  }

  #adjustReading(): void {
    const pause = this.#stream.full || this.#waitingBytes > WAITING_BYTES;
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#stream.pause();
    else this.#stream.resume();
  }
}

function refused(
  about: { readonly topic: string; readonly partition: number },
  { code, message, field }: OttlaError,
): Result {
  const error = errorMessage({ code, message, ...(field === undefined ? {} : { field }) });
  return { ...about, error, baseOffset: NONE, logAppendTimeMs: NONE, logStartOffset: NONE };
}
