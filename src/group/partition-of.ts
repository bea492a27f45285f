/** Which partition of `__consumer_offsets` keeps a group: Kafka's choice, by Java's `hashCode`. */
import type { PartitionIndex } from "../model/ids.ts";

export const OFFSETS_TOPIC = "__consumer_offsets";

export function partitionOfGroup(groupId: string, partitionsCount: number): PartitionIndex {
  let hash = 0;
  for (let index = 0; index < groupId.length; index++) {
    hash = (Math.imul(hash, 31) + groupId.charCodeAt(index)) | 0;
  }
  return (hash & 0x7fff_ffff) % partitionsCount;
}
