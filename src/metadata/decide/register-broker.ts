/**
 * A broker's new life. It begins fenced, out of every ISR and leading nothing: a leader that came
 * back before anybody missed it must not append in its old leader epoch, because batches that it
 * served and lost with its memory would be followed by others at the same offsets (C10).
 */
import { OttlaError } from "../../model/errors.ts";
import type { BrokerEpoch, BrokerId, IncarnationId, TopicId } from "../../model/ids.ts";
import { partitionKey } from "../../model/ids.ts";
import type { RegisterBroker } from "../commands.ts";
import type { BrokerRegistration, MetadataImage, TopicImage } from "../image.ts";
import { isStrict } from "../image-configs.ts";
import { changePartitions, electableIn, type PartitionGoal } from "../partition-change.ts";
import type { PartitionState } from "../records.ts";
import type { DecideContext, Decision } from "./decision.ts";

/** `liveIncarnation`: the registered life, if its session is alive; undefined if it is not. */
export function decideRegisterBroker(
  image: MetadataImage,
  request: RegisterBroker,
  context: DecideContext & { readonly liveIncarnation: IncarnationId | undefined },
): Decision<{ readonly brokerEpoch: BrokerEpoch }> {
  const { brokerId, incarnationId, endpoints, rack, directories, features } = request;
  checkMembership(image, request);
  const old = image.brokers.get(brokerId);
  if (old?.incarnationId === incarnationId) {
    return { records: [], reply: { brokerEpoch: old.epoch } };
  }
  if (old !== undefined && context.liveIncarnation === old.incarnationId) {
    throw new OttlaError(
      "DUPLICATE_BROKER_REGISTRATION",
      `another broker with node.id ${brokerId} is alive`,
      { field: "node.id" },
    );
  }
  checkDirectories(image, request);
  const brokerEpoch = image.lastBrokerEpoch + 1;
  return {
    records: [
      ...leavePartitions(image, request, old, context.properties),
      {
        type: "register-broker",
        brokerId,
        brokerEpoch,
        incarnationId,
        endpoints,
        rack,
        directories,
        features,
      },
    ],
    reply: { brokerEpoch },
  };
}

function checkMembership(image: MetadataImage, request: RegisterBroker): void {
  const { clusterId, features } = request;
  if (clusterId !== undefined && clusterId !== image.clusterId) {
    throw new OttlaError(
      "INCONSISTENT_CLUSTER_ID",
      `broker ${request.brokerId} belongs to cluster ${clusterId}; this is cluster ${image.clusterId}`,
      { field: "clusterId" },
    );
  }
  const [lowest, highest] = features;
  if (image.metadataVersion < lowest || image.metadataVersion > highest) {
    throw new OttlaError(
      "INVALID_REQUEST",
      `broker ${request.brokerId} understands metadata.version ${lowest} to ${highest}; this cluster has ${image.metadataVersion}`,
      { field: "features" },
    );
  }
}

function checkDirectories(image: MetadataImage, request: RegisterBroker): void {
  for (const other of image.brokers.values()) {
    if (other.id === request.brokerId) continue;
    const shared = other.directories.find((id) => request.directories.includes(id));
    if (shared !== undefined) {
      throw new OttlaError(
        "DIRECTORY_FOREIGN",
        `directory ${shared} of broker ${request.brokerId} is registered by broker ${other.id}`,
        { field: "log.dirs" },
      );
    }
  }
}

function leavePartitions(
  image: MetadataImage,
  request: RegisterBroker,
  old: BrokerRegistration | undefined,
  properties: ReadonlyMap<string, string>,
) {
  const { brokerId } = request;
  const lost = new Set(
    request.lostReplicas.map(({ topicId, partition }) => partitionKey(topicId, partition)),
  );
  const clean = old !== undefined && request.cleanShutdownEpoch === old.epoch;
  const relaxed = new Map<TopicId, boolean>();
  const isRelaxed = (topic: TopicImage): boolean => {
    let known = relaxed.get(topic.id);
    if (known === undefined) {
      known = !isStrict(image, topic.name, properties);
      relaxed.set(topic.id, known);
    }
    return known;
  };
  const goalOf = (
    state: PartitionState,
    topic: TopicImage,
    partition: number,
  ): PartitionGoal | undefined => {
    const place = state.replicas.indexOf(brokerId);
    if (place < 0) return undefined;
    const directory = state.directories[place] as string;
    const gone = directory !== "" && !request.directories.includes(directory);
    const tailLost = gone || lost.has(partitionKey(topic.id, partition));
    // Strict: fsync and mark vouch for what the broker did not list. Relaxed: only a clean stop.
    const unvouched = tailLost || (!clean && isRelaxed(topic));
    return {
      isr: without(state.isr, brokerId),
      ...(unvouched ? { lost: [brokerId] } : {}),
      tailLost,
      ...(gone
        ? { directories: state.directories.map((id, index) => (index === place ? "" : id)) }
        : {}),
    };
  };
  return changePartitions(image, {
    electable: electableIn(image, new Set([brokerId])),
    properties,
    goalOf,
  });
}

function without(ids: readonly BrokerId[], id: BrokerId): readonly BrokerId[] {
  return ids.includes(id) ? ids.filter((other) => other !== id) : ids;
}
