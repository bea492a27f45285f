/**
 * One open stream of a client: writes that know how much waits for the client, and an end that
 * comes once. grpc-js itself queues without a bound, and ends a stream only after its client has
 * taken everything that was queued; a client that reads nothing is therefore cut off below it.
 */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { cutOff } from "../../grpc/cut-off.ts";
import { OttlaError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import type { Timer } from "../../ports/clock.ts";
import type { Ports } from "../../ports/ports.ts";
import { MALFORMED } from "./decoder.ts";
import { serviceError, statusOf } from "./status.ts";

/** Queued beyond this a client is waited for. */
const QUEUE_BYTES = 2 * 1024 * 1024;

type Call = ServerDuplexStream<unknown, Buffer>;

export interface BidiHandlers<Request> {
  onMessage(request: Request): void;
  /** Once: the client ended its side, or the connection is gone. */
  onEnd(): void;
}

export class BidiStream<Request> {
  readonly #call: Call;
  readonly #ports: Ports;
  readonly #waiting: {
    readonly resolve: () => void;
    readonly reject: (error: OttlaError) => void;
  }[] = [];
  #handlers: BidiHandlers<Request> | undefined;
  #queuedBytes = 0;
  #slow: Timer | undefined;
  #ended: boolean = false;

  constructor(call: ServerDuplexStream<unknown, Buffer>, ports: Ports) {
    this.#call = call;
    this.#ports = ports;
  }

  /** Called in the turn in which the stream was opened. What `open` throws is the stream's end. */
  handle(open: () => BidiHandlers<Request>): void {
    const call = this.#call;
    call.on("data", (request: unknown) => this.#onData(request));
    call.on("end", () => this.#end(() => call.end()));
    call.on("cancelled", () => this.#end(() => undefined));
    call.on("close", () => {
      this.#end(() => undefined);
      this.#slow?.cancel();
    });
    try {
      this.#handlers = open();
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** The client's address. */
  get peer(): string {
    return this.#call.getPeer();
  }

  /** True while more than the window is queued. */
  get full(): boolean {
    return this.#queuedBytes > QUEUE_BYTES;
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    if (!this.#ended) this.#call.resume();
  }

  /** Queues a message; after the end it is dropped. */
  write(message: Buffer): void {
    if (this.#ended) return;
    this.#queuedBytes += message.length;
    this.#call.write(message, () => this.#written(message.length));
    if (this.full) this.#slow ??= this.#ports.timers.after(LIMITS.slowReaderMs, this.#tooSlow);
  }

  /** Settles when there is room; at once if there is. Rejects with CLOSED at the stream's end. */
  room(): Promise<void> | undefined {
    if (this.#ended) return Promise.reject(closed());
    if (!this.full) return undefined;
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Ends the stream with the status of an error. */
  fail(thrown: unknown): void {
    const status = statusOf(thrown, this.#ports.logger);
    this.#end(() => this.#call.emit("error", serviceError(status)));
  }

  #onData(request: unknown): void {
    if (this.#ended) return;
    if (request === MALFORMED) {
      this.fail(new OttlaError("INVALID_REQUEST", "a message does not follow ottla.proto"));
      return;
    }
    try {
      this.#handlers?.onMessage(request as Request);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  #written(size: number): void {
    this.#queuedBytes -= size;
    if (this.#ended) return;
    if (this.full) {
      // It reads, if slowly: the time begins anew.
      this.#slow?.cancel();
      this.#slow = this.#ports.timers.after(LIMITS.slowReaderMs, this.#tooSlow);
      return;
    }
    this.#slow?.cancel();
    this.#slow = undefined;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  readonly #tooSlow = (): void => {
    this.#slow = undefined;
    this.#ports.logger.warn("a client that does not read was cut off", {
      client: this.#call.getPeer(),
      queuedBytes: this.#queuedBytes,
    });
    this.#end(() => cutOff(this.#call));
  };

  #end(how: () => void): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#slow?.cancel();
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
    how();
    // The end itself waits for the client to read what is before it; "close" comes when it has.
    this.#slow = this.#ports.timers.after(LIMITS.slowReaderMs, () => cutOff(this.#call));
    this.#handlers?.onEnd();
  }
}

function closed(): OttlaError {
  return new OttlaError("CLOSED", "the client's stream has ended");
}
