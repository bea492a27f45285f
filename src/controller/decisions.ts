/** Which decision each request leads to. */
import type { ControllerRequestName, ControllerRequests } from "../metadata/commands.ts";
import { decideAlterConfigs } from "../metadata/decide/alter-configs.ts";
import { decideAlterPartition } from "../metadata/decide/alter-partition.ts";
import { decideCreatePartitions } from "../metadata/decide/create-partitions.ts";
import { decideCreateTopics } from "../metadata/decide/create-topics.ts";
import type { DecideContext, Decision } from "../metadata/decide/decision.ts";
import { decideDeleteTopics } from "../metadata/decide/delete-topics.ts";
import { decideElectLeaders } from "../metadata/decide/elect-leaders.ts";
import { decideAllocateProducerIds } from "../metadata/decide/producer-ids.ts";
import { decideReassignPartitions } from "../metadata/decide/reassign-partitions.ts";
import { decideReplicasFailed } from "../metadata/decide/replica-reports.ts";
import { decideUnregisterBroker } from "../metadata/decide/unregister-broker.ts";
import type { MetadataImage } from "../metadata/image.ts";

/** Requests whose answer is a decision's reply and nothing else. */
export type DecidedRequestName = Exclude<
  ControllerRequestName,
  "register-broker" | "assign-directories" | "describe-quorum"
>;

export const DECISIONS: {
  readonly [Name in DecidedRequestName]: (
    image: MetadataImage,
    request: ControllerRequests[Name]["request"],
    context: DecideContext,
  ) => Decision<ControllerRequests[Name]["reply"]>;
} = {
  "unregister-broker": decideUnregisterBroker,
  "alter-partition": decideAlterPartition,
  "create-topics": decideCreateTopics,
  "delete-topics": decideDeleteTopics,
  "create-partitions": decideCreatePartitions,
  "alter-configs": decideAlterConfigs,
  "reassign-partitions": decideReassignPartitions,
  "elect-leaders": decideElectLeaders,
  "allocate-producer-ids": decideAllocateProducerIds,
  "replicas-failed": decideReplicasFailed,
};
