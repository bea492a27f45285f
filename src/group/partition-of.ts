/** Which partition of `__consumer_offsets` keeps a group: Kafka's choice, by Java's `hashCode`. */
import type { PartitionIndex } from "../model/ids.ts";

export { OFFSETS_TOPIC } from "../model/internal-topics.ts";

export function partitionOfGroup(groupId: string, partitionsCount: number): PartitionIndex {
  let hash = 0;
  for (let index = 0; index < groupId.length; index++) {
    hash = (Math.imul(hash, 31) + groupId.charCodeAt(index)) | 0;
  }
  return (hash & 0x7fff_ffff) % partitionsCount;
}
