/** Byte streams over TCP. */
import { createServer, type Server, type Socket } from "node:net";
import { OttlaError } from "../model/errors.ts";
import type { ByteListener, ByteStream, ByteStreams } from "../ports/byte-streams.ts";
import type { Logger } from "../ports/logger.ts";
import type { PeerAddress } from "../ports/peer-network.ts";

/** A peer that vanished without a word is found out by TCP itself, idle as it may be. */
const KEEP_ALIVE_MS = 60_000;
/** Connections that the kernel holds until the event loop takes them: a storm of them waits there. */
const BACKLOG_COUNT = 1_024;

export class NodeByteStreams implements ByteStreams {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  async listen(
    { host, port }: PeerAddress,
    onStream: (stream: ByteStream) => void,
  ): Promise<ByteListener> {
    const server = createServer({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    server.on("connection", (socket) => onStream(new SocketStream(socket)));
    await listen(server, { host, port });
    server.on("error", (error) => this.#logger.warn("a listener failed", { host, port, error }));
    const address = server.address();
    const chosen = address !== null && typeof address === "object" ? address.port : port;
    return { address: { host, port: chosen }, close: () => close(server) };
  }
}

class SocketStream implements ByteStream {
  readonly remoteHost: string;
  readonly remotePort: number;
  onData: (chunk: Uint8Array) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onEnd: (reason: string) => void = () => undefined;
  readonly #socket: Socket;
  #corked = false;
  #reason = "closed";

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteHost = plainAddress(socket.remoteAddress ?? "");
    this.remotePort = socket.remotePort ?? 0;
    socket.on("data", (chunk: Buffer) => {
      // A plain view: the `slice` of a `Buffer` shares its bytes where everybody expects a copy.
      this.onData(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    });
    socket.on("drain", () => this.onDrain());
    socket.on("error", (error) => {
      this.#reason = error.message;
    });
    socket.on("close", () => this.onEnd(this.#reason));
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  write(chunks: readonly Uint8Array[]): void {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      // After the callbacks and promises of this turn: their answers share one system call.
      process.nextTick(this.#uncork);
    }
    for (const chunk of chunks) socket.write(chunk);
  }

  readonly #uncork = (): void => {
    this.#corked = false;
    this.#socket.uncork();
  };

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
    // Its own end must be seen, and whatever it still sends must not hold that up.
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** IPv4 addresses of a socket that listens on both come wrapped in IPv6. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}

async function listen(server: Server, address: PeerAddress): Promise<void> {
  if (address.host !== "") return bind(server, address);
  try {
    await bind(server, { host: "::", port: address.port });
  } catch (thrown) {
    // A machine without IPv6.
    if (thrown instanceof OttlaError && thrown.code === "PORT_IN_USE") throw thrown;
    await bind(server, { host: "0.0.0.0", port: address.port });
  }
}

function bind(server: Server, { host, port }: PeerAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const inUse = error.code === "EADDRINUSE";
      const where = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
      reject(
        new OttlaError(
          inUse ? "PORT_IN_USE" : "INVALID_CONFIG",
          inUse
            ? `listeners: ${where} is in use by another process`
            : `listeners: cannot listen on ${where}: ${error.message}`,
          { cause: error, field: "listeners" },
        ),
      );
    };
    server.once("error", onError);
    server.listen({ port, host, backlog: BACKLOG_COUNT }, () => {
      server.off("error", onError);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // Called once all its connections are gone too, which is the door's affair: the port is free now.
    server.close();
    resolve();
  });
}
