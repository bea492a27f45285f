/** What each record of one committed entry did to a partition, in order. */
import type { PartitionImage } from "../../../src/metadata/image.ts";
import type { PartitionChangeRecord, PartitionRecord } from "../../../src/metadata/records.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import { type MetadataStep, partitionByKey } from "../cluster/run-context.ts";

export interface PartitionStep {
  readonly key: string;
  readonly record: PartitionRecord | PartitionChangeRecord;
  readonly before: PartitionImage | undefined;
  readonly after: PartitionImage;
}

/** The simulator's own reading of the records: it is compared with the image that they led to. */
export function partitionSteps({ records, before }: MetadataStep): readonly PartitionStep[] {
  const states = new Map<string, PartitionImage>();
  const steps: PartitionStep[] = [];
  for (const record of records) {
    if (record.type !== "partition" && record.type !== "partition-change") continue;
    const key = partitionKey(record.topicId, record.partition);
    const old = states.get(key) ?? partitionByKey(before, key);
    const next =
      old === undefined || record.type === "partition" ? whole(record) : changed(old, record);
    states.set(key, next);
    steps.push({ key, record, before: old, after: next });
  }
  return steps;
}

function whole(record: PartitionRecord | PartitionChangeRecord): PartitionImage {
  const {
    type: _type,
    topicId: _topicId,
    partition: _partition,
    ...state
  } = record as PartitionRecord;
  return state;
}

function changed(old: PartitionImage, record: PartitionChangeRecord): PartitionImage {
  const {
    type: _type,
    topicId: _topicId,
    partition: _partition,
    unclean: _unclean,
    ...fields
  } = record;
  return {
    ...old,
    ...fields,
    leaderEpoch: old.leaderEpoch + (fields.leader === undefined ? 0 : 1),
    partitionEpoch: old.partitionEpoch + 1,
  };
}
