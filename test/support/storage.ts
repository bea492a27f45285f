/** Batches and configurations for tests of partition logs. */
import type { LeaderEpoch, Offset } from "../../src/model/ids.ts";
import type { TopicConfig } from "../../src/model/topic-config.ts";
import type { Crc32c } from "../../src/ports/codecs.ts";
import { type Batch, placeBatch, splitBatches } from "../../src/record/batch.ts";
import { BatchBuilder } from "../../src/record/records.ts";
import type { PartitionLog } from "../../src/storage/log.ts";
import { crc32c as softwareCrc32c } from "../sim/world/sim-codecs.ts";

export const TOPIC_CONFIG: TopicConfig = {
  cleanupPolicy: ["delete"],
  compressionType: "producer",
  deleteRetentionMs: 86_400_000,
  fileDeleteDelayMs: 60_000,
  flushMessages: 1,
  flushMs: Number.MAX_SAFE_INTEGER,
  maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
  maxMessageBytes: 1_048_588,
  messageTimestampType: "CreateTime",
  messageTimestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
  messageTimestampAfterMaxMs: 3_600_000,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  minInsyncReplicas: 1,
  retentionBytes: -1,
  retentionMs: 604_800_000,
  segmentBytes: 1024 * 1024 * 1024,
  segmentMs: 604_800_000,
  uncleanLeaderElectionEnable: false,
};

export interface BatchPlan {
  readonly baseOffset: Offset;
  readonly leaderEpoch?: LeaderEpoch;
  /** Default 1. */
  readonly recordsCount?: number;
  /** Of the first record, each later one 1 ms more; default: the base offset. */
  readonly timestamp?: number;
  readonly timestamps?: readonly number[];
  readonly valueBytes?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly crc32c?: Crc32c;
}

export function makeBatch(plan: BatchPlan): Batch {
  const { baseOffset, leaderEpoch = 0, recordsCount = 1, valueBytes = 10 } = plan;
  const timestamps =
    plan.timestamps ??
    Array.from({ length: recordsCount }, (_, index) => (plan.timestamp ?? baseOffset) + index);
  const builder = new BatchBuilder(1024);
  for (const timestamp of timestamps) {
    builder.append({ timestamp, key: null, value: new Uint8Array(valueBytes), headers: [] });
  }
  const bytes = builder.seal({
    codec: "none",
    producerId: plan.producerId ?? -1,
    producerEpoch: plan.producerEpoch ?? -1,
    baseSequence: plan.baseSequence ?? -1,
    crc32c: plan.crc32c ?? softwareCrc32c,
  });
  const [batch] = splitBatches(bytes);
  return placeBatch(batch as Batch, { baseOffset, leaderEpoch });
}

/** Appends `count` batches of one record each at the log's end. */
export function appendRecords(
  log: PartitionLog,
  count: number,
  plan: Omit<BatchPlan, "baseOffset"> = {},
): void {
  for (let index = 0; index < count; index++) {
    log.append([makeBatch({ ...plan, baseOffset: log.logEndOffset })]);
  }
}

/** Every batch from `from` to the end, read as a fetcher would. */
export async function readAll(
  log: PartitionLog,
  from: Offset = log.logStartOffset,
): Promise<Batch[]> {
  const out: Batch[] = [];
  for (let at = from; at < log.logEndOffset; ) {
    const batches = await log.read(at, { maxBytes: 10_000, upTo: Number.MAX_SAFE_INTEGER });
    if (batches.length === 0) throw new Error(`nothing to read at ${at}`);
    out.push(...batches);
    const last = batches.at(-1) as Batch;
    at = last.header.baseOffset + last.header.lastOffsetDelta + 1;
  }
  return out;
}

export function baseOffsets(batches: readonly Batch[]): Offset[] {
  return batches.map(({ header }) => header.baseOffset);
}
