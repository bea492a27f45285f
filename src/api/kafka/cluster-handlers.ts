/** ApiVersions, Metadata, DescribeCluster, DescribeTopicPartitions: what the cluster is. */
import type { ResponseInputs } from "../../kafka-wire/messages.ts";
import { ZERO_UUID } from "../../kafka-wire/reader.ts";
import { checkTopicName } from "../../metadata/decide/topic-names.ts";
import {
  type MetadataImage,
  type PartitionImage,
  type TopicImage,
  topicByName,
} from "../../metadata/image.ts";
import { type ErrorCode, toOttlaError } from "../../model/errors.ts";
import { NONE } from "../../model/ids.ts";
import { OFFSETS_TOPIC } from "../../model/internal-topics.ts";
import { apiVersions } from "./api-versions.ts";
import { CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS } from "./authorized-operations.ts";
import type { DoorHandler, DoorHandlers } from "./door-handler.ts";
import { type NodeEndpoint, nodeEndpoints } from "./endpoints.ts";
import type { RequestContext } from "./handler.ts";
import { errorNumber } from "./wire-errors.ts";

type MetadataTopic = ResponseInputs["Metadata"]["topics"][number];
type MetadataPartition = MetadataTopic["partitions"][number];
type DescribedTopic = ResponseInputs["DescribeTopicPartitions"]["topics"][number];

/** Before it, no list meant all topics; null says so since. */
const NULL_IS_ALL = 1;
/** Whether clients of the version know LISTENER_NOT_FOUND. */
const KNOWS_LISTENERS = 6;
/** Asked by id, an unknown topic has no name. */
const NULL_NAMES = 12;
const BROKERS_ENDPOINT = 1;
const CONTROLLERS_ENDPOINT = 2;

const metadata: DoorHandler<"Metadata"> = async (request, context) => {
  const { broker, listenerName, version } = context;
  const asked =
    request.topics === null || (version < NULL_IS_ALL && request.topics.length === 0)
      ? undefined
      : request.topics;
  const found =
    asked === undefined ? [] : await find(context, asked, request.allowAutoTopicCreation);
  // After what was awaited: answers of one image, the newest.
  const image = broker.image();
  const nodes = nodeEndpoints(broker.liveBrokers(), listenerName);
  const shown = new Shown(nodes, version);
  const { includeClusterAuthorizedOperations, includeTopicAuthorizedOperations } = request;
  const topics =
    asked === undefined
      ? [...image.topics.values()].map((topic) => shown.topic(topic))
      : onceEach(found.map((one) => shown.found(one, image)));
  return {
    brokers: nodes,
    clusterId: image.clusterId ?? null,
    controllerId: controllerOf(broker.controllerId(), nodes),
    topics: includeTopicAuthorizedOperations
      ? topics.map((topic) => ({ ...topic, topicAuthorizedOperations: TOPIC_OPERATIONS }))
      : topics,
    clusterAuthorizedOperations: includeClusterAuthorizedOperations
      ? CLUSTER_OPERATIONS
      : NOT_ASKED,
    errorCode: 0,
  };
};

/** Whatever is asked for twice is told once. */
function onceEach(topics: readonly MetadataTopic[]): readonly MetadataTopic[] {
  return [...new Map(topics.map((topic) => [`${topic.name} ${topic.topicId}`, topic])).values()];
}

/** What became of one topic that was asked for. */
type Found =
  | { readonly topic: TopicImage }
  | { readonly error: ErrorCode; readonly name: string | null; readonly id: string };

async function find(
  { broker }: RequestContext,
  asked: readonly { readonly name: string | null; readonly topicId: string }[],
  allowAutoCreate: boolean,
): Promise<readonly Found[]> {
  // As in Kafka, an id counts for more than a name beside it.
  const named = (one: { readonly name: string | null; readonly topicId: string }): boolean =>
    one.name !== null && one.topicId === ZERO_UUID;
  const names = asked.flatMap((one) => (named(one) ? [one.name as string] : []));
  const byName = await broker.topics(names, allowAutoCreate);
  let next = 0;
  return asked.map((one): Found => {
    const { name, topicId } = one;
    if (name === null || !named(one)) {
      const topic = broker.image().topics.get(topicId);
      if (topic !== undefined) return { topic };
      return { error: "UNKNOWN_TOPIC_ID", name: null, id: topicId };
    }
    const result = byName[next++];
    if (result === undefined) return { error: "UNKNOWN_TOPIC_OR_PARTITION", name, id: ZERO_UUID };
    if (!("code" in result)) return { topic: result };
    const error = result.code === "UNKNOWN_TOPIC_OR_PARTITION" ? unknownOrBad(name) : result.code;
    return { error, name, id: ZERO_UUID };
  });
}

/** A name that no topic can have is worth no second try, and Kafka says so. */
export function unknownOrBad(name: string): ErrorCode {
  try {
    checkTopicName(name);
    return "UNKNOWN_TOPIC_OR_PARTITION";
  } catch (thrown) {
    return toOttlaError(thrown).code;
  }
}

/** Any broker forwards what only the controller may decide: one that cannot be reached is not told. */
function controllerOf(active: number, nodes: readonly NodeEndpoint[]): number {
  const reachable = nodes.some(({ nodeId }) => nodeId === active);
  return reachable ? active : (nodes[0]?.nodeId ?? NONE);
}

/** Topics as clients of one listener see them. */
class Shown {
  readonly #reachable: ReadonlySet<number>;
  readonly #version: number;

  constructor(nodes: readonly NodeEndpoint[], version: number) {
    this.#reachable = new Set(nodes.map(({ nodeId }) => nodeId));
    this.#version = version;
  }

  found(found: Found, image: MetadataImage): MetadataTopic {
    if ("topic" in found) return this.topic(image.topics.get(found.topic.id) ?? found.topic);
    const { error, name, id } = found;
    const shownName = name ?? (this.#version >= NULL_NAMES ? null : "");
    return { errorCode: errorNumber(error), name: shownName, topicId: id, partitions: [] };
  }

  topic(topic: TopicImage): MetadataTopic {
    return {
      errorCode: 0,
      name: topic.name,
      topicId: topic.id,
      isInternal: topic.name === OFFSETS_TOPIC,
      partitions: topic.partitions.map((partition, index) => this.partition(partition, index)),
    };
  }

  partition(image: PartitionImage, partitionIndex: number): MetadataPartition {
    const { leader, replicas } = image;
    const led = leader !== NONE && this.#reachable.has(leader);
    const error =
      leader === NONE || (!led && this.#version < KNOWS_LISTENERS)
        ? "LEADER_NOT_AVAILABLE"
        : "LISTENER_NOT_FOUND";
    return {
      errorCode: led ? 0 : errorNumber(error),
      partitionIndex,
      leaderId: led ? leader : NONE,
      leaderEpoch: image.leaderEpoch,
      replicaNodes: replicas,
      isrNodes: image.isr,
      offlineReplicas: replicas.filter((id) => !this.#reachable.has(id)),
    };
  }
}

const describeCluster: DoorHandler<"DescribeCluster"> = (request, { broker, listenerName }) => {
  if (request.endpointType !== BROKERS_ENDPOINT) {
    const mismatched = request.endpointType === CONTROLLERS_ENDPOINT;
    return {
      errorCode: errorNumber(mismatched ? "MISMATCHED_ENDPOINT_TYPE" : "UNSUPPORTED_ENDPOINT_TYPE"),
      errorMessage: `endpoint_type is ${request.endpointType}; allowed is ${BROKERS_ENDPOINT} (brokers)`,
      clusterId: "",
      brokers: [],
    };
  }
  const image = broker.image();
  const clusterId = image.clusterId ?? "";
  const live = nodeEndpoints(broker.liveBrokers(), listenerName);
  const shown = request.includeFencedBrokers
    ? nodeEndpoints(image.brokers.values(), listenerName)
    : live;
  return {
    errorCode: 0,
    clusterId,
    controllerId: controllerOf(broker.controllerId(), live),
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? CLUSTER_OPERATIONS
      : NOT_ASKED,
    brokers: shown.map(({ nodeId, ...node }) => ({
      brokerId: nodeId,
      ...node,
      isFenced: image.brokers.get(nodeId)?.fenced === true,
    })),
  };
};

/**
 * KIP-966: pages of about `responsePartitionLimit` partitions, topics by name. The cursor is the
 * first partition of the next page.
 */
const describeTopicPartitions: DoorHandler<"DescribeTopicPartitions"> = (request, context) => {
  const { broker, listenerName, door } = context;
  const image = broker.image();
  const shown = new Shown(nodeEndpoints(broker.liveBrokers(), listenerName), NULL_NAMES);
  const limit = Math.min(
    Math.max(1, request.responsePartitionLimit),
    door.config.requestPartitionsMaxCount,
  );
  const { cursor } = request;
  const asked =
    request.topics.length === 0
      ? [...image.topicIds.keys()]
      : [...new Set(request.topics.map(({ name }) => name))];
  const names = asked.sort().filter((name) => cursor === null || name >= cursor.topicName);
  const topics: DescribedTopic[] = [];
  let room = limit;
  for (const name of names) {
    const topic = topicByName(image, name);
    if (topic === undefined) {
      topics.push(unknownTopic(name));
      continue;
    }
    const from = cursor?.topicName === name ? Math.max(0, cursor.partitionIndex) : 0;
    if (room === 0) return { topics, nextCursor: { topicName: name, partitionIndex: from } };
    const page = topic.partitions.slice(from, from + room);
    if (page.length > 0 || from === 0) {
      topics.push(described(topic, page, from, shown));
      room -= page.length;
    }
    if (from + page.length < topic.partitions.length) {
      const nextCursor = { topicName: name, partitionIndex: from + page.length };
      return { topics, nextCursor };
    }
  }
  return { topics, nextCursor: null };
};

function unknownTopic(name: string): DescribedTopic {
  const errorCode = errorNumber(unknownOrBad(name));
  const topicAuthorizedOperations = TOPIC_OPERATIONS;
  return { errorCode, name, topicId: ZERO_UUID, partitions: [], topicAuthorizedOperations };
}

/** Java's client takes no null for the two lists of KIP-966. */
function described(
  topic: TopicImage,
  page: readonly PartitionImage[],
  from: number,
  shown: Shown,
): DescribedTopic {
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.id,
    isInternal: topic.name === OFFSETS_TOPIC,
    topicAuthorizedOperations: TOPIC_OPERATIONS,
    partitions: page.map((image, index) => ({
      ...shown.partition(image, from + index),
      eligibleLeaderReplicas: image.elr,
      lastKnownElr: image.lastKnownLeader < 0 ? [] : [image.lastKnownLeader],
    })),
  };
}

export const clusterHandlers = {
  ApiVersions: apiVersions,
  Metadata: metadata,
  DescribeCluster: describeCluster,
  DescribeTopicPartitions: describeTopicPartitions,
} as const satisfies DoorHandlers;
