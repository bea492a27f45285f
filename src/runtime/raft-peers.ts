/**
 * The streams that carry Raft: one to every voter, kept up with a short back-off, and those that
 * others opened. What is meant for a node takes any live stream with it, so that a leader reaches
 * observers without knowing their addresses. A message that finds no stream is dropped: Raft
 * expects that, and a queue would only deliver what is stale.
 */
import type { VoterAddress } from "../model/broker-config.ts";
import type { ErrorCode } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import type { Timer } from "../ports/clock.ts";
import type { PeerStream } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";
import {
  type RaftMessage,
  type RaftNode,
  type RaftStreamMessage,
  sameNode,
} from "../raft/messages.ts";
import { compareNodes, nodeKey } from "../raft/node.ts";
import type { RaftHello } from "./cluster-formation.ts";

export type RaftStream = PeerStream<RaftStreamMessage, RaftStreamMessage>;

const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 500;
/** A stream whose peer does not introduce itself. */
const HELLO_DEADLINE_MS = 5_000;

interface Link {
  readonly stream: RaftStream;
  /** The voter that it was opened to; undefined: the peer opened it. */
  readonly voter: VoterAddress | undefined;
  hello: RaftHello | undefined;
  helloTimer: Timer | undefined;
  /** Which message of all that ever came was its last; 0 while it has brought none. */
  lastHeard: number;
  /** The stream's window is full: what the next heartbeat replaces is not queued behind it. */
  blocked: boolean;
}

export interface RaftPeersOptions {
  readonly self: RaftNode;
  readonly voters: readonly VoterAddress[];
  /** What this node says of itself now. */
  readonly hello: () => RaftHello;
  readonly onHello: () => void;
  readonly onMessage: (message: RaftMessage) => void;
  /** The last stream with the node ended. */
  readonly onLost: (node: RaftNode) => void;
}

export class RaftPeers {
  readonly #ports: Ports;
  readonly #options: RaftPeersOptions;
  readonly #links = new Set<Link>();
  readonly #byNode = new Map<string, Link[]>();
  /** When anything came from the node last, over whichever stream. */
  readonly #heardMs = new Map<string, number>();
  readonly #reconnects = new Map<number, { timer: Timer | undefined; delayMs: number }>();
  /** Refusals already reported, by what they say: a peer that comes again and again is one line. */
  readonly #reported = new Set<string>();
  #heardCount = 0;
  #phase: "open" | "closed" = "open";

  constructor(ports: Ports, options: RaftPeersOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  start(): void {
    for (const voter of this.#options.voters) {
      if (voter.id === this.#options.self.id) continue;
      this.#reconnects.set(voter.id, { timer: undefined, delayMs: BACKOFF_MIN_MS });
      this.#connect(voter);
    }
  }

  /** A stream that another broker opened. */
  accept(stream: RaftStream): void {
    let unknown = 0;
    for (const link of this.#links) if (link.hello === undefined) unknown++;
    if (this.#phase === "closed" || unknown >= LIMITS.streamsPerConnectionCount) {
      stream.close();
      return;
    }
    this.#attach(stream, undefined);
  }

  /** The nodes there is a stream with, in order. */
  connected(): readonly RaftNode[] {
    const nodes: RaftNode[] = [];
    for (const links of this.#byNode.values()) {
      const node = links[0]?.hello?.node;
      if (node !== undefined) nodes.push(node);
    }
    return nodes.sort(compareNodes);
  }

  isConnected(node: RaftNode): boolean {
    return this.#byNode.has(nodeKey(node));
  }

  /** Whether anything came from the node since, over a stream that is still there. */
  isHeardSince(node: RaftNode, sinceMs: number): boolean {
    return (this.#heardMs.get(nodeKey(node)) ?? Number.NEGATIVE_INFINITY) >= sinceMs;
  }

  /**
   * Ends the streams with those who owe words and have said nothing since: whatever lies between
   * answers for them (a proxy its keepalives), and would go on to swallow what is sent. A stream
   * that works comes back at once.
   */
  endSilent(sinceMs: number, owesWords: (node: RaftNode) => boolean): void {
    for (const [key, links] of [...this.#byNode]) {
      const node = links[0]?.hello?.node;
      if (node === undefined || (this.#heardMs.get(key) ?? 0) >= sinceMs) continue;
      if (!owesWords(node)) continue;
      this.#ports.logger.warn("A silent stream of the metadata quorum is ended", { node });
      for (const link of links) this.#drop(link);
    }
  }

  /** This process stood still: that it heard nothing accuses nobody. */
  forgiveSilence(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    for (const key of this.#heardMs.keys()) this.#heardMs.set(key, nowMs);
  }

  hellos(): readonly RaftHello[] {
    const hellos: RaftHello[] = [];
    for (const { hello } of this.#links) if (hello !== undefined) hellos.push(hello);
    return hellos;
  }

  /**
   * Returns false if there is no way to the node. With two streams, each opened by one side, it
   * takes the one on which the node was heard last: the other may have ended over there, while
   * something on the way still answers for it, and would swallow every message.
   */
  send(message: RaftMessage): boolean {
    const links = this.#byNode.get(nodeKey(message.to));
    if (links === undefined) return false;
    const link = links.reduce((best, other) => (other.lastHeard > best.lastHeard ? other : best));
    const isHeartbeat = message.type === "append-request" && message.entries.length === 0;
    if (link.blocked && isHeartbeat) return true;
    if (!link.stream.send(message)) link.blocked = true;
    return true;
  }

  /** What this node says of itself has changed: it belongs to a cluster now. */
  sayHelloAgain(): void {
    const hello = this.#options.hello();
    for (const link of [...this.#links]) {
      link.stream.send(hello);
      if (link.hello !== undefined && this.#refusal(link, link.hello) !== undefined) {
        this.#refuse(link, link.hello);
      }
    }
  }

  close(): void {
    this.#phase = "closed";
    for (const { timer } of this.#reconnects.values()) timer?.cancel();
    for (const link of this.#links) {
      link.helloTimer?.cancel();
      link.stream.close();
    }
    this.#links.clear();
    this.#byNode.clear();
    this.#heardMs.clear();
  }

  #connect(voter: VoterAddress): void {
    const stream = this.#ports.network.open({ host: voter.host, port: voter.port }, "raft");
    this.#attach(stream, voter);
  }

  #attach(stream: RaftStream, voter: VoterAddress | undefined): void {
    const link: Link = {
      stream,
      voter,
      hello: undefined,
      helloTimer: undefined,
      lastHeard: 0,
      blocked: false,
    };
    this.#links.add(link);
    link.helloTimer = this.#ports.timers.after(HELLO_DEADLINE_MS, () => this.#drop(link));
    stream.onMessage = (message) => this.#receive(link, message);
    stream.onDrain = () => {
      link.blocked = false;
    };
    stream.onEnd = () => this.#ended(link);
    stream.send(this.#options.hello());
  }

  #receive(link: Link, message: RaftStreamMessage): void {
    if (!this.#links.has(link)) return;
    link.lastHeard = ++this.#heardCount;
    if (message.type === "hello") {
      this.#receiveHello(link, message);
      return;
    }
    // A peer speaks for itself only, and introduces itself first.
    if (link.hello !== undefined && sameNode(link.hello.node, message.from)) {
      this.#heardMs.set(nodeKey(message.from), this.#ports.clock.monotonicMs());
      this.#options.onMessage(message);
    }
  }

  #receiveHello(link: Link, hello: RaftHello): void {
    if (this.#refusal(link, hello) !== undefined) {
      this.#refuse(link, hello);
      return;
    }
    link.helloTimer?.cancel();
    link.helloTimer = undefined;
    if (link.voter !== undefined) {
      const reconnect = this.#reconnects.get(link.voter.id);
      if (reconnect !== undefined) reconnect.delayMs = BACKOFF_MIN_MS;
    }
    if (link.hello === undefined) this.#register(link, hello);
    else link.hello = { ...hello, node: link.hello.node };
    this.#options.onHello();
  }

  #register(link: Link, hello: RaftHello): void {
    link.hello = hello;
    const key = nodeKey(hello.node);
    const links = this.#byNode.get(key) ?? [];
    // The peer opens one stream at a time: an older one is half open, and would swallow messages.
    const older = links.find((other) => other.voter === undefined);
    this.#byNode.set(key, [...links, link]);
    this.#heardMs.set(key, this.#ports.clock.monotonicMs());
    if (link.voter === undefined && older !== undefined) this.#drop(older);
  }

  /** Why there can be no talk with this peer; undefined if there can. */
  #refusal(link: Link, hello: RaftHello): { code: ErrorCode; reason: string } | undefined {
    const own = this.#options.hello();
    const { id } = hello.node;
    if (id === own.node.id) {
      return {
        code: "DUPLICATE_BROKER_REGISTRATION",
        reason: `Another broker runs with node.id ${id}`,
      };
    }
    if (link.voter !== undefined && link.voter.id !== id) {
      const { host, port } = link.voter;
      return {
        code: "INCONSISTENT_VOTER_SET",
        reason: `controller.quorum.voters names broker ${link.voter.id} at ${host}:${port}, broker ${id} answers there`,
      };
    }
    const { clusterId } = hello;
    if (clusterId !== undefined && own.clusterId !== undefined && clusterId !== own.clusterId) {
      return {
        code: "INCONSISTENT_CLUSTER_ID",
        reason: `Broker ${id} belongs to cluster ${clusterId}, this broker to ${own.clusterId}`,
      };
    }
    const formed = hello.formation.length > 0 && own.formation.length > 0;
    if (formed && hello.formation.map(nodeKey).join() !== own.formation.map(nodeKey).join()) {
      return {
        code: "INCONSISTENT_VOTER_SET",
        reason: `Broker ${id} formed its cluster with other voters than this broker`,
      };
    }
    return undefined;
  }

  #refuse(link: Link, hello: RaftHello): void {
    const refusal = this.#refusal(link, hello);
    if (refusal !== undefined && !this.#reported.has(refusal.reason)) {
      if (this.#reported.size >= LIMITS.raftObserversCount) this.#reported.clear();
      this.#reported.add(refusal.reason);
      this.#ports.logger.error("A broker was refused on the metadata quorum", {
        code: refusal.code,
        reason: refusal.reason,
      });
    }
    if (link.voter !== undefined) {
      const reconnect = this.#reconnects.get(link.voter.id);
      if (reconnect !== undefined) reconnect.delayMs = BACKOFF_MAX_MS;
    }
    this.#drop(link);
  }

  #drop(link: Link): void {
    link.stream.close();
    this.#ended(link);
  }

  #ended(link: Link): void {
    if (!this.#links.delete(link) || this.#phase === "closed") return;
    link.helloTimer?.cancel();
    if (link.voter !== undefined) this.#scheduleReconnect(link.voter);
    if (link.hello === undefined) return;
    const key = nodeKey(link.hello.node);
    const left = this.#byNode.get(key)?.filter((other) => other !== link) ?? [];
    if (left.length > 0) {
      this.#byNode.set(key, left);
      return;
    }
    this.#byNode.delete(key);
    this.#heardMs.delete(key);
    this.#options.onLost(link.hello.node);
  }

  #scheduleReconnect(voter: VoterAddress): void {
    const reconnect = this.#reconnects.get(voter.id);
    if (reconnect === undefined) return;
    const { delayMs } = reconnect;
    reconnect.delayMs = Math.min(2 * delayMs, BACKOFF_MAX_MS);
    reconnect.timer = this.#ports.timers.after(delayMs, () => this.#connect(voter));
  }
}
