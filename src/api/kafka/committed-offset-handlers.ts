/**
 * Offsets that groups commit: OffsetCommit, OffsetFetch, OffsetDelete. The latest versions of the
 * first two name topics by id, which is turned into the name that the coordinator keeps and back.
 */
import type {
  CommitOffset,
  FetchedOffset,
  GroupError,
  PartitionResult,
} from "../../group/calls.ts";
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import { ZERO_UUID } from "../../kafka-wire/reader.ts";
import { type MetadataImage, topicByName } from "../../metadata/image.ts";
import { NONE, type PartitionIndex } from "../../model/ids.ts";
import { errorNumber, type Handlers, type RequestContext } from "./handler.ts";

/** From here on topics have ids in place of names (KIP-848). */
const TOPIC_IDS = 10;
/** Up to here a client said how long an offset is to be kept. */
const RETENTION_LAST = 4;
/** Since then an error of the whole has its own field. */
const GROUP_ERROR = 2;
/** Since then one request asks for many groups. */
const MANY_GROUPS = 8;

interface NamedTopic {
  readonly name: string;
  readonly topicId: string;
}

/** Name of the topic that a request means; undefined: no topic has the id. */
function nameOf(
  topic: NamedTopic,
  { version, broker }: Pick<RequestContext, "version" | "broker">,
): string | undefined {
  return version < TOPIC_IDS ? topic.name : broker.image().topics.get(topic.topicId)?.name;
}

const UNKNOWN_PARTITION = errorNumber({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
const UNKNOWN_ID = errorNumber({ code: "UNKNOWN_TOPIC_ID" });

async function offsetCommit(
  request: Requests["OffsetCommit"],
  context: RequestContext,
): Promise<ResponseInputs["OffsetCommit"]> {
  const { broker, version } = context;
  const retentionMs = version <= RETENTION_LAST ? request.retentionTimeMs : NONE;
  const named = request.topics
    .filter((topic) => topic.partitions.length > 0)
    .map((topic) => ({ topic, name: nameOf(topic, context) }));
  const offsets: CommitOffset[] = [];
  for (const { topic, name } of named) {
    if (name === undefined) continue;
    for (const one of topic.partitions) {
      offsets.push({
        topic: name,
        partition: one.partitionIndex,
        offset: one.committedOffset,
        leaderEpoch: one.committedLeaderEpoch,
        metadata: one.committedMetadata ?? "",
        retentionMs,
      });
    }
  }
  const { error, partitions } = await broker.offsetCommit({
    groupId: request.groupId,
    generationId: request.generationIdOrMemberEpoch,
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    offsets,
  });
  let next = 0;
  const errorCode = (): number => errorNumber(error ?? partitions[next++]?.error);
  return {
    topics: named.map(({ topic, name }) => ({
      name: topic.name,
      topicId: topic.topicId,
      partitions: topic.partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: name === undefined ? UNKNOWN_ID : errorCode(),
      })),
    })),
  };
}

interface GroupAsked {
  readonly groupId: string;
  /** Null: all that the group has committed. */
  readonly topics:
    | readonly (NamedTopic & { readonly partitionIndexes: readonly number[] })[]
    | null;
}
type GroupAnswer = ResponseInputs["OffsetFetch"]["groups"][number];

async function offsetFetch(
  request: Requests["OffsetFetch"],
  context: RequestContext,
): Promise<ResponseInputs["OffsetFetch"]> {
  const { groupId, groups, requireStable } = request;
  const stable = (asked: GroupAsked): Promise<GroupAnswer> =>
    fetchGroup(asked, requireStable, context);
  if (context.version >= MANY_GROUPS) {
    return { topics: [], groups: await Promise.all(groups.map(stable)) };
  }
  const topics = request.topics?.map((topic) => ({ ...topic, topicId: ZERO_UUID })) ?? null;
  const answer = await stable({ groupId, topics });
  const { errorCode = 0 } = answer;
  if (errorCode === 0 || context.version >= GROUP_ERROR) {
    return { topics: answer.topics, errorCode, groups: [] };
  }
  // The oldest version has room for an error in each partition only.
  return {
    topics: (topics ?? []).map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((index) => nothing(index, errorCode)),
    })),
    groups: [],
  };
}

async function fetchGroup(
  { groupId, topics }: GroupAsked,
  requireStable: boolean,
  context: RequestContext,
): Promise<GroupAnswer> {
  const named = topics?.map((topic) => ({ topic, name: nameOf(topic, context) })) ?? null;
  const { error, partitions } = await context.broker.offsetFetch({
    groupId,
    requireStable,
    partitions:
      named?.flatMap(({ topic, name }) =>
        name === undefined
          ? []
          : topic.partitionIndexes.map((partition) => ({ topic: name, partition })),
      ) ?? null,
  });
  if (error !== undefined) return { groupId, topics: [], errorCode: errorNumber(error) };
  if (named === null) {
    return { groupId, topics: byTopic(partitions, context), errorCode: 0 };
  }
  let next = 0;
  return {
    groupId,
    topics: named.map(({ topic, name }) => ({
      name: topic.name,
      topicId: topic.topicId,
      partitions: topic.partitionIndexes.map((index) => {
        const fetched = name === undefined ? undefined : partitions[next++];
        return fetched === undefined ? nothing(index, UNKNOWN_ID) : offsetOf(fetched);
      }),
    })),
    errorCode: 0,
  };
}

/** All that a group has. Of a topic that is gone there is no id to tell, only its name. */
function byTopic(
  partitions: readonly FetchedOffset[],
  { broker, version }: RequestContext,
): GroupAnswer["topics"] {
  const image: MetadataImage = broker.image();
  const topics = new Map<string, FetchedOffset[]>();
  for (const one of partitions) {
    const known = topics.get(one.topic);
    if (known === undefined) topics.set(one.topic, [one]);
    else known.push(one);
  }
  return [...topics].flatMap(([name, fetched]) => {
    const topicId = image.topicIds.get(name);
    if (topicId === undefined && version >= TOPIC_IDS) return [];
    return [{ name, topicId: topicId ?? ZERO_UUID, partitions: fetched.map(offsetOf) }];
  });
}

function offsetOf(fetched: FetchedOffset): GroupAnswer["topics"][number]["partitions"][number] {
  const { error, leaderEpoch, metadata, offset, partition } = fetched;
  return {
    partitionIndex: partition,
    committedOffset: offset,
    committedLeaderEpoch: leaderEpoch,
    metadata,
    errorCode: errorNumber(error),
  };
}

function nothing(partitionIndex: PartitionIndex, errorCode: number) {
  return { partitionIndex, committedOffset: NONE, metadata: "", errorCode };
}

async function offsetDelete(
  { groupId, topics }: Requests["OffsetDelete"],
  { broker }: RequestContext,
): Promise<ResponseInputs["OffsetDelete"]> {
  const image = broker.image();
  const known = (name: string, index: number): boolean =>
    topicByName(image, name)?.partitions[index] !== undefined;
  const { error, partitions } = await broker.deleteOffsets({
    groupId,
    partitions: topics.flatMap((topic) =>
      topic.partitions
        .filter(({ partitionIndex }) => known(topic.name, partitionIndex))
        .map(({ partitionIndex }) => ({
          topic: topic.name,
          partition: partitionIndex,
        })),
    ),
  });
  return {
    errorCode: errorNumber(error),
    topics: error === undefined ? deleted(topics, partitions, known) : [],
  };
}

function deleted(
  topics: Requests["OffsetDelete"]["topics"],
  results: readonly PartitionResult[],
  known: (name: string, index: number) => boolean,
): ResponseInputs["OffsetDelete"]["topics"] {
  let next = 0;
  const errorOf = (): GroupError | undefined => results[next++]?.error;
  // As in Kafka, a topic without partitions has no answer.
  const asked = topics.filter(({ partitions }) => partitions.length > 0);
  return asked.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({
      partitionIndex,
      errorCode: known(name, partitionIndex) ? errorNumber(errorOf()) : UNKNOWN_PARTITION,
    })),
  }));
}

export const committedOffsetHandlers: Handlers = {
  OffsetCommit: offsetCommit,
  OffsetFetch: offsetFetch,
  OffsetDelete: offsetDelete,
};
