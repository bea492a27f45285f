/**
 * The follower's end of replication: one stream to each leader broker, carrying every partition
 * that follows it. Appends what comes, reports what is durable, returns credit once bytes are on
 * disk (so that the window also bounds what waits for it), and starts again where refused.
 */
import type { OttlaError } from "../model/errors.ts";
import { toOttlaError } from "../model/errors.ts";
import type { BrokerEpoch, BrokerId, ClusterId, Offset } from "../model/ids.ts";
import type { Timer } from "../ports/clock.ts";
import type { PeerAddress, PeerStream } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";
import type {
  FetchProgress,
  FetchRefusal,
  ReplicationDown,
  ReplicationUp,
} from "../replica/messages.ts";
import type { FollowerReplica, LogChange } from "./follower-replica.ts";
import { OncePerTurn } from "./once-per-turn.ts";

/** Streams say something at least this often, so that silence means a peer that is gone. */
export const STREAM_KEEPALIVE_MS = 500;
export const STREAM_SILENCE_MS = 2_500;

const RETRY_FIRST_MS = 50;
const RETRY_LONGEST_MS = 1_000;

export interface FetcherOptions {
  readonly leaderId: BrokerId;
  readonly address: PeerAddress;
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
  readonly clusterId: ClusterId;
}

interface Fetch {
  readonly replica: FollowerReplica;
  /** -1 while nothing is asked for. */
  handle: number;
  retry: Timer | undefined;
  retryMs: number;
  /** Bytes received that are not durable yet, by the offset at which they will be. */
  readonly owed: { readonly end: Offset; readonly bytes: number }[];
}

export class ReplicationFetcher {
  readonly leaderId: BrokerId;
  readonly address: PeerAddress;
  readonly brokerEpoch: BrokerEpoch;
  readonly #ports: Ports;
  readonly #options: FetcherOptions;
  readonly #fetches = new Map<FollowerReplica, Fetch>();
  readonly #byHandle = new Map<number, Fetch>();
  readonly #dirty = new Set<Fetch>();
  readonly #report: OncePerTurn;
  #stream: PeerStream<ReplicationUp, ReplicationDown> | undefined;
  #reconnect: Timer | undefined;
  #reconnectMs = RETRY_FIRST_MS;
  #keepalive: Timer | undefined;
  readonly #starting = new Set<Fetch>();
  #lastHandle = 0;
  #creditBytes = 0;
  #lastSentMs = 0;
  #lastHeardMs = 0;
  #lastTickMs = 0;
  #closed = false;

  constructor(ports: Ports, options: FetcherOptions) {
    this.leaderId = options.leaderId;
    this.address = options.address;
    this.brokerEpoch = options.brokerEpoch;
    this.#ports = ports;
    this.#options = options;
    this.#report = new OncePerTurn(ports, () => this.#sendReport());
    this.#lastTickMs = ports.clock.monotonicMs();
    this.#keepalive = ports.timers.every(STREAM_KEEPALIVE_MS, () => this.#tick());
    this.#open();
  }

  get size(): number {
    return this.#fetches.size;
  }

  replicas(): FollowerReplica[] {
    return [...this.#fetches.keys()];
  }

  /** Begins to fetch for the replica, from its log end. */
  add(replica: FollowerReplica): void {
    const fetch: Fetch = {
      replica,
      handle: -1,
      retry: undefined,
      retryMs: RETRY_FIRST_MS,
      owed: [],
    };
    this.#fetches.set(replica, fetch);
    this.#start(fetch);
  }

  remove(replica: FollowerReplica): void {
    const fetch = this.#fetches.get(replica);
    if (fetch === undefined) return;
    this.#fetches.delete(replica);
    if (fetch.handle >= 0) this.#stream?.send({ type: "stop", handles: [fetch.handle] });
    this.#halt(fetch);
  }

  /** The replica's log has more on disk. */
  onDurable(replica: FollowerReplica): void {
    const fetch = this.#fetches.get(replica);
    if (fetch === undefined) return;
    this.#repay(fetch, replica.log.durableEndOffset);
    this.#dirty.add(fetch);
    this.#report.schedule();
  }

  close(): void {
    this.#closed = true;
    this.#keepalive?.cancel();
    this.#reconnect?.cancel();
    this.#stream?.close();
    this.#stream = undefined;
    for (const fetch of this.#fetches.values()) this.#halt(fetch);
    this.#fetches.clear();
  }

  #open(): void {
    const { brokerId, brokerEpoch, clusterId } = this.#options;
    const stream = this.#ports.network.open(this.address, "replication");
    this.#stream = stream;
    this.#creditBytes = 0;
    this.#lastHeardMs = this.#ports.clock.monotonicMs();
    stream.onMessage = (message) => {
      if (this.#stream === stream) this.#onMessage(message);
    };
    stream.onEnd = (reason) => {
      if (this.#stream === stream) this.#onEnd(reason);
    };
    stream.send({ type: "hello", brokerId, brokerEpoch, clusterId });
    for (const fetch of this.#fetches.values()) this.#start(fetch);
  }

  #onEnd(reason: string): void {
    this.#stream = undefined;
    for (const fetch of this.#fetches.values()) this.#halt(fetch);
    this.#ports.logger.debug("replication stream ended", { leader: this.leaderId, reason });
    this.#reconnect = this.#ports.timers.after(this.#reconnectMs, () => this.#open());
    this.#reconnectMs = Math.min(this.#reconnectMs * 2, RETRY_LONGEST_MS);
  }

  #tick(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    // After a stall of this process timers run before what lies in the sockets is read.
    const stalled = nowMs - this.#lastTickMs > 2 * STREAM_KEEPALIVE_MS;
    this.#lastTickMs = nowMs;
    const stream = this.#stream;
    if (stream === undefined || stalled) return;
    if (nowMs - this.#lastHeardMs > STREAM_SILENCE_MS) {
      stream.close();
      this.#onEnd(`nothing heard for ${nowMs - this.#lastHeardMs} ms`);
    } else if (nowMs - this.#lastSentMs >= STREAM_KEEPALIVE_MS) {
      this.#report.schedule();
    }
  }

  /** Queues the start; those of one turn share a message. */
  #start(fetch: Fetch): void {
    if (this.#stream === undefined) return;
    this.#starting.add(fetch);
    this.#report.schedule();
  }

  /** What arrives for the handle from now on is dropped. */
  #halt(fetch: Fetch): void {
    this.#repay(fetch, Number.POSITIVE_INFINITY);
    if (fetch.handle >= 0) this.#byHandle.delete(fetch.handle);
    fetch.handle = -1;
    fetch.retry?.cancel();
    fetch.retry = undefined;
    this.#dirty.delete(fetch);
    this.#starting.delete(fetch);
  }

  #retryLater(fetch: Fetch): void {
    this.#halt(fetch);
    fetch.retry = this.#ports.timers.after(fetch.retryMs, () => {
      fetch.retry = undefined;
      this.#start(fetch);
    });
    fetch.retryMs = Math.min(fetch.retryMs * 2, RETRY_LONGEST_MS);
  }

  #onMessage(message: ReplicationDown): void {
    this.#lastHeardMs = this.#ports.clock.monotonicMs();
    this.#reconnectMs = RETRY_FIRST_MS;
    if (message.type === "refuse") {
      for (const refusal of message.partitions) this.#onRefusal(refusal);
      return;
    }
    let receivedBytes = 0;
    for (const fetched of message.partitions) {
      const bytes = fetched.batches.length;
      receivedBytes += bytes;
      const fetch = this.#byHandle.get(fetched.handle);
      if (fetch === undefined) {
        this.#creditBytes += bytes;
        if (bytes > 0) this.#report.schedule();
        continue;
      }
      try {
        const reset = fetch.replica.receive(fetched);
        if (reset !== undefined) {
          this.#creditBytes += bytes;
          this.#change(fetch, reset);
          continue;
        }
      } catch (thrown) {
        this.#creditBytes += bytes;
        this.#onUnusable(fetch, toOttlaError(thrown));
        continue;
      }
      // Only what was taken proves the way free again: a full disk refuses frame after frame.
      if (bytes > 0) fetch.retryMs = RETRY_FIRST_MS;
      // Told once it is durable: that it arrived, the leader can wait to hear until then.
      if (bytes > 0) fetch.owed.push({ end: fetch.replica.log.logEndOffset, bytes });
    }
    if (receivedBytes > 0) {
      this.#ports.meter.count(
        "kafka_server_brokertopicmetrics_replicationbytesin_total",
        {},
        receivedBytes,
      );
    }
  }

  #onUnusable(fetch: Fetch, error: OttlaError): void {
    const { code, message } = error;
    if (code === "UNKNOWN_SERVER_ERROR") {
      // Not the leader's doing: an invariant of this replica broke while its log was changed.
      this.#ports.fatal("a fetched batch could not be handled", error);
      return;
    }
    this.#ports.logger.warn("a fetched batch was refused", { code, message });
    if (fetch.handle >= 0) this.#stream?.send({ type: "stop", handles: [fetch.handle] });
    this.#retryLater(fetch);
  }

  #onRefusal(refusal: FetchRefusal): void {
    const fetch = this.#byHandle.get(refusal.handle);
    if (fetch === undefined) return;
    const change = fetch.replica.judge(refusal);
    if (change === undefined) this.#retryLater(fetch);
    else this.#change(fetch, change);
  }

  /** The fetch is off until the replica is added again, with a log that fits the leader's. */
  #change(fetch: Fetch, change: LogChange): void {
    this.remove(fetch.replica);
    fetch.replica.onChangeNeeded(change);
  }

  #repay(fetch: Fetch, durableEnd: Offset): void {
    const { owed } = fetch;
    let count = 0;
    while (count < owed.length && (owed[count] as Fetch["owed"][number]).end <= durableEnd) {
      this.#creditBytes += (owed[count] as Fetch["owed"][number]).bytes;
      count++;
    }
    if (count > 0) owed.splice(0, count);
  }

  #sendReport(): void {
    const stream = this.#stream;
    if (this.#closed || stream === undefined) return;
    this.#lastSentMs = this.#ports.clock.monotonicMs();
    if (this.#starting.size > 0) {
      const partitions = [...this.#starting].map((fetch) => {
        fetch.handle = ++this.#lastHandle;
        this.#byHandle.set(fetch.handle, fetch);
        this.#dirty.add(fetch);
        return fetch.replica.start(fetch.handle);
      });
      this.#starting.clear();
      stream.send({ type: "start", partitions });
    }
    const partitions: FetchProgress[] = [];
    for (const { handle, replica } of this.#dirty) {
      const { logEndOffset, durableEndOffset, logStartOffset } = replica.log;
      partitions.push({
        handle,
        receivedEnd: logEndOffset,
        durableEnd: durableEndOffset,
        logStartOffset,
      });
    }
    this.#dirty.clear();
    const creditBytes = this.#creditBytes;
    this.#creditBytes = 0;
    stream.send({ type: "progress", partitions, creditBytes });
  }
}
