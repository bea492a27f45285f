/**
 * A broker's gRPC door on the simulated network: accepts clients' streams and hands them to the
 * handlers that ship (`src/api/grpc`), which see of grpc-js only what `DoorCall` imitates.
 */
import { EventEmitter } from "node:events";
import type { ServerDuplexStream, ServiceError } from "@grpc/grpc-js";
import { ADMIN_METHODS, type AdminMethod } from "../../../src/api/grpc/admin.ts";
import { BidiStream } from "../../../src/api/grpc/bidi-stream.ts";
import { decoder } from "../../../src/api/grpc/decoder.ts";
import { serveFetch } from "../../../src/api/grpc/fetch-stream.ts";
import { serveGroups } from "../../../src/api/grpc/group-stream.ts";
import { GROUP_METHODS } from "../../../src/api/grpc/groups.ts";
import { serveProduce } from "../../../src/api/grpc/produce-stream.ts";
import { serviceError, statusOf } from "../../../src/api/grpc/status.ts";
import { answerUnary } from "../../../src/api/grpc/unary.ts";
import type { DoorApi } from "../../../src/broker/broker-api.ts";
import { ottla } from "../../../src/gen/ottla.js";
import { encodeMessage, type MessageType } from "../../../src/grpc/messages.ts";
import type { BrokerConfig } from "../../../src/model/broker-config.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type { PeerListener } from "../../../src/ports/peer-network.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { type ClientUp, type DoorEnd, listenForClients } from "./client-channel.ts";

const { v1 } = ottla;

const METHODS = { ...ADMIN_METHODS, ...GROUP_METHODS } as Readonly<Record<string, unknown>>;

export interface SimDoorOptions {
  readonly broker: DoorApi;
  readonly ports: Ports;
  readonly config: Pick<BrokerConfig, "listeners" | "requestTimeoutMs" | "fetchMaxBytes">;
}

export interface SimDoor {
  /** Open streams are told SHUTTING_DOWN; nobody is accepted any more. */
  close(): Promise<void>;
}

export async function openSimDoor(options: SimDoorOptions): Promise<SimDoor> {
  const listener = options.config.listeners.find(({ protocol }) => protocol === "GRPC");
  if (listener === undefined) throw new Error("no listener speaks GRPC");
  const door = new Door(options, listener.name);
  const { host, port } = listener;
  const listening = await listenForClients(options.ports.network, { host, port }, (end) =>
    door.accept(end),
  );
  return { close: () => door.close(listening) };
}

class Door {
  readonly #options: SimDoorOptions;
  readonly #listenerName: string;
  readonly #streams = new Set<BidiStream<never>>();

  constructor(options: SimDoorOptions, listenerName: string) {
    this.#options = options;
    this.#listenerName = listenerName;
  }

  /** The first message says what the stream is. */
  accept(end: DoorEnd): void {
    const listenerName = this.#listenerName;
    end.onMessage = (first) => {
      if (first.type === "unary") this.#unary(end, first);
      else if (first.type === "open" && first.method === "Produce") {
        const { broker, ports } = this.#options;
        this.#bidi(end, v1.ProduceRequest, (stream) =>
          serveProduce({ broker, ports, listenerName, stream }),
        );
      } else if (first.type === "open" && first.method === "Fetch") {
        const { broker, config } = this.#options;
        this.#bidi(end, v1.FetchRequest, (stream) =>
          serveFetch({ broker, listenerName, stream, maxBytes: config.fetchMaxBytes }),
        );
      } else if (first.type === "open" && first.method === "Session") {
        const { broker, ports } = this.#options;
        this.#bidi(end, v1.GroupCalls, (stream) =>
          serveGroups({ broker, ports, listenerName, stream }),
        );
      } else end.send({ type: "status", code: 0, details: "", metadata: {} });
    };
  }

  async close(listening: PeerListener): Promise<void> {
    const error = new OttlaError("SHUTTING_DOWN", "this broker is shutting down");
    for (const stream of [...this.#streams]) stream.fail(error);
    await listening.close();
  }

  #bidi<Request>(
    end: DoorEnd,
    type: MessageType<Request>,
    serve: (stream: BidiStream<Request>) => void,
  ): void {
    const { ports } = this.#options;
    const call = new DoorCall(end, decoder(type));
    const stream = new BidiStream<Request>(
      call as unknown as ServerDuplexStream<unknown, Buffer>,
      ports,
    );
    this.#streams.add(stream);
    call.on("close", () => this.#streams.delete(stream));
    serve(stream);
  }

  #unary(end: DoorEnd, call: Extract<ClientUp, { type: "unary" }>): void {
    const { broker, config, ports } = this.#options;
    const method = METHODS[call.method] as AdminMethod<object, object, DoorApi>;
    const request = decoder(method.request)(asBuffer(call.bytes));
    const { method: name, timeoutMs: leftMs } = call;
    // Nobody listens any more once the client has closed; the call itself goes on.
    const door = { broker, config, ports, listenerName: this.#listenerName };
    answerUnary(door, { name, method, request, leftMs }).then(
      (response) => tellStatus(end, undefined, plain(encodeMessage(method.response, response))),
      (thrown: unknown) => tellStatus(end, serviceError(statusOf(thrown, ports.logger))),
    );
  }
}

/** Of grpc-js's ServerDuplexStream, what `BidiStream` uses. */
class DoorCall extends EventEmitter {
  readonly #end: DoorEnd;
  readonly #decode: (bytes: Buffer) => unknown;
  /** Written, and not taken yet: the client's window is full. */
  #unwritten: (() => void)[] = [];
  #arrived: ClientUp[] = [];
  #paused = false;
  #full = false;
  /** Nothing more is read or written: the status is on its way, or the client is gone. */
  #done = false;
  #gone = false;
  /** What lies below the call, for those who cut it off. */
  readonly call: { readonly stream: { readonly close: () => void } };

  constructor(end: DoorEnd, decode: (bytes: Buffer) => unknown) {
    super();
    this.#end = end;
    this.#decode = decode;
    this.call = { stream: { close: () => this.#cutOff() } };
    end.onMessage = (message) => {
      this.#arrived.push(message);
      this.#deliver();
    };
    end.onDrain = () => {
      this.#full = false;
      for (const written of this.#unwritten.splice(0)) written();
    };
    // The client closes once it has read the status, or is gone before.
    end.onEnd = () => this.#closed();
    this.on("error", (error: ServiceError) => this.#status(error));
  }

  getPeer(): string {
    return "a simulated client";
  }

  write(bytes: Buffer, written: () => void): void {
    if (this.#done) return;
    if (!this.#end.send({ type: "data", bytes: plain(bytes) })) this.#full = true;
    // As a callback of a socket, never in the turn of the write.
    if (this.#full) this.#unwritten.push(written);
    else Promise.resolve().then(written, () => undefined);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
  }

  end(): void {
    this.#status(undefined);
  }

  destroy(): void {
    this.#cutOff();
  }

  #deliver(): void {
    while (!this.#paused && !this.#done) {
      const message = this.#arrived.shift();
      if (message === undefined) return;
      if (message.type === "data") this.emit("data", this.#decode(asBuffer(message.bytes)));
    }
  }

  #status(error: ServiceError | undefined): void {
    if (this.#done) return;
    this.#done = true;
    tellStatus(this.#end, error);
  }

  #cutOff(): void {
    this.#end.close();
    this.#closed();
  }

  #closed(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (!this.#done) {
      this.#done = true;
      this.emit("cancelled");
    }
    this.emit("close");
  }
}

function tellStatus(end: DoorEnd, error: ServiceError | undefined, bytes?: Uint8Array): void {
  const fields = error?.metadata.getMap() ?? {};
  end.send({
    type: "status",
    ...(bytes === undefined ? {} : { bytes }),
    code: error?.code ?? 0,
    details: error?.details ?? "",
    metadata: Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [key, String(value)]),
    ),
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
