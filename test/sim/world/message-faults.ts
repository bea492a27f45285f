/**
 * Faults that wait for one message: the n-th that fits is lost with its connection, is the last
 * that its connection delivers, is damaged on the way, or arrives long after its sender gave up.
 *
 * What of this the transport (gRPC on HTTP/2 on TCP) can really do:
 *
 * - Nothing is lost or doubled within a stream. A request is lost only with its connection, and is
 *   doubled only because its sender cannot know whether it was lost, and sends it again on another
 *   one: `reset-after` (the answer is lost) and `reset-before` (the request is) look the same to it.
 * - A request that a sender has given up can still arrive. Bytes that the receiver's kernel has
 *   acknowledged are read even if the connection has died since: a process that was frozen reads
 *   old requests first when it goes on, and the end of the stream after them (`through: "socket"`;
 *   a receiver that was not frozen would have ended the connection itself when its keepalive
 *   failed, and so it does here). A proxy that terminates HTTP/2 answers keepalive pings by itself:
 *   behind one, the receiver keeps believing in a stream whose opener has long gone, and what the
 *   proxy held comes minutes later (`through: "proxy"`).
 * - Either way the order within the stream stays, and nothing follows what was held but its end.
 */
import type { PeerChannel } from "../../../src/ports/peer-network.ts";

export type MessageAction =
  /** The message is lost, and the connection with it. */
  | { readonly type: "reset-before" }
  /** The message is delivered, and whatever is said to it is lost with the connection. */
  | { readonly type: "reset-after" }
  /** The sender gives the stream up; the message arrives that late all the same. */
  | { readonly type: "hold"; readonly holdMs: number; readonly through: "socket" | "proxy" }
  /** One bit of the first bytes in it that are at least this long is flipped. */
  | { readonly type: "flip-bit"; readonly bytesMin: number };

export interface MessageFault {
  /** Names of machines; absent: any. */
  readonly from?: string;
  readonly to?: string;
  readonly channel?: PeerChannel;
  /** The message's `type`; absent: any. */
  readonly messageType?: string;
  /** Which of those that fit, counted from now; default 1. */
  readonly nth?: number;
  readonly action: MessageAction;
}

export interface MessageOnTheWay {
  readonly from: string;
  readonly to: string;
  readonly channel: PeerChannel;
  readonly message: unknown;
}

interface Waiting {
  readonly fault: MessageFault;
  seenCount: number;
}

export class MessageFaults {
  #waiting: Waiting[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  add(fault: MessageFault): () => void {
    const waiting = { fault, seenCount: 0 };
    this.#waiting.push(waiting);
    return () => {
      this.#waiting = this.#waiting.filter((each) => each !== waiting);
    };
  }

  clear(): void {
    this.#waiting = [];
  }

  /** What happens to this message; each fault happens once. */
  take(message: MessageOnTheWay): MessageAction | undefined {
    for (const waiting of this.#waiting) {
      if (!fits(waiting.fault, message)) continue;
      waiting.seenCount++;
      if (waiting.seenCount < (waiting.fault.nth ?? 1)) continue;
      this.#waiting = this.#waiting.filter((each) => each !== waiting);
      return waiting.fault.action;
    }
    return undefined;
  }
}

function fits(fault: MessageFault, { from, to, channel, message }: MessageOnTheWay): boolean {
  if (fault.channel !== undefined && fault.channel !== channel) return false;
  if (fault.from !== undefined && fault.from !== from) return false;
  if (fault.to !== undefined && fault.to !== to) return false;
  const { messageType } = fault;
  return messageType === undefined || (message as { type?: unknown }).type === messageType;
}

/** The first array of at least `bytesMin` bytes in a message. */
export function bytesWithin(message: unknown, bytesMin: number): Uint8Array | undefined {
  if (message instanceof Uint8Array) return message.length >= bytesMin ? message : undefined;
  if (message === null || typeof message !== "object") return undefined;
  for (const item of Object.values(message)) {
    const found = bytesWithin(item, bytesMin);
    if (found !== undefined) return found;
  }
  return undefined;
}
