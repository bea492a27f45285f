/** Where `group reset-offsets` puts a group: Kafka's ways to say it, and the arithmetic. */
import { InvalidArgumentError } from "commander";
import type { TopicPartition } from "../client/index.ts";
import { LIMITS } from "../model/limits.ts";
import { UsageError } from "./output.ts";

export type ResetTarget =
  | { readonly type: "earliest" | "latest" | "current" }
  | { readonly type: "offset"; readonly offset: number }
  | { readonly type: "timestamp"; readonly timestampMs: number }
  | { readonly type: "shift"; readonly by: number };

export interface ResetPartition extends TopicPartition {
  /** Null: nothing is committed. */
  readonly committed: number | null;
  readonly logStart: number;
  readonly logEnd: number;
  /** With a timestamp as target: the first record at or after it; null there is none. */
  readonly atTimestamp?: number | null;
}

export interface PlannedOffset extends TopicPartition {
  readonly currentOffset: number | null;
  readonly newOffset: number;
  /** Why it is not what was asked for; "" if it is. */
  readonly note: string;
}

/** Throws UsageError where nothing is committed that could be shifted. */
export function planOffset(partition: ResetPartition, target: ResetTarget): PlannedOffset {
  const { committed, logEnd, logStart } = partition;
  switch (target.type) {
    case "earliest":
      return planned(partition, logStart);
    case "latest":
      return planned(partition, logEnd);
    case "current":
      if (committed !== null) return planned(partition, committed);
      return planned(partition, logEnd, "nothing is committed: the log's end");
    case "offset":
      return within(partition, target.offset);
    case "timestamp": {
      const { atTimestamp = null } = partition;
      if (atTimestamp !== null) return within(partition, atTimestamp);
      return planned(partition, logEnd, "no record is as young: the log's end");
    }
    case "shift":
      if (committed === null) {
        throw new UsageError(
          `--shift-by: nothing is committed for ${partition.topic}-${partition.partition}, so there is nothing to shift`,
        );
      }
      return within(partition, committed + target.by);
  }
}

function within(partition: ResetPartition, wanted: number): PlannedOffset {
  const { logEnd, logStart } = partition;
  if (wanted < logStart) return planned(partition, logStart, `${wanted} is below the log's start`);
  if (wanted > logEnd) return planned(partition, logEnd, `${wanted} is above the log's end`);
  return planned(partition, wanted);
}

function planned(partition: ResetPartition, newOffset: number, note = ""): PlannedOffset {
  const { committed, topic } = partition;
  return { topic, partition: partition.partition, currentOffset: committed, newOffset, note };
}

export interface TopicScope {
  readonly topic: string;
  /** Undefined: all. */
  readonly partitions: readonly number[] | undefined;
}

/** `TOPIC` or `TOPIC:0,1`. */
export function topicScope(text: string): TopicScope {
  const match = /^([^:,]+)(?::(\d{1,10}(?:,\d{1,10})*))?$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(`"${text}" must be TOPIC, or TOPIC:PARTITION,PARTITION,...`);
  }
  const partitions = match[2]?.split(",").map(Number);
  return { topic: match[1] as string, partitions };
}

/** ISO-8601, as Kafka takes it: without a zone it is UTC. In ms since 1970. */
export function datetime(text: string): number {
  const shape = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?$/;
  const match = shape.exec(text);
  const timestampMs = match === null ? Number.NaN : Date.parse(match[1] ? text : `${text}Z`);
  if (timestampMs >= 0) return timestampMs;
  throw new InvalidArgumentError(
    `"${text}" must be an ISO-8601 time such as 2026-01-31T12:00:00.000; without a zone it is UTC.`,
  );
}

const DAY_SECONDS = 86_400;

/** ISO-8601, `PnDTnHnMnS`. In ms. */
export function duration(text: string): number {
  const match = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,9})?)S)?)?$/.exec(text);
  const parts = match?.slice(1) ?? [];
  const isEmpty = parts.every((part) => part === undefined) || text.endsWith("T");
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = parts.map((part) => Number(part ?? 0));
  const ms = Math.round((days * DAY_SECONDS + hours * 3_600 + minutes * 60 + seconds) * 1_000);
  if (!isEmpty && Number.isSafeInteger(ms)) return ms;
  throw new InvalidArgumentError(
    `"${text}" must be an ISO-8601 duration such as PT30M, P1D or P1DT2H30M.`,
  );
}

export interface FileOffset extends TopicPartition {
  readonly offset: number;
}

/**
 * Kafka's form of `--export`: `topic,partition,offset` on each line. Throws UsageError that names
 * the file and the line.
 */
export function parseOffsetsFile(name: string, content: string): readonly FileOffset[] {
  const lineOf = new Map<string, number>();
  const offsets: FileOffset[] = [];
  for (const [index, raw] of content.split("\n").entries()) {
    const line = raw.trim();
    if (line === "") continue;
    const wrong = (why: string): UsageError =>
      new UsageError(`${name}, line ${index + 1}: ${JSON.stringify(line.slice(0, 100))} ${why}`);
    // Kafka's own tool puts longer names in quotes.
    const match = /^(?:"([^",]+)"|([^",]+))\s*,\s*(\d+)\s*,\s*(-?\d+)$/.exec(line);
    if (match === null) throw wrong("is not TOPIC,PARTITION,OFFSET");
    const topic = (match[1] ?? match[2] ?? "").trim();
    const partition = Number(match[3]);
    const offset = Number(match[4]);
    if (partition > 0x7fff_ffff) throw wrong("has a partition above 2147483647");
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw wrong(`has an offset that is not of 0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    const key = `${topic}-${partition}`;
    const earlier = lineOf.get(key);
    if (earlier !== undefined) throw wrong(`names a partition that line ${earlier} has already`);
    lineOf.set(key, index + 1);
    offsets.push({ topic, partition, offset });
    if (offsets.length > LIMITS.offsetsPerRequestCount) {
      throw wrong(`is too much: a file may have ${LIMITS.offsetsPerRequestCount} offsets`);
    }
  }
  if (offsets.length === 0) throw new UsageError(`${name} has no TOPIC,PARTITION,OFFSET line`);
  return offsets;
}
