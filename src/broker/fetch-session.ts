/**
 * A consumer's open fetch: sends committed batches of its partitions in turn, within its credit,
 * and sleeps until a high watermark rises. Nothing polls.
 */
import type { ItemError } from "../metadata/commands.ts";
import { type OttlaError, toOttlaError } from "../model/errors.ts";
import { type LeaderEpoch, NONE, type Offset } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import type { Ports } from "../ports/ports.ts";
import { type Batch, lastOffset } from "../record/batch.ts";
import type { LeaderListener, LeaderReplica } from "../runtime/leader-replica.ts";
import { OncePerTurn } from "../runtime/once-per-turn.ts";
import type {
  FetchedOne,
  FetchSession,
  FetchSink,
  FetchStartOne,
  LeaderHint,
} from "./broker-api.ts";
import { epochRefusal, itemError, type Partitions } from "./partitions.ts";
import type { Traffic } from "./traffic.ts";

export interface OpenFetchOptions {
  readonly partitions: Partitions;
  readonly traffic: Traffic;
  readonly sink: FetchSink;
  readonly onClosed: (session: OpenFetch) => void;
}

/** One partition's share of a response, and about the size of a response: partitions take turns. */
const SHARE_BYTES = 256 * 1024;
const RESPONSE_BYTES = 1024 * 1024;
const NO_BATCHES: readonly Batch[] = [];

class Reader implements LeaderListener {
  readonly session: OpenFetch;
  readonly start: FetchStartOne;
  leader: LeaderReplica;
  offset: Offset;
  /** Leader epoch of the record before `offset`; -1: not known. */
  lastEpoch: LeaderEpoch;
  /** The first answer also comes without data: it tells the high watermark. */
  answered = false;

  constructor(session: OpenFetch, start: FetchStartOne, leader: LeaderReplica) {
    this.session = session;
    this.start = start;
    this.leader = leader;
    this.offset = start.offset;
    this.lastEpoch = start.lastFetchedEpoch ?? NONE;
  }

  onWatermark(): void {
    this.session.onNews(this);
  }

  onLeaderGone(): void {
    this.session.onLeaderGone(this);
  }
}

export class OpenFetch implements FetchSession {
  readonly #ports: Ports;
  readonly #options: OpenFetchOptions;
  readonly #readers = new Map<number, Reader>();
  /** May have something to send, in turn. */
  readonly #ready = new Set<Reader>();
  /** Their leader is gone: they go on here with its successor, or end. */
  readonly #orphans = new Set<Reader>();
  readonly #wake: OncePerTurn;
  #refusals: FetchedOne[] = [];
  #creditBytes = 0;
  #running = false;
  #closed = false;

  constructor(ports: Ports, options: OpenFetchOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#wake = new OncePerTurn(ports, () => this.#begin());
  }

  start(partition: FetchStartOne): void {
    if (this.#closed) return;
    this.stop(partition.handle);
    const { topic, partition: index, handle } = partition;
    if (this.#readers.size >= LIMITS.partitionsPerTopicCount) {
      const message = `one fetch carries at most ${LIMITS.partitionsPerTopicCount} partitions`;
      this.#refuse(handle, topic, { code: "LIMIT_EXCEEDED", message }, undefined);
      return;
    }
    const leader = this.#options.partitions.leader(topic, index);
    if (leader === undefined) {
      const refusal = this.#options.partitions.refusal(topic, index);
      this.#refuse(handle, topic, refusal.error, refusal.leader);
      return;
    }
    const stale = epochRefusal(partition.currentLeaderEpoch, leader);
    if (stale !== undefined) {
      this.#refuse(handle, topic, stale, this.#options.partitions.hint(topic, index));
      return;
    }
    this.#options.traffic.of(topic).fetches++;
    const reader = new Reader(this, partition, leader);
    this.#readers.set(handle, reader);
    leader.addReader(reader);
    if (!this.#hasDiverged(reader)) this.onNews(reader);
  }

  stop(handle: number): void {
    const reader = this.#readers.get(handle);
    if (reader === undefined) return;
    this.#readers.delete(handle);
    this.#ready.delete(reader);
    this.#orphans.delete(reader);
    reader.leader.removeReader(reader);
  }

  credit(bytes: number): void {
    this.#creditBytes += Math.max(0, bytes);
    if (this.#ready.size > 0) this.#wake.schedule();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const handle of [...this.#readers.keys()]) this.stop(handle);
    this.#refusals = [];
    this.#options.onClosed(this);
  }

  onNews(reader: Reader): void {
    if (this.#closed || this.#readers.get(reader.start.handle) !== reader) return;
    this.#ready.add(reader);
    this.#wake.schedule();
  }

  onLeaderGone(reader: Reader): void {
    this.#orphans.add(reader);
    this.#wake.schedule();
  }

  #begin(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    this.#run()
      .catch((error: unknown) => {
        // The sink is gone: the client left, or does not read.
        const { code, message } = toOttlaError(error);
        this.#ports.logger.debug("a fetch ended", { code, message });
        this.close();
      })
      .finally(() => {
        this.#running = false;
        if (this.#hasWork()) this.#wake.schedule();
      })
      .catch((error: unknown) => this.#ports.fatal("a fetch failed", error));
  }

  #hasWork(): boolean {
    const mayRead = this.#ready.size > 0 && this.#creditBytes > 0;
    return !this.#closed && (mayRead || this.#refusals.length + this.#orphans.size > 0);
  }

  async #run(): Promise<void> {
    let gathered = this.#gather();
    for (;;) {
      const fetched = (await gathered).filter((one) => this.#stillWanted(one));
      if (this.#closed || fetched.length === 0) return;
      // The next reads are under way while the client takes these.
      gathered = this.#gather();
      await this.#options.sink(fetched);
    }
  }

  /**
   * A handle that was stopped meanwhile hears nothing more; one that was refused has ended. What is
   * dropped here the client never sees, so it could not give the credit back itself.
   */
  #stillWanted(one: FetchedOne): boolean {
    if (one.error !== undefined || this.#readers.has(one.handle)) return true;
    for (const { bytes } of one.batches) this.#creditBytes += bytes.length;
    return false;
  }

  /** One response: what is refused, and about a megabyte of data. Never rejects. */
  async #gather(): Promise<readonly FetchedOne[]> {
    for (const reader of [...this.#orphans]) this.#rehome(reader);
    const reads: (FetchedOne | Promise<FetchedOne | undefined>)[] = this.#refusals;
    this.#refusals = [];
    let roomBytes = RESPONSE_BYTES;
    for (const reader of this.#ready) {
      if (roomBytes <= 0 || this.#creditBytes <= 0 || this.#closed) break;
      this.#ready.delete(reader);
      const limit = Math.min(SHARE_BYTES, reader.start.maxBytes, this.#creditBytes);
      const read = this.#read(reader, limit);
      if (read === undefined) continue;
      // Reserved until it is known what came; a single batch may be larger than its share.
      if (read instanceof Promise) roomBytes -= limit;
      else for (const { bytes } of read.batches) roomBytes -= bytes.length;
      reads.push(read);
    }
    const results = await Promise.all(reads);
    const refusals = this.#refusals;
    this.#refusals = [];
    return [...results.filter((one) => one !== undefined), ...refusals];
  }

  #read(
    reader: Reader,
    maxBytes: number,
  ): FetchedOne | Promise<FetchedOne | undefined> | undefined {
    if (reader.leader.closed) return undefined;
    const { leader, offset } = reader;
    const { log, highWatermark } = leader;
    if (offset < log.logStartOffset || offset > log.logEndOffset) {
      const message = `offset ${offset} is outside ${log.logStartOffset} to ${highWatermark}`;
      this.#end(reader, { code: "OFFSET_OUT_OF_RANGE", message });
      return undefined;
    }
    if (offset >= highWatermark) {
      if (reader.answered) return undefined;
      return this.#answer(reader, highWatermark, NO_BATCHES);
    }
    try {
      const read = log.read(offset, { maxBytes: Math.max(1, maxBytes), upTo: highWatermark });
      if (!(read instanceof Promise)) return this.#answer(reader, highWatermark, read);
      return read.then(
        (batches) =>
          this.#readers.get(reader.start.handle) === reader
            ? this.#answer(reader, highWatermark, batches)
            : undefined,
        (thrown: unknown) => this.#onReadFailed(reader, toOttlaError(thrown)),
      );
    } catch (thrown) {
      return this.#onReadFailed(reader, toOttlaError(thrown));
    }
  }

  #onReadFailed(reader: Reader, error: OttlaError): undefined {
    if (this.#readers.get(reader.start.handle) === reader) this.#end(reader, itemError(error));
    return undefined;
  }

  /** A leader that was elected anew here goes on where it was; one that moved ends the handle. */
  #rehome(reader: Reader): void {
    this.#orphans.delete(reader);
    const { topic, partition, handle } = reader.start;
    const leader = this.#options.partitions.leader(topic, partition);
    if (leader === undefined) {
      const refusal = this.#options.partitions.refusal(topic, partition);
      this.stop(handle);
      this.#refuse(handle, topic, refusal.error, refusal.leader);
      return;
    }
    reader.leader = leader;
    leader.addReader(reader);
    // Between its two terms it may have followed somebody, and cut its log.
    if (!this.#hasDiverged(reader)) this.#ready.add(reader);
  }

  /**
   * Only an unclean election can undo what consumers have seen. Their offsets then lie beyond the
   * log's end or, worse, between records that they have never read.
   */
  #hasDiverged(reader: Reader): boolean {
    const { lastEpoch, offset } = reader;
    const { log } = reader.leader;
    if (lastEpoch === NONE || offset < log.logStartOffset) return false;
    const { endOffset } = log.epochs.endOf(lastEpoch, log.logEndOffset);
    if (endOffset >= offset) return false;
    const message = `offset ${offset} was read in leader epoch ${lastEpoch}, which ends at ${endOffset} here: the log was cut`;
    const divergedAt = Math.max(endOffset, log.logStartOffset);
    this.#end(reader, { code: "OFFSET_OUT_OF_RANGE", message }, divergedAt);
    return true;
  }

  #answer(reader: Reader, highWatermark: Offset, batches: readonly Batch[]): FetchedOne {
    reader.answered = true;
    let bytesCount = 0;
    for (const { bytes } of batches) bytesCount += bytes.length;
    const last = batches.at(-1);
    if (last !== undefined) {
      reader.offset = lastOffset(last.header) + 1;
      reader.lastEpoch = last.header.leaderEpoch;
    }
    // A new leader may not know yet how far the batch is committed that compaction has let grow
    // past its high watermark: only when that rises is there anything to read.
    const more = last !== undefined || reader.offset >= highWatermark;
    if (more && reader.offset < reader.leader.highWatermark) this.#ready.add(reader);
    this.#creditBytes -= bytesCount;
    this.#options.traffic.of(reader.start.topic).bytesOut += bytesCount;
    return {
      handle: reader.start.handle,
      error: undefined,
      highWatermark,
      lastStableOffset: highWatermark,
      logStartOffset: reader.leader.log.logStartOffset,
      batches,
      leader: undefined,
    };
  }

  #end(reader: Reader, error: ItemError, divergedAt?: Offset): void {
    const { handle, topic } = reader.start;
    this.stop(handle);
    this.#refuse(handle, topic, error, undefined, divergedAt);
  }

  #refuse(
    handle: number,
    topic: string,
    error: ItemError,
    leader: LeaderHint | undefined,
    divergedAt?: Offset,
  ): void {
    const { traffic } = this.#options;
    const unknown = error.code === "UNKNOWN_TOPIC_OR_PARTITION";
    const counted = unknown ? traffic.unknown : traffic.of(topic);
    counted.fetchFailures++;
    traffic.failed("Fetch", error.code);
    this.#refusals.push({
      handle,
      error,
      highWatermark: NONE,
      lastStableOffset: NONE,
      logStartOffset: NONE,
      batches: NO_BATCHES,
      leader,
      ...(divergedAt === undefined ? {} : { divergedAt }),
    });
    this.#wake.schedule();
  }
}
