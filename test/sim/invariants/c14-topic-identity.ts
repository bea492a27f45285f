/**
 * C14: the id of a deleted topic never stands for anything again, and a name that is used again
 * has a new id; C15: every partition has as many distinct replicas as were asked for, the same
 * number in the whole topic. Sources: KIP-516 (topic ids), KIP-36.
 *
 * That nothing of an old id is read under a new one is P2's, whose record of what is committed is
 * by id.
 */
import type { ControllerRequests, CreateTopics } from "../../../src/metadata/commands.ts";
import type { TopicImage } from "../../../src/metadata/image.ts";
import type { TopicId } from "../../../src/model/ids.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

export function topicIdentity(context: RunContext): Invariant {
  const deleted = new Set<TopicId>();
  let created: { readonly topicId: TopicId; readonly factor: number; readonly asked: number }[] =
    [];

  const fail = (statement: string, index: number, detail: string): void =>
    context.fail(statement, `at ${index} ${detail}`);

  function checkReplicas(index: number, { name, partitions }: TopicImage): void {
    const factor = partitions[0]?.replicas.length ?? 0;
    for (const [partition, { replicas, directories }] of partitions.entries()) {
      if (new Set(replicas).size !== replicas.length || replicas.length === 0) {
        fail("C15 replicas are distinct", index, `${name}-${partition} has ${replicas.join(",")}`);
      }
      if (replicas.length !== factor || directories.length !== factor) {
        fail("C15 replicas are as many", index, `${name}-${partition} has ${replicas.join(",")}`);
      }
    }
  }

  return {
    onMetadata({ index, records, after }) {
      const touched = new Set<TopicId>();
      for (const record of records) {
        if (record.type === "remove-topic") deleted.add(record.topicId);
        if (
          record.type !== "topic" &&
          record.type !== "partition" &&
          record.type !== "partition-change"
        ) {
          continue;
        }
        touched.add(record.topicId);
        if (!deleted.has(record.topicId)) continue;
        fail("C14 a deleted topic id is gone", index, `${record.type} of ${record.topicId}`);
      }
      for (const id of touched) {
        const topic = after.topics.get(id);
        if (topic === undefined) continue;
        if (after.topicIds.get(topic.name) !== id) {
          fail("C14 a name stands for one id", index, `${topic.name} is ${id} and another`);
        }
        checkReplicas(index, topic);
      }
      for (const id of deleted) {
        if (after.topics.has(id)) fail("C14 a deleted topic id is gone", index, id);
      }
    },
    onControllerReply({ request, body, error }) {
      if (request.name !== "create-topics" || error !== null) return;
      const { topics: asked, validateOnly } = request.body as CreateTopics;
      if (validateOnly) return;
      const { topics } = body as ControllerRequests["create-topics"]["reply"];
      for (const [at, { topicId, replicationFactor, error: refused }] of topics.entries()) {
        if (refused !== null) continue;
        created.push({
          topicId,
          factor: replicationFactor,
          asked: asked[at]?.replicationFactor ?? -1,
        });
      }
    },
    afterEvent() {
      if (created.length === 0) return;
      for (const { topicId, factor, asked } of created) {
        const topic = context.newestImage().topics.get(topicId);
        if (topic === undefined) continue;
        const found = topic.partitions[0]?.replicas.length;
        if (found === factor && (asked === -1 || found === asked)) continue;
        context.fail(
          "C15 replicas are as many",
          `${topic.name} has ${found} replicas, answered were ${factor}, asked for ${asked}`,
        );
      }
      created = [];
    },
  };
}
