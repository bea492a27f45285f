/** Replicas of new partitions: named by the caller, or placed. */
import { OttlaError } from "../../model/errors.ts";
import { type BrokerId, NONE, type PartitionIndex, type TopicId } from "../../model/ids.ts";
import type { MetadataImage } from "../image.ts";
import { electableIn } from "../partition-change.ts";
import { placeReplicas } from "../placement.ts";
import type { PartitionRecord } from "../records.ts";

/** Throws INVALID_REPLICATION_FACTOR if there are too few brokers. */
export function placePartitions(
  image: MetadataImage,
  options: {
    readonly partitionsCount: number;
    readonly replicationFactor: number;
    /** Whether registered brokers that are down may get replicas, if the live ones are too few. */
    readonly onFenced: boolean;
    readonly seed: number;
  },
): readonly (readonly BrokerId[])[] {
  const { partitionsCount, replicationFactor, seed } = options;
  const brokers = [...image.brokers.values()].map(({ id, rack, fenced, inControlledShutdown }) => ({
    id,
    rack,
    live: !fenced && !inControlledShutdown,
  }));
  const liveCount = brokers.filter(({ live }) => live).length;
  const usableCount = options.onFenced && liveCount > 0 ? brokers.length : liveCount;
  if (replicationFactor < 1 || replicationFactor > usableCount) {
    throw new OttlaError(
      "INVALID_REPLICATION_FACTOR",
      `replication factor is ${replicationFactor}; allowed is 1 to ${liveCount}, the number of live brokers (${brokers.length} are registered)`,
      { field: "replicationFactor" },
    );
  }
  return placeReplicas({ brokers, partitionsCount, replicationFactor, seed });
}

/** Throws INVALID_REPLICA_ASSIGNMENT. */
export function checkAssignment(
  image: MetadataImage,
  assignment: readonly (readonly BrokerId[])[],
  replicationFactor: number,
): void {
  const electable = electableIn(image);
  const refuse = (why: string): never => {
    throw new OttlaError("INVALID_REPLICA_ASSIGNMENT", why, { field: "assignment" });
  };
  assignment.forEach((replicas, index) => {
    const shown = `replicas ${JSON.stringify(replicas)} of new partition ${index}`;
    if (replicas.length !== replicationFactor || replicas.length === 0) {
      refuse(`${shown}: expected are ${Math.max(1, replicationFactor)}, as in every partition`);
    }
    if (new Set(replicas).size !== replicas.length) refuse(`${shown}: a broker stands twice`);
    const unknown = replicas.find((id) => !image.brokers.has(id));
    if (unknown !== undefined) refuse(`${shown}: broker ${unknown} is not registered`);
    if (replicas.every((id) => electable(id) === "no")) refuse(`${shown}: none of them is alive`);
  });
}

/** Whoever is alive is in sync: there is nothing yet that one could lack. */
export function newPartition(
  image: MetadataImage,
  topicId: TopicId,
  partition: PartitionIndex,
  replicas: readonly BrokerId[],
): PartitionRecord {
  const electable = electableIn(image);
  const good = replicas.filter((id) => electable(id) === "yes");
  const isr = good.length > 0 ? good : replicas.filter((id) => electable(id) !== "no");
  return {
    type: "partition",
    topicId,
    partition,
    replicas,
    directories: replicas.map(() => ""),
    isr,
    elr: [],
    lastKnownLeader: NONE,
    adding: [],
    removing: [],
    leader: isr[0] ?? NONE,
    leaderEpoch: 0,
    partitionEpoch: 0,
  };
}

export function partitionsCountIn(image: MetadataImage): number {
  let count = 0;
  for (const topic of image.topics.values()) count += topic.partitions.length;
  return count;
}
