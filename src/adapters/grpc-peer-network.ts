/**
 * Streams between brokers on gRPC: one HTTP/2 connection to each peer, a bidirectional call for
 * each stream. The times are those of brokers that must notice a death: a refused or broken
 * connection ends its streams at once, a peer that has gone silent within three seconds.
 */
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Server,
  type ServerDuplexStream,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { cutOff } from "../grpc/cut-off.ts";
import { closeServer, formatAddress, listenOn } from "../grpc/listener.ts";
import { LIMITS } from "../model/limits.ts";
import type { Logger } from "../ports/logger.ts";
import type { Meter } from "../ports/meter.ts";
import type {
  PeerAddress,
  PeerChannel,
  PeerChannels,
  PeerHandlers,
  PeerListener,
  PeerNetwork,
  PeerStream,
} from "../ports/peer-network.ts";
import { type MessageCodec, PEER_CODECS } from "./peer-messages.ts";

/** Queued beyond this: `send` says so. Half of it: `onDrain`. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** Queued beyond this the peer is given up: credits and windows of the protocols are far smaller. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** How long a peer may take to end its side of a stream that was closed. */
const CLOSE_GRACE_MS = 1_000;
const MESSAGE_SLACK_BYTES = 64 * 1024;

const COMMON_OPTIONS = {
  "grpc.max_receive_message_length": LIMITS.grpcMessageBytes + MESSAGE_SLACK_BYTES,
  "grpc.max_send_message_length": LIMITS.grpcMessageBytes + MESSAGE_SLACK_BYTES,
  "grpc.keepalive_time_ms": 1_000,
  "grpc.keepalive_timeout_ms": 2_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc-node.flow_control_window": WINDOW_BYTES,
} as const satisfies ChannelOptions;

const CLIENT_OPTIONS = {
  ...COMMON_OPTIONS,
  // gRPC's default of a second alone would cost more than a whole failover may.
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.min_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 200,
  // A broker that moved to another machine keeps its name only.
  "grpc.dns_min_time_between_resolutions_ms": 1_000,
  "grpc.use_local_subchannel_pool": 1,
  // Transparent retries keep a copy of every message.
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.enable_channelz": 0,
} as const satisfies ChannelOptions;

const SERVER_OPTIONS = {
  ...COMMON_OPTIONS,
  "grpc.max_concurrent_streams": LIMITS.streamsPerConnectionCount,
  "grpc.enable_channelz": 0,
} as const satisfies ChannelOptions;

type Call = ClientDuplexStream<Buffer, unknown> | ServerDuplexStream<unknown, Buffer>;

const identity = (bytes: Buffer): Buffer => bytes;

export class GrpcPeerNetwork implements PeerNetwork {
  readonly #logger: Logger;
  readonly #meter: Pick<Meter, "count">;
  readonly #clients = new Map<string, Client>();

  constructor(logger: Logger, meter: Pick<Meter, "count">) {
    this.#logger = logger;
    this.#meter = meter;
  }

  open<Channel extends PeerChannel>(
    to: PeerAddress,
    channel: Channel,
  ): PeerStream<PeerChannels[Channel]["up"], PeerChannels[Channel]["down"]> {
    const { path, up, down } = this.#codecOf(channel);
    const call = this.#client(to).makeBidiStreamRequest<Buffer, unknown>(
      path,
      identity,
      down.decode,
    );
    const stream = new GrpcPeerStream(call, up.encode);
    call.on("error", ({ code, details }: ServiceError) =>
      stream.ended(`${status[code] ?? code}: ${details}`),
    );
    call.on("end", () => stream.ended("the peer ended the stream"));
    return stream as unknown as PeerStream<
      PeerChannels[Channel]["up"],
      PeerChannels[Channel]["down"]
    >;
  }

  async listen(address: PeerAddress, handlers: PeerHandlers): Promise<PeerListener> {
    const server = new Server(SERVER_OPTIONS);
    const streams = new Set<GrpcPeerStream<unknown>>();
    for (const channel of Object.keys(PEER_CODECS) as PeerChannel[]) {
      const { path, up, down } = this.#codecOf(channel);
      const handle = handlers[channel] as (stream: PeerStream<unknown, unknown>) => void;
      const accept = (call: ServerDuplexStream<unknown, Buffer>): void => {
        const stream = new GrpcPeerStream(call, down.encode as MessageCodec<unknown>["encode"]);
        streams.add(stream);
        call.on("end", () => stream.ended("the peer ended the stream"));
        call.on("cancelled", () => stream.ended("the connection broke"));
        call.on("error", (error) => stream.ended(error.message));
        call.on("close", () => {
          stream.ended("the connection broke");
          streams.delete(stream);
        });
        handle(stream);
      };
      server.register(path, accept, identity, up.decode, "bidi");
    }
    const port = await listenOn(server, address);
    this.#logger.debug("peers may connect", { host: address.host, port });
    return {
      address: { host: address.host, port },
      close: async () => {
        for (const stream of streams) stream.close();
        await closeServer(server);
      },
    };
  }

  /** Ends all connections to peers; `open` fails from then on. */
  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  /** The quorum's traffic is counted by the message; replication counts its batches by itself. */
  #codecOf<Channel extends PeerChannel>(channel: Channel): (typeof PEER_CODECS)[Channel] {
    const codec = PEER_CODECS[channel];
    if (channel !== "raft") return codec;
    const { path, up, down } = PEER_CODECS.raft;
    const counting = { path, up: this.#counting(up), down: this.#counting(down) };
    return counting as unknown as typeof codec;
  }

  #counting<Message extends { readonly type: string }>({
    decode,
    encode,
  }: MessageCodec<Message>): MessageCodec<Message> {
    const meter = this.#meter;
    return {
      encode: (message) => {
        const bytes = encode(message);
        const name = "kafka_server_raftchannelmetrics_outgoing_byte_total";
        meter.count(name, {}, bytes.length);
        const isRequest = message.type.endsWith("-request");
        if (isRequest) meter.count("kafka_server_raftchannelmetrics_request_total", {}, 1);
        return bytes;
      },
      decode: (bytes) => {
        const name = "kafka_server_raftchannelmetrics_incoming_byte_total";
        meter.count(name, {}, bytes.length);
        const message = decode(bytes);
        const isResponse = message.type.endsWith("-response");
        if (isResponse) meter.count("kafka_server_raftchannelmetrics_response_total", {}, 1);
        return message;
      },
    };
  }

  #client(to: PeerAddress): Client {
    const address = formatAddress(to);
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = new Client(address, credentials.createInsecure(), CLIENT_OPTIONS);
      this.#clients.set(address, client);
    }
    return client;
  }
}

class GrpcPeerStream<Out> implements PeerStream<Out, unknown> {
  onMessage: (message: unknown) => void = () => {};
  onDrain: () => void = () => {};
  onEnd: (reason: string) => void = () => {};
  readonly #call: Call;
  readonly #encode: (message: Out) => Buffer;
  #queuedBytes = 0;
  #full: boolean = false;
  #open: boolean = true;

  constructor(call: Call, encode: (message: Out) => Buffer) {
    this.#call = call;
    this.#encode = encode;
    call.on("data", (message: unknown) => {
      if (this.#open) this.onMessage(message);
    });
  }

  send(message: Out): boolean {
    if (!this.#open) return false;
    const bytes = this.#encode(message);
    if (bytes.length > LIMITS.grpcMessageBytes) {
      // The peer would refuse it, and end the stream.
      this.ended(`a message of ${bytes.length} bytes; allowed are ${LIMITS.grpcMessageBytes}`);
      return false;
    }
    this.#queuedBytes += bytes.length;
    this.#call.write(bytes, () => this.#written(bytes.length));
    if (this.#queuedBytes > QUEUE_BYTES_MAX) {
      this.ended(`${this.#queuedBytes} bytes wait for a peer that does not take them`);
      return false;
    }
    if (this.#queuedBytes > WINDOW_BYTES) this.#full = true;
    return !this.#full;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#finish();
  }

  /** The other side or the connection ended it. Only the first reason is told. */
  ended(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#finish();
    this.onEnd(reason);
  }

  #written(size: number): void {
    this.#queuedBytes -= size;
    if (!this.#full || this.#queuedBytes > WINDOW_BYTES / 2) return;
    this.#full = false;
    if (this.#open) this.onDrain();
  }

  /** What was sent still leaves; a peer that does not answer the end is cut off. */
  #finish(): void {
    const call = this.#call;
    call.end();
    const cut = setTimeout(() => {
      if ("cancel" in call) call.cancel();
      else cutOff(call);
    }, CLOSE_GRACE_MS);
    cut.unref();
    call.once("cancel" in call ? "status" : "close", () => clearTimeout(cut));
  }
}
