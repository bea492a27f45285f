/**
 * How far a group is behind. In records: from its committed offset to the log's end that consumers
 * see, as kafka_exporter counts. In seconds, as kafka-lag-exporter does: how long ago the log ended
 * where the group is, which is how long the first record that it has not processed has been waiting;
 * 0 without such a record. What kafka-lag-exporter interpolates between its own observations of the
 * log's end is interpolated here between the timestamps in one batch's header.
 */
import { NONE, type Offset } from "../model/ids.ts";
import { type BatchHeader, lastOffset } from "../record/batch.ts";

/** The log's end may lie below a committed offset: an unclean election cut it. */
export function lagRecords(committed: Offset, highWatermark: Offset): number {
  return Math.max(0, highWatermark - committed);
}

/** Of a record that waits; undefined if nobody knows since when. */
export function lagSeconds(waitingSinceMs: number | undefined, nowMs: number): number | undefined {
  if (waitingSinceMs === undefined || waitingSinceMs === NONE) return undefined;
  return Math.max(0, nowMs - waitingSinceMs) / 1_000;
}

/**
 * The timestamp of one of the batch's records, as far as the header tells: exact for its first, for
 * a batch with LogAppendTime, and where its records came evenly. -1 if the batch has none.
 */
export function timestampWithin(header: BatchHeader, offset: Offset): number {
  const { baseOffset, baseTimestamp, maxTimestamp } = header;
  if (baseTimestamp < 0 || maxTimestamp < baseTimestamp) return Math.max(NONE, maxTimestamp);
  const span = lastOffset(header) - baseOffset;
  if (span <= 0) return baseTimestamp;
  const at = Math.min(Math.max(offset - baseOffset, 0), span);
  return Math.round(baseTimestamp + ((maxTimestamp - baseTimestamp) * at) / span);
}
