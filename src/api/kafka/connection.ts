/**
 * One client's connection: requests in, answers out in the order of the requests.
 *
 * Kafka serves one request of a connection at a time, and so does this, with one exception: a
 * request may begin beside those before it if all of them only wait (`pipelines`: Produce). The
 * next batch is then appended while the last one waits for its acknowledgement. For everything else
 * a client may rely on what Kafka's order gives it: its metadata is as fresh as the answer before,
 * its heartbeat comes after its join.
 *
 * Nothing is read from a client that has more under way, or more unread answers, than its share:
 * TCP then holds it up. Nobody waits in vain for a client: see `overdueBecause`.
 */
import { LIMITS } from "../../model/limits.ts";
import type { ByteStream } from "../../ports/byte-streams.ts";
import type { Timer } from "../../ports/clock.ts";
import type { Ports } from "../../ports/ports.ts";
import { type FrameRefusal, FrameSplitter } from "./frames.ts";

/** What becomes of a request. */
export type Answer =
  | {
      readonly chunks: readonly Uint8Array[];
      /** KIP-219: the answer goes at once, and for this long nothing more is read. Default 0. */
      readonly throttleMs?: number;
    }
  /** Produce with acks=0 is not answered. */
  | { readonly chunks: undefined }
  /** What the client sent makes no sense, or its acks=0 failed: it is disconnected. */
  | { readonly close: string };

/** What the connection needs of the requests that it carries. */
export interface RequestServer {
  /** Whether the request may begin before those of its kind before it are answered. */
  pipelines(frame: Uint8Array): boolean;
  serve(frame: Uint8Array, connection: Connection): Answer | Promise<Answer>;
}

/** What all connections of the door share. */
export interface ConnectionHost {
  /** Requests wait while it is false; `onRoom` tells when it no longer is. */
  readonly serves: boolean;
  /** Bytes of requests, whole or not, and how they change. */
  onHeld(connection: Connection, bytes: number): void;
  /** Whether the door is too full for a connection that already holds so much. */
  mustWait(heldBytes: number): boolean;
  /** A defect in serving: logged; the client is disconnected, the broker lives. */
  onDefect(connection: Connection, error: unknown): void;
  onClosed(connection: Connection, reason: CloseReason): void;
}

export interface CloseReason {
  /** Whose doing: `ours` is counted and logged. */
  readonly ours: boolean;
  readonly reason: string;
}

interface Slot {
  readonly bytes: number;
  readonly pipelines: boolean;
  answer: Answer | undefined;
}

export interface ConnectionOptions {
  readonly stream: ByteStream;
  /** Of the listener that the client came to: the addresses that it is told are of this one. */
  readonly listenerName: string;
  readonly host: ConnectionHost;
  readonly server: RequestServer;
  /** `socket.request.max.bytes` */
  readonly requestMaxBytes: number;
}

export class Connection {
  readonly stream: ByteStream;
  readonly listenerName: string;
  /** What ApiVersions said of the client, for people. */
  clientSoftware = "";
  readonly #ports: Ports;
  readonly #host: ConnectionHost;
  readonly #server: RequestServer;
  readonly #splitter: FrameSplitter;
  /** Whole frames that have not begun. */
  #waiting: Uint8Array[] = [];
  /** Begun and not answered, in order. */
  readonly #running: Slot[] = [];
  #runningBytes = 0;
  #waitingBytes = 0;
  #heldBytes = 0;
  #paused = false;
  #closing = false;
  #closed = false;
  #pumping = false;
  #muted: Timer | undefined;
  readonly #closers = new Set<() => void>();
  #heardMs: number;
  /** Since when its answers have not moved, and how many bytes of them there were. */
  #unreadSinceMs = 0;
  #unreadBytes = 0;

  constructor(ports: Ports, options: ConnectionOptions) {
    const { stream, requestMaxBytes } = options;
    this.#ports = ports;
    this.stream = stream;
    this.listenerName = options.listenerName;
    this.#host = options.host;
    this.#server = options.server;
    this.#splitter = new FrameSplitter(requestMaxBytes);
    this.#heardMs = ports.clock.monotonicMs();
    stream.onData = (chunk) => this.#onData(chunk);
    stream.onDrain = () => this.#onDrain();
    stream.onEnd = (reason) => this.#onEnd({ ours: false, reason });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes of its requests that are in memory. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Requests that are not answered, whether they have begun or not. */
  get openRequestsCount(): number {
    return this.#running.length + this.#waiting.length;
  }

  /** `callback` runs when the client has gone, unless the returned function was called before. */
  whenClosed(callback: () => void): () => void {
    this.#closers.add(callback);
    return () => this.#closers.delete(callback);
  }

  /** The door has room again, or begins to serve. */
  onRoom(): void {
    if (!this.#closed) this.#pump();
  }

  /**
   * Why the client should be cut off, if it should: silent for `idleMs` with nothing under way, or
   * a request that it began, or an answer that it does not take, for `LIMITS.slowReaderMs`.
   */
  overdueBecause(nowMs: number, idleMs: number): string | undefined {
    const { queuedBytes } = this.stream;
    // Any change is progress: answers may be added as fast as others are read.
    if (queuedBytes !== this.#unreadBytes || queuedBytes === 0) this.#unreadSinceMs = nowMs;
    this.#unreadBytes = queuedBytes;
    if (nowMs - this.#unreadSinceMs > LIMITS.slowReaderMs) return "it does not read its answers";
    const silentMs = nowMs - this.#heardMs;
    const owesRequest = this.#splitter.heldBytes > 0 && !this.#paused;
    if (owesRequest && silentMs > LIMITS.slowReaderMs) return "it does not finish its request";
    const idle = this.openRequestsCount === 0 && queuedBytes === 0;
    return idle && silentMs > idleMs ? "idle" : undefined;
  }

  /** What was begun is answered, nothing more is taken. */
  finish(): void {
    this.#dropWaiting();
    this.#closing = true;
    if (this.#running.length === 0) this.stream.end();
    else this.#adjustReading();
  }

  /** Cuts it off, and says why. */
  abort(reason: string): void {
    this.#onEnd({ ours: true, reason });
    this.stream.destroy();
  }

  #onData(chunk: Uint8Array): void {
    if (this.#closed || this.#closing) return;
    this.#heardMs = this.#ports.clock.monotonicMs();
    const { frames, refusal } = this.#splitter.take(chunk);
    for (const frame of frames) {
      this.#waiting.push(frame);
      this.#waitingBytes += frame.length;
    }
    this.#pump();
    if (refusal !== undefined) this.#refuse(refusal);
  }

  #refuse(refusal: FrameRefusal): void {
    if (this.#closed) return;
    const reasons: Readonly<Record<FrameRefusal, string>> = {
      tls: "it speaks TLS on a plaintext listener",
      http: "it speaks HTTP, not Kafka's protocol",
      "too-large": "a request is larger than socket.request.max.bytes",
      "too-small": "a request is too short to be one",
    };
    this.abort(reasons[refusal]);
  }

  /** Begins what may begin, and settles whether to go on reading. */
  #pump(): void {
    // A request that is served at once is answered from within this loop, which then goes on.
    if (this.#pumping) return;
    this.#pumping = true;
    let begun = 0;
    while (!this.#closed && begun < this.#waiting.length) {
      const frame = this.#waiting[begun] as Uint8Array;
      if (!this.#mayBegin(frame)) break;
      begun++;
      this.#waitingBytes -= frame.length;
      this.#begin(frame);
    }
    this.#pumping = false;
    if (begun > 0) this.#waiting = this.#waiting.slice(begun);
    this.#account();
    this.#adjustReading();
  }

  #mayBegin(frame: Uint8Array): boolean {
    if (!this.#host.serves || this.#muted !== undefined) return false;
    if (this.stream.queuedBytes > LIMITS.kafkaUnreadBytes) return false;
    const last = this.#running.at(-1);
    if (last === undefined) return true;
    return (
      last.pipelines &&
      this.#running.length < LIMITS.kafkaRequestsPerConnectionCount &&
      this.#runningBytes + frame.length <= LIMITS.kafkaBytesPerConnection &&
      this.#server.pipelines(frame)
    );
  }

  #begin(frame: Uint8Array): void {
    const pipelines = this.#server.pipelines(frame);
    const slot: Slot = { bytes: frame.length, pipelines, answer: undefined };
    this.#running.push(slot);
    this.#runningBytes += slot.bytes;
    try {
      const served = this.#server.serve(frame, this);
      if (served instanceof Promise) {
        served.then(
          (answer) => this.#settle(slot, answer),
          (thrown: unknown) => this.#fail(slot, thrown),
        );
      } else this.#settle(slot, served);
    } catch (thrown) {
      this.#fail(slot, thrown);
    }
  }

  #fail(slot: Slot, thrown: unknown): void {
    this.#host.onDefect(this, thrown);
    this.#settle(slot, { close: "its request failed" });
  }

  #settle(slot: Slot, answer: Answer): void {
    slot.answer = answer;
    if (this.#closed || this.#running[0] !== slot) return;
    this.#flush();
  }

  /** Sends the answers that are next in order. */
  #flush(): void {
    let sent = 0;
    while (!this.#closed) {
      const slot = this.#running[0];
      if (slot?.answer === undefined) break;
      this.#running.shift();
      this.#runningBytes -= slot.bytes;
      sent++;
      this.#send(slot.answer);
    }
    if (sent === 0 || this.#closed) return;
    if (this.#closing && this.#running.length === 0) this.stream.end();
    this.#pump();
  }

  #send(answer: Answer): void {
    if ("close" in answer) {
      this.abort(answer.close);
      return;
    }
    if (answer.chunks === undefined) return;
    this.stream.write(answer.chunks);
    const { throttleMs = 0 } = answer;
    if (throttleMs > 0) this.#mute(throttleMs);
  }

  #mute(throttleMs: number): void {
    this.#muted?.cancel();
    this.#muted = this.#ports.timers.after(throttleMs, () => {
      this.#muted = undefined;
      this.#pump();
    });
  }

  #onDrain(): void {
    if (!this.#closed) this.#pump();
  }

  #account(): void {
    if (this.#closed) return;
    const held = this.#runningBytes + this.#waitingBytes + this.#splitter.heldBytes;
    const change = held - this.#heldBytes;
    if (change === 0) return;
    this.#heldBytes = held;
    this.#host.onHeld(this, change);
  }

  /**
   * Reads on while the next request could begin or be gathered. What waits whole is enough: a
   * client that sends ahead of its answers is held up by TCP. While requests are under way and none
   * waits it is read, so that its end is seen.
   */
  #adjustReading(): void {
    if (this.#closed) return;
    const pause = this.#closing || this.#waiting.length > 0 || this.#host.mustWait(this.#heldBytes);
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.stream.pause();
    else {
      // What it could not send meanwhile was not its silence.
      this.#heardMs = this.#ports.clock.monotonicMs();
      this.stream.resume();
    }
  }

  #dropWaiting(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#account();
  }

  #onEnd(reason: CloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#muted?.cancel();
    this.#waiting = [];
    this.#host.onHeld(this, -this.#heldBytes);
    this.#heldBytes = 0;
    for (const callback of [...this.#closers]) callback();
    this.#host.onClosed(this, reason);
  }
}
