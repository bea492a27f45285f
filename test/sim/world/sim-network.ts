/**
 * The network between the machines of a simulation. Streams are ordered in each direction and lose
 * nothing in the middle: what a fault does to a stream is delay it, hold it or end it.
 *
 * - A killed process closes its sockets: peers hear of it after a delay, and of what it had sent
 *   they get some prefix. A machine without power tells nobody: peers wait for the keepalive.
 * - A paused process keeps its sockets: peers wait for the keepalive too. What it had got before
 *   they gave up it reads when it goes on, unless its own keepalive is what it notices first.
 *
 * What faults are made of:
 *
 * - `delays`, `setQuality(links, quality)`: delay with a slow tail, bandwidth, loss with the
 *   connection; queues are bounded by `queueBytesMax`, beyond which a stream ends;
 * - `setLink`, `cut(links, state)`: hold or reset a direction, shapes in `partitions.ts`;
 *   `clog(links, ms)`: a hold that ends by itself;
 * - `halfOpen`: one side of the streams between two machines is gone, the other sees nothing;
 * - `resetConnections`: all streams between two machines break, with prefixes delivered;
 * - `onMessage(fault)`: one message is lost, answered in vain, damaged or comes minutes late, see
 *   `message-faults.ts`;
 * - `ordersLinks`: no reordering across the streams of a link; else only each stream is in order.
 *
 * A cut that outlasts the keepalive breaks the streams over it, each side at its own time.
 */
import type { Prng } from "../../../src/base/prng.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type {
  PeerAddress,
  PeerChannel,
  PeerChannels,
  PeerHandlers,
  PeerListener,
  PeerNetwork,
  PeerStream,
} from "../../../src/ports/peer-network.ts";
import {
  type MessageAction,
  type MessageFault,
  MessageFaults,
  type MessageOnTheWay,
} from "./message-faults.ts";
import { Connection, type StreamEnd } from "./sim-connection.ts";
import {
  drawDelayMs,
  HEALED_MS,
  type Link,
  type LinkName,
  type LinkQuality,
  type LinkState,
  type NetworkDelays,
  SimLinks,
} from "./sim-links.ts";
import type { EndOfLife, Incarnation, SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

export type { LinkName, LinkQuality, LinkState, NetworkDelays } from "./sim-links.ts";

interface Listening {
  readonly incarnation: Incarnation;
  readonly handlers: PeerHandlers;
  readonly address: PeerAddress;
}

export interface SentMessage {
  readonly from: Incarnation;
  /** Undefined while the connection is being made. */
  readonly to: string;
  readonly channel: PeerChannel;
  readonly message: unknown;
  /** Stands for the stream: the same object for all its messages, in both directions. */
  readonly stream: object;
}

export interface DeliveredMessage {
  readonly to: Incarnation;
  readonly from: string;
  readonly channel: PeerChannel;
  readonly message: unknown;
  /** As in `SentMessage`. */
  readonly stream: object;
}

/** One end of a stream; the other may still believe in it. */
export interface StreamOfProcess {
  readonly incarnation: Incarnation;
  readonly peer: string;
  readonly channel: PeerChannel;
  readonly stream: object;
}

const CONNECT_TIMEOUT_MS = [3_000, 10_000] as const;
const CONNECT_RETRY_MS = 250;
const FIRST_PORT = 40_000;
/** As in a data centre of one building. */
export const QUIET_DELAYS: NetworkDelays = { minMs: 0.05, meanMs: 0.3 };
/** As the adapter's. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;

export class SimNetwork {
  readonly world: World;
  /** Of links whose quality is not set. */
  delays: NetworkDelays = QUIET_DELAYS;
  /** How long a side that hears nothing takes to give a connection up. */
  keepaliveMs: readonly [number, number] = [2_000, 4_000];
  /** Queued beyond this, a peer is given up. */
  queueBytesMax = QUEUE_BYTES_MAX;
  /** Whether streams of one link cannot overtake each other. */
  ordersLinks = false;
  /** Called as a message is handed over, before anything else can happen. */
  readonly onSend: ((sent: SentMessage) => void)[] = [];
  /** Called before the process that it is for gets a message. */
  readonly onDeliver: ((delivered: DeliveredMessage) => void)[] = [];
  /** Called as a process learns that a stream is over, or ends it; not when the process dies. */
  readonly onStreamEnd: ((ended: StreamOfProcess) => void)[] = [];
  /** How streams end, and what of them still arrives. */
  readonly endings: Prng;
  /** Which bits are flipped. */
  readonly damages: Prng;
  readonly #delays: Prng;
  readonly #keepalives: Prng;
  readonly #losses: Prng;
  readonly #faults = new MessageFaults();
  readonly #links = new SimLinks();
  readonly #listeners = new Map<string, Listening>();
  readonly #connections = new Set<Connection>();
  #nextPort = FIRST_PORT;

  constructor(world: World, prng: Prng) {
    this.world = world;
    this.endings = prng.fork("endings");
    this.damages = prng.fork("damages");
    this.#delays = prng.fork("delays");
    this.#keepalives = prng.fork("keepalives");
    this.#losses = prng.fork("losses");
  }

  attach(node: SimNode): void {
    node.onEnd.push((incarnation, how) => this.#processEnded(incarnation, how));
  }

  port(incarnation: Incarnation): PeerNetwork {
    return {
      open: (to, channel) => this.#open(incarnation, to, channel),
      listen: (address, handlers) => this.#listen(incarnation, address, handlers),
    };
  }

  link(from: string, to: string): Link {
    return this.#links.link(from, to);
  }

  linkState(from: string, to: string): LinkState {
    return this.link(from, to).state;
  }

  /** Sets one direction. What was held flows on once it is open again. */
  setLink(from: string, to: string, state: LinkState): void {
    if (this.link(from, to).change(this.world.nowMs, { set: state })) this.#stateChanged(from, to);
  }

  /**
   * Cuts links until the returned function is called; where cuts overlap, a link opens with the last
   * of them.
   */
  cut(links: readonly LinkName[], state: "hold" | "reset"): () => void {
    const cut = { state };
    for (const [from, to] of links) {
      if (this.link(from, to).change(this.world.nowMs, { cut })) this.#stateChanged(from, to);
    }
    return () => {
      for (const [from, to] of links) {
        const changed = this.link(from, to).change(this.world.nowMs, { uncut: cut });
        if (changed) this.#stateChanged(from, to);
      }
    };
  }

  /** What is sent over the links queues up, and is delivered at once after that time. */
  clog(links: readonly LinkName[], durationMs: number): void {
    const open = this.cut(links, "hold");
    this.world.schedule(durationMs, "clog ends", open);
  }

  /** Undefined: as the network in general. What is under way already goes on at the new quality. */
  setQuality(links: readonly LinkName[], quality: LinkQuality | undefined): void {
    for (const [from, to] of links) {
      this.link(from, to).setQuality(quality);
      for (const connection of [...this.#connections]) {
        if (connection.joins(from, to)) connection.retime();
      }
    }
  }

  /** The next message that fits suffers it. The returned function takes the fault back. */
  onMessage(fault: MessageFault): () => void {
    return this.#faults.add(fault);
  }

  /**
   * The streams between two machines are gone where `gone` is, whose process learns so. The other
   * one notices nothing for `unnoticedMs` (default: its keepalive), and sends into the void.
   */
  halfOpen(gone: string, unaware: string, unnoticedMs?: number): void {
    for (const connection of [...this.#connections]) {
      if (!connection.joins(gone, unaware)) continue;
      const lost = connection.endOf(gone);
      const left = lost?.peer;
      if (lost === undefined || left === undefined || lost === left) continue;
      lost.vanish("connection lost");
      left.breakAfter(unnoticedMs ?? this.drawKeepaliveMs(), "keepalive timed out");
    }
  }

  /** All streams between two machines break; of what is on its way some prefix arrives. */
  resetConnections(left: string, right: string): void {
    for (const connection of [...this.#connections]) {
      if (!connection.joins(left, right)) continue;
      for (const end of [connection.opener, connection.acceptor]) {
        end?.dropIncoming(this.endings);
        end?.endAfterIncoming("connection reset");
      }
    }
  }

  healAll(): void {
    this.#faults.clear();
    this.delays = QUIET_DELAYS;
    for (const link of this.#links.all()) link.heal(this.world.nowMs);
    for (const connection of [...this.#connections]) connection.hurry(this.world.nowMs + HEALED_MS);
  }

  /** To be called after a node was paused: its peers notice if it stays so. */
  nodePaused(node: SimNode): void {
    const { incarnation: life, pausesCount } = node;
    for (const connection of this.#connections) {
      if (!connection.touches(node.name)) continue;
      this.world.schedule(this.drawKeepaliveMs(), "keepalive", () => {
        if (!node.paused || node.incarnation !== life || node.pausesCount !== pausesCount) return;
        const frozen = connection.endOf(node.name);
        frozen?.peer?.breakAfter(0, "keepalive timed out");
        // What lies in its sockets comes before their end, unless its own timers come first.
        if (this.endings.chance(1, 2)) frozen?.breakAfter(0, "keepalive timed out");
      });
    }
  }

  /** A process that is not frozen when its keepalive fails ends the stream. */
  breakUnlessPaused(end: StreamEnd): void {
    const { node } = end.incarnation;
    this.world.schedule(this.drawKeepaliveMs(), "keepalive", () => {
      if (!node.paused) end.breakAfter(0, "keepalive timed out");
    });
  }

  get connectionsCount(): number {
    return this.#connections.size;
  }

  /** Every end of a stream that its process has not seen end. */
  *streams(): IterableIterator<StreamOfProcess> {
    for (const connection of this.#connections) {
      for (const end of [connection.opener, connection.acceptor]) {
        if (end !== undefined && !end.ended && end.incarnation.alive) yield end.identity;
      }
    }
  }

  delayMs(): number {
    return drawDelayMs(this.#delays, this.delays);
  }

  arrivalMs(link: Link, nowMs: number): number {
    const arrivalMs = nowMs + drawDelayMs(this.#delays, link.quality ?? this.delays);
    return this.ordersLinks ? link.inOrder(arrivalMs) : arrivalMs;
  }

  drawKeepaliveMs(): number {
    return this.#draw(this.keepaliveMs);
  }

  /** Whether the link loses the message at hand, and the connection with it. */
  losesAt(link: Link): boolean {
    const oneIn = link.quality?.resetOneIn ?? 0;
    return oneIn > 0 && this.#losses.chance(1, oneIn);
  }

  faultOf(message: MessageOnTheWay): MessageAction | undefined {
    return this.#faults.size === 0 ? undefined : this.#faults.take(message);
  }

  sent(sent: SentMessage): void {
    for (const told of this.onSend) told(sent);
  }

  delivered(delivered: DeliveredMessage): void {
    for (const told of this.onDeliver) told(delivered);
  }

  streamEnded(ended: StreamOfProcess): void {
    for (const told of this.onStreamEnd) told(ended);
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  #open<Channel extends PeerChannel>(
    incarnation: Incarnation,
    to: PeerAddress,
    channel: Channel,
  ): PeerStream<PeerChannels[Channel]["up"], PeerChannels[Channel]["down"]> {
    const connection = new Connection(this, incarnation, hostOf(to, incarnation), channel);
    if (incarnation.alive) {
      this.#connections.add(connection);
      const giveUpMs = this.world.nowMs + this.#draw(CONNECT_TIMEOUT_MS);
      this.#connect(connection, to, giveUpMs);
    }
    return connection.opener as unknown as PeerStream<
      PeerChannels[Channel]["up"],
      PeerChannels[Channel]["down"]
    >;
  }

  #connect(connection: Connection, to: PeerAddress, giveUpMs: number): void {
    const from = connection.opener.incarnation.node.name;
    const host = hostOf(to, connection.opener.incarnation);
    this.world.schedule(this.delayMs(), "connect", () => {
      if (connection.opener.ended) return;
      const states = [this.linkState(from, host), this.linkState(host, from)];
      if (states.includes("reset")) {
        connection.opener.breakAfter(this.delayMs(), "connection refused");
        return;
      }
      if (states.includes("hold")) {
        if (this.world.nowMs > giveUpMs) connection.opener.breakAfter(0, "connecting timed out");
        else {
          this.world.schedule(CONNECT_RETRY_MS, "connect again", () =>
            this.#connect(connection, to, giveUpMs),
          );
        }
        return;
      }
      const listening = this.#listeners.get(`${host}:${to.port}`);
      if (listening === undefined || !listening.incarnation.alive) {
        connection.opener.breakAfter(this.delayMs(), "connection refused");
        return;
      }
      connection.accept(listening.incarnation, (end) => {
        const accept = listening.handlers[connection.channel] as (end: unknown) => void;
        accept(end);
      });
    });
  }

  #listen(
    incarnation: Incarnation,
    address: PeerAddress,
    handlers: PeerHandlers,
  ): Promise<PeerListener> {
    return incarnation.promise(0, "network", "listen", () => {
      const port = address.port === 0 ? this.#nextPort++ : address.port;
      const host = hostOf(address, incarnation);
      const key = `${host}:${port}`;
      if (this.#listeners.has(key)) {
        throw new OttlaError("PORT_IN_USE", `${key} is in use`);
      }
      const listening = { incarnation, handlers, address: { host, port } };
      this.#listeners.set(key, listening);
      const close = (): Promise<void> => {
        if (this.#listeners.get(key) === listening) this.#listeners.delete(key);
        for (const connection of [...this.#connections]) {
          if (connection.acceptedBy(incarnation)) connection.acceptor?.close();
        }
        return incarnation.promise(0, "network", "listener close", () => {});
      };
      return { address: listening.address, close };
    });
  }

  #processEnded(incarnation: Incarnation, how: EndOfLife): void {
    for (const [key, listening] of [...this.#listeners]) {
      if (listening.incarnation === incarnation) this.#listeners.delete(key);
    }
    for (const connection of [...this.#connections]) {
      const survivor = connection.survivorOf(incarnation);
      if (survivor === undefined) {
        if (connection.opener.incarnation !== incarnation) continue;
        connection.opener.died();
        connection.acceptor?.died();
        this.forget(connection);
        continue;
      }
      survivor.peer?.died();
      survivor.dropIncoming(this.endings);
      if (how !== "power loss") survivor.endAfterIncoming("connection reset");
      survivor.breakAfter(this.drawKeepaliveMs(), "keepalive timed out");
    }
  }

  #stateChanged(from: string, to: string): void {
    const state = this.linkState(from, to);
    for (const connection of [...this.#connections]) {
      if (!connection.joins(from, to)) continue;
      if (state === "open") connection.pump();
      else if (state === "reset") connection.breakBoth(() => this.delayMs(), "connection reset");
      else this.#breakByKeepalive(connection);
    }
  }

  #breakByKeepalive(connection: Connection): void {
    const { from, to } = connection.ends;
    const sinceMs = this.world.nowMs;
    const expire = (end: StreamEnd): void => {
      this.world.schedule(this.drawKeepaliveMs(), "keepalive", () => {
        const there = this.link(from, to).heldSince(sinceMs);
        const back = this.link(to, from).heldSince(sinceMs);
        if (there || back) end.breakAfter(0, "keepalive timed out");
      });
    };
    expire(connection.opener);
    if (connection.acceptor !== undefined) expire(connection.acceptor);
  }

  #draw([low, high]: readonly [number, number]): number {
    return this.#keepalives.between(low, high);
  }
}

function hostOf(address: PeerAddress, incarnation: Incarnation): string {
  return address.host === "" || address.host === "0.0.0.0" || address.host === "localhost"
    ? incarnation.node.name
    : address.host;
}
