/**
 * One stream between two processes, and its two ends. Each end holds what is on its way *to* it, in
 * order; one message at a time is under way, so that a change of its link applies to all the rest.
 */
import type { Prng } from "../../../src/base/prng.ts";
import { LIMITS } from "../../../src/model/limits.ts";
import type { PeerChannel, PeerStream } from "../../../src/ports/peer-network.ts";
import { copyMessage, copyThroughJson } from "./copy-message.ts";
import { bytesWithin, type MessageAction } from "./message-faults.ts";
import type { Link } from "./sim-links.ts";
import type { SimNetwork, StreamOfProcess } from "./sim-network.ts";
import type { Incarnation } from "./sim-node.ts";
import type { Scheduled } from "./world.ts";

/** Queued beyond this: `send` says so. Half of it: `onDrain`. */
const WINDOW_BYTES = 1024 * 1024;
/** Base offset, length, leader epoch, magic and the checksum itself. */
const BATCH_HEAD_BYTES = 21;

/** One stream, seen from neither side. */
export class Connection {
  readonly network: SimNetwork;
  readonly channel: PeerChannel;
  readonly opener: StreamEnd;
  readonly deliverLabel: string;
  readonly #host: string;
  acceptor: StreamEnd | undefined;

  constructor(network: SimNetwork, opener: Incarnation, host: string, channel: PeerChannel) {
    this.network = network;
    this.channel = channel;
    this.deliverLabel = `deliver ${channel}`;
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

  /** The end of the process on that machine. */
  endOf(name: string): StreamEnd | undefined {
    return this.opener.incarnation.node.name === name ? this.opener : this.acceptor;
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

  retime(): void {
    this.opener.retime();
    this.acceptor?.retime();
  }

  hurry(dueMs: number): void {
    this.opener.hurry(dueMs);
    this.acceptor?.hurry(dueMs);
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
  /** Has arrived where nothing can take it back: in the receiver's kernel, or in a proxy. */
  readonly kept: boolean;
}

function endItem(reason: string): Item {
  return { type: "end", message: undefined, reason, sizeBytes: 0, dueMs: 0, kept: false };
}

/** One side of a stream; holds what is on its way *to* it. */
export class StreamEnd implements PeerStream<unknown, unknown> {
  readonly incarnation: Incarnation;
  /** Over which messages come to this end. */
  readonly link: Link;
  readonly #connection: Connection;
  readonly #name: string;
  readonly #peerName: string;
  peer: StreamEnd | undefined;
  /** May take messages: the handler that sets `onMessage` has run. */
  open = false;
  ended = false;
  /** A proxy answers this side's keepalive: it learns of nothing but what the proxy tells it. */
  behindProxy = false;
  onMessage: (message: unknown) => void = () => {};
  onDrain: () => void = () => {};
  onEnd: (reason: string) => void = () => {};
  /** Handed over before the connection was made. */
  #early: Item[] = [];
  #incoming: Item[] = [];
  #lastDueMs = 0;
  #delivery: Scheduled | undefined;
  /** Bytes of this end's own messages that the peer has not taken. */
  #queuedBytes = 0;
  #wantsDrain = false;

  constructor(connection: Connection, incarnation: Incarnation, name: string, peerName: string) {
    this.#connection = connection;
    this.incarnation = incarnation;
    this.#name = name;
    this.#peerName = peerName;
    this.link = connection.network.link(peerName, name);
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
    this.incarnation.queue(copied.sizeBytes);
    this.#push({ type: "message", ...copied, reason: "", dueMs: 0, kept: false });
    this.incarnation.node.reach("send", "issued", channel);
    if (this.ended || !this.incarnation.alive) return false;
    if (this.#queuedBytes > network.queueBytesMax) {
      this.#break(`${this.#queuedBytes} bytes wait for a peer that does not take them`);
      return false;
    }
    if (this.#queuedBytes <= WINDOW_BYTES) return true;
    this.#wantsDrain = true;
    return false;
  }

  close(): void {
    if (this.ended) return;
    // Some real streams flush before they end, others cancel what was not sent yet.
    const { endings } = this.#connection.network;
    if (endings.chance(1, 4)) this.peer?.dropIncoming(endings);
    this.#push(endItem("closed by peer"));
    this.#finish();
  }

  /** Ends this side after a time, whatever is still on its way to it. */
  breakAfter(delayMs: number, reason: string): void {
    this.incarnation.later(delayMs, "network", "break", () => {
      if (!this.behindProxy) this.#break(reason);
    });
  }

  /** Ends this side at once; the other side is not told, and finds out by itself or never. */
  vanish(reason: string): void {
    if (this.ended) return;
    this.#finish();
    this.incarnation.later(0, "network", "vanish", () => this.onEnd(reason));
  }

  /** Of what is on its way here, only some prefix arrives. */
  dropIncoming(prng: Prng): void {
    this.#keepIncoming(prng.below(this.#incoming.length + 1));
  }

  endAfterIncoming(reason: string): void {
    this.#enqueue(endItem(reason));
  }

  /** Delivers what is due, one message an event. */
  pump(): void {
    if (!this.open || this.ended || this.#delivery !== undefined) return;
    const item = this.#incoming[0];
    if (item === undefined) return;
    const { link } = this;
    if (!item.kept && link.state !== "open") return;
    const { world } = this.#connection.network;
    const dueMs = Math.max(item.dueMs, link.transmittedMs(world.nowMs, item.sizeBytes));
    const { deliverLabel } = this.#connection;
    this.#delivery = this.incarnation.later(dueMs - world.nowMs, "network", deliverLabel, () => {
      this.#delivery = undefined;
      if (this.ended) return;
      // The link may have closed while the message was on its way: then it waits with the others.
      if (item.kept || link.state === "open") this.#deliver();
      this.pump();
    });
  }

  /** The link's quality has changed: what is under way is so under the new one. */
  retime(): void {
    this.#delivery?.cancel();
    this.#delivery = undefined;
    this.pump();
  }

  /**
   * The network is well again: what a slow one would have brought much later comes now. What is held
   * beyond the network's reach is not hurried.
   */
  hurry(dueMs: number): void {
    this.#incoming = this.#incoming.map((item) =>
      item.kept ? item : { ...item, dueMs: Math.min(item.dueMs, dueMs) },
    );
    if (this.#incoming.every(({ kept }) => !kept)) {
      this.#lastDueMs = Math.min(this.#lastDueMs, dueMs);
    }
    this.retime();
  }

  /** The process has died: nothing comes here any more, and nobody is told. */
  died(): void {
    this.ended = true;
    this.#forgetAll();
  }

  taken(sizeBytes: number): void {
    this.#release(sizeBytes);
    if (!this.#wantsDrain || this.#queuedBytes > WINDOW_BYTES / 2) return;
    this.#wantsDrain = false;
    this.incarnation.later(0, "network", "drain", () => {
      if (!this.ended) this.onDrain();
    });
  }

  /** The peer is known now: what was sent before is on its way. */
  connected(): void {
    const { peer } = this;
    if (peer === undefined) return;
    for (const item of this.#early) peer.#enqueue(item);
    this.#early = [];
  }

  #deliver(): void {
    const item = this.#incoming.shift();
    if (item === undefined) return;
    if (item.type === "end") {
      this.behindProxy = false;
      this.#break(item.reason);
      return;
    }
    this.peer?.taken(item.sizeBytes);
    const { network, channel } = this.#connection;
    const { message } = item;
    network.world.mix(item.sizeBytes);
    const action = network.faultOf({ from: this.#peerName, to: this.#name, channel, message });
    const resets = action === undefined && !item.kept && network.losesAt(this.link);
    if (resets || action?.type === "reset-before") {
      this.#resetBoth();
      return;
    }
    if (action?.type === "hold") {
      this.#hold(item, action);
      return;
    }
    if (action?.type === "flip-bit") flipBit(message, action.bytesMin, network.damages);
    network.delivered({
      to: this.incarnation,
      from: this.#peerName,
      channel,
      message,
      stream: this.#connection,
    });
    this.onMessage(message);
    this.incarnation.node.reach("deliver", "completed", channel);
    if (action?.type === "reset-after") this.#resetBoth();
  }

  /** The connection is gone, with everything that was on its way in both directions. */
  #resetBoth(): void {
    const { peer } = this;
    if (peer !== undefined) {
      peer.#keepIncoming(0);
      peer.breakAfter(this.#connection.network.delayMs(), "connection reset");
    }
    this.#keepIncoming(0);
    this.#break("connection reset");
  }

  /** The message and what follows it come when the sender has long given the stream up. */
  #hold(item: Item, { holdMs, through }: MessageAction & { readonly type: "hold" }): void {
    const { network } = this.#connection;
    const dueMs = network.world.nowMs + holdMs;
    this.peer?.breakAfter(network.drawKeepaliveMs(), "keepalive timed out");
    if (through === "proxy") this.behindProxy = true;
    else network.breakUnlessPaused(this);
    this.#incoming.unshift({ ...item, dueMs, kept: true, sizeBytes: 0 });
    this.#incoming = this.#incoming.map((each) => ({ ...each, kept: true }));
    this.#lastDueMs = Math.max(this.#lastDueMs, dueMs);
  }

  /** All but the first so many are lost, and what cannot be. */
  #keepIncoming(count: number): void {
    if (count === 0) {
      this.#delivery?.cancel();
      this.#delivery = undefined;
    }
    const kept = (item: Item, index: number): boolean => index < count || item.kept;
    this.#forget(this.#incoming.filter((item, index) => !kept(item, index)));
    this.#incoming = this.#incoming.filter(kept);
    this.pump();
  }

  #release(sizeBytes: number): void {
    this.#queuedBytes -= sizeBytes;
    this.incarnation.queue(-sizeBytes);
  }

  /** They wait no more; who sent them does not learn of it. */
  #forget(items: readonly Item[]): void {
    const { peer } = this;
    if (peer === undefined) return;
    for (const { sizeBytes } of items) peer.#release(sizeBytes);
  }

  #forgetAll(): void {
    this.#forget(this.#incoming);
    this.#incoming = [];
    for (const { sizeBytes } of this.#early) this.#release(sizeBytes);
    this.#early = [];
  }

  #push(item: Item): void {
    if (this.peer === undefined) this.#early.push(item);
    else this.peer.#enqueue(item);
  }

  #enqueue(item: Item): void {
    if (this.ended) {
      this.#forget([item]);
      return;
    }
    const { network } = this.#connection;
    const own = this.#name === this.#peerName;
    const { nowMs } = network.world;
    const due = own ? nowMs + 0.01 : network.arrivalMs(this.link, nowMs);
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
    const { network } = this.#connection;
    network.streamEnded(this.identity);
    this.#forgetAll();
    if (this.peer === undefined || this.peer.ended) network.forget(this.#connection);
  }
}

/** Behind a batch's first fields, which its checksum does not cover. */
function flipBit(message: unknown, bytesMin: number, prng: Prng): void {
  const bytes = bytesWithin(message, Math.max(bytesMin, BATCH_HEAD_BYTES + 1));
  if (bytes === undefined) return;
  const at = prng.between(BATCH_HEAD_BYTES, bytes.length - 1);
  bytes[at] = (bytes[at] as number) ^ (1 << prng.below(8));
}
