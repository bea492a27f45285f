/**
 * Keeps a log dense while records are taken out of it: every offset from its start to its end lies
 * in exactly one batch. A batch that goes is absorbed by the one before it, whose last offset grows
 * over the hole, or leaves an empty batch behind. So recovery, replication and verification need
 * not know which holes are allowed: none is.
 *
 * Never absorbed, and never grown:
 * - the first batch of a leader epoch, by which diverging logs are told apart: it stays, empty;
 * - a batch that the state of an idempotent producer rests on: its sequences follow from its
 *   offsets. It stays, empty;
 * - control batches and those of transactions do not grow.
 * So leader epochs and producer states folded from the log are those of the log before.
 */
import type { Offset } from "../model/ids.ts";
import {
  attributesWithoutRecords,
  BATCH_HEADER_BYTES,
  type Batch,
  type BatchHeader,
  isControl,
  isTransactional,
  lastOffset,
  readBatchHeader,
  writeBatchHeader,
} from "./batch.ts";

const DELTA_MAX = 0x7fff_ffff;
const NO_PRODUCER = { producerId: -1, producerEpoch: -1, baseSequence: -1 } as const;

export interface DenseBatchesOptions {
  readonly crc32c: (bytes: Uint8Array) => number;
  /** Whether the state of a producer rests on the batch. */
  readonly isReferenced: (header: BatchHeader) => boolean;
}

export class DenseBatches {
  readonly #options: DenseBatchesOptions;
  #pending: Batch | undefined;
  /** Exclusive; past the pending batch's own end if it absorbed others. */
  #coveredEnd: Offset = 0;
  #mayGrow = false;

  constructor(options: DenseBatchesOptions) {
    this.#options = options;
  }

  /** The next batch of the log, or what is left of it; returns the batch before it, if it is done. */
  keep(batch: Batch): Batch | undefined {
    const done = this.finish();
    const { header } = batch;
    this.#pending = batch;
    this.#coveredEnd = lastOffset(header) + 1;
    this.#mayGrow =
      !isControl(header) && !isTransactional(header) && !this.#options.isReferenced(header);
    return done;
  }

  /** Nothing is left of the log's next batch; returns the batch before it, if it is done. */
  remove(header: BatchHeader): Batch | undefined {
    if (this.#options.isReferenced(header)) return this.keep(this.#emptied(header));
    const { header: before } = this.#pending ?? {};
    const end = lastOffset(header) + 1;
    if (
      before !== undefined &&
      this.#mayGrow &&
      before.leaderEpoch === header.leaderEpoch &&
      end - 1 - before.baseOffset <= DELTA_MAX
    ) {
      this.#coveredEnd = end;
      return undefined;
    }
    return this.keep(this.#emptied({ ...header, attributes: 0, ...NO_PRODUCER }));
  }

  /** The last batch. */
  finish(): Batch | undefined {
    const batch = this.#pending;
    this.#pending = undefined;
    if (batch === undefined || this.#coveredEnd === lastOffset(batch.header) + 1) return batch;
    return grown(batch, this.#coveredEnd, this.#options.crc32c);
  }

  #emptied(header: BatchHeader): Batch {
    const attributes = attributesWithoutRecords(header);
    const { maxTimestamp } = header;
    return emptyBatch({ ...header, attributes, baseTimestamp: maxTimestamp }, this.#options.crc32c);
  }
}

/**
 * What a replica that ends at `from` lacks of a batch that has grown past it: an empty batch up to
 * the same end. The caller has seen that no record of the batch lies at or above `from`.
 */
export function restOfBatch(
  header: BatchHeader,
  from: Offset,
  crc32c: (bytes: Uint8Array) => number,
): Batch {
  const rest: BatchHeader = {
    ...header,
    ...NO_PRODUCER,
    attributes: 0,
    baseOffset: from,
    lastOffsetDelta: lastOffset(header) - from,
    baseTimestamp: header.maxTimestamp,
  };
  return emptyBatch(rest, crc32c);
}

function emptyBatch(header: BatchHeader, crc32c: (bytes: Uint8Array) => number): Batch {
  const bytes = new Uint8Array(BATCH_HEADER_BYTES);
  writeBatchHeader(bytes, { ...header, recordsCount: 0 }, crc32c);
  return { header: readBatchHeader(bytes), bytes };
}

/**
 * No producer's state rests on the batch, so it says no more whose it was: its last sequence would
 * be a wrong one.
 */
function grown(batch: Batch, end: Offset, crc32c: (bytes: Uint8Array) => number): Batch {
  const bytes = new Uint8Array(batch.bytes.length);
  bytes.set(batch.bytes);
  const lastOffsetDelta = end - 1 - batch.header.baseOffset;
  writeBatchHeader(bytes, { ...batch.header, ...NO_PRODUCER, lastOffsetDelta }, crc32c);
  return { header: readBatchHeader(bytes), bytes };
}
