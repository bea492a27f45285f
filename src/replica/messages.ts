/**
 * What flows between a follower and a leader, one stream per broker pair. A `handle` is a number
 * that the follower chooses for one partition and one start of fetching: whatever still arrives
 * for an older start bears an older handle and is dropped.
 */
import type { ErrorCode } from "../model/errors.ts";
import type {
  BrokerEpoch,
  BrokerId,
  ClusterId,
  LeaderEpoch,
  Offset,
  PartitionIndex,
  TopicId,
} from "../model/ids.ts";

export interface FetchStart {
  readonly handle: number;
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  /** The leader epoch that the follower knows; another one is refused (KIP-320). */
  readonly leaderEpoch: LeaderEpoch;
  /** The follower's log end: the first offset it wants. */
  readonly fetchOffset: Offset;
  /** Epoch of the follower's last batch, -1 for an empty log: the leader answers a divergence. */
  readonly lastFetchedEpoch: LeaderEpoch;
  readonly logStartOffset: Offset;
}

export interface FetchProgress {
  readonly handle: number;
  /** Flow control: everything below has arrived in memory. */
  readonly receivedEnd: Offset;
  /** What counts for high watermark, ISR and lag: everything below is fsynced (strict profile). */
  readonly durableEnd: Offset;
  readonly logStartOffset: Offset;
}

export type ReplicationUp =
  | {
      readonly type: "hello";
      readonly brokerId: BrokerId;
      readonly brokerEpoch: BrokerEpoch;
      readonly clusterId: ClusterId;
    }
  | { readonly type: "start"; readonly partitions: readonly FetchStart[] }
  | { readonly type: "stop"; readonly handles: readonly number[] }
  | {
      readonly type: "progress";
      readonly partitions: readonly FetchProgress[];
      /** Bytes of batches that the follower has dealt with since its last message. */
      readonly creditBytes: number;
    };

export interface FetchedPartition {
  readonly handle: number;
  readonly highWatermark: Offset;
  readonly logStartOffset: Offset;
  /** Whole batches, contiguous with what was sent before; may be empty. */
  readonly batches: Uint8Array;
}

/** Ends the handle: the follower acts and starts anew. */
export interface FetchRefusal {
  readonly handle: number;
  readonly error: ErrorCode | undefined;
  /** The logs diverge: the follower truncates to the smaller of this end and its own (KIP-595). */
  readonly diverging: { readonly epoch: LeaderEpoch; readonly endOffset: Offset } | undefined;
  /** With OFFSET_OUT_OF_RANGE: where the leader's log starts and ends now. */
  readonly logStartOffset: Offset;
  readonly logEndOffset: Offset;
}

export type ReplicationDown =
  | { readonly type: "frame"; readonly partitions: readonly FetchedPartition[] }
  | { readonly type: "refuse"; readonly partitions: readonly FetchRefusal[] };
