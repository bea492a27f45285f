/**
 * CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords, ElectLeaders. Any broker forwards them to
 * the active controller, as Kafka's do. Java's clients want exactly one result for each thing asked.
 */
import type { DescribedConfigEntry } from "../../broker/broker-api.ts";
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import { ZERO_UUID } from "../../kafka-wire/reader.ts";
import type {
  CreateTopicResult,
  DeleteTopicResult,
  ElectLeaders,
  ItemError,
  NewTopic,
} from "../../metadata/commands.ts";
import { OttlaError } from "../../model/errors.ts";
import { type BrokerId, NONE } from "../../model/ids.ts";
import { OFFSETS_TOPIC } from "../../model/internal-topics.ts";
import {
  duplicatesOf,
  invalidRequest,
  refusalOf,
  settled,
  toldError,
  waitOf,
} from "./admin-requests.ts";
import { CONFIG_SOURCES, isShown } from "./config-numbers.ts";
import { errorNumber, type Handlers, type RequestContext } from "./handler.ts";

/** Since then topics are deleted by name or by id. */
const DELETED_BY_ID = 6;
/** Before it, clients know no TOPIC_DELETION_DISABLED. */
const KNOWS_DELETION_DISABLED = 3;
const PREFERRED = 0;
const UNCLEAN = 1;

type NewTopicAsked = Requests["CreateTopics"]["topics"][number];
type TopicCreated = ResponseInputs["CreateTopics"]["topics"][number];

async function createTopics(
  { topics, timeoutMs, validateOnly }: Requests["CreateTopics"],
  context: RequestContext,
): Promise<ResponseInputs["CreateTopics"]> {
  const twice = duplicatesOf(topics.map(({ name }) => name));
  const results = new Map<string, TopicCreated>();
  const wanted: NewTopic[] = [];
  for (const topic of topics) {
    try {
      if (twice.has(topic.name)) throw invalidRequest(`topic ${topic.name} stands twice`);
      wanted.push(newTopic(topic));
    } catch (thrown) {
      results.set(topic.name, notCreated(topic.name, refusalOf(thrown)));
    }
  }
  if (wanted.length > 0) {
    const request = { topics: wanted, validateOnly };
    const reply = await settled(
      context.broker.controller("create-topics", request, waitOf(timeoutMs)),
    );
    for (const [index, topic] of wanted.entries()) {
      const result = "value" in reply ? reply.value.topics[index] : undefined;
      const error = "error" in reply ? reply.error : null;
      results.set(topic.name, created(topic, result, error, context));
    }
  }
  const names = new Set(topics.map(({ name }) => name));
  return { topics: [...names].flatMap((name) => results.get(name) ?? []) };
}

function newTopic(topic: NewTopicAsked): NewTopic {
  if (topic.assignments.some(({ brokerIds }) => brokerIds.some((id) => id < 0))) {
    throw new OttlaError("INVALID_REPLICA_ASSIGNMENT", `${topic.name}: a broker's id is below 0`, {
      field: "assignments",
    });
  }
  if (
    topic.assignments.length > 0 &&
    (topic.numPartitions !== NONE || topic.replicationFactor !== NONE)
  ) {
    throw invalidRequest(
      `${topic.name} has replicas assigned, ${topic.numPartitions} partitions and a replication factor of ${topic.replicationFactor}; with an assignment both are -1`,
    );
  }
  const configs: Record<string, string> = {};
  for (const { name, value } of topic.configs) {
    if (value === null) {
      throw new OttlaError("INVALID_CONFIG", `${name} has no value; allowed is one`, {
        field: name,
      });
    }
    configs[name] = value;
  }
  return {
    name: topic.name,
    partitionsCount: topic.numPartitions,
    replicationFactor: topic.replicationFactor,
    assignment: assignmentOf(topic.assignments),
    configs,
  };
}

/** Replicas in the order of the partitions, which may be named in any, but each once from 0. */
function assignmentOf(assignments: NewTopicAsked["assignments"]): readonly (readonly BrokerId[])[] {
  const sorted = [...assignments].sort((left, right) => left.partitionIndex - right.partitionIndex);
  return sorted.map(({ partitionIndex, brokerIds }, index) => {
    if (partitionIndex === index) return brokerIds;
    throw new OttlaError(
      "INVALID_REPLICA_ASSIGNMENT",
      `the assignment names partition ${partitionIndex} where ${index} is expected: each once, from 0`,
      { field: "assignments" },
    );
  });
}

function created(
  topic: NewTopic,
  result: CreateTopicResult | undefined,
  refused: ItemError | null,
  { broker }: RequestContext,
): TopicCreated {
  const error = refused ?? result?.error ?? null;
  if (error !== null || result === undefined) return notCreated(topic.name, error);
  const overrides = new Map(Object.entries(topic.configs));
  const [described] = broker.describeConfigs([{ resource: "topic", name: topic.name, overrides }]);
  return {
    name: topic.name,
    topicId: result.topicId === "" ? ZERO_UUID : result.topicId,
    errorCode: 0,
    errorMessage: null,
    numPartitions: result.partitionsCount,
    replicationFactor: result.replicationFactor,
    configs: (described?.entries ?? []).filter(isShown).map(createdConfig),
  };
}

function createdConfig(entry: DescribedConfigEntry): NonNullable<TopicCreated["configs"]>[number] {
  return {
    name: entry.key,
    value: entry.isSet ? entry.value : null,
    readOnly: entry.readOnly,
    configSource: CONFIG_SOURCES[entry.source],
    isSensitive: false,
  };
}

function notCreated(name: string, error: ItemError | null): TopicCreated {
  return { name, topicId: ZERO_UUID, ...toldError(error), configs: [] };
}

async function deleteTopics(
  { topicNames, topics: named, timeoutMs }: Requests["DeleteTopics"],
  { broker, version }: RequestContext,
): Promise<ResponseInputs["DeleteTopics"]> {
  const given =
    version < DELETED_BY_ID ? topicNames.map((name) => ({ name, topicId: ZERO_UUID })) : named;
  // As in Kafka, what is named twice is refused, once, and stays.
  const twice = duplicatesOf(given.flatMap(({ name }) => (name === null ? [] : [name])));
  const asked = given.filter(({ name }) => name === null || !twice.has(name));
  const refused = [...twice].map((name) => ({
    name,
    topicId: ZERO_UUID,
    ...toldError(refusalOf(invalidRequest(`topic ${name} stands twice`))),
  }));
  if (asked.length === 0 && refused.length > 0) return { responses: refused };
  const topics = asked.map(({ name, topicId }) => ({
    ...(name === null ? {} : { name }),
    ...(topicId === ZERO_UUID ? {} : { topicId }),
  }));
  const reply = await settled(broker.controller("delete-topics", { topics }, waitOf(timeoutMs)));
  const responses = asked.map((topic, index) => {
    const result = "value" in reply ? reply.value.topics[index] : undefined;
    const error = "error" in reply ? reply.error : (result?.error ?? null);
    const known = error?.code === "TOPIC_DELETION_DISABLED" && version < KNOWS_DELETION_DISABLED;
    return {
      ...identity(topic, result, version),
      ...toldError(known ? { ...error, code: "INVALID_REQUEST" } : error),
    };
  });
  return { responses: [...responses, ...refused] };
}

/** As it was asked for; what was asked for by id has its name too, if it has one. */
function identity(
  asked: { readonly name: string | null; readonly topicId: string },
  result: DeleteTopicResult | undefined,
  version: number,
): { readonly name: string | null; readonly topicId: string } {
  const name = asked.name ?? (result?.name === "" ? undefined : result?.name) ?? null;
  const topicId = result?.topicId || asked.topicId;
  return { name: version < DELETED_BY_ID ? (name ?? "") : name, topicId };
}

async function createPartitions(
  { topics, timeoutMs, validateOnly }: Requests["CreatePartitions"],
  { broker }: RequestContext,
): Promise<ResponseInputs["CreatePartitions"]> {
  const twice = duplicatesOf(topics.map(({ name }) => name));
  const once = new Map(topics.map((topic) => [topic.name, topic]));
  const results = [...once.values()].map(async ({ name, count, assignments }) => {
    if (twice.has(name)) {
      return { name, ...toldError(refusalOf(invalidRequest(`topic ${name} stands twice`))) };
    }
    if (assignments?.length === 0) return { name, ...toldError(noReplicas(name)) };
    const assignment = assignments?.map(({ brokerIds }) => brokerIds) ?? [];
    const request = { topic: name, partitionsCount: count, assignment, validateOnly };
    const reply = await settled(broker.controller("create-partitions", request, waitOf(timeoutMs)));
    return { name, ...toldError("error" in reply ? reply.error : null) };
  });
  return { results: await Promise.all(results) };
}

/** An assignment that is given is one for each new partition. */
function noReplicas(name: string): ItemError {
  return {
    code: "INVALID_REPLICA_ASSIGNMENT",
    message: `${name}: assignments is empty; allowed are null and one for each new partition`,
  };
}

async function deleteRecords(
  { topics, timeoutMs }: Requests["DeleteRecords"],
  { broker }: RequestContext,
): Promise<ResponseInputs["DeleteRecords"]> {
  const items = topics.flatMap(({ name, partitions }) =>
    // What groups have committed is not deleted from outside.
    (name === OFFSETS_TOPIC ? [] : partitions).map(({ partitionIndex, offset }) => ({
      topic: name,
      partition: partitionIndex,
      beforeOffset: offset,
    })),
  );
  const deleted = await broker.deleteRecords(items, waitOf(timeoutMs));
  let next = 0;
  return {
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => {
        if (name === OFFSETS_TOPIC) {
          const errorCode = errorNumber("INVALID_TOPIC_EXCEPTION");
          return { partitionIndex, lowWatermark: NONE, errorCode };
        }
        const result = deleted[next++];
        return {
          partitionIndex,
          lowWatermark: result?.lowWatermark ?? NONE,
          errorCode: errorNumber(result?.error),
        };
      }),
    })),
  };
}

async function electLeaders(
  { electionType, topicPartitions, timeoutMs }: Requests["ElectLeaders"],
  { broker }: RequestContext,
): Promise<ResponseInputs["ElectLeaders"]> {
  if (electionType !== PREFERRED && electionType !== UNCLEAN) {
    return { errorCode: errorNumber("INVALID_REQUEST"), replicaElectionResults: [] };
  }
  const request: ElectLeaders = {
    type: electionType === UNCLEAN ? "unclean" : "preferred",
    partitions:
      topicPartitions?.flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition })),
      ) ?? null,
  };
  const reply = await settled(broker.controller("elect-leaders", request, waitOf(timeoutMs)));
  if ("error" in reply) {
    return { errorCode: errorNumber(reply.error), replicaElectionResults: [] };
  }
  const byTopic = new Map<
    string,
    ResponseInputs["ElectLeaders"]["replicaElectionResults"][number]["partitionResult"][number][]
  >();
  for (const { topic, partition, error } of reply.value.partitions) {
    const results = byTopic.get(topic) ?? [];
    results.push({ partitionId: partition, ...toldError(error) });
    byTopic.set(topic, results);
  }
  return {
    errorCode: 0,
    replicaElectionResults: [...byTopic].map(([topic, partitionResult]) => ({
      topic,
      partitionResult,
    })),
  };
}

export const topicHandlers: Handlers = {
  CreateTopics: createTopics,
  DeleteTopics: deleteTopics,
  CreatePartitions: createPartitions,
  DeleteRecords: deleteRecords,
  ElectLeaders: electLeaders,
};
