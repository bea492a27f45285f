/**
 * What a group coordinator asks the leaders of the partitions that its groups consume, to tell how
 * far they lag: where the log ends, and since when the records at their offsets have been waiting.
 */
import type { Offset, PartitionIndex, TopicId } from "../model/ids.ts";

export interface AskedPartition {
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  /** Whose timestamps are wanted. */
  readonly offsets: readonly Offset[];
}

export interface OffsetsQuestion {
  /** The answer bears it. */
  readonly id: number;
  readonly partitions: readonly AskedPartition[];
}

export interface AnsweredPartition {
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  readonly logStartOffset: Offset;
  readonly highWatermark: Offset;
  /**
   * In the order of the offsets asked for, ms since 1970; for one below the log's start that of its
   * first record; -1: the log does not reach there, or the record has none.
   */
  readonly timestamps: readonly number[];
}

export interface OffsetsAnswer {
  readonly id: number;
  /** Without those that the asked broker does not lead. */
  readonly partitions: readonly AnsweredPartition[];
}
