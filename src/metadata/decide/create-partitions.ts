/** More partitions for a topic; never fewer. */
import { OttlaError } from "../../model/errors.ts";
import { OFFSETS_TOPIC } from "../../model/internal-topics.ts";
import type { CreatePartitions } from "../commands.ts";
import { type MetadataImage, topicByName } from "../image.ts";
import { checkAssignment, newPartition, partitionsCountIn, placePartitions } from "./assignment.ts";
import { checkPartitionsCount, checkTotal } from "./create-topics.ts";
import type { DecideContext, Decision } from "./decision.ts";

export function decideCreatePartitions(
  image: MetadataImage,
  request: CreatePartitions,
  context: Pick<DecideContext, "seed">,
): Decision<Record<string, never>> {
  const { partitionsCount, assignment } = request;
  const topic = topicByName(image, request.topic);
  if (topic === undefined) {
    throw new OttlaError("UNKNOWN_TOPIC_OR_PARTITION", `topic ${request.topic} does not exist`, {
      field: "topic",
    });
  }
  // Every group whose partition changes with their number would be parted from its offsets.
  if (topic.name === OFFSETS_TOPIC) {
    throw new OttlaError(
      "INVALID_PARTITIONS",
      `partitions is ${partitionsCount}; topic ${topic.name} keeps its ${topic.partitions.length}: more of them would part groups from their offsets`,
      { field: "partitions" },
    );
  }
  checkPartitionsCount(partitionsCount);
  const now = topic.partitions.length;
  if (partitionsCount <= now) {
    throw new OttlaError(
      "INVALID_PARTITIONS",
      `partitions is ${partitionsCount}; topic ${topic.name} has ${now} already, and partitions can only be added`,
      { field: "partitions" },
    );
  }
  const newCount = partitionsCount - now;
  checkTotal(partitionsCountIn(image) + newCount);
  const first = topic.partitions[0];
  // While it is moved it has more, for a time.
  const moving = first?.removing.length ?? 0;
  const replicationFactor = (first?.replicas.length ?? 1) - moving;
  if (assignment.length > 0) {
    if (assignment.length !== newCount) {
      throw new OttlaError(
        "INVALID_REPLICA_ASSIGNMENT",
        `the assignment has ${assignment.length} partitions; new are ${newCount}`,
        { field: "assignment" },
      );
    }
    checkAssignment(image, assignment, replicationFactor);
  }
  const replicas =
    assignment.length > 0
      ? assignment
      : placePartitions(image, {
          partitionsCount: newCount,
          replicationFactor,
          onFenced: true,
          seed: context.seed,
        });
  const records = replicas.map((ids, index) => newPartition(image, topic.id, now + index, ids));
  return { records: request.validateOnly ? [] : records, reply: {} };
}
