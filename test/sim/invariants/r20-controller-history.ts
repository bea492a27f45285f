/**
 * R20, the controller's answers are linearizable: what it says it did was done between the request
 * and the answer, and what it says it found was so at some moment in between. The order of the
 * operations is that of the metadata log, so each answer is held against the log instead of
 * searching for an order. Sources: Herlihy and Wing 1990; KIP-631.
 *
 * Only requests that reach the controller in one piece are judged: creating and deleting topics,
 * adding partitions and altering configurations.
 */
import type {
  AlterConfigs,
  ControllerRequests,
  CreatePartitions,
  CreateTopics,
  DeleteTopics,
} from "../../../src/metadata/commands.ts";
import type { MetadataImage } from "../../../src/metadata/image.ts";
import type { TopicId } from "../../../src/model/ids.ts";
import type { ControllerReply, Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "R20 answers of the controller are linearizable";

interface TopicLife {
  readonly name: string;
  readonly createdAt: number;
  deletedAt: number;
}

export function controllerHistory(context: RunContext): Invariant {
  const topics = new Map<TopicId, TopicLife>();
  /** Indexes at which a name began and ceased to stand for a topic: odd many are now there. */
  const names = new Map<string, number[]>();
  let answered: { readonly reply: ControllerReply; readonly image: MetadataImage }[] = [];
  /** By resource and key: what was written at which index. */
  const configs = new Map<string, { readonly index: number; readonly value: string | null }[]>();

  function fail(reply: ControllerReply, detail: string): void {
    const { request, from } = reply;
    context.fail(
      STATEMENT,
      `${from.node} answers ${request.from.node}'s ${request.name} of ${JSON.stringify(request.body)}: ${detail}`,
    );
  }

  /** Whether the name stood for a topic, or did not, at some moment from one index to the next. */
  function wasEver(name: string, there: boolean, from: number, to: number): boolean {
    const changes = names.get(name) ?? [];
    const thereAtFirst = changes.filter((index) => index <= from).length % 2 === 1;
    return thereAtFirst === there || changes.some((index) => index > from && index <= to);
  }

  function onCreated(reply: ControllerReply, after: MetadataImage): void {
    const { topics: results } = reply.body as ControllerRequests["create-topics"]["reply"];
    const { validateOnly } = reply.request.body as CreateTopics;
    const asked = reply.request.image.index;
    for (const { name, error, topicId } of results) {
      if (error?.code === "TOPIC_ALREADY_EXISTS") {
        if (!wasEver(name, true, asked, after.index)) fail(reply, `${name} did not exist`);
      } else if (error === null && !validateOnly) {
        const topic = topics.get(topicId);
        if (topic?.name !== name) fail(reply, `${name} was not created as ${topicId}`);
        else if (topic.createdAt <= asked) fail(reply, `${name} was there before as ${topicId}`);
      }
    }
  }

  function onDeleted(reply: ControllerReply, after: MetadataImage): void {
    const { topics: results } = reply.body as ControllerRequests["delete-topics"]["reply"];
    const request = reply.request.body as DeleteTopics;
    const asked = reply.request.image.index;
    for (const [at, { name, topicId, error }] of results.entries()) {
      const byName = request.topics[at]?.name;
      if (error?.code === "UNKNOWN_TOPIC_OR_PARTITION" && byName !== undefined) {
        if (!wasEver(byName, false, asked, after.index))
          fail(reply, `${byName} existed throughout`);
      } else if (error === null) {
        const topic = topics.get(topicId);
        if (topic === undefined || topic.deletedAt > after.index) {
          fail(reply, `${name} ${topicId} is not deleted`);
        }
        if (topic !== undefined && topic.deletedAt <= asked) {
          fail(reply, `${name} ${topicId} was deleted before`);
        }
      }
    }
  }

  function onPartitionsAdded(reply: ControllerReply, after: MetadataImage): void {
    const { topic: name, partitionsCount, validateOnly } = reply.request.body as CreatePartitions;
    if (validateOnly) return;
    const id = after.topicIds.get(name);
    // Gone again, and somebody else's by now perhaps.
    if (id === undefined || (topics.get(id)?.createdAt ?? 0) > reply.request.image.index) return;
    const { length } = after.topics.get(id)?.partitions ?? [];
    if (length < partitionsCount) fail(reply, `${name} has ${length} partitions`);
  }

  function onAltered(reply: ControllerReply, after: MetadataImage): void {
    const { resources, validateOnly } = reply.request.body as AlterConfigs;
    const results = (reply.body as ControllerRequests["alter-configs"]["reply"]).resources;
    if (validateOnly) return;
    const asked = reply.request.image.index;
    for (const [at, { resource, name, operations }] of resources.entries()) {
      if (results[at]?.error !== null) continue;
      for (const { key, operation, value } of operations) {
        if (operation !== "set" && operation !== "delete") continue;
        const id = `${resource}:${name} ${key}`;
        const wanted = operation === "delete" ? null : value;
        const writes = (configs.get(id) ?? []).filter(({ index }) => index <= after.index);
        // Written meanwhile, or what it had been all the time.
        const written = writes.some((write) => write.index > asked && write.value === wanted);
        const standing = writes.findLast(({ index }) => index <= asked)?.value ?? null;
        if (written || standing === wanted || topicIsNew(resource, name, asked)) continue;
        fail(reply, `${id} was ${standing} and never became ${wanted}`);
      }
    }
  }

  /** Configurations go with their topic. */
  function topicIsNew(resource: string, name: string, asked: number): boolean {
    return resource === "topic" && (names.get(name) ?? []).some((index) => index > asked);
  }

  function judge(reply: ControllerReply, after: MetadataImage): void {
    switch (reply.request.name) {
      case "create-topics":
        onCreated(reply, after);
        return;
      case "delete-topics":
        onDeleted(reply, after);
        return;
      case "create-partitions":
        onPartitionsAdded(reply, after);
        return;
      case "alter-configs":
        onAltered(reply, after);
    }
  }

  return {
    onMetadata({ index, records }) {
      for (const record of records) {
        if (record.type === "topic") {
          const { topicId, name } = record;
          topics.set(topicId, { name, createdAt: index, deletedAt: Number.POSITIVE_INFINITY });
          names.set(name, [...(names.get(name) ?? []), index]);
        } else if (record.type === "remove-topic") {
          const topic = topics.get(record.topicId);
          if (topic === undefined) continue;
          topic.deletedAt = index;
          names.set(topic.name, [...(names.get(topic.name) ?? []), index]);
          for (const id of [...configs.keys()]) {
            if (id.startsWith(`topic:${topic.name} `)) configs.delete(id);
          }
        } else if (record.type === "config") {
          const id = `${record.resource}:${record.name} ${record.key}`;
          configs.set(id, [...(configs.get(id) ?? []), { index, value: record.value }]);
        }
      }
    },
    onControllerReply(reply) {
      // What the voter has applied as it answers; told by `onMetadata` once the event is over.
      const image = context.imageOf(reply.from.node);
      if (reply.error === null && image !== undefined) answered.push({ reply, image });
    },
    afterEvent() {
      if (answered.length === 0) return;
      for (const { reply, image } of answered) {
        if (image.index <= context.quorum.committedIndex) judge(reply, image);
      }
      answered = [];
    },
  };
}
