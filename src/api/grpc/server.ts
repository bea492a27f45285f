/** The gRPC door: the public API on one of the broker's listeners. */
import {
  type ChannelOptions,
  Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { DoorApi } from "../../broker/broker-api.ts";
import { ottla } from "../../gen/ottla.js";
import { closeServer, listenOn } from "../../grpc/listener.ts";
import { encodeMessage, type MessageType } from "../../grpc/messages.ts";
import type { BrokerConfig, Listener } from "../../model/broker-config.ts";
import { OttlaError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import type { Ports } from "../../ports/ports.ts";
import { ADMIN_METHODS, type AdminMethod } from "./admin.ts";
import { BidiStream } from "./bidi-stream.ts";
import { decoder, type MALFORMED } from "./decoder.ts";
import { addDiagnostics, type Diagnostics } from "./diagnostics.ts";
import { serveFetch } from "./fetch-stream.ts";
import { serveGroups } from "./group-stream.ts";
import { GROUP_METHODS } from "./groups.ts";
import { serveProduce } from "./produce-stream.ts";
import { serviceError, statusOf } from "./status.ts";
import { answerUnary } from "./unary.ts";

const { v1 } = ottla;

/** A fetch response holds what one produce request held, and its envelope. */
const MESSAGE_SLACK_BYTES = 64 * 1024;

const SERVER_OPTIONS = {
  "grpc.max_receive_message_length": LIMITS.grpcMessageBytes,
  "grpc.max_send_message_length": LIMITS.grpcMessageBytes + MESSAGE_SLACK_BYTES,
  "grpc.max_concurrent_streams": LIMITS.streamsPerConnectionCount,
  "grpc.max_connection_idle_ms": LIMITS.connectionIdleMs,
  // A client that vanished without closing leaves its streams behind.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc-node.flow_control_window": 4 * 1024 * 1024,
  "grpc.enable_channelz": 0,
} as const satisfies ChannelOptions;

export interface GrpcServerOptions {
  readonly broker: DoorApi;
  readonly ports: Ports;
  /** Who comes in by it is sent to the other brokers' listeners of its name. */
  readonly listener: Omit<Listener, "protocol">;
  readonly config: Pick<BrokerConfig, "requestTimeoutMs" | "fetchMaxBytes">;
}

export interface GrpcServer {
  /** The one chosen if the listener asked for 0. */
  readonly port: number;
  /** Open streams are told SHUTTING_DOWN; settles when the port is free. */
  close(): Promise<void>;
}

/** Rejects with PORT_IN_USE, or INVALID_CONFIG if the address is none of this machine's. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { broker, listener, ports } = options;
  const door = new GrpcDoor(options);
  const port = await listenOn(door.server, listener);
  const diagnostics = addDiagnostics(door.server, broker, ports);
  ports.logger.info("clients may connect", { listener: listener.name, host: listener.host, port });
  return { port, close: () => door.close(diagnostics) };
}

class GrpcDoor {
  readonly server = new Server(SERVER_OPTIONS);
  readonly #options: GrpcServerOptions;
  readonly #streams = new Set<BidiStream<never>>();

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    const { broker, config, listener, ports } = options;
    const listenerName = listener.name;
    this.#bidi("Log/Produce", v1.ProduceRequest, (stream) =>
      serveProduce({ broker, ports, listenerName, stream }),
    );
    this.#bidi("Log/Fetch", v1.FetchRequest, (stream) =>
      serveFetch({ broker, listenerName, stream, maxBytes: config.fetchMaxBytes }),
    );
    this.#bidi("Groups/Session", v1.GroupCalls, (stream) =>
      serveGroups({ broker, ports, listenerName, stream }),
    );
    for (const [service, methods] of Object.entries({
      Admin: ADMIN_METHODS,
      Groups: GROUP_METHODS,
    })) {
      for (const [name, method] of Object.entries(methods)) {
        this.#unary(service, name, method as AdminMethod<object, object, DoorApi>);
      }
    }
  }

  async close(diagnostics: Diagnostics): Promise<void> {
    diagnostics.stop();
    const error = new OttlaError("SHUTTING_DOWN", "this broker is shutting down");
    for (const stream of [...this.#streams]) stream.fail(error);
    await closeServer(this.server);
  }

  #bidi<Request>(
    name: string,
    type: MessageType<Request>,
    serve: (stream: BidiStream<Request>) => void,
  ): void {
    const accept = (call: ServerDuplexStream<unknown, Buffer>): void => {
      const stream = new BidiStream<Request>(call, this.#options.ports);
      this.#streams.add(stream);
      call.on("close", () => this.#streams.delete(stream));
      serve(stream);
    };
    const serialize = (message: Buffer): Buffer => message;
    this.server.register(`/ottla.v1.${name}`, accept, serialize, decoder(type), "bidi");
  }

  #unary(service: string, name: string, method: AdminMethod<object, object, DoorApi>): void {
    const answer = (
      call: ServerUnaryCall<object | typeof MALFORMED, object>,
      callback: sendUnaryData<object>,
    ): void => {
      const { broker, config, listener, ports } = this.#options;
      const door = { broker, config, ports, listenerName: listener.name };
      const leftMs = Number(call.getDeadline()) - ports.clock.wallMs();
      answerUnary(door, { name, method, request: call.request, leftMs }).then(
        (response) => callback(null, response),
        (thrown: unknown) => callback(serviceError(statusOf(thrown, ports.logger))),
      );
    };
    this.server.register(
      `/ottla.v1.${service}/${name}`,
      answer,
      (response: object) => encodeMessage(method.response, response),
      decoder(method.request),
      "unary",
    );
  }
}
