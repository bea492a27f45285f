/**
 * Reads of a log's stored batches. A segment may leave the log while a read waits for it: by
 * retention, which puts the offset out of range, or because the log cleaner put another in its
 * place, which is then read instead.
 */
import { assert } from "../base/assert.ts";
import { OttlaError } from "../model/errors.ts";
import type { LeaderEpoch, Offset } from "../model/ids.ts";
import type { KeyValueStore } from "../ports/key-value-store.ts";
import { type Batch, lastOffset } from "../record/batch.ts";
import type { ReadLimits } from "./log.ts";
import type { LogContext } from "./log-context.ts";
import { parseStoredBatch, type Segment } from "./segment.ts";
import { batchKey, isBatchKey } from "./segment-keys.ts";
import { readSegment } from "./segment-reader.ts";

const CHUNK_ENTRIES_COUNT = 4_096;

export interface SegmentReadsSource {
  readonly context: LogContext;
  readonly segments: () => readonly Segment[];
  /** Throws what a reader is told if the log is closed or offline. */
  readonly assertUsable: () => void;
  /** Throws OFFSET_OUT_OF_RANGE. */
  readonly assertInRange: (offset: Offset) => void;
  /** A database failed: takes the log offline and returns what the reader is told. */
  readonly onFailed: (thrown: unknown) => unknown;
  /** The leader epoch that wrote the offset; -1 below the log's start. */
  readonly epochAt: (offset: Offset) => LeaderEpoch;
  /** Truncations that have begun. */
  readonly cutsCount: () => number;
}

/** Thrown to whoever still holds a segment that the log cleaner has replaced. */
class SegmentReplaced extends Error {
  override readonly name = "SegmentReplaced";
}

export class SegmentReads {
  readonly #source: SegmentReadsSource;

  constructor(source: SegmentReadsSource) {
    this.#source = source;
  }

  /** As `PartitionLog.read`, of what is stored. */
  read(from: Offset, limits: ReadLimits): Promise<readonly Batch[]> {
    const { crc32c } = this.#source.context.ports.codecs;
    return this.retrying(() => {
      const segment = this.#source.segments().findLast(({ baseOffset }) => baseOffset <= from);
      assert(segment !== undefined, `a segment holds offset ${from}`);
      return this.#inTheirEpochs(
        this.search(segment, (store) => readSegment(store, from, limits, crc32c)),
      );
    });
  }

  /** Repeats work on segments that the log cleaner replaced meanwhile. */
  async retrying<Result>(work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof SegmentReplaced)) throw error;
      }
    }
  }

  /** Runs `work` on the segment's database. */
  async search<Result>(
    segment: Segment,
    work: (store: KeyValueStore) => Promise<Result>,
  ): Promise<Result> {
    const { context, assertUsable, assertInRange, onFailed } = this.#source;
    const isGone = (): boolean => segment.dropped || segment.replaced;
    const use = { active: !segment.sealed, create: false, isGone };
    try {
      return await context.pool.use(segment.path, use, work);
    } catch (error) {
      if (segment.replaced) throw new SegmentReplaced();
      assertUsable();
      if (segment.dropped) assertInRange(segment.baseOffset);
      throw onFailed(error);
    }
  }

  /** The segment's next batches, from the one that holds `from` on; see `CompactableLog`. */
  async batches(segment: Segment, from: Offset, maxBytes: number): Promise<readonly Batch[]> {
    const { crc32c } = this.#source.context.ports.codecs;
    const read = this.search(segment, async (store) => {
      const iterator = store.iterate({ gte: batchKey(from) });
      try {
        for (;;) {
          const entries = await iterator.next(CHUNK_ENTRIES_COUNT, maxBytes);
          const batches = entries
            .filter(({ key }) => isBatchKey(key))
            .map((entry) => parseStoredBatch(entry, crc32c));
          if (batches.length > 0 || entries.length === 0) return batches;
        }
      } finally {
        await iterator.close();
      }
    });
    return await this.#inTheirEpochs(read);
  }

  /**
   * The epoch that a batch bears is the one part of it that no checksum covers, as the leader writes
   * it; but the log knows which epoch wrote which offsets. A wrong one would make a follower's log
   * diverge, and stop its copy for good where a lower one comes next.
   */
  async #inTheirEpochs(read: Promise<readonly Batch[]>): Promise<readonly Batch[]> {
    const { epochAt, cutsCount, onFailed } = this.#source;
    const before = cutsCount();
    const batches = await read;
    // After a truncation the epochs are those of another log.
    if (cutsCount() !== before) return batches;
    for (const { header } of batches) {
      const last = lastOffset(header);
      const epoch = epochAt(last);
      if (epoch < 0 || header.leaderEpoch === epoch) continue;
      const message = `stored batch up to offset ${last} bears leader epoch ${header.leaderEpoch}, written was ${epoch}`;
      throw onFailed(new OttlaError("CORRUPT_MESSAGE", message));
    }
    return batches;
  }
}
