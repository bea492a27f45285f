/** Partitions by topic, as lists: what a member of a group has, gets and gives up. */
import type { TopicPartitions } from "../../group/consumer-protocol.ts";
import type { PartitionIndex } from "../../model/ids.ts";

export type PartitionLists = readonly TopicPartitions[];

export const NO_PARTITIONS: PartitionLists = [];

/** Of `left` what `right` has not. */
export function without(left: PartitionLists, right: PartitionLists): PartitionLists {
  const excluded = new Map(right.map(({ partitions, topic }) => [topic, new Set(partitions)]));
  return left
    .map(({ partitions, topic }) => {
      const gone = excluded.get(topic);
      return { topic, partitions: partitions.filter((each) => gone?.has(each) !== true) };
    })
    .filter(({ partitions }) => partitions.length > 0);
}

/** What both have in sum; nothing may be in both. */
export function together(left: PartitionLists, right: PartitionLists): PartitionLists {
  const all = new Map<string, PartitionIndex[]>();
  for (const { partitions, topic } of [...left, ...right]) {
    const known = all.get(topic);
    if (known === undefined) all.set(topic, [...partitions]);
    else known.push(...partitions);
  }
  return [...all].map(([topic, partitions]) => ({ topic, partitions }));
}

export function contains(lists: PartitionLists, topic: string, partition: PartitionIndex): boolean {
  return lists.some((each) => each.topic === topic && each.partitions.includes(partition));
}

export function flatten(
  lists: PartitionLists,
): { readonly topic: string; readonly partition: PartitionIndex }[] {
  return lists.flatMap(({ partitions, topic }) =>
    partitions.map((partition) => ({ topic, partition })),
  );
}
