/**
 * One follower's stream at its leader: judges what each partition's fetch starts from, and sends
 * frames, partitions in turn, within the follower's credit.
 */
import type { ErrorCode } from "../model/errors.ts";
import { toOttlaError } from "../model/errors.ts";
import {
  type BrokerEpoch,
  type BrokerId,
  type LeaderEpoch,
  NONE,
  partitionKey,
  type TopicPartition,
} from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import type { Timer } from "../ports/clock.ts";
import type { PeerStream } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";
import type {
  FetchedPartition,
  FetchProgress,
  FetchRefusal,
  FetchStart,
  ReplicationDown,
  ReplicationUp,
} from "../replica/messages.ts";
import type { LeaderReplica } from "./leader-replica.ts";
import { OncePerTurn } from "./once-per-turn.ts";
import { type FeedOwner, PartitionFeed } from "./partition-feed.ts";
import { STREAM_KEEPALIVE_MS, STREAM_SILENCE_MS } from "./replication-fetcher.ts";

/** What this broker is to a partition: its leader, or at which leader epoch it stands. */
export interface Lookup {
  readonly leader: LeaderReplica | undefined;
  /** -1: the partition is not known here. */
  readonly leaderEpoch: LeaderEpoch;
  readonly isReplica: (id: BrokerId) => boolean;
}

export interface FollowerStreamOptions {
  readonly stream: PeerStream<ReplicationDown, ReplicationUp>;
  readonly lookup: (partition: TopicPartition) => Lookup;
  /** Whether the stream is admitted. */
  readonly onHello: (hello: Extract<ReplicationUp, { readonly type: "hello" }>) => boolean;
  readonly onClosed: () => void;
}

/** A frame with less room than this is sent: a read returns at least one batch, however large. */
const FRAME_ROOM_LEAST_BYTES = LIMITS.replicationFrameBytes / 4;
/** Disk reads for followers that are behind, at a time: catching up never starves the tail. */
const CATCH_UP_READS_COUNT = 2;
const QUIET_NEWS_MS = 20;

interface ParkedStart {
  readonly start: FetchStart;
  /**
   * What the follower said of its disk meanwhile. It says so with the start and then only when more
   * is durable: without new records a report that is lost would hold the high watermark for ever.
   */
  progress: FetchProgress | undefined;
}

export class FollowerStream implements FeedOwner {
  readonly ports: Ports;
  readonly #options: FollowerStreamOptions;
  readonly #stream: PeerStream<ReplicationDown, ReplicationUp>;
  readonly #feeds = new Map<number, PartitionFeed>();
  /** Starts in an epoch that this broker has not reached, by partition. */
  readonly #parked = new Map<string, ParkedStart>();
  /** Have something to send, in turn. */
  readonly #ready = new Set<PartitionFeed>();
  /** Have data, but there is no credit. */
  readonly #starved = new Set<PartitionFeed>();
  /** Must read from disk, in turn. */
  readonly #behind = new Set<PartitionFeed>();
  /** Have a high watermark to tell. */
  readonly #quiet = new Set<PartitionFeed>();
  #quietTimer: Timer | undefined;
  readonly #pump: OncePerTurn;
  #refusals: FetchRefusal[] = [];
  #brokerId: BrokerId = NONE;
  #brokerEpoch: BrokerEpoch = NONE;
  #creditBytes: number = LIMITS.replicationWindowBytes;
  #writable = true;
  #reads = 0;
  readonly #keepalive: Timer;
  #lastSentMs: number;
  #lastHeardMs: number;
  #lastTickMs: number;
  #closed = false;

  constructor(ports: Ports, options: FollowerStreamOptions) {
    this.ports = ports;
    this.#options = options;
    this.#stream = options.stream;
    this.#pump = new OncePerTurn(ports, () => this.#send());
    const nowMs = ports.clock.monotonicMs();
    this.#lastSentMs = nowMs;
    this.#lastHeardMs = nowMs;
    this.#lastTickMs = nowMs;
    this.#keepalive = ports.timers.every(STREAM_KEEPALIVE_MS, () => this.#tick());
    this.#stream.onMessage = (message) => {
      if (!this.#closed) this.#onMessage(message);
    };
    this.#stream.onDrain = () => {
      this.#writable = true;
      this.#pump.schedule();
    };
    this.#stream.onEnd = () => this.#end();
  }

  /** -1 before the hello. */
  get brokerId(): BrokerId {
    return this.#brokerId;
  }
  get brokerEpoch(): BrokerEpoch {
    return this.#brokerEpoch;
  }

  onLeaderStarted(key: string): void {
    const parked = this.#parked.get(key);
    if (parked === undefined) return;
    this.#parked.delete(key);
    this.#start(parked.start);
    // Parked again: this broker is still behind the follower's epoch.
    const again = this.#parked.get(key);
    if (again !== undefined) again.progress = parked.progress;
    else if (parked.progress !== undefined) this.#progress(parked.progress);
  }

  close(): void {
    if (this.#closed) return;
    this.#stream.close();
    this.#end();
  }

  onReady(feed: PartitionFeed): void {
    if (this.#closed || this.#feeds.get(feed.handle) !== feed) return;
    this.#ready.add(feed);
    this.#pump.schedule();
  }

  /**
   * A high watermark without data waits a little for data to ride with: under steady load it then
   * costs no message of its own, and a follower's knowledge of it may lag.
   */
  onQuietNews(feed: PartitionFeed): void {
    if (this.#closed) return;
    this.#quiet.add(feed);
    this.#quietTimer ??= this.ports.timers.after(QUIET_NEWS_MS, () => {
      this.#quietTimer = undefined;
      const due = [...this.#quiet];
      this.#quiet.clear();
      for (const one of due) this.onReady(one);
    });
  }

  onRead(feed: PartitionFeed): void {
    this.#reads--;
    this.onReady(feed);
    // Also if the feed is gone: its place at the disk is free.
    if (!this.#closed) this.#pump.schedule();
  }

  refuse(feed: PartitionFeed, refusal: Omit<FetchRefusal, "handle">): void {
    this.#drop(feed);
    this.#refusals.push({ handle: feed.handle, ...refusal });
    this.#pump.schedule();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keepalive.cancel();
    this.#quietTimer?.cancel();
    for (const feed of [...this.#feeds.values()]) this.#drop(feed);
    this.#parked.clear();
    this.#options.onClosed();
  }

  #tick(): void {
    const nowMs = this.ports.clock.monotonicMs();
    // After a stall of this process timers run before what lies in the sockets is read.
    const stalled = nowMs - this.#lastTickMs > 2 * STREAM_KEEPALIVE_MS;
    this.#lastTickMs = nowMs;
    if (stalled) return;
    if (nowMs - this.#lastHeardMs > STREAM_SILENCE_MS) this.close();
    else if (nowMs - this.#lastSentMs >= STREAM_KEEPALIVE_MS && this.#writable) this.#frame([]);
  }

  #onMessage(message: ReplicationUp): void {
    this.#lastHeardMs = this.ports.clock.monotonicMs();
    if (message.type === "hello") {
      const first = this.#brokerId === NONE;
      this.#brokerId = message.brokerId;
      this.#brokerEpoch = message.brokerEpoch;
      if (!first || !this.#options.onHello(message)) this.close();
      return;
    }
    if (this.#brokerId === NONE) {
      this.close();
      return;
    }
    switch (message.type) {
      case "start":
        for (const start of message.partitions) this.#start(start);
        return;
      case "stop":
        for (const handle of message.handles) this.#stop(handle);
        return;
      case "progress":
        this.#creditBytes += message.creditBytes;
        for (const progress of message.partitions) this.#progress(progress);
        if (message.creditBytes > 0) this.#unstarve();
    }
  }

  #start(start: FetchStart): void {
    const key = partitionKey(start.topicId, start.partition);
    const { leader, leaderEpoch, isReplica } = this.#options.lookup(start);
    if (start.leaderEpoch < leaderEpoch) {
      this.#refuseStart(start, "FENCED_LEADER_EPOCH");
      return;
    }
    // The follower's metadata is ahead, or the leader here has yet to begin: judged when it does.
    if (leader === undefined || leader.leaderEpoch !== start.leaderEpoch) {
      this.#parked.set(key, { start, progress: undefined });
      return;
    }
    if (!isReplica(this.#brokerId)) {
      this.#refuseStart(start, "NOT_LEADER_OR_FOLLOWER");
      return;
    }
    const { epochs, logEndOffset, logStartOffset } = leader.log;
    const { fetchOffset, lastFetchedEpoch } = start;
    const feed = new PartitionFeed(this, { start, leader });
    if (lastFetchedEpoch !== NONE) {
      const end = epochs.endOf(lastFetchedEpoch, logEndOffset);
      if (end.epoch === NONE) {
        // Nothing that both logs have can be compared: the follower begins with this log.
        feed.refuseOutOfRange();
        return;
      }
      if (end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset) {
        const { epoch, endOffset } = end;
        const diverging = { epoch, endOffset };
        this.#refusals.push({
          handle: start.handle,
          error: undefined,
          diverging,
          logStartOffset,
          logEndOffset,
        });
        this.#pump.schedule();
        return;
      }
    } else if (fetchOffset > logEndOffset) {
      feed.refuseOutOfRange();
      return;
    }
    this.#feeds.set(start.handle, feed);
    leader.attachFollower(this.#brokerId, { brokerEpoch: this.#brokerEpoch, fetchOffset }, feed);
    this.onReady(feed);
  }

  #refuseStart(start: FetchStart, error: ErrorCode): void {
    this.#refusals.push({
      handle: start.handle,
      error,
      diverging: undefined,
      logStartOffset: NONE,
      logEndOffset: NONE,
    });
    this.#pump.schedule();
  }

  #stop(handle: number): void {
    const feed = this.#feeds.get(handle);
    if (feed !== undefined) this.#drop(feed);
    for (const [key, { start }] of this.#parked) {
      if (start.handle === handle) this.#parked.delete(key);
    }
  }

  #progress(progress: FetchProgress): void {
    const feed = this.#feeds.get(progress.handle);
    if (feed === undefined) {
      for (const parked of this.#parked.values()) {
        if (parked.start.handle === progress.handle) parked.progress = progress;
      }
      return;
    }
    if (progress.receivedEnd > feed.nextOffset) {
      this.refuse(feed, feed.refusal("INVALID_REQUEST"));
      return;
    }
    const { durableEnd, logStartOffset } = progress;
    feed.leader.onFollowerProgress(this.#brokerId, feed, { durableEnd, logStartOffset });
  }

  #drop(feed: PartitionFeed): void {
    if (this.#feeds.get(feed.handle) === feed) this.#feeds.delete(feed.handle);
    this.#ready.delete(feed);
    this.#starved.delete(feed);
    this.#behind.delete(feed);
    this.#quiet.delete(feed);
    feed.close();
    feed.leader.detachFollower(this.#brokerId, feed);
  }

  #unstarve(): void {
    if (this.#starved.size === 0) return;
    for (const feed of this.#starved) this.#ready.add(feed);
    this.#starved.clear();
    this.#pump.schedule();
  }

  /**
   * Gives a free place at the disk to the next feed that waits for one. Asked after every feed, not
   * only after a read: whoever got the place may find in memory what it needs, or lack credit, and
   * would leave the others waiting for the end of a read that never began.
   */
  #admitBehind(): void {
    const [feed] = this.#behind;
    if (feed === undefined || this.#reads >= CATCH_UP_READS_COUNT) return;
    this.#behind.delete(feed);
    this.#ready.add(feed);
  }

  #send(): void {
    if (this.#closed) return;
    if (this.#refusals.length > 0) {
      this.#stream.send({ type: "refuse", partitions: this.#refusals });
      this.#refusals = [];
    }
    while (this.#writable && !this.#closed) {
      this.#admitBehind();
      if (this.#ready.size === 0) return;
      const partitions: FetchedPartition[] = [];
      let roomBytes: number = LIMITS.replicationFrameBytes;
      for (const feed of this.#ready) {
        if (roomBytes < FRAME_ROOM_LEAST_BYTES) break;
        this.#ready.delete(feed);
        this.#quiet.delete(feed);
        const fetched = this.#take(feed, Math.min(roomBytes, this.#creditBytes));
        if (fetched === undefined) continue;
        roomBytes -= fetched.batches.length;
        this.#creditBytes -= fetched.batches.length;
        partitions.push(fetched);
      }
      if (partitions.length > 0) this.#frame(partitions);
    }
  }

  /** The feed's turn: what it sends now, and where it queues next. */
  #take(feed: PartitionFeed, roomBytes: number): FetchedPartition | undefined {
    try {
      const mayRead = this.#reads < CATCH_UP_READS_COUNT;
      const { fetched, next } = feed.take(roomBytes, mayRead);
      if (next === "more") this.#ready.add(feed);
      else if (next === "starved") this.#starved.add(feed);
      else if (next === "behind") this.#behind.add(feed);
      else if (next === "reading") this.#reads++;
      return fetched;
    } catch (thrown) {
      const { code } = toOttlaError(thrown);
      if (code === "OFFSET_OUT_OF_RANGE") feed.refuseOutOfRange();
      else this.refuse(feed, feed.refusal(code));
      return undefined;
    }
  }

  #frame(partitions: readonly FetchedPartition[]): void {
    this.#lastSentMs = this.ports.clock.monotonicMs();
    if (!this.#stream.send({ type: "frame", partitions })) this.#writable = false;
    let bytes = 0;
    for (const { batches } of partitions) bytes += batches.length;
    if (bytes > 0) {
      this.ports.meter.count(
        "kafka_server_brokertopicmetrics_replicationbytesout_total",
        {},
        bytes,
      );
    }
  }
}
