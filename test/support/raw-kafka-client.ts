/** A client of Kafka's protocol over a bare socket: sends what no decent client would. */
import { connect, type Socket } from "node:net";
import { concatBytes, readInt32 } from "../../src/base/bytes.ts";
import type { ApiName } from "../../src/kafka-wire/api-keys.ts";
import {
  decodeResponse,
  encodeRequest,
  type RequestInputs,
  type Responses,
} from "../../src/kafka-wire/messages.ts";

const ANSWER_MS = 30_000;

export class RawKafkaClient {
  readonly socket: Socket;
  /** Settles when the connection has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** Frames of answers that nobody has taken yet, in order. */
  readonly #answers: Uint8Array[] = [];
  /** What has come of answers that are not whole. */
  #rest: Uint8Array = new Uint8Array(0);
  #onAnswer: () => void = () => undefined;
  #correlationId = 0;
  #isOpen = true;

  constructor(port: number, host = "127.0.0.1") {
    this.socket = connect(port, host);
    this.socket.setNoDelay(true);
    this.socket.on("data", (chunk) => {
      this.#take(chunk);
      this.#onAnswer();
    });
    this.ended = new Promise((resolve) => {
      // A reset is an end as good as any.
      this.socket.on("error", () => undefined);
      this.socket.on("close", () => {
        this.#isOpen = false;
        this.#onAnswer();
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends a request without waiting; returns its correlation id. */
  send<Name extends ApiName>(api: Name, version: number, body: RequestInputs[Name]): number {
    const correlationId = ++this.#correlationId;
    this.socket.write(
      concatBytes(encodeRequest({ api, version, correlationId, clientId: "raw", body })),
    );
    return correlationId;
  }

  async ask<Name extends ApiName>(
    api: Name,
    version: number,
    body: RequestInputs[Name],
  ): Promise<Responses[Name]> {
    const correlationId = this.send(api, version, body);
    const frame = await this.nextAnswer();
    if (readInt32(frame, 0) !== correlationId) {
      throw new Error(`answer ${readInt32(frame, 0)} came to request ${correlationId}`);
    }
    const response = decodeResponse(api, version, frame);
    if (!response.ok) throw new Error(response.reason);
    return response.value.body;
  }

  /** The next answer's frame. Rejects once the connection has ended, or nothing comes for long. */
  async nextAnswer(): Promise<Uint8Array> {
    const late = performance.now() + ANSWER_MS;
    for (;;) {
      const frame = this.#answers.shift();
      if (frame !== undefined) return frame;
      if (!this.#isOpen) throw new Error("the broker ended the connection");
      if (performance.now() > late) throw new Error(`no answer for ${ANSWER_MS} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ANSWER_MS);
        this.#onAnswer = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** The shortest answers are shorter than any request: the door's own splitter would refuse them. */
  #take(chunk: Uint8Array): void {
    let rest = concatBytes([this.#rest, chunk]);
    while (rest.length >= 4 && rest.length - 4 >= readInt32(rest, 0)) {
      const end = 4 + readInt32(rest, 0);
      this.#answers.push(rest.subarray(4, end));
      rest = rest.subarray(end);
    }
    this.#rest = rest;
  }

  close(): void {
    this.socket.destroy();
  }
}
