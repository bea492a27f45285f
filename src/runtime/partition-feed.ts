/** One partition of one follower's stream: how far it was sent, and what comes next. */
import { concatBytes, EMPTY_BYTES } from "../base/bytes.ts";
import type { ErrorCode } from "../model/errors.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";
import type { Ports } from "../ports/ports.ts";
import { type Batch, isCompacted, lastOffset } from "../record/batch.ts";
import { restOfBatch } from "../record/dense-batches.ts";
import type { FetchedPartition, FetchRefusal, FetchStart } from "../replica/messages.ts";
import { lastRecordOffset } from "../storage/open-batch.ts";
import type { FollowerListener, LeaderReplica } from "./leader-replica.ts";

export interface FeedOwner {
  readonly ports: Ports;
  onReady(feed: PartitionFeed): void;
  /** There is something to tell, but no data: it can wait for some. */
  onQuietNews(feed: PartitionFeed): void;
  /** A read from disk is over, well or not. */
  onRead(feed: PartitionFeed): void;
  refuse(feed: PartitionFeed, refusal: Omit<FetchRefusal, "handle">): void;
}

export interface Taken {
  readonly fetched: FetchedPartition | undefined;
  /** Where the feed queues: it has more, lacks credit, waits for its turn at the disk or reads, or is done. */
  readonly next: "more" | "starved" | "behind" | "reading" | "idle";
}

const NOTHING: readonly Batch[] = [];
const NOT_NOW: Taken = { fetched: undefined, next: "idle" };

export class PartitionFeed implements FollowerListener {
  readonly handle: number;
  readonly leader: LeaderReplica;
  readonly #owner: FeedOwner;
  #nextOffset: Offset;
  #sentHighWatermark: Offset = -1;
  #sentLogStart: Offset = -1;
  #reading = false;
  /** What comes next had to be read from disk last time, so it waits for its turn there. */
  #onDisk = false;
  #refusing = false;
  /** Read from disk, waiting for the feed's turn. */
  #fromDisk: readonly Batch[] = NOTHING;
  #closed = false;

  constructor(
    owner: FeedOwner,
    options: { readonly start: FetchStart; readonly leader: LeaderReplica },
  ) {
    this.#owner = owner;
    this.handle = options.start.handle;
    this.leader = options.leader;
    this.#nextOffset = options.start.fetchOffset;
  }

  /** One past what was sent. */
  get nextOffset(): Offset {
    return this.#nextOffset;
  }

  onAppended(): void {
    if (!this.#reading) this.#owner.onReady(this);
  }

  onWatermark(): void {
    if (!this.#reading) this.#owner.onQuietNews(this);
  }

  onLeaderGone(error: ErrorCode): void {
    this.#owner.refuse(this, this.refusal(error));
  }

  close(): void {
    this.#closed = true;
    this.#fromDisk = NOTHING;
  }

  refusal(error: ErrorCode): Omit<FetchRefusal, "handle"> {
    const { logStartOffset, logEndOffset } = this.leader.log;
    return { error, diverging: undefined, logStartOffset, logEndOffset };
  }

  /** At most about `roomBytes` of batches; high watermark and log start cost nothing. May throw. */
  take(roomBytes: number, mayReadDisk: boolean): Taken {
    const { log } = this.leader;
    if (this.#refusing || this.#reading) return NOT_NOW;
    let batches = this.#fromDisk;
    this.#fromDisk = NOTHING;
    let next: Taken["next"] = "idle";
    if (batches.length === 0 && this.#nextOffset < log.logEndOffset) {
      if (log.logStartOffset === log.logEndOffset) {
        // Nothing is left of the log: no batch will ever show the follower that it asks too low,
        // and until the next append it would wait at an offset at which it can never be in sync.
        this.refuseOutOfRange();
        return NOT_NOW;
      }
      if (roomBytes <= 0) next = "starved";
      else {
        // The batch that holds the log start may begin below it: it is sent whole.
        const from = Math.max(this.#nextOffset, log.logStartOffset);
        const read =
          mayReadDisk || !this.#onDisk
            ? log.read(from, { maxBytes: roomBytes, upTo: log.logEndOffset })
            : undefined;
        this.#onDisk = read === undefined || read instanceof Promise;
        if (read === undefined) next = "behind";
        else if (read instanceof Promise) {
          this.#read(read);
          next = "reading";
        } else batches = read;
      }
    }
    const first = batches[0];
    if (first !== undefined && first.header.baseOffset !== this.#nextOffset) {
      if (first.header.baseOffset < this.#nextOffset && isCompacted(first.header)) {
        this.#read(this.#fromWithin(batches));
        return { fetched: undefined, next: "reading" };
      }
      this.refuseOutOfRange();
      return NOT_NOW;
    }
    const last = batches.at(-1);
    if (last !== undefined) {
      this.#nextOffset = lastOffset(last.header) + 1;
      if (this.#nextOffset < log.logEndOffset) next = "more";
    }
    const { highWatermark } = this.leader;
    const { logStartOffset } = log;
    const news =
      last !== undefined ||
      highWatermark !== this.#sentHighWatermark ||
      logStartOffset !== this.#sentLogStart;
    if (!news) return { fetched: undefined, next };
    this.#sentHighWatermark = highWatermark;
    this.#sentLogStart = logStartOffset;
    return {
      fetched: {
        handle: this.handle,
        highWatermark,
        logStartOffset,
        batches: last === undefined ? EMPTY_BYTES : concatBytes(batches.map(({ bytes }) => bytes)),
      },
      next,
    };
  }

  /**
   * Tells the follower where to begin: at the first batch that this log has, whose base may lie
   * below the log start, because a follower can only hold whole batches.
   */
  refuseOutOfRange(): void {
    if (this.#refusing) return;
    this.#refusing = true;
    const { log } = this.leader;
    const limits = { maxBytes: 1, upTo: log.logEndOffset };
    this.#startOfFirstBatch(limits)
      .then(
        (logStartOffset) => {
          const refusal = this.refusal("OFFSET_OUT_OF_RANGE");
          this.#owner.refuse(this, { ...refusal, logStartOffset });
        },
        (error: unknown) => this.#owner.refuse(this, this.refusal(toOttlaError(error).code)),
      )
      .catch((error: unknown) => this.#owner.ports.fatal("a fetch could not be refused", error));
  }

  async #startOfFirstBatch(limits: {
    readonly maxBytes: number;
    readonly upTo: Offset;
  }): Promise<Offset> {
    const { log } = this.leader;
    const batches = await log.read(log.logStartOffset, limits);
    return batches[0]?.header.baseOffset ?? log.logStartOffset;
  }

  /**
   * The follower ends where compaction has let a batch of this log grow past: it has all of that
   * batch's records that there were, and gets the rest as an empty batch. Rejects with
   * OFFSET_OUT_OF_RANGE if a record lies where it wants to go on.
   */
  async #fromWithin(batches: readonly Batch[]): Promise<readonly Batch[]> {
    const [first, ...later] = batches as readonly [Batch, ...Batch[]];
    const { codecs, timers } = this.#owner.ports;
    const from = this.#nextOffset;
    if ((await lastRecordOffset(first, codecs, timers)) >= from) {
      throw new OttlaError("OFFSET_OUT_OF_RANGE", `offset ${from} lies within a batch`);
    }
    return [restOfBatch(first.header, from, codecs.crc32c), ...later];
  }

  #read(read: Promise<readonly Batch[]>): void {
    this.#reading = true;
    read
      .then(
        (batches) => {
          this.#reading = false;
          if (!this.#closed) this.#fromDisk = batches;
          this.#owner.onRead(this);
        },
        (error: unknown) => {
          this.#reading = false;
          this.#owner.onRead(this);
          const { code } = toOttlaError(error);
          if (this.#closed) return;
          if (code === "OFFSET_OUT_OF_RANGE") this.refuseOutOfRange();
          else this.#owner.refuse(this, this.refusal(code));
        },
      )
      .catch((error: unknown) => this.#owner.ports.fatal("a read could not be handled", error));
  }
}
