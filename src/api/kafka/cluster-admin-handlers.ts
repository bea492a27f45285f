/**
 * What tools ask about a running cluster: DescribeQuorum, DescribeLogDirs, DescribeProducers, and
 * UpdateFeatures, which changes nothing here.
 */
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import { ZERO_UUID } from "../../kafka-wire/reader.ts";
import type { ItemError, QuorumDescription, QuorumMember } from "../../metadata/commands.ts";
import { NONE } from "../../model/ids.ts";
import { settled, type ToldError, toldError } from "./admin-requests.ts";
import { unknownOrBad } from "./cluster-handlers.ts";
import { errorNumber, type Handlers, type RequestContext } from "./handler.ts";

/** Where Kafka keeps its metadata; Ottla's is no topic, but tools know it by this name. */
const METADATA_TOPIC = "__cluster_metadata";
const UUID_CHARACTERS = 22;
/** Here, and nowhere else, Kafka's message is empty and not null where nothing is wrong. */
const NO_ERROR: ToldError = { errorCode: 0, errorMessage: "" };

type QuorumTopic = ResponseInputs["DescribeQuorum"]["topics"][number];
type QuorumPartition = QuorumTopic["partitions"][number];

async function describeQuorum(
  { topics }: Requests["DescribeQuorum"],
  context: RequestContext,
): Promise<ResponseInputs["DescribeQuorum"]> {
  const reply = await settled(context.broker.describeQuorum());
  if ("error" in reply) return { ...toldError(reply.error), topics: [], nodes: [] };
  const quorum = reply.value;
  return {
    ...NO_ERROR,
    topics: topics.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partitionIndex }) =>
        topicName === METADATA_TOPIC && partitionIndex === 0
          ? quorumPartition(quorum, context)
          : noPartition(topicName, partitionIndex),
      ),
    })),
    nodes: asksMetadata(topics) ? quorumNodes(quorum, context) : [],
  };
}

/** Whoever asks of another topic is told of no nodes, as by Kafka. */
function asksMetadata(topics: Requests["DescribeQuorum"]["topics"]): boolean {
  return topics.some(
    ({ topicName, partitions }) =>
      topicName === METADATA_TOPIC && partitions.some(({ partitionIndex }) => partitionIndex === 0),
  );
}

function quorumPartition(quorum: QuorumDescription, { ports }: RequestContext): QuorumPartition {
  const nowMs = Math.floor(ports.clock.wallMs());
  const member = ({ id, directoryId, lastContactMs, matchIndex }: QuorumMember) => {
    const heardMs = nowMs - Math.max(0, Math.round(lastContactMs));
    return {
      replicaId: id,
      replicaDirectoryId: directoryId.length === UUID_CHARACTERS ? directoryId : ZERO_UUID,
      logEndOffset: matchIndex + 1,
      lastFetchTimestamp: heardMs,
      // Of one that is behind it is not known when it was not.
      lastCaughtUpTimestamp: matchIndex >= quorum.commitIndex ? heardMs : NONE,
    };
  };
  return {
    partitionIndex: 0,
    ...NO_ERROR,
    leaderId: quorum.leaderId,
    leaderEpoch: quorum.term,
    highWatermark: quorum.commitIndex + 1,
    currentVoters: quorum.voters.map(member),
    observers: quorum.observers.map(member),
  };
}

/** Zeros and not -1, as Kafka has it: what matters is the error. */
function noPartition(topic: string, partitionIndex: number): QuorumPartition {
  const error: ItemError = {
    code: "UNKNOWN_TOPIC_OR_PARTITION",
    message: `${topic}-${partitionIndex} is not kept by the quorum; allowed is ${METADATA_TOPIC}-0`,
  };
  return {
    partitionIndex,
    ...toldError(error),
    leaderId: 0,
    leaderEpoch: 0,
    highWatermark: 0,
    currentVoters: [],
    observers: [],
  };
}

function quorumNodes(
  { voters }: QuorumDescription,
  { broker, listenerName }: RequestContext,
): ResponseInputs["DescribeQuorum"]["nodes"] {
  const { brokers } = broker.image();
  return voters.map(({ id }) => ({
    nodeId: id,
    listeners: (brokers.get(id)?.endpoints ?? [])
      .filter(({ name }) => name === listenerName)
      .map(({ name, host, port }) => ({ name, host, port })),
  }));
}

async function describeLogDirs(
  { topics }: Requests["DescribeLogDirs"],
  { broker }: RequestContext,
): Promise<ResponseInputs["DescribeLogDirs"]> {
  const reply = await settled(broker.describeLogDirectories());
  if ("error" in reply) return { errorCode: errorNumber(reply.error), results: [] };
  const wanted =
    topics === null
      ? undefined
      : new Set(
          topics.flatMap(({ topic, partitions }) => partitions.map((index) => `${topic} ${index}`)),
        );
  return {
    errorCode: 0,
    results: reply.value.map(({ path, replicas, totalBytes, usableBytes }) => {
      const byTopic = new Map<
        string,
        ResponseInputs["DescribeLogDirs"]["results"][number]["topics"][number]["partitions"][number][]
      >();
      for (const { topic, partition, sizeBytes, offsetLag } of replicas) {
        if (wanted !== undefined && !wanted.has(`${topic} ${partition}`)) continue;
        const partitions = byTopic.get(topic) ?? [];
        partitions.push({
          partitionIndex: partition,
          partitionSize: sizeBytes,
          offsetLag,
          isFutureKey: false,
        });
        byTopic.set(topic, partitions);
      }
      return {
        errorCode: 0,
        logDir: path,
        topics: [...byTopic].map(([name, partitions]) => ({ name, partitions })),
        totalBytes,
        usableBytes,
      };
    }),
  };
}

function describeProducers(
  { topics }: Requests["DescribeProducers"],
  { broker }: RequestContext,
): ResponseInputs["DescribeProducers"] {
  return {
    topics: topics.map(({ name, partitionIndexes }) => {
      const items = partitionIndexes.map((partition) => ({ topic: name, partition }));
      const partitions = broker.describeProducers(items).map(({ error, producers }, index) => ({
        partitionIndex: partitionIndexes[index] ?? NONE,
        ...toldError(
          error?.code === "UNKNOWN_TOPIC_OR_PARTITION"
            ? { ...error, code: unknownOrBad(name) }
            : error,
        ),
        activeProducers: producers.map((producer) => ({ ...producer, coordinatorEpoch: NONE })),
      }));
      return { name, partitions };
    }),
  };
}

function updateFeatures({
  featureUpdates,
}: Requests["UpdateFeatures"]): ResponseInputs["UpdateFeatures"] {
  if (featureUpdates.length === 0) return { ...toldError(null), results: [] };
  // Kafka has no results of single features in such an answer, in no version.
  const told = toldError({
    code: "INVALID_UPDATE_VERSION",
    message: "features follow from the version of the brokers and are not updated by request",
  });
  return { ...told, results: [] };
}

export const clusterAdminHandlers: Handlers = {
  DescribeQuorum: describeQuorum,
  DescribeLogDirs: describeLogDirs,
  DescribeProducers: describeProducers,
  UpdateFeatures: updateFeatures,
};
