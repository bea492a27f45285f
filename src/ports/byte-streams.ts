/**
 * Byte streams of clients, as the Kafka door sees them: ordered, both ways, ended once. TCP, or the
 * simulator's network.
 */
import type { PeerAddress } from "./peer-network.ts";

export interface ByteStream {
  /** Where the client comes from; an address, never a name. */
  readonly remoteHost: string;
  readonly remotePort: number;
  /** Bytes written that the network has not taken yet. */
  readonly queuedBytes: number;
  /**
   * Queues chunks, which must not change any more. All that is written in one turn of the event
   * loop leaves together. After the end it does nothing.
   */
  write(chunks: readonly Uint8Array[]): void;
  /** No more `onData` until `resume`; what was on its way may still come. Both idempotent. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends the stream. Idempotent; `onEnd` is still called. */
  end(): void;
  /** Ends the stream at once, whatever is queued. Idempotent; `onEnd` is still called. */
  destroy(): void;
  /** Set before the current turn ends, or bytes are lost. The receiver may keep the chunk. */
  onData: (chunk: Uint8Array) => void;
  /** Called after `queuedBytes` was large and has fallen to 0. */
  onDrain: () => void;
  /** Once, whichever side ended it. */
  onEnd: (reason: string) => void;
}

export interface ByteListener {
  /** The address in use: the port is the one chosen if 0 was asked for. */
  readonly address: PeerAddress;
  /** Accepts nobody any more; streams that are open stay. Settles when the port is free. */
  close(): Promise<void>;
}

export interface ByteStreams {
  /**
   * "" as host listens on every interface. Rejects with PORT_IN_USE, or INVALID_CONFIG if the
   * address is none of this machine's.
   */
  listen(address: PeerAddress, onStream: (stream: ByteStream) => void): Promise<ByteListener>;
}
