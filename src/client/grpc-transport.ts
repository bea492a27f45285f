/** The transport over gRPC: one channel for each broker, all calls and streams on it. */
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { OttlaError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { Clock } from "../ports/clock.ts";
import { onAbort } from "./abort.ts";
import type { BrokerAddress } from "./core/metadata-cache.ts";
import { abortedError } from "./errors.ts";
import { STREAMS, type StreamName, serviceOf } from "./group-messages.ts";
import type { UnaryCalls, UnaryName } from "./messages.ts";
import type {
  CallOptions,
  ClientStream,
  Connection,
  StreamEvents,
  Transport,
} from "./transport.ts";
import { codecs, deserializer, serializer, statusError } from "./wire.ts";

const FLOW_CONTROL_WINDOW_BYTES = 4 * 1024 * 1024;
const MESSAGE_SLACK_BYTES = 64 * 1024;

const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": LIMITS.grpcMessageBytes + MESSAGE_SLACK_BYTES,
  "grpc.max_send_message_length": LIMITS.grpcMessageBytes + MESSAGE_SLACK_BYTES,
  // Its default of a second would decide how long a restarted broker stays unused.
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 500,
  "grpc-node.flow_control_window": FLOW_CONTROL_WINDOW_BYTES,
  // Each client has connections of its own, and closing it closes them.
  "grpc.use_local_subchannel_pool": 1,
  // Transparent retries keep a copy of every message; the producer has its own, with sequences.
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_http_proxy": 0,
  // A peer that vanished without closing is noticed even if the client only listens.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
} as const;

const NO_METADATA = new Metadata();
const identity = (bytes: Buffer): Buffer => bytes;

export class GrpcTransport implements Transport {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  connect(address: BrokerAddress): Connection {
    return new GrpcConnection(address, this.#clock);
  }
}

class GrpcConnection implements Connection {
  readonly #address: string;
  readonly #clock: Clock;
  readonly #client: Client;

  constructor({ host, port }: BrokerAddress, clock: Clock) {
    this.#address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    this.#clock = clock;
    this.#client = new Client(this.#address, credentials.createInsecure(), CHANNEL_OPTIONS);
  }

  call<Name extends UnaryName>(
    name: Name,
    request: UnaryCalls[Name]["request"],
    options: CallOptions,
  ): Promise<UnaryCalls[Name]["response"]> {
    const { signal, timeoutMs } = options;
    const types = codecs(`${name}Request`, `${name}Response`);
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(abortedError(signal));
        return;
      }
      const call = this.#client.makeUnaryRequest<object, UnaryCalls[Name]["response"]>(
        `/ottla.v1.${serviceOf(name)}/${name}`,
        serializer(types.request),
        deserializer(types.response),
        request,
        NO_METADATA,
        { deadline: this.#clock.wallMs() + timeoutMs },
        (error, response) => {
          forget?.();
          // A broker that goes down cancels calls too: only our own signal makes it ABORTED.
          if (error !== null && signal?.aborted === true) reject(abortedError(signal));
          else if (error !== null) reject(statusError(error, `${name} to ${this.#address}`));
          else resolve(response as UnaryCalls[Name]["response"]);
        },
      );
      const forget = signal === undefined ? undefined : onAbort(signal, () => call.cancel());
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
      this.#client.waitForReady(this.#clock.wallMs() + timeoutMs, (error) => {
        if (error === undefined) resolve();
        else
          reject(
            new OttlaError("NETWORK_EXCEPTION", `${this.#address} does not accept connections`),
          );
      });
    });
  }

  close(): void {
    this.#client.close();
  }

  #open<Response>(name: StreamName, events: StreamEvents<Response>): ClientStream<object> {
    const { request, response, service } = STREAMS[name];
    const types = codecs(request, response);
    const serialize = serializer(types.request);
    // Requests are serialized in `send`, not when the stream gets to them: the caller's buffers
    // are used again by then.
    const call = this.#client.makeBidiStreamRequest<Buffer, Response>(
      `/ottla.v1.${service}/${name}`,
      identity,
      deserializer<Response>(types.response),
      NO_METADATA,
      {},
    );
    let ended = false;
    const end = (error: OttlaError) => {
      if (ended) return;
      ended = true;
      events.onEnd(error);
    };
    call.on("data", (response: Response) => {
      if (!ended) events.onMessage(response);
    });
    call.on("error", (error: ServiceError) =>
      end(statusError(error, `${name} to ${this.#address}`)),
    );
    call.on("end", () => {
      end(new OttlaError("NETWORK_EXCEPTION", `${this.#address} ended the ${name} stream`));
    });
    return {
      send: (request) => {
        if (!ended) call.write(serialize(request));
      },
      close: () => {
        ended = true;
        call.cancel();
      },
    };
  }
}
