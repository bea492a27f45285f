/**
 * The SDK's way to brokers over the simulated network: delays, held and reset links, killed and
 * paused brokers all come from there. Each call and each stream has a connection of its own, where
 * gRPC shares one: so calls overtake each other, which HTTP/2 allows as well, and a reset link
 * breaks all of them at times of their own. What is sent and how an end is told are the code that
 * ships (`src/client/wire.ts`).
 */
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { BrokerAddress } from "../../../src/client/core/metadata-cache.ts";
import { abortedError } from "../../../src/client/errors.ts";
import { STREAMS, type StreamName } from "../../../src/client/group-messages.ts";
import type { UnaryCalls, UnaryName } from "../../../src/client/messages.ts";
import type {
  CallOptions,
  ClientStream,
  Connection,
  StreamEvents,
  Transport,
} from "../../../src/client/transport.ts";
import { codecs, deserializer, serializer, statusError } from "../../../src/client/wire.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type { Timers } from "../../../src/ports/clock.ts";
import type { PeerNetwork } from "../../../src/ports/peer-network.ts";
import { type ClientDown, openClientStream } from "./client-channel.ts";

export interface SimTransportOptions {
  readonly network: PeerNetwork;
  readonly timers: Timers;
}

export class SimTransport implements Transport {
  readonly #options: SimTransportOptions;

  constructor(options: SimTransportOptions) {
    this.#options = options;
  }

  connect(address: BrokerAddress): Connection {
    return new SimConnection(this.#options, address);
  }
}

class SimConnection implements Connection {
  readonly #network: PeerNetwork;
  readonly #timers: Timers;
  readonly #to: BrokerAddress;
  readonly #address: string;
  #closed = false;

  constructor({ network, timers }: SimTransportOptions, to: BrokerAddress) {
    this.#network = network;
    this.#timers = timers;
    this.#to = to;
    this.#address = `${to.host}:${to.port}`;
  }

  call<Name extends UnaryName>(
    name: Name,
    request: UnaryCalls[Name]["request"],
    { signal, timeoutMs }: CallOptions,
  ): Promise<UnaryCalls[Name]["response"]> {
    const types = codecs(`${name}Request`, `${name}Response`);
    const what = `${name} to ${this.#address}`;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(abortedError(signal));
        return;
      }
      if (this.#closed) {
        reject(statusError(unavailable("the channel was closed"), what));
        return;
      }
      const stream = openClientStream(this.#network, this.#to);
      const finish = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", abort);
        stream.close();
      };
      const fail = (error: ServiceError): void => {
        finish();
        reject(statusError(error, what));
      };
      const abort = (): void => {
        finish();
        reject(abortedError(signal as AbortSignal));
      };
      const timer = this.#timers.after(timeoutMs, () =>
        fail(serviceError(status.DEADLINE_EXCEEDED, "the deadline has passed")),
      );
      signal?.addEventListener("abort", abort, { once: true });
      stream.onMessage = (down) => {
        if (down.type === "data") return;
        if (down.code !== status.OK || down.bytes === undefined) {
          fail(errorOfStatus(down));
          return;
        }
        finish();
        resolve(deserializer<UnaryCalls[Name]["response"]>(types.response)(down.bytes));
      };
      stream.onEnd = (reason) => fail(unavailable(reason));
      const bytes = serializer(types.request)(request);
      stream.send({ type: "unary", method: name, timeoutMs, bytes: plain(bytes) });
    });
  }

  openProduce(events: StreamEvents<never>): ClientStream<object> {
    return this.#open("Produce", events);
  }

  openFetch(events: StreamEvents<never>): ClientStream<object> {
    return this.#open("Fetch", events);
  }

  openSession(events: StreamEvents<never>): ClientStream<object> {
    return this.#open("Session", events);
  }

  ready(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (): void => {
        timer.cancel();
        stream.close();
        reject(new OttlaError("NETWORK_EXCEPTION", `${this.#address} does not accept connections`));
      };
      const stream = openClientStream(this.#network, this.#to);
      const timer = this.#timers.after(timeoutMs, fail);
      stream.onMessage = () => {
        timer.cancel();
        stream.close();
        resolve();
      };
      stream.onEnd = fail;
      stream.send({ type: "open", method: "Ping" });
    });
  }

  /** Streams that are open go on until they end, as those of a closed channel do. */
  close(): void {
    this.#closed = true;
  }

  #open<Response>(method: StreamName, events: StreamEvents<Response>): ClientStream<object> {
    const { request, response } = STREAMS[method];
    const types = codecs(request, response);
    const serialize = serializer(types.request);
    const deserialize = deserializer<Response>(types.response);
    const what = `${method} to ${this.#address}`;
    const stream = openClientStream(this.#network, this.#to);
    let ended = false;
    const end = (error: OttlaError): void => {
      if (ended) return;
      ended = true;
      events.onEnd(error);
    };
    stream.onMessage = (down) => {
      if (ended) return;
      if (down.type === "data") {
        events.onMessage(deserialize(down.bytes));
        return;
      }
      stream.close();
      if (down.code !== status.OK) end(statusError(errorOfStatus(down), what));
      else {
        const message = `${this.#address} ended the ${method} stream`;
        end(new OttlaError("NETWORK_EXCEPTION", message));
      }
    };
    stream.onEnd = (reason) => end(statusError(unavailable(reason), what));
    stream.send({ type: "open", method });
    return {
      send: (request) => {
        if (!ended) stream.send({ type: "data", bytes: plain(serialize(request)) });
      },
      close: () => {
        ended = true;
        stream.close();
      },
    };
  }
}

function errorOfStatus(down: Extract<ClientDown, { type: "status" }>): ServiceError {
  return serviceError(down.code, down.details, down.metadata);
}

function unavailable(reason: string): ServiceError {
  return serviceError(status.UNAVAILABLE, reason);
}

function serviceError(
  code: number,
  details: string,
  fields: Readonly<Record<string, string>> = {},
): ServiceError {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(fields)) metadata.set(key, value);
  return Object.assign(new Error(details), { code, details, metadata });
}

/** The same bytes as the plain array that the network copies. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
