/** What a broker reports of its own replicas: storage that failed, and directories that hold them. */
import { OttlaError } from "../../model/errors.ts";
import { NONE, partitionKey } from "../../model/ids.ts";
import type { AssignDirectories, ReplicasFailed } from "../commands.ts";
import type { MetadataImage } from "../image.ts";
import { changePartitions, electableIn } from "../partition-change.ts";
import { checkBrokerEpoch, type DecideContext, type Decision } from "./decision.ts";

type Nothing = Record<string, never>;

/**
 * Replicas that cannot be read leave ISR and ELR and lead no more. Their directory is forgotten, so
 * that the broker reports it again once the replica has been verified and is back.
 */
export function decideReplicasFailed(
  image: MetadataImage,
  request: ReplicasFailed,
  context: Pick<DecideContext, "properties">,
): Decision<Nothing> {
  const { brokerId } = request;
  checkBrokerEpoch(image, brokerId, request.brokerEpoch);
  const failed = new Set(
    request.partitions.map(({ topicId, partition }) => partitionKey(topicId, partition)),
  );
  const records = changePartitions(image, {
    electable: electableIn(image),
    properties: context.properties,
    goalOf: (state, topic, partition) => {
      const place = state.replicas.indexOf(brokerId);
      if (place < 0 || !failed.has(partitionKey(topic.id, partition))) return undefined;
      return {
        isr: state.isr.filter((id) => id !== brokerId),
        lost: [brokerId],
        unreadable: true,
        ...directoryAt(state.directories, place, ""),
      };
    },
  });
  return { records, reply: {} };
}

/**
 * A directory reported after a failure also says whether the replica is whole: one that is may lead
 * again, one that lost records leaves ISR and ELR, whatever its registration said of it.
 */
export function decideAssignDirectories(
  image: MetadataImage,
  request: AssignDirectories,
  context: Pick<DecideContext, "properties">,
): Decision<Nothing> {
  const { brokerId } = request;
  const broker = checkBrokerEpoch(image, brokerId, request.brokerEpoch);
  const assigned = new Map(
    request.partitions.map((item) => [partitionKey(item.topicId, item.partition), item]),
  );
  for (const { directoryId } of request.partitions) {
    if (!broker.directories.includes(directoryId)) {
      throw new OttlaError(
        "INVALID_REQUEST",
        `directory ${directoryId} is not one of broker ${brokerId}: ${broker.directories.join(", ")}`,
        { field: "directoryId" },
      );
    }
  }
  const records = changePartitions(image, {
    electable: electableIn(image),
    properties: context.properties,
    goalOf: (state, topic, partition) => {
      const item = assigned.get(partitionKey(topic.id, partition));
      const place = state.replicas.indexOf(brokerId);
      if (place < 0 || item === undefined) return undefined;
      return {
        ...(item.lost ? { lost: [brokerId], tailLost: true } : {}),
        ...(state.leader === NONE && !item.lost ? { returned: brokerId } : {}),
        ...directoryAt(state.directories, place, item.directoryId),
      };
    },
  });
  return { records, reply: {} };
}

function directoryAt(directories: readonly string[], place: number, directoryId: string) {
  if (directories[place] === directoryId) return {};
  return { directories: directories.map((id, index) => (index === place ? directoryId : id)) };
}
