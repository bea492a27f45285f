/**
 * What of a log the log cleaner may and should clean (Kafka: LogCleanerManager). Only whole sealed
 * segments below the high watermark: nothing that may still be truncated, and never the active one.
 */
import type { Offset } from "../model/ids.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { Segment } from "./segment.ts";

export interface CleanableView {
  readonly config: TopicConfig;
  readonly segments: readonly Segment[];
  readonly logStartOffset: Offset;
  readonly highWatermark: Offset;
  /** Where the last cleaning ended; undefined: there was none. */
  readonly cleanedOffset: Offset | undefined;
}

export interface Cleanable {
  /** What lies below has been cleaned. */
  readonly firstDirtyOffset: Offset;
  /** Sealed, committed and old enough, oldest first: the clean ones and the dirty ones. */
  readonly segments: readonly Segment[];
  readonly dirty: readonly Segment[];
  /** Part of the bytes in `segments` that is dirty; 0 if they are empty. */
  readonly dirtyRatio: number;
}

export function cleanableOf(view: CleanableView, nowMs: number): Cleanable {
  const { config, logStartOffset, highWatermark, cleanedOffset } = view;
  const firstDirtyOffset = Math.max(cleanedOffset ?? logStartOffset, logStartOffset);
  const segments: Segment[] = [];
  const dirty: Segment[] = [];
  let bytes = 0;
  let dirtyBytes = 0;
  for (const segment of view.segments) {
    if (!segment.sealed || segment.endOffset > highWatermark) break;
    if (segment.endOffset > firstDirtyOffset) {
      const { minCompactionLagMs } = config;
      if (minCompactionLagMs > 0 && segment.maxTimestamp > nowMs - minCompactionLagMs) break;
      dirty.push(segment);
      dirtyBytes += segment.sizeBytes;
    }
    segments.push(segment);
    bytes += segment.sizeBytes;
  }
  return { firstDirtyOffset, segments, dirty, dirtyRatio: bytes === 0 ? 0 : dirtyBytes / bytes };
}

/** `segment.ms`; where compaction may not wait longer, a segment does not stay active longer (KIP-354). */
export function rollAfterMs({ cleanupPolicy, segmentMs, maxCompactionLagMs }: TopicConfig): number {
  return cleanupPolicy.includes("compact") ? Math.min(segmentMs, maxCompactionLagMs) : segmentMs;
}
