/**
 * One broker's session stream to one voter: opened again and again, with heartbeats, requests and
 * what the voter last said of itself.
 */
import type { ControllerRequestName, ItemError } from "../metadata/commands.ts";
import type { VoterAddress } from "../model/broker-config.ts";
import type { Timer } from "../ports/clock.ts";
import type { PeerChannels, PeerStream } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";

type ControllerUp = PeerChannels["controller"]["up"];
type ControllerDown = PeerChannels["controller"]["down"];
export type Heartbeat = Extract<ControllerUp, { readonly type: "heartbeat" }>;
export type VoterStatus = Extract<ControllerDown, { readonly type: "status" }>;

/** How one attempt of a request ended. `broken`: the stream ended first, the result is unknown. */
export type RequestOutcome =
  | { readonly kind: "reply"; readonly body: unknown }
  | { readonly kind: "error"; readonly error: ItemError }
  | { readonly kind: "broken" }
  | { readonly kind: "timeout" };

interface PendingRequest {
  readonly timer: Timer;
  readonly settle: (outcome: RequestOutcome) => void;
}

export interface VoterLinkOptions {
  readonly voter: VoterAddress;
  readonly heartbeat: () => Heartbeat;
  /** The status changed, or the stream ended and there is none any more. */
  readonly onStatus: (link: VoterLink) => void;
}

/** First and longest pause before a broken stream is opened again; doubles in between. */
const RECONNECT_FIRST_MS = 50;
const RECONNECT_LONGEST_MS = 500;

export class VoterLink {
  readonly voter: VoterAddress;
  readonly #ports: Ports;
  readonly #options: VoterLinkOptions;
  readonly #pending = new Map<number, PendingRequest>();
  #stream: PeerStream<ControllerUp, ControllerDown> | undefined;
  #status: VoterStatus | undefined;
  #clockAheadMs: number | undefined;
  #lastHeardMs = 0;
  #lastRequestId = 0;
  #backOffMs = RECONNECT_FIRST_MS;
  #reconnect: Timer | undefined;
  #closed = false;

  constructor(ports: Ports, options: VoterLinkOptions) {
    this.voter = options.voter;
    this.#ports = ports;
    this.#options = options;
  }

  /** Undefined while there is no stream, or the voter has said nothing on it yet. */
  get status(): VoterStatus | undefined {
    return this.#status;
  }

  /**
   * The voter's wall clock less ours. What is under way makes it look late, never early: the largest
   * of all readings is the best. Undefined before the first.
   */
  get clockAheadMs(): number | undefined {
    return this.#clockAheadMs;
  }

  open(): void {
    if (this.#closed || this.#stream !== undefined) return;
    const stream = this.#ports.network.open(this.voter, "controller");
    this.#stream = stream;
    this.#lastHeardMs = this.#ports.clock.monotonicMs();
    stream.onMessage = (message) => {
      if (this.#stream === stream) this.#onMessage(message);
    };
    stream.onEnd = () => {
      if (this.#stream === stream) this.#onEnd();
    };
    stream.send(this.#options.heartbeat());
  }

  sendHeartbeat(): void {
    this.#stream?.send(this.#options.heartbeat());
  }

  /**
   * Gives up a stream on which nothing was heard for `silenceMs`: a frozen peer keeps its sockets
   * open, and what replaces it behind the same address would never be met.
   */
  dropIfSilent(silenceMs: number): void {
    if (this.#stream === undefined) return;
    if (this.#ports.clock.monotonicMs() - this.#lastHeardMs < silenceMs) return;
    this.#stream.close();
    this.#onEnd();
  }

  /** The voter refused as not active: what it said before is void until it says so again. */
  demote(): void {
    if (this.#status?.active === true) this.#status = { ...this.#status, active: false };
  }

  request(name: ControllerRequestName, body: unknown, timeoutMs: number): Promise<RequestOutcome> {
    const stream = this.#stream;
    if (stream === undefined) return Promise.resolve({ kind: "broken" });
    const id = ++this.#lastRequestId;
    return new Promise((settle) => {
      const timer = this.#ports.timers.after(timeoutMs, () => {
        this.#pending.delete(id);
        settle({ kind: "timeout" });
      });
      this.#pending.set(id, { timer, settle });
      // What is left of a deadline is a fraction; on the wire it is a whole number.
      stream.send({ type: "request", id, name, body, timeoutMs: Math.ceil(timeoutMs) });
    });
  }

  close(): void {
    this.#closed = true;
    this.#reconnect?.cancel();
    this.#stream?.close();
    this.#stream = undefined;
    this.#status = undefined;
    this.#failPending();
  }

  #onMessage(message: ControllerDown): void {
    this.#lastHeardMs = this.#ports.clock.monotonicMs();
    this.#backOffMs = RECONNECT_FIRST_MS;
    if (message.type === "status") {
      this.#status = message;
      if (message.wallMs > 0) {
        const aheadMs = message.wallMs - this.#ports.clock.wallMs();
        this.#clockAheadMs = Math.max(aheadMs, this.#clockAheadMs ?? aheadMs);
      }
      this.#options.onStatus(this);
      return;
    }
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    this.#pending.delete(message.id);
    pending.timer.cancel();
    pending.settle(
      message.error === null
        ? { kind: "reply", body: message.body }
        : { kind: "error", error: message.error },
    );
  }

  #onEnd(): void {
    this.#stream = undefined;
    this.#status = undefined;
    this.#failPending();
    if (this.#closed) return;
    const jitterMs = this.#ports.random.below(Math.ceil(this.#backOffMs / 4));
    this.#reconnect = this.#ports.timers.after(this.#backOffMs + jitterMs, () => this.open());
    this.#backOffMs = Math.min(this.#backOffMs * 2, RECONNECT_LONGEST_MS);
    this.#options.onStatus(this);
  }

  #failPending(): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { timer, settle } of pending) {
      timer.cancel();
      settle({ kind: "broken" });
    }
  }
}
