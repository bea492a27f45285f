import type { TopicConfig } from "../model/topic-config.ts";
import type { Segment } from "./segment.ts";

export interface RetentionMoment {
  readonly nowMs: number;
  /** Size of the whole log. */
  readonly logBytes: number;
}

/**
 * How many of the oldest `segments` go by `retention.ms` and `retention.bytes` (-1: for ever). As
 * Kafka does: by time up to the first that is still wanted, by size only while the log stays at
 * least as large as configured.
 */
export function expiredCount(
  segments: readonly Segment[],
  config: TopicConfig,
  { nowMs, logBytes }: RetentionMoment,
): number {
  const { retentionMs, retentionBytes } = config;
  let byTime = 0;
  if (retentionMs >= 0) {
    for (const { isEmpty, maxTimestamp } of segments) {
      if (isEmpty || maxTimestamp >= nowMs - retentionMs) break;
      byTime++;
    }
  }
  let bySize = 0;
  if (retentionBytes >= 0) {
    let excess = logBytes - retentionBytes;
    for (const { sizeBytes } of segments) {
      excess -= sizeBytes;
      if (excess < 0) break;
      bySize++;
    }
  }
  return Math.max(byTime, bySize);
}
