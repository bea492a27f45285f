/** New topics, each by itself: one that is refused does not hold the others up. */
import { validateConfigValue } from "../../model/config-definition.ts";
import { configNumber } from "../../model/config-values.ts";
import { OttlaError } from "../../model/errors.ts";
import { NONE, type TopicId } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type { CreateTopicResult, CreateTopics, NewTopic } from "../commands.ts";
import type { MetadataImage } from "../image.ts";
import type { MetadataRecord } from "../records.ts";
import { checkAssignment, newPartition, partitionsCountIn, placePartitions } from "./assignment.ts";
import { type DecideContext, type Decision, itemErrorOf } from "./decision.ts";
import { checkTopicName, NameCollisions } from "./topic-names.ts";

export function decideCreateTopics(
  image: MetadataImage,
  request: CreateTopics,
  context: DecideContext,
): Decision<{ readonly topics: readonly CreateTopicResult[] }> {
  if (request.topics.length > LIMITS.topicsPerRequestCount) {
    throw new OttlaError(
      "LIMIT_EXCEEDED",
      `a request names ${request.topics.length} topics; allowed are ${LIMITS.topicsPerRequestCount}`,
      { field: "topics" },
    );
  }
  const records: MetadataRecord[] = [];
  const names = new Map<string, number>();
  for (const { name } of request.topics) names.set(name, (names.get(name) ?? 0) + 1);
  const collisions = new NameCollisions(image);
  let totalCount = partitionsCountIn(image);
  const topics = request.topics.map((topic, index): CreateTopicResult => {
    const topicId = context.topicIds[index] as TopicId;
    let planned: Plan | undefined;
    const error = itemErrorOf(() => {
      if ((names.get(topic.name) ?? 0) > 1) {
        throw new OttlaError("DUPLICATE_RESOURCE", `topic ${topic.name} stands twice`, {
          field: "name",
        });
      }
      checkTopicName(topic.name);
      if (image.topicIds.has(topic.name)) {
        throw new OttlaError("TOPIC_ALREADY_EXISTS", `topic ${topic.name} exists already`, {
          field: "name",
        });
      }
      collisions.check(topic.name);
      for (const [key, value] of Object.entries(topic.configs)) {
        validateConfigValue("topic", key, value);
      }
      const plan = planPartitions(image, topic, { ...context, seed: (context.seed + index) >>> 0 });
      checkTotal(totalCount + plan.partitionsCount);
      totalCount += plan.partitionsCount;
      collisions.add(topic.name);
      planned = plan;
    });
    if (planned === undefined) {
      return {
        name: topic.name,
        error,
        topicId: "",
        partitionsCount: NONE,
        replicationFactor: NONE,
      };
    }
    if (!request.validateOnly) records.push(...topicRecords(image, topic, topicId, planned));
    return {
      name: topic.name,
      error: null,
      topicId: request.validateOnly ? "" : topicId,
      partitionsCount: planned.partitionsCount,
      replicationFactor: planned.replicationFactor,
    };
  });
  return { records, reply: { topics } };
}

const REPLICATION_FACTOR = "default.replication.factor";

/** Never more than the registered brokers, and not decided while a new cluster's are still coming. */
function clampedReplicationFactor(
  image: MetadataImage,
  configured: number,
  { votersCount }: DecideContext,
): number {
  const registered = image.brokers.size;
  const expected = Math.min(configured, votersCount);
  if (registered < expected) {
    throw new OttlaError(
      "BROKER_NOT_AVAILABLE",
      `a replication factor of ${configured} is wanted and only ${registered} of ${votersCount} voters are registered as brokers yet`,
      { field: "replicationFactor" },
    );
  }
  return Math.min(configured, Math.max(1, registered));
}

interface Plan {
  readonly partitionsCount: number;
  readonly replicationFactor: number;
  readonly replicas: readonly (readonly number[])[];
}

function planPartitions(image: MetadataImage, topic: NewTopic, context: DecideContext): Plan {
  const { assignment } = topic;
  if (assignment.length > 0) {
    const replicationFactor = assignment[0]?.length ?? 0;
    checkAgrees("partitionsCount", topic.partitionsCount, assignment.length);
    checkAgrees("replicationFactor", topic.replicationFactor, replicationFactor);
    checkPartitionsCount(assignment.length);
    checkAssignment(image, assignment, replicationFactor);
    return { partitionsCount: assignment.length, replicationFactor, replicas: assignment };
  }
  const sources = { allBrokers: image.configs.get("broker:"), properties: context.properties };
  const partitionsCount =
    topic.partitionsCount === NONE
      ? configNumber("broker", "num.partitions", sources)
      : topic.partitionsCount;
  checkPartitionsCount(partitionsCount);
  const byDefault = topic.replicationFactor === NONE;
  const wanted = byDefault
    ? configNumber("broker", REPLICATION_FACTOR, sources)
    : topic.replicationFactor;
  const clamps = byDefault || topic.clampReplicationFactor === true;
  const replicationFactor = clamps ? clampedReplicationFactor(image, wanted, context) : wanted;
  const replicas = placePartitions(image, {
    partitionsCount,
    replicationFactor,
    onFenced: clamps,
    seed: context.seed,
  });
  return { partitionsCount, replicationFactor, replicas };
}

function checkAgrees(field: string, asked: number, assigned: number): void {
  if (asked === NONE || asked === assigned) return;
  throw new OttlaError(
    "INVALID_REQUEST",
    `${field} is ${asked}, but the assignment says ${assigned}; leave it out (-1)`,
    { field },
  );
}

export function checkPartitionsCount(count: number): void {
  if (count >= 1 && count <= LIMITS.partitionsPerTopicCount) return;
  throw new OttlaError(
    "INVALID_PARTITIONS",
    `partitions is ${count}; allowed is 1 to ${LIMITS.partitionsPerTopicCount}`,
    { field: "partitions" },
  );
}

export function checkTotal(count: number): void {
  if (count <= LIMITS.partitionsPerClusterCount) return;
  throw new OttlaError(
    "LIMIT_EXCEEDED",
    `the cluster would have ${count} partitions; allowed are ${LIMITS.partitionsPerClusterCount}`,
    { field: "partitions" },
  );
}

function topicRecords(
  image: MetadataImage,
  topic: NewTopic,
  topicId: TopicId,
  plan: Plan,
): readonly MetadataRecord[] {
  const { name } = topic;
  return [
    { type: "topic", topicId, name },
    ...Object.entries(topic.configs).map(
      ([key, value]): MetadataRecord => ({ type: "config", resource: "topic", name, key, value }),
    ),
    ...plan.replicas.map((replicas, partition) =>
      newPartition(image, topicId, partition, replicas),
    ),
  ];
}
