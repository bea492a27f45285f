/** A client of Kafka's protocol in a simulation: one connection, its answers in the order asked. */
import { FrameSplitter } from "../../../src/api/kafka/frames.ts";
import type { ApiName } from "../../../src/kafka-wire/api-keys.ts";
import {
  decodeResponse,
  encodeRequest,
  type RequestInputs,
  type Responses,
} from "../../../src/kafka-wire/messages.ts";
import type { ByteStream } from "../../../src/ports/byte-streams.ts";
import type { Timers } from "../../../src/ports/clock.ts";

interface Asked {
  readonly correlationId: number;
  take(frame: Uint8Array): void;
  fail(reason: string): void;
}

export class SimKafkaClient {
  readonly #stream: ByteStream;
  readonly #timers: Timers;
  readonly #splitter = new FrameSplitter(2 ** 31 - 1);
  readonly #asked: Asked[] = [];
  #correlationId = 0;
  #ended: string | undefined;

  constructor(stream: ByteStream, timers: Timers) {
    this.#stream = stream;
    this.#timers = timers;
    stream.onData = (chunk) => {
      for (const frame of this.#splitter.take(chunk).frames) this.#asked.shift()?.take(frame);
    };
    stream.onEnd = (reason) => {
      this.#ended = reason;
      for (const asked of this.#asked.splice(0)) asked.fail(reason);
    };
  }

  /** Rejects when the connection ends first, or after `timeoutMs`, which ends it. */
  ask<Name extends ApiName>(
    api: Name,
    version: number,
    body: RequestInputs[Name],
    timeoutMs = 3_000,
  ): Promise<Responses[Name]> {
    const correlationId = ++this.#correlationId;
    return new Promise((resolve, reject) => {
      const timer = this.#timers.after(timeoutMs, () => this.#stream.destroy());
      const fail = (reason: string): void => {
        timer.cancel();
        reject(new Error(reason));
      };
      if (this.#ended !== undefined) {
        fail(this.#ended);
        return;
      }
      this.#asked.push({
        correlationId,
        fail,
        take: (frame) => {
          const answer = decodeResponse(api, version, frame);
          if (!answer.ok) fail(answer.reason);
          else if (answer.value.correlationId !== correlationId) {
            fail(`answer ${answer.value.correlationId} came to request ${correlationId}`);
          } else {
            timer.cancel();
            resolve(answer.value.body);
          }
        },
      });
      this.#stream.write(encodeRequest({ api, version, correlationId, clientId: "sim", body }));
    });
  }

  close(): void {
    this.#stream.destroy();
  }
}
