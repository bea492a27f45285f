/** AlterPartitionReassignments and ListPartitionReassignments (KIP-455). */
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import type { PartitionImage } from "../../metadata/image.ts";
import { settled, toldError, waitOf } from "./admin-requests.ts";
import type { Handlers, RequestContext } from "./handler.ts";

async function alterPartitionReassignments(
  { allowReplicationFactorChange, timeoutMs, topics }: Requests["AlterPartitionReassignments"],
  { broker }: RequestContext,
): Promise<ResponseInputs["AlterPartitionReassignments"]> {
  const partitions = topics.flatMap(({ name, partitions: asked }) =>
    asked.map(({ partitionIndex, replicas }) => ({
      topic: name,
      partition: partitionIndex,
      replicas,
    })),
  );
  const request = { partitions, allowReplicationFactorChange };
  const reply = await settled(broker.controller("reassign-partitions", request, waitOf(timeoutMs)));
  if ("error" in reply) {
    return { allowReplicationFactorChange, ...toldError(reply.error), responses: [] };
  }
  const results = reply.value.partitions;
  let next = 0;
  return {
    allowReplicationFactorChange,
    ...toldError(null),
    responses: topics.map(({ name, partitions: asked }) => ({
      name,
      partitions: asked.map(({ partitionIndex }) => ({
        partitionIndex,
        ...toldError(results[next++]?.error),
      })),
    })),
  };
}

/** Of this broker's metadata. A partition that is not being moved is left out. */
function listPartitionReassignments(
  { topics: asked }: Requests["ListPartitionReassignments"],
  { broker }: RequestContext,
): ResponseInputs["ListPartitionReassignments"] {
  const image = broker.image();
  const wanted = asked === null ? undefined : new Map(asked.map((topic) => [topic.name, topic]));
  const topics: ResponseInputs["ListPartitionReassignments"]["topics"][number][] = [];
  for (const { name, partitions } of image.topics.values()) {
    const one = wanted?.get(name);
    if (wanted !== undefined && one === undefined) continue;
    const moving = partitions.flatMap((state, index) => {
      if (!isMoving(state) || one?.partitionIndexes.includes(index) === false) return [];
      const { adding, removing, replicas } = state;
      return [
        {
          partitionIndex: index,
          replicas,
          addingReplicas: adding.filter((id) => !removing.includes(id)),
          removingReplicas: removing,
        },
      ];
    });
    if (moving.length > 0) topics.push({ name, partitions: moving });
  }
  return { ...toldError(null), topics };
}

function isMoving({ adding, removing }: PartitionImage): boolean {
  return adding.length > 0 || removing.length > 0;
}

export const reassignmentHandlers: Handlers = {
  AlterPartitionReassignments: alterPartitionReassignments,
  ListPartitionReassignments: listPartitionReassignments,
};
