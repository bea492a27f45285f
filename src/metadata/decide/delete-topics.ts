import { configBoolean } from "../../model/config-values.ts";
import { OttlaError } from "../../model/errors.ts";
import type { TopicId } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type { DeleteTopicResult, DeleteTopics } from "../commands.ts";
import { type MetadataImage, type TopicImage, topicByName } from "../image.ts";
import type { MetadataRecord } from "../records.ts";
import { type DecideContext, type Decision, itemErrorOf } from "./decision.ts";

export function decideDeleteTopics(
  image: MetadataImage,
  request: DeleteTopics,
  context: Pick<DecideContext, "properties">,
): Decision<{ readonly topics: readonly DeleteTopicResult[] }> {
  if (!configBoolean("broker", "delete.topic.enable", { properties: context.properties })) {
    throw new OttlaError("TOPIC_DELETION_DISABLED", "delete.topic.enable is false");
  }
  if (request.topics.length > LIMITS.topicsPerRequestCount) {
    throw new OttlaError(
      "LIMIT_EXCEEDED",
      `a request names ${request.topics.length} topics; allowed are ${LIMITS.topicsPerRequestCount}`,
      { field: "topics" },
    );
  }
  const records: MetadataRecord[] = [];
  const gone = new Set<TopicId>();
  const topics = request.topics.map((wanted): DeleteTopicResult => {
    let topic: TopicImage | undefined;
    const error = itemErrorOf(() => {
      topic = find(image, wanted);
      if (gone.has(topic.id)) {
        throw new OttlaError("DUPLICATE_RESOURCE", `topic ${topic.name} stands twice`);
      }
      gone.add(topic.id);
      records.push({ type: "remove-topic", topicId: topic.id });
    });
    return {
      name: topic?.name ?? wanted.name ?? "",
      topicId: topic?.id ?? wanted.topicId ?? "",
      error,
    };
  });
  return { records, reply: { topics } };
}

function find(image: MetadataImage, wanted: DeleteTopics["topics"][number]): TopicImage {
  const { name, topicId } = wanted;
  if ((name === undefined) === (topicId === undefined)) {
    throw new OttlaError("INVALID_REQUEST", "name a topic either by its name or by its id");
  }
  const topic =
    topicId === undefined ? topicByName(image, name as string) : image.topics.get(topicId);
  if (topic !== undefined) return topic;
  throw topicId === undefined
    ? new OttlaError("UNKNOWN_TOPIC_OR_PARTITION", `topic ${name} does not exist`)
    : new OttlaError("UNKNOWN_TOPIC_ID", `no topic has the id ${topicId}`);
}
