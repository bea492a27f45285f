/**
 * One fetch of Kafka's kind: answered once, when enough is there, when something is wrong, or when
 * it has waited long enough. It sleeps until a high watermark rises; nothing polls.
 */
import { toOttlaError } from "../model/errors.ts";
import { NONE, type Offset } from "../model/ids.ts";
import type { Timer } from "../ports/clock.ts";
import type { Ports } from "../ports/ports.ts";
import { type Batch, lastOffset } from "../record/batch.ts";
import type { LeaderListener, LeaderReplica } from "../runtime/leader-replica.ts";
import { OncePerTurn } from "../runtime/once-per-turn.ts";
import type { FetchOnce, FetchOnceOptions, FetchOne, FetchOneResult } from "./broker-api.ts";
import { epochRefusal, itemError, type Partitions } from "./partitions.ts";
import type { Traffic } from "./traffic.ts";

export interface OneFetchOptions extends FetchOnceOptions {
  readonly partitions: Partitions;
  readonly traffic: Traffic;
  readonly onSettled: (fetch: OneFetch) => void;
}

/** Longest wait of one fetch, whatever its client asks for: then it is answered without data. */
const WAIT_MOST_MS = 300_000;
const NO_BATCHES: readonly Batch[] = [];

class Part {
  readonly one: FetchOne;
  leader: LeaderReplica | undefined;
  /** Where the next read begins. */
  offset: Offset;
  bytesCount = 0;
  batches: readonly Batch[] = NO_BATCHES;
  /** What went wrong, or where the logs part: no more is read, and the answer waits for nothing. */
  ended: FetchOneResult | undefined;

  constructor(one: FetchOne, leader: LeaderReplica | undefined) {
    this.one = one;
    this.leader = leader;
    this.offset = one.offset;
  }
}

export class OneFetch implements FetchOnce, LeaderListener {
  readonly done: Promise<readonly FetchOneResult[]>;
  readonly #ports: Ports;
  readonly #options: OneFetchOptions;
  readonly #parts: readonly Part[];
  readonly #wake: OncePerTurn;
  readonly #waitsUntilMs: number;
  #resolve: (results: readonly FetchOneResult[]) => void = () => undefined;
  #bytesCount = 0;
  #timer: Timer | undefined;
  #listening = false;
  #reading = false;
  #settled = false;

  constructor(ports: Ports, ones: readonly FetchOne[], options: OneFetchOptions) {
    this.#ports = ports;
    this.#options = options;
    const { partitions, traffic } = options;
    this.#parts = ones.map((one) => {
      const leader = partitions.leader(one.topic, one.partition);
      if (leader !== undefined) traffic.of(one.topic).fetches++;
      return new Part(one, leader);
    });
    const waitMs = Math.min(Math.max(0, options.maxWaitMs), WAIT_MOST_MS);
    this.#waitsUntilMs = ports.clock.monotonicMs() + waitMs;
    this.#wake = new OncePerTurn(ports, () => this.#gather());
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const part of this.#parts) this.#check(part);
    this.#gather();
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** The client is gone, or the broker stops: answered with what is there. */
  cancel(): void {
    this.#settle();
  }

  onWatermark(): void {
    this.#wake.schedule();
  }

  onLeaderGone(): void {
    this.#wake.schedule();
  }

  /** What can be refused before anything is read. */
  #check(part: Part): void {
    const { one, leader } = part;
    const { partitions } = this.#options;
    if (leader === undefined) {
      const { error, leader: hint } = partitions.refusal(one.topic, one.partition);
      this.#end(part, { error, leader: hint });
      return;
    }
    const stale = epochRefusal(one.currentLeaderEpoch, leader);
    if (stale !== undefined) {
      this.#end(part, { error: stale, leader: partitions.hint(one.topic, one.partition) });
      return;
    }
    const { log, highWatermark } = leader;
    if (one.offset < log.logStartOffset || one.offset > log.logEndOffset) {
      const message = `offset ${one.offset} is outside ${log.logStartOffset} to ${highWatermark}`;
      this.#end(part, { error: { code: "OFFSET_OUT_OF_RANGE", message } });
      return;
    }
    if (one.lastFetchedEpoch >= 0) this.#compare(part, leader);
  }

  /** KIP-595: a client that read another history is told where the two part. */
  #compare(part: Part, { log }: LeaderReplica): void {
    const { offset, lastFetchedEpoch } = part.one;
    const end = log.epochs.endOf(lastFetchedEpoch, log.logEndOffset);
    if (end.epoch < 0) {
      const message = `leader epoch ${lastFetchedEpoch} is not known to the log`;
      this.#end(part, { error: { code: "OFFSET_OUT_OF_RANGE", message } });
    } else if (end.epoch < lastFetchedEpoch || end.endOffset < offset) {
      this.#end(part, { diverging: end });
    }
  }

  /** Reads what there is now, within the limits; answers if that is enough, else waits on. */
  #gather(): void {
    if (this.#settled || this.#reading) return;
    const reads: Promise<void>[] = [];
    let roomBytes = this.#options.maxBytes - this.#bytesCount;
    for (const part of this.#parts) {
      // KIP-74: the first batch comes whatever the limits, or a large one would stop its consumer.
      if (roomBytes <= 0 && (this.#bytesCount > 0 || reads.length > 0)) break;
      const before = part.bytesCount;
      const limit = Math.max(1, Math.min(part.one.maxBytes - before, roomBytes));
      const read = this.#read(part, limit);
      if (read === undefined) {
        roomBytes -= part.bytesCount - before;
      } else {
        roomBytes -= limit;
        reads.push(read);
      }
    }
    if (reads.length === 0) {
      this.#decide();
      return;
    }
    this.#reading = true;
    Promise.all(reads)
      .then(() => {
        this.#reading = false;
        this.#decide();
      })
      .catch((error: unknown) => this.#ports.fatal("a fetch failed", error));
  }

  /** Undefined if there is nothing to read; never rejects. */
  #read(part: Part, maxBytes: number): Promise<void> | undefined {
    const { leader, one } = part;
    if (part.ended !== undefined || leader === undefined) return undefined;
    if (leader.closed) {
      const { error, leader: hint } = this.#options.partitions.refusal(one.topic, one.partition);
      // Elected anew here meanwhile: the client comes again, with the new epoch.
      const again = this.#options.partitions.leader(one.topic, one.partition) !== undefined;
      const message = `${one.topic}-${one.partition} has a new leader epoch`;
      this.#end(part, {
        error: again ? { code: "NOT_LEADER_OR_FOLLOWER", message } : error,
        leader: hint,
      });
      return undefined;
    }
    const { log, highWatermark } = leader;
    if (part.offset >= highWatermark || part.bytesCount >= Math.max(1, one.maxBytes)) {
      return undefined;
    }
    try {
      const read = log.read(part.offset, { maxBytes, upTo: highWatermark });
      if (!(read instanceof Promise)) {
        this.#take(part, read);
        return undefined;
      }
      return read.then(
        (batches) => this.#take(part, batches),
        (thrown: unknown) => this.#end(part, { error: itemError(toOttlaError(thrown)) }),
      );
    } catch (thrown) {
      this.#end(part, { error: itemError(toOttlaError(thrown)) });
      return undefined;
    }
  }

  #take(part: Part, batches: readonly Batch[]): void {
    const last = batches.at(-1);
    if (last === undefined) return;
    part.batches = part.batches.length === 0 ? batches : [...part.batches, ...batches];
    part.offset = lastOffset(last.header) + 1;
    for (const { bytes } of batches) {
      part.bytesCount += bytes.length;
      this.#bytesCount += bytes.length;
    }
  }

  #end(part: Part, what: Partial<Pick<FetchOneResult, "error" | "leader" | "diverging">>): void {
    const { traffic } = this.#options;
    const { error } = what;
    if (error !== undefined) {
      const unknown = error.code === "UNKNOWN_TOPIC_OR_PARTITION";
      const counted = unknown ? traffic.unknown : traffic.of(part.one.topic);
      counted.fetchFailures++;
      traffic.failed("Fetch", error.code);
    }
    const { leader } = part;
    const known = error === undefined && leader !== undefined;
    part.ended = {
      error,
      highWatermark: known ? leader.highWatermark : NONE,
      lastStableOffset: known ? leader.highWatermark : NONE,
      logStartOffset: known ? leader.log.logStartOffset : NONE,
      batches: NO_BATCHES,
      leader: what.leader,
      diverging: what.diverging,
    };
  }

  #decide(): void {
    if (this.#settled) return;
    const enough = Math.min(Math.max(0, this.#options.minBytes), this.#options.maxBytes);
    const leftMs = this.#waitsUntilMs - this.#ports.clock.monotonicMs();
    if (this.#bytesCount >= enough || leftMs <= 0 || this.#mayGrowNoMore()) {
      this.#settle();
      return;
    }
    if (this.#listening) return;
    this.#listening = true;
    for (const { leader } of this.#parts) leader?.addReader(this);
    this.#timer = this.#ports.timers.after(leftMs, () => this.#settle());
  }

  #mayGrowNoMore(): boolean {
    // Without a partition too.
    let growing = false;
    for (const part of this.#parts) {
      if (part.ended !== undefined) return true;
      growing ||= part.bytesCount < Math.max(1, part.one.maxBytes);
    }
    return !growing;
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#timer?.cancel();
    if (this.#listening) for (const { leader } of this.#parts) leader?.removeReader(this);
    const { traffic } = this.#options;
    this.#resolve(
      this.#parts.map((part) => {
        if (part.ended !== undefined) return part.ended;
        const leader = part.leader as LeaderReplica;
        traffic.of(part.one.topic).bytesOut += part.bytesCount;
        return {
          error: undefined,
          highWatermark: leader.highWatermark,
          lastStableOffset: leader.highWatermark,
          logStartOffset: leader.log.logStartOffset,
          batches: part.batches,
          leader: undefined,
          diverging: undefined,
        };
      }),
    );
    this.#options.onSettled(this);
  }
}
