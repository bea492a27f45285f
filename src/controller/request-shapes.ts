/** The shape of each request and of a heartbeat; bounds are those of the table of limits. */
import type { ControllerRequestName, ControllerRequests } from "../metadata/commands.ts";
import type { Heartbeat } from "../metadata/session-messages.ts";
import { LIMITS } from "../model/limits.ts";
import {
  boolean,
  dictionary,
  integer,
  list,
  nullable,
  object,
  oneOf,
  optional,
  pair,
  type Shape,
  string,
} from "./shapes.ts";

const brokerId = integer(0, 2 ** 31 - 1);
const epoch = integer(-1);
const partition = integer(0, LIMITS.partitionsPerClusterCount);
const identifier = string(64);
/** Longer than a legal name, so that the refusal of an over-long one can say so. */
const name = string(1_000);
const brokerIds = list(brokerId, 1_000);
const assignment = list(brokerIds, LIMITS.partitionsPerClusterCount);
const topicPartition = object({ topicId: identifier, partition });

function partitions<Item>(shape: Shape<Item>): Shape<readonly Item[]> {
  return list(shape, LIMITS.partitionsPerClusterCount);
}

export const HEARTBEAT: Shape<Heartbeat> = object({
  type: oneOf("heartbeat"),
  brokerId,
  incarnationId: identifier,
  brokerEpoch: epoch,
  appliedIndex: integer(0),
  wantFence: boolean,
  wantShutdown: boolean,
});

/** What encloses a request's body. */
export const REQUEST_ENVELOPE = object({ id: integer(0), timeoutMs: integer(0, 2 ** 31 - 1) });

/** Optional fields that JSON left out stay out, so that each shape gives exactly the request's type. */
export const REQUEST_SHAPES: {
  readonly [Name in ControllerRequestName]: Shape<ControllerRequests[Name]["request"]>;
} = {
  "register-broker": (value, field) => {
    const { clusterId, ...rest } = REGISTRATION(value, field);
    return { ...rest, clusterId };
  },
  "unregister-broker": object({ brokerId }),
  "alter-partition": object({
    brokerId,
    brokerEpoch: epoch,
    partitions: partitions((value, field) => {
      const { lost, ...rest } = ALTER_PARTITION_ITEM(value, field);
      return lost === undefined ? rest : { ...rest, lost };
    }),
  }),
  "create-topics": object({
    topics: list(
      object({
        name,
        partitionsCount: integer(-(2 ** 31), 2 ** 31 - 1),
        replicationFactor: integer(-(2 ** 31), 2 ** 31 - 1),
        clampReplicationFactor: optional(boolean),
        assignment,
        configs: dictionary(1_000, 2 * LIMITS.configValueCharacters),
      }),
      LIMITS.partitionsPerClusterCount,
    ),
    validateOnly: boolean,
  }),
  "delete-topics": object({
    topics: list((value, field) => {
      const { name: byName, topicId } = TOPIC_REFERENCE(value, field);
      return {
        ...(byName === undefined ? {} : { name: byName }),
        ...(topicId === undefined ? {} : { topicId }),
      };
    }, LIMITS.partitionsPerClusterCount),
  }),
  "create-partitions": object({
    topic: name,
    partitionsCount: integer(-(2 ** 31), 2 ** 31 - 1),
    assignment,
    validateOnly: boolean,
  }),
  "alter-configs": object({
    resources: list(
      object({
        resource: oneOf("topic", "broker"),
        name,
        operations: list(
          object({
            key: name,
            operation: oneOf("set", "delete", "append", "subtract"),
            value: nullable(string(2 * LIMITS.configValueCharacters)),
          }),
          1_000,
        ),
        replace: optional(boolean),
      }),
      LIMITS.partitionsPerClusterCount,
    ),
    validateOnly: boolean,
  }),
  "reassign-partitions": object({
    partitions: partitions(object({ topic: name, partition, replicas: nullable(brokerIds) })),
    allowReplicationFactorChange: boolean,
  }),
  "elect-leaders": object({
    type: oneOf("preferred", "unclean"),
    partitions: nullable(partitions(object({ topic: name, partition }))),
  }),
  "allocate-producer-ids": object({ brokerId, brokerEpoch: epoch }),
  "replicas-failed": object({
    brokerId,
    brokerEpoch: epoch,
    partitions: partitions(topicPartition),
  }),
  "assign-directories": object({
    brokerId,
    brokerEpoch: epoch,
    partitions: partitions(
      object({ topicId: identifier, partition, directoryId: identifier, lost: boolean }),
    ),
  }),
  "describe-quorum": (value, field) => {
    object({})(value, field);
    return {};
  },
};

const REGISTRATION = object({
  brokerId,
  incarnationId: identifier,
  clusterId: optional(identifier),
  endpoints: list(object({ name, host: name, port: integer(0, 65_535) }), 100),
  rack: nullable(name),
  directories: list(identifier, 1_000),
  features: pair(integer(0)),
  cleanShutdownEpoch: epoch,
  lostReplicas: partitions(topicPartition),
});
const ALTER_PARTITION_ITEM = object({
  topicId: identifier,
  partition,
  leaderEpoch: epoch,
  partitionEpoch: epoch,
  newIsr: list(object({ brokerId, brokerEpoch: epoch }), 1_000),
  lost: optional(brokerIds),
});
const TOPIC_REFERENCE = object({ name: optional(name), topicId: optional(identifier) });

export function isRequestName(name: unknown): name is ControllerRequestName {
  return typeof name === "string" && Object.hasOwn(REQUEST_SHAPES, name);
}
