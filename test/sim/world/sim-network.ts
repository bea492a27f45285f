/**
 * The network between the machines of a simulation. Streams are ordered in each direction and lose
 * nothing in the middle: what a fault does to a stream is delay it, hold it or end it.
 *
 * - A link (one direction between two machines) may be held: what is sent waits, and if it waits
 *   longer than a keepalive, both ends learn that the connection broke, each at its own time.
 *   Or it may reset: connections break at once, new ones are refused.
 * - A killed process closes its sockets: peers hear of it after a delay, and of what it had sent
 *   they get some prefix. A machine without power tells nobody: peers wait for the keepalive.
 * - A paused process keeps its sockets: peers wait for the keepalive too.
 */
import type { Prng } from "../../../src/base/prng.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import { LIMITS } from "../../../src/model/limits.ts";
import type {
  PeerAddress,
  PeerChannel,
  PeerChannels,
  PeerHandlers,
  PeerListener,
  PeerNetwork,
  PeerStream,
} from "../../../src/ports/peer-network.ts";
import { copyMessage, copyThroughJson } from "./copy-message.ts";
import type { EndOfLife, Incarnation, SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

export interface NetworkDelays {
  readonly minMs: number;
  readonly meanMs: number;
}

/** What happens to what is sent over a link. */
export type LinkState = "open" | "hold" | "reset";

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

const WINDOW_BYTES = 1024 * 1024;
const KEEPALIVE_MS = [2_000, 4_000] as const;
const CONNECT_TIMEOUT_MS = [3_000, 10_000] as const;
const CONNECT_RETRY_MS = 250;
const FIRST_PORT = 40_000;

export class SimNetwork {
  readonly world: World;
  readonly prng: Prng;
  delays: NetworkDelays = { minMs: 0.05, meanMs: 0.3 };
  /** Called as a message is handed over, before anything else can happen. */
  readonly onSend: ((sent: SentMessage) => void)[] = [];
  /** Called before the process that it is for gets a message. */
  readonly onDeliver: ((delivered: DeliveredMessage) => void)[] = [];
  /** Called as a process learns that a stream is over, or ends it; not when the process dies. */
  readonly onStreamEnd: ((ended: StreamOfProcess) => void)[] = [];
  readonly #listeners = new Map<string, Listening>();
  readonly #connections = new Set<Connection>();
  readonly #links = new Map<string, LinkState>();
  #nextPort = FIRST_PORT;

  constructor(world: World, prng: Prng) {
    this.world = world;
    this.prng = prng;
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

  linkState(from: string, to: string): LinkState {
    return this.#links.get(`${from}>${to}`) ?? "open";
  }

  /** Sets one direction. What was held flows on once it is open again. */
  setLink(from: string, to: string, state: LinkState): void {
    const key = `${from}>${to}`;
    if (state === "open") this.#links.delete(key);
    else this.#links.set(key, state);
    for (const connection of [...this.#connections]) {
      if (!connection.joins(from, to)) continue;
      if (state === "open") connection.pump();
      else if (state === "reset") connection.breakBoth(() => this.delayMs(), "connection reset");
      else this.#breakByKeepalive(connection);
    }
  }

  healAll(): void {
    for (const key of [...this.#links.keys()]) {
      const [from, to] = key.split(">") as [string, string];
      this.setLink(from, to, "open");
    }
  }

  /** To be called after a node was paused: its peers notice if it stays so. */
  nodePaused(node: SimNode): void {
    for (const connection of this.#connections) {
      if (!connection.touches(node.name)) continue;
      const opened = connection;
      this.world.schedule(this.#draw(KEEPALIVE_MS), "keepalive", () => {
        if (node.paused) opened.breakBoth(() => 0, "keepalive timed out");
      });
    }
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
    const tail = this.prng.chance(1, 1_000) ? this.prng.between(10, 100) : 1;
    return this.delays.minMs + (this.delays.meanMs * tail * this.prng.between(0, 200)) / 100;
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
        if (connection.opener.incarnation === incarnation) this.forget(connection);
        continue;
      }
      if (survivor.peer !== undefined) survivor.peer.ended = true;
      survivor.dropIncoming(this.prng);
      if (how !== "power loss") survivor.endAfterIncoming("connection reset");
      survivor.breakAfter(this.#draw(KEEPALIVE_MS), "keepalive timed out");
    }
  }

  #breakByKeepalive(connection: Connection): void {
    const { from, to } = connection.ends;
    const expire = (end: StreamEnd): void => {
      this.world.schedule(this.#draw(KEEPALIVE_MS), "keepalive", () => {
        const held = this.linkState(from, to) === "hold" || this.linkState(to, from) === "hold";
        if (held) end.breakAfter(0, "keepalive timed out");
      });
    };
    expire(connection.opener);
    if (connection.acceptor !== undefined) expire(connection.acceptor);
  }

  #draw([low, high]: readonly [number, number]): number {
    return this.prng.between(low, high);
  }
}

/** One stream, seen from neither side. */
class Connection {
  readonly network: SimNetwork;
  readonly channel: PeerChannel;
  readonly opener: StreamEnd;
  readonly #host: string;
  acceptor: StreamEnd | undefined;

  constructor(network: SimNetwork, opener: Incarnation, host: string, channel: PeerChannel) {
    this.network = network;
    this.channel = channel;
    this.#host = host;
    this.opener = new StreamEnd(this, opener, opener.node.name, host);
  }

  get ends(): { readonly from: string; readonly to: string } {
    return { from: this.opener.incarnation.node.name, to: this.#host };
  }

  joins(from: string, to: string): boolean {
    const { from: left, to: right } = this.ends;
    return (left === from && right === to) || (left === to && right === from);
  }

  touches(name: string): boolean {
    return this.opener.incarnation.node.name === name || this.#host === name;
  }

  acceptedBy(incarnation: Incarnation): boolean {
    return this.acceptor?.incarnation === incarnation;
  }

  /** The end whose process still lives after `ended` has died; undefined if it has none such. */
  survivorOf(ended: Incarnation): StreamEnd | undefined {
    if (this.opener.incarnation === ended) {
      return this.acceptor?.incarnation === ended ? undefined : this.acceptor;
    }
    return this.acceptor?.incarnation === ended ? this.opener : undefined;
  }

  accept(incarnation: Incarnation, handler: (end: StreamEnd) => void): void {
    const end = new StreamEnd(this, incarnation, this.#host, this.opener.incarnation.node.name);
    this.acceptor = end;
    end.peer = this.opener;
    this.opener.peer = end;
    incarnation.later(0, "network", `accept ${this.channel}`, () => {
      if (end.ended) return;
      handler(end);
      end.open = true;
      end.pump();
    });
    this.opener.open = true;
    this.opener.connected();
  }

  pump(): void {
    this.opener.pump();
    this.acceptor?.pump();
  }

  breakBoth(delay: () => number, reason: string): void {
    this.opener.breakAfter(delay(), reason);
    this.acceptor?.breakAfter(delay(), reason);
  }
}

interface Item {
  readonly type: "message" | "end";
  readonly message: unknown;
  readonly reason: string;
  readonly sizeBytes: number;
  readonly dueMs: number;
}

/** One side of a stream; holds what is on its way *to* it. */
class StreamEnd implements PeerStream<unknown, unknown> {
  readonly incarnation: Incarnation;
  readonly #connection: Connection;
  readonly #name: string;
  readonly #peerName: string;
  peer: StreamEnd | undefined;
  /** May take messages: the handler that sets `onMessage` has run. */
  open = false;
  ended = false;
  onMessage: (message: unknown) => void = () => {};
  onDrain: () => void = () => {};
  onEnd: (reason: string) => void = () => {};
  /** Handed over before the connection was made. */
  #early: Item[] = [];
  #incoming: Item[] = [];
  #lastDueMs = 0;
  #delivering = false;
  /** Bytes of this end's own messages that the peer has not taken. */
  #queuedBytes = 0;
  #wantsDrain = false;

  constructor(connection: Connection, incarnation: Incarnation, name: string, peerName: string) {
    this.#connection = connection;
    this.incarnation = incarnation;
    this.#name = name;
    this.#peerName = peerName;
  }

  get identity(): StreamOfProcess {
    const { channel } = this.#connection;
    return {
      incarnation: this.incarnation,
      peer: this.#peerName,
      channel,
      stream: this.#connection,
    };
  }

  send(message: unknown): boolean {
    if (this.ended || !this.incarnation.alive) return false;
    const { network, channel } = this.#connection;
    network.sent({
      from: this.incarnation,
      to: this.#peerName,
      channel,
      message,
      stream: this.#connection,
    });
    const copied = channel === "controller" ? copyThroughJson(message) : copyMessage(message);
    if (copied.sizeBytes > LIMITS.grpcMessageBytes) {
      network.world.fail(
        "messages fit the limit",
        `${this.#name} sends ${copied.sizeBytes} bytes on ${channel}`,
      );
    }
    this.#queuedBytes += copied.sizeBytes;
    this.#push({ type: "message", ...copied, reason: "", dueMs: 0 });
    if (this.#queuedBytes <= WINDOW_BYTES) return true;
    this.#wantsDrain = true;
    return false;
  }

  close(): void {
    if (this.ended) return;
    // Some real streams flush before they end, others cancel what was not sent yet.
    const { prng } = this.#connection.network;
    if (prng.chance(1, 4)) this.peer?.dropIncoming(prng);
    this.#push({
      type: "end",
      message: undefined,
      reason: "closed by peer",
      sizeBytes: 0,
      dueMs: 0,
    });
    this.#finish();
  }

  /** Ends this side after a time, whatever is still on its way to it. */
  breakAfter(delayMs: number, reason: string): void {
    this.incarnation.later(delayMs, "network", "break", () => this.#break(reason));
  }

  /** Of what is on its way here, only some prefix arrives. */
  dropIncoming(prng: Prng): void {
    const keep = prng.below(this.#incoming.length + 1);
    this.#incoming.length = Math.min(
      this.#incoming.length,
      Math.max(keep, this.#delivering ? 1 : 0),
    );
  }

  endAfterIncoming(reason: string): void {
    this.#enqueue({ type: "end", message: undefined, reason, sizeBytes: 0, dueMs: 0 });
  }

  /** Delivers what is due, one message an event. */
  pump(): void {
    if (!this.open || this.ended || this.#delivering) return;
    const item = this.#incoming[0];
    if (item === undefined) return;
    const { network } = this.#connection;
    if (network.linkState(this.#peerName, this.#name) !== "open") return;
    this.#delivering = true;
    const delay = Math.max(0, item.dueMs - network.world.nowMs);
    this.incarnation.later(delay, "network", `deliver ${this.#connection.channel}`, () => {
      this.#delivering = false;
      if (this.ended) return;
      // The link may have closed while the message was on its way: then it waits with the others.
      if (network.linkState(this.#peerName, this.#name) === "open") this.#deliver();
      this.pump();
    });
  }

  taken(sizeBytes: number): void {
    this.#queuedBytes -= sizeBytes;
    if (!this.#wantsDrain || this.#queuedBytes > WINDOW_BYTES / 2) return;
    this.#wantsDrain = false;
    this.incarnation.later(0, "network", "drain", () => {
      if (!this.ended) this.onDrain();
    });
  }

  #deliver(): void {
    const item = this.#incoming.shift();
    if (item === undefined) return;
    if (item.type === "end") {
      this.#break(item.reason);
      return;
    }
    this.peer?.taken(item.sizeBytes);
    const { network, channel } = this.#connection;
    network.world.mix(item.sizeBytes);
    network.delivered({
      to: this.incarnation,
      from: this.#peerName,
      channel,
      message: item.message,
      stream: this.#connection,
    });
    this.onMessage(item.message);
  }

  #push(item: Item): void {
    if (this.peer === undefined) this.#early.push(item);
    else this.peer.#enqueue(item);
  }

  #enqueue(item: Item): void {
    const { network } = this.#connection;
    const own = this.#name === this.#peerName;
    const due = network.world.nowMs + (own ? 0.01 : network.delayMs());
    this.#lastDueMs = Math.max(this.#lastDueMs, due);
    this.#incoming.push({ ...item, dueMs: this.#lastDueMs });
    this.pump();
  }

  #break(reason: string): void {
    if (this.ended) return;
    // The other side may not know yet: it learns from whatever comes back to it.
    this.peer?.endAfterIncoming("connection reset");
    this.#finish();
    this.onEnd(reason);
  }

  #finish(): void {
    this.ended = true;
    this.#connection.network.streamEnded(this.identity);
    this.#incoming = [];
    if (this.peer === undefined || this.peer.ended)
      this.#connection.network.forget(this.#connection);
  }

  /** The peer is known now: what was sent before is on its way. */
  connected(): void {
    const { peer } = this;
    if (peer === undefined) return;
    for (const item of this.#early) peer.#enqueue(item);
    this.#early = [];
  }
}

function hostOf(address: PeerAddress, incarnation: Incarnation): string {
  return address.host === "" || address.host === "0.0.0.0" || address.host === "localhost"
    ? incarnation.node.name
    : address.host;
}
