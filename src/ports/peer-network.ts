/**
 * Streams between brokers: ordered within a stream, in both directions, each message whole.
 * A stream ends once, with both sides told if the network lets them. Messages are values: neither
 * side changes one after it was sent or received.
 */
import type { ControllerChannel } from "../metadata/session-messages.ts";
import type { RaftStreamMessage } from "../raft/messages.ts";
import type { ReplicationDown, ReplicationUp } from "../replica/messages.ts";
import type { OffsetsAnswer, OffsetsQuestion } from "../replica/offsets-messages.ts";

/** What flows on each channel: `up` from the side that opened the stream. */
export interface PeerChannels {
  /** Raft messages, one way each: every pair of voters has two streams. */
  readonly raft: { readonly up: RaftStreamMessage; readonly down: RaftStreamMessage };
  /** Opened by the follower; carries all partitions that it fetches from this leader. */
  readonly replication: { readonly up: ReplicationUp; readonly down: ReplicationDown };
  /** Opened by every broker to every voter: registration, heartbeats, controller requests. */
  readonly controller: ControllerChannel;
  /** Opened by a group coordinator to a leader, for a few questions about its logs. */
  readonly offsets: { readonly up: OffsetsQuestion; readonly down: OffsetsAnswer };
}
export type PeerChannel = keyof PeerChannels;

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

export interface PeerStream<Out, In> {
  /**
   * Queues a message. False: more than the window is queued, wait for `onDrain` before sending
   * bulk (control messages may still go). After the end it does nothing and returns false.
   */
  send(message: Out): boolean;
  /** Ends the stream. Idempotent; `onEnd` of this side is then not called. */
  close(): void;
  /** Set before the current turn ends, or messages are lost. */
  onMessage: (message: In) => void;
  onDrain: () => void;
  /** Once, when the peer closed it, the connection broke or could not be made. */
  onEnd: (reason: string) => void;
}

export interface PeerNetwork {
  /** Opens a stream; a failure to connect comes as `onEnd`. Messages may be sent at once. */
  open<Channel extends PeerChannel>(
    to: PeerAddress,
    channel: Channel,
  ): PeerStream<PeerChannels[Channel]["up"], PeerChannels[Channel]["down"]>;

  /** Starts to serve; the handlers get every incoming stream. Rejects with PORT_IN_USE. */
  listen(address: PeerAddress, handlers: PeerHandlers): Promise<PeerListener>;
}

export type PeerHandlers = {
  readonly [Channel in PeerChannel]: (
    stream: PeerStream<PeerChannels[Channel]["down"], PeerChannels[Channel]["up"]>,
  ) => void;
};

export interface PeerListener {
  /** The address in use: the port is the one chosen if 0 was asked for. */
  readonly address: PeerAddress;
  close(): Promise<void>;
}
