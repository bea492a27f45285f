/**
 * A checkpoint: everything that a log folds from its batches, as of one offset, so that opening it
 * need not read it whole. Stored only once the log is durable up to that offset; one that is ahead
 * of the log after a crash (the relaxed profile allows it) is deleted before anything is appended.
 */
import type { Offset } from "../model/ids.ts";
import type { EpochStart } from "../replica/leader-epochs.ts";
import type { ProducerState } from "../replica/producer-states.ts";

export interface Checkpoint {
  /** Folded: all batches below. */
  readonly offset: Offset;
  /** The segment that holds or will hold `offset`, with what of it lies below. */
  readonly segment: SegmentSummary;
  readonly epochs: readonly EpochStart[];
  readonly producers: readonly ProducerState[];
}

/** What is known of a segment without opening it. */
export interface SegmentSummary {
  readonly baseOffset: Offset;
  readonly endOffset: Offset;
  readonly sizeBytes: number;
  /** Largest of its batches; -1 while it is empty. */
  readonly maxTimestamp: number;
  /** Wall clock at its first append; -1 while it is empty. */
  readonly createdMs: number;
}

export function emptySegmentSummary(baseOffset: Offset): SegmentSummary {
  return { baseOffset, endOffset: baseOffset, sizeBytes: 0, maxTimestamp: -1, createdMs: -1 };
}
