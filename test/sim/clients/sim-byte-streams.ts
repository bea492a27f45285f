/**
 * Byte streams on the simulated network: what is written in one go is one message of it, so that a
 * stream that breaks loses whole writes, and a reader sees frames cut and glued as they were written.
 */
import { concatBytes } from "../../../src/base/bytes.ts";
import type { ByteListener, ByteStream, ByteStreams } from "../../../src/ports/byte-streams.ts";
import type {
  PeerAddress,
  PeerListener,
  PeerNetwork,
  PeerStream,
} from "../../../src/ports/peer-network.ts";

const CHANNEL = "kafka";

/** A piece of a byte stream. */
export interface Piece {
  readonly bytes: Uint8Array;
}

type End = PeerStream<Piece, Piece>;

interface BytesNetwork {
  open(to: PeerAddress, channel: typeof CHANNEL): End;
  listen(
    address: PeerAddress,
    handlers: { readonly [CHANNEL]: (end: End) => void },
  ): Promise<PeerListener>;
}

/** The simulated network carries any channel by its name; its port's type knows the brokers' only. */
function bytesNetwork(network: PeerNetwork): BytesNetwork {
  return network as unknown as BytesNetwork;
}

export class SimByteStreams implements ByteStreams {
  readonly #network: PeerNetwork;

  constructor(network: PeerNetwork) {
    this.#network = network;
  }

  listen(address: PeerAddress, onStream: (stream: ByteStream) => void): Promise<ByteListener> {
    return bytesNetwork(this.#network).listen(address, {
      [CHANNEL]: (end) => onStream(new SimByteStream(end, "client")),
    });
  }

  /** A client's way to a broker. */
  connect(to: PeerAddress): ByteStream {
    return new SimByteStream(bytesNetwork(this.#network).open(to, CHANNEL), to.host);
  }
}

class SimByteStream implements ByteStream {
  readonly remoteHost: string;
  readonly remotePort = 0;
  queuedBytes = 0;
  onData: (chunk: Uint8Array) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onEnd: (reason: string) => void = () => undefined;
  readonly #end: End;
  #held: Uint8Array[] = [];
  #paused = false;
  #ended = false;

  constructor(end: End, remoteHost: string) {
    this.#end = end;
    this.remoteHost = remoteHost;
    end.onMessage = ({ bytes }) => {
      if (this.#paused) this.#held.push(bytes);
      else this.onData(bytes);
    };
    end.onDrain = () => {
      this.queuedBytes = 0;
      this.onDrain();
    };
    end.onEnd = (reason) => this.#finish(reason);
  }

  write(chunks: readonly Uint8Array[]): void {
    if (this.#ended || chunks.length === 0) return;
    const bytes = concatBytes(chunks);
    if (!this.#end.send({ bytes })) this.queuedBytes += bytes.length;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    for (const bytes of held) {
      if (this.#paused) this.#held.push(bytes);
      else this.onData(bytes);
    }
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.#ended) return;
    this.#end.close();
    this.#finish("closed here");
  }

  #finish(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onEnd(reason);
  }
}
