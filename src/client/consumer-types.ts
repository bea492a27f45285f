/** What a program tells a consumer, and what it is told. */
import type { Offset, PartitionIndex } from "../model/ids.ts";
import type { StartOffset } from "./core/fetch-core.ts";
import type { Message } from "./core/messages.ts";
import type { RebalanceCallbacks } from "./group-driver.ts";
import type { MessageBatch } from "./message-reader.ts";

export interface TopicPartition {
  readonly topic: string;
  readonly partition: PartitionIndex;
}

export interface Assignment extends TopicPartition {
  /**
   * Where to begin: an offset, "beginning", "end" (what is written from now on), or the first record
   * that is not older than a time. Default "beginning".
   */
  readonly offset?: StartOffset;
}

export interface PartitionOffset extends TopicPartition {
  readonly offset: Offset;
}

export interface TimestampQuery extends TopicPartition {
  /** Milliseconds since 1970. */
  readonly timestampMs: number;
}

export interface OffsetForTime extends TopicPartition {
  /** First record that is not older; null if there is none. */
  readonly offset: Offset | null;
  /** The record's timestamp in ms since 1970; -1 if there is none. */
  readonly timestamp: number;
}

export interface IterationOptions {
  /** Ends the iteration with ABORTED. */
  readonly signal?: AbortSignal;
}

/** What to consume as a member of a group: names, or a pattern that names match. */
export type Subscription = RebalanceCallbacks &
  (
    | { readonly topics: readonly string[]; readonly pattern?: never }
    | {
        /** Of all topics but the brokers' own, also of those to come. */
        readonly pattern: RegExp;
        readonly topics?: never;
      }
  );

export interface OffsetCommit extends TopicPartition {
  /** Of the next record to be processed: one more than the last one that was. */
  readonly offset: Offset;
  /** A note that is kept with it; at most 4,096 bytes by the brokers' default. Default "". */
  readonly metadata?: string;
}

export interface CommittedOffset extends TopicPartition {
  /** Null: the group has committed none. */
  readonly offset: Offset | null;
  /** Of the last record before it, as far as known; -1 not known. */
  readonly leaderEpoch: number;
  readonly metadata: string;
}

/** A message or batch whose handler threw. */
export interface HandlerFailure extends TopicPartition {
  /** Of the message, or of the batch's first: where the partition stands still. */
  readonly offset: Offset;
  readonly error: unknown;
}

interface RunBase extends IterationOptions {
  /**
   * Told of a handler that threw: its partition is paused before the message, which `resume` tries
   * again; others go on. What this throws ends the run.
   */
  readonly onError: (failure: HandlerFailure) => void;
}

export type RunOptions<Key, Value> =
  | (RunBase & {
      readonly eachMessage: (message: Message<Key, Value>) => void | Promise<void>;
      readonly eachBatch?: never;
    })
  | (RunBase & {
      readonly eachBatch: (batch: MessageBatch<Key, Value>) => void | Promise<void>;
      readonly eachMessage?: never;
    });

export interface ConsumerCloseOptions {
  /** How long to commit, to tell of partitions that go and to leave the group. Default 30,000 ms. */
  readonly timeoutMs?: number;
}

export interface GroupMetadata {
  readonly memberId: string;
  /** Rises with each rebalance that the member takes part in. */
  readonly generationId: number;
}
