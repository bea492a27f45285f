/** An operator's election, and the periodic one that gives leadership back to preferred replicas. */
import { OttlaError } from "../../model/errors.ts";
import { NONE, type PartitionIndex, partitionKey } from "../../model/ids.ts";
import type { ElectLeaderResult, ElectLeaders } from "../commands.ts";
import { type MetadataImage, type TopicImage, topicByName } from "../image.ts";
import { minIsrOf } from "../image-configs.ts";
import { changePartition, changePartitions, electableIn, withEnd } from "../partition-change.ts";
import type { MetadataRecord, PartitionState } from "../records.ts";
import { type Decision, itemErrorOf } from "./decision.ts";

export function decideElectLeaders(
  image: MetadataImage,
  request: ElectLeaders,
): Decision<{ readonly partitions: readonly ElectLeaderResult[] }> {
  const records: MetadataRecord[] = [];
  const seen = new Set<string>();
  const partitions = (request.partitions ?? needy(image, request.type)).map((item) => {
    const { topic: name, partition } = item;
    let leader = NONE;
    const error = itemErrorOf(() => {
      const topic = topicByName(image, name);
      const state = topic?.partitions[partition];
      if (topic === undefined || state === undefined) {
        throw new OttlaError(
          "UNKNOWN_TOPIC_OR_PARTITION",
          topic === undefined
            ? `topic ${name} does not exist`
            : `topic ${name} has no partition ${partition}; it has ${topic.partitions.length}`,
        );
      }
      ({ leader } = state);
      const key = partitionKey(topic.id, partition);
      if (seen.has(key)) {
        throw new OttlaError("DUPLICATE_RESOURCE", `partition ${name}-${partition} stands twice`);
      }
      seen.add(key);
      const change = electOne(image, { topic, partition, state, type: request.type });
      records.push(...withEnd(topic.id, partition, state, change, electableIn(image)));
      leader = change.leader ?? leader;
    });
    return { topic: name, partition, leader, error };
  });
  return { records, reply: { partitions } };
}

function electOne(
  image: MetadataImage,
  one: {
    readonly topic: TopicImage;
    readonly partition: PartitionIndex;
    readonly state: PartitionState;
    readonly type: ElectLeaders["type"];
  },
) {
  const { topic, partition, state, type } = one;
  const electable = electableIn(image);
  const [preferred] = state.replicas;
  if (type === "preferred" ? state.leader === preferred : state.leader !== NONE) {
    throw new OttlaError("ELECTION_NOT_NEEDED", `broker ${state.leader} leads already`);
  }
  const change = changePartition(
    topic.id,
    partition,
    state,
    type === "preferred" ? { preferred: true } : { unclean: true },
    { electable, minIsr: minIsrOf(image, topic.name, state.replicas.length) },
  );
  const leader = change?.leader ?? NONE;
  if (change !== undefined && (type === "preferred" ? leader === preferred : leader !== NONE)) {
    return change;
  }
  if (type === "preferred") {
    throw new OttlaError(
      "PREFERRED_LEADER_NOT_AVAILABLE",
      `broker ${preferred} is not alive in the ISR ${state.isr.join(", ")}`,
    );
  }
  throw new OttlaError(
    "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    `none of the replicas ${state.replicas.join(", ")} is alive`,
  );
}

/** Partitions that an election of all would be about. */
function needy(
  image: MetadataImage,
  type: ElectLeaders["type"],
): readonly { readonly topic: string; readonly partition: PartitionIndex }[] {
  const found: { topic: string; partition: PartitionIndex }[] = [];
  for (const topic of image.topics.values()) {
    topic.partitions.forEach((state, partition) => {
      const needs =
        type === "preferred" ? state.leader !== state.replicas[0] : state.leader === NONE;
      if (needs) found.push({ topic: topic.name, partition });
    });
  }
  return found;
}

/** At most `limit` partitions, so that no burst of new leaders hits the brokers at once. */
export function decideBalance(
  image: MetadataImage,
  options: { readonly limit: number; readonly properties: ReadonlyMap<string, string> },
): readonly MetadataRecord[] {
  const electable = electableIn(image);
  let count = 0;
  return changePartitions(image, {
    electable,
    properties: options.properties,
    goalOf: (state) => {
      const [preferred] = state.replicas;
      if (preferred === undefined || state.leader === preferred || count >= options.limit) {
        return undefined;
      }
      if (!state.isr.includes(preferred) || electable(preferred) !== "yes") return undefined;
      count++;
      return { preferred: true };
    },
  });
}
