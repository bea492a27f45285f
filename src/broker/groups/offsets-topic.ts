/** The topic that keeps all groups, made on first use. */
import { OFFSETS_TOPIC } from "../../group/partition-of.ts";
import type { NewTopic } from "../../metadata/commands.ts";
import type { GroupsConfig } from "../../model/groups-config.ts";

export function offsetsTopic(config: GroupsConfig): NewTopic {
  return {
    name: OFFSETS_TOPIC,
    partitionsCount: config.offsetsTopicPartitions,
    replicationFactor: config.offsetsTopicReplicationFactor,
    clampReplicationFactor: true,
    assignment: [],
    configs: {
      "cleanup.policy": "compact",
      "compression.type": "producer",
      "segment.bytes": String(config.offsetsTopicSegmentBytes),
    },
  };
}
