/** A topic's configuration with every key in its effective value: override, else broker, else default. */

export interface TopicConfig {
  readonly cleanupPolicy: readonly ("delete" | "compact")[];
  /** "producer": batches are stored as they came. */
  readonly compressionType: "none" | "gzip" | "snappy" | "lz4" | "zstd" | "producer";
  readonly deleteRetentionMs: number;
  readonly fileDeleteDelayMs: number;
  /** 1 (Ottla's default): fsynced before the acknowledgement; any other value: the relaxed profile. */
  readonly flushMessages: number;
  readonly flushMs: number;
  readonly maxMessageBytes: number;
  /** How long a record may stay out of compaction. */
  readonly maxCompactionLagMs: number;
  readonly messageTimestampType: "CreateTime" | "LogAppendTime";
  readonly messageTimestampBeforeMaxMs: number;
  readonly messageTimestampAfterMaxMs: number;
  /** Part of a compacted log that has to be dirty before it is cleaned, of [0, 1]. */
  readonly minCleanableDirtyRatio: number;
  /** How long a record stays out of compaction at least. */
  readonly minCompactionLagMs: number;
  /** As configured; what counts is min(this, replication factor). */
  readonly minInsyncReplicas: number;
  /** -1: for ever. */
  readonly retentionBytes: number;
  readonly retentionMs: number;
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly uncleanLeaderElectionEnable: boolean;
}
