/** Administration: what each method of the Admin service asks of the broker, and its answer. */
import type { BrokerApi, ConfigResourceName } from "../../broker/broker-api.ts";
import { ottla } from "../../gen/ottla.js";
import type { MessageType } from "../../grpc/messages.ts";
import type { ConfigOperation } from "../../metadata/commands.ts";
import type { ConfigResourceType } from "../../metadata/records.ts";
import { NONE } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import { checkCount, checkName, checkNumber } from "./checks.ts";
import {
  brokerMessages,
  clusterBrokerMessage,
  hintMessage,
  quorumMessage,
  topicMessage,
} from "./image-messages.ts";
import { errorMessage, invalid } from "./status.ts";

const v1 = ottla.v1;

export interface AdminCall<Broker = BrokerApi> {
  readonly broker: Broker;
  /** By which the call came in. */
  readonly listenerName: string;
  /** What is left of the client's deadline, and never more than `request.timeout.ms`. */
  readonly timeoutMs: number;
}

/** One method: types of its messages, and what it does. */
export interface AdminMethod<Request, Response, Broker = BrokerApi> {
  readonly request: MessageType<Request>;
  readonly response: MessageType<Response>;
  handle(request: Request, call: AdminCall<Broker>): Promise<Response>;
}

export function method<Request, Response, Broker = BrokerApi>(
  request: MessageType<Request>,
  response: MessageType<Response>,
  handle: (request: Request, call: AdminCall<Broker>) => Promise<Response>,
): AdminMethod<Request, Response, Broker> {
  return { request, response, handle };
}

/** By the names of `ottla.v1.Admin`. */
export const ADMIN_METHODS = {
  Metadata: method(v1.MetadataRequest, v1.MetadataResponse, metadata),
  DescribeCluster: method(v1.DescribeClusterRequest, v1.DescribeClusterResponse, describeCluster),
  CreateTopics: method(v1.CreateTopicsRequest, v1.CreateTopicsResponse, createTopics),
  DeleteTopics: method(v1.DeleteTopicsRequest, v1.DeleteTopicsResponse, deleteTopics),
  CreatePartitions: method(
    v1.CreatePartitionsRequest,
    v1.CreatePartitionsResponse,
    createPartitions,
  ),
  DescribeConfigs: method(v1.DescribeConfigsRequest, v1.DescribeConfigsResponse, describeConfigs),
  IncrementalAlterConfigs: method(
    v1.IncrementalAlterConfigsRequest,
    v1.IncrementalAlterConfigsResponse,
    alterConfigs,
  ),
  ListOffsets: method(v1.ListOffsetsRequest, v1.ListOffsetsResponse, listOffsets),
  DeleteRecords: method(v1.DeleteRecordsRequest, v1.DeleteRecordsResponse, deleteRecords),
  ElectLeaders: method(v1.ElectLeadersRequest, v1.ElectLeadersResponse, electLeaders),
  InitProducerId: method(v1.InitProducerIdRequest, v1.InitProducerIdResponse, initProducerId),
} as const;

async function metadata(
  request: ottla.v1.MetadataRequest.$Properties,
  { broker, listenerName }: AdminCall,
): Promise<ottla.v1.MetadataResponse.$Properties> {
  const names = checkCount("topics", request.topics);
  for (const name of names) checkName("topics", name);
  const found =
    names.length > 0 ? await broker.topics(names, request.allowAutoTopicCreation ?? false) : [];
  const live = broker.liveBrokers();
  const liveIds = new Set(live.map(({ id }) => id));
  const image = broker.image();
  const all = names.length === 0 && !request.noTopics ? [...image.topics.values()] : [];
  return {
    clusterId: image.clusterId ?? "",
    controllerId: broker.controllerId(),
    brokers: brokerMessages(live, listenerName),
    topics: [...found, ...all].map((topic) =>
      "code" in topic
        ? { name: topic.name, error: errorMessage(topic) }
        : topicMessage(topic, liveIds),
    ),
  };
}

/** Brokers are told without a quorum too: then it is what the reader wants to know. */
async function describeCluster(
  _request: ottla.v1.DescribeClusterRequest.$Properties,
  { broker }: AdminCall,
): Promise<ottla.v1.DescribeClusterResponse.$Properties> {
  const quorum = await broker.describeQuorum().catch(() => undefined);
  const image = broker.image();
  return {
    clusterId: image.clusterId ?? "",
    controllerId: broker.controllerId(),
    brokers: [...image.brokers.values()].map(clusterBrokerMessage),
    quorum: quorum === undefined ? null : quorumMessage(quorum),
    metadataVersion: image.metadataVersion,
  };
}

async function createTopics(
  request: ottla.v1.CreateTopicsRequest.$Properties,
  { broker, timeoutMs }: AdminCall,
): Promise<ottla.v1.CreateTopicsResponse.$Properties> {
  const topics = checkCount("topics", request.topics).map((topic) => ({
    name: topic.name ?? "",
    partitionsCount: topic.partitions ?? 0,
    replicationFactor: topic.replicationFactor ?? 0,
    assignment: assignment(topic.assignment),
    configs: topic.configs ?? {},
  }));
  const reply = await broker.controller(
    "create-topics",
    { topics, validateOnly: request.validateOnly ?? false },
    timeoutMs,
  );
  return {
    topics: reply.topics.map((topic) => ({
      name: topic.name,
      id: topic.topicId,
      error: errorMessage(topic.error),
      partitions: Math.max(0, topic.partitionsCount),
      replicationFactor: Math.max(0, topic.replicationFactor),
    })),
  };
}

function assignment(
  partitions: ottla.v1.ReplicaAssignment.$Properties[] | null | undefined,
): readonly (readonly number[])[] {
  const list = checkCount("assignment", partitions, LIMITS.partitionsPerTopicCount);
  return list.map(({ replicas }) => replicas ?? []);
}

async function deleteTopics(
  request: ottla.v1.DeleteTopicsRequest.$Properties,
  { broker, timeoutMs }: AdminCall,
): Promise<ottla.v1.DeleteTopicsResponse.$Properties> {
  const topics = checkCount("topics", request.topics).map((name) => ({
    name: checkName("topics", name),
  }));
  const reply = await broker.controller("delete-topics", { topics }, timeoutMs);
  return {
    topics: reply.topics.map(({ name, error }) => ({ name, error: errorMessage(error) })),
  };
}

async function createPartitions(
  request: ottla.v1.CreatePartitionsRequest.$Properties,
  { broker, timeoutMs }: AdminCall,
): Promise<ottla.v1.CreatePartitionsResponse.$Properties> {
  await broker.controller(
    "create-partitions",
    {
      topic: checkName("topic", request.topic),
      partitionsCount: request.partitions ?? 0,
      assignment: assignment(request.assignment),
      validateOnly: request.validateOnly ?? false,
    },
    timeoutMs,
  );
  return {};
}

const RESOURCE_TYPES: Readonly<Record<ConfigResourceType, ottla.v1.ConfigResourceType>> = {
  topic: v1.ConfigResourceType.CONFIG_RESOURCE_TYPE_TOPIC,
  broker: v1.ConfigResourceType.CONFIG_RESOURCE_TYPE_BROKER,
};

function resourceOf(
  message: ottla.v1.ConfigResource.$Properties | null | undefined,
): ConfigResourceName {
  const name = message?.name ?? "";
  const type = message?.type ?? 0;
  if (type === RESOURCE_TYPES.topic) {
    return { resource: "topic", name: checkName("resource.name", name) };
  }
  if (type === RESOURCE_TYPES.broker) {
    if (/^\d{0,10}$/.test(name)) return { resource: "broker", name };
    throw invalid("resource.name", name, 'it must be a broker\'s id, or "" for all brokers');
  }
  throw invalid("resource.type", type, "it must be 2 (topic) or 4 (broker)");
}

function resourceMessage({
  resource,
  name,
}: ConfigResourceName): ottla.v1.ConfigResource.$Properties {
  return { type: RESOURCE_TYPES[resource], name };
}

async function describeConfigs(
  request: ottla.v1.DescribeConfigsRequest.$Properties,
  { broker }: AdminCall,
): Promise<ottla.v1.DescribeConfigsResponse.$Properties> {
  const resources = checkCount("resources", request.resources).map(resourceOf);
  return {
    resources: broker.describeConfigs(resources).map((described) => ({
      resource: resourceMessage(described),
      error: errorMessage(described.error),
      entries: described.entries.map((entry) => ({ ...entry })),
    })),
  };
}

const { Operation } = v1.ConfigOperation;
const OPERATIONS = new Map<ottla.v1.ConfigOperation.Operation, ConfigOperation["operation"]>([
  [Operation.SET, "set"],
  [Operation.DELETE, "delete"],
  [Operation.APPEND, "append"],
  [Operation.SUBTRACT, "subtract"],
]);

function configOperation(message: ottla.v1.ConfigOperation.$Properties): ConfigOperation {
  const operation = OPERATIONS.get(message.operation ?? Operation.SET);
  if (operation === undefined) {
    throw invalid(
      "operations.operation",
      message.operation,
      "it must be 0 (set), 1 (delete), 2 (append) or 3 (subtract)",
    );
  }
  const value = message.value ?? "";
  const most = LIMITS.configValueCharacters;
  if (value.length > most) {
    throw invalid("operations.value", value, `it must have at most ${most} characters`);
  }
  return { key: message.key ?? "", operation, value: operation === "delete" ? null : value };
}

async function alterConfigs(
  request: ottla.v1.IncrementalAlterConfigsRequest.$Properties,
  { broker, timeoutMs }: AdminCall,
): Promise<ottla.v1.IncrementalAlterConfigsResponse.$Properties> {
  const resources = checkCount("resources", request.resources).map((resource) => ({
    ...resourceOf(resource.resource),
    operations: checkCount("operations", resource.operations).map(configOperation),
  }));
  const reply = await broker.controller(
    "alter-configs",
    { resources, validateOnly: request.validateOnly ?? false },
    timeoutMs,
  );
  return {
    resources: reply.resources.map((altered) => ({
      resource: resourceMessage(altered),
      error: errorMessage(altered.error),
    })),
  };
}

async function listOffsets(
  request: ottla.v1.ListOffsetsRequest.$Properties,
  { broker, listenerName }: AdminCall,
): Promise<ottla.v1.ListOffsetsResponse.$Properties> {
  const items = checkPartitions(request.partitions).map((item) => ({
    topic: checkName("partitions.topic", item.topic),
    partition: item.partition ?? 0,
    timestamp: checkNumber("partitions.timestamp", item.timestamp, -3),
  }));
  const results = await broker.listOffsets(items);
  const image = broker.image();
  return {
    partitions: results.map((result) => ({
      ...result,
      error: errorMessage(result.error),
      leader: hintMessage(result.leader, image, listenerName),
    })),
  };
}

async function deleteRecords(
  request: ottla.v1.DeleteRecordsRequest.$Properties,
  { broker, listenerName, timeoutMs }: AdminCall,
): Promise<ottla.v1.DeleteRecordsResponse.$Properties> {
  const items = checkPartitions(request.partitions).map((item) => ({
    topic: checkName("partitions.topic", item.topic),
    partition: item.partition ?? 0,
    beforeOffset: checkNumber("partitions.before_offset", item.beforeOffset, NONE),
  }));
  const asked = request.timeoutMs ?? 0;
  const results = await broker.deleteRecords(
    items,
    asked === 0 ? timeoutMs : Math.min(asked, timeoutMs),
  );
  const image = broker.image();
  return {
    partitions: results.map((result) => ({
      ...result,
      error: errorMessage(result.error),
      leader: hintMessage(result.leader, image, listenerName),
    })),
  };
}

async function electLeaders(
  request: ottla.v1.ElectLeadersRequest.$Properties,
  { broker, timeoutMs }: AdminCall,
): Promise<ottla.v1.ElectLeadersResponse.$Properties> {
  const partitions = checkPartitions(request.partitions).map((item) => ({
    topic: checkName("partitions.topic", item.topic),
    partition: item.partition ?? 0,
  }));
  const { UNCLEAN } = v1.ElectLeadersRequest.ElectionType;
  const reply = await broker.controller(
    "elect-leaders",
    {
      type: request.type === UNCLEAN ? "unclean" : "preferred",
      partitions: partitions.length === 0 ? null : partitions,
    },
    timeoutMs,
  );
  return {
    partitions: reply.partitions.map((elected) => ({
      ...elected,
      error: errorMessage(elected.error),
    })),
  };
}

async function initProducerId(
  _request: ottla.v1.InitProducerIdRequest.$Properties,
  { broker }: AdminCall,
): Promise<ottla.v1.InitProducerIdResponse.$Properties> {
  return await broker.initProducerId();
}

function checkPartitions<Item>(items: readonly Item[] | null | undefined): readonly Item[] {
  return checkCount("partitions", items, LIMITS.partitionsPerTopicCount);
}
