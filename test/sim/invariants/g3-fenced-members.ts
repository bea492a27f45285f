/**
 * G3: a commit or sync of an old generation, or by somebody who was never told that it is in, is
 * refused; G6: of a static member only the id that was told last is taken, older ones are fenced;
 * G7: nobody answers as coordinator who does not know itself to lead the group's partition. What a
 * coordinator that was cut off says to heartbeats binds nobody, as nothing of it is in the log.
 * Source: Kafka's classic group protocol, KIP-345.
 */
import { OFFSETS_TOPIC, partitionOfGroup } from "../../../src/group/partition-of.ts";
import { topicByName } from "../../../src/metadata/image.ts";
import type { GroupAnswered, GroupCalled } from "../cluster/observed-groups.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

interface Known {
  readonly generation: number;
  /** Of the static member that calls: told last. */
  readonly memberId: string | undefined;
}

export function fencedMembers(context: RunContext): Invariant {
  const newest = new Map<string, number>();
  const joined = new Set<string>();
  /** Static members: the id that was told last, by group and instance. */
  const instances = new Map<string, string>();
  const known = new WeakMap<GroupCalled, Known>();
  const deleted = new Set<string>();

  function checkCoordinator(node: string, groupId: string): void {
    const image = context.imageOf(node);
    if (image === undefined) return;
    const partitions = topicByName(image, OFFSETS_TOPIC)?.partitions ?? [];
    const state = partitions[partitionOfGroup(groupId, Math.max(1, partitions.length))];
    if (state?.leader === context.brokerIdOf(node)) return;
    context.fail(
      "G7 the coordinator answers",
      `${node} answers for group ${groupId}, whose partition ${state === undefined ? "it does not know" : `broker ${state.leader} leads`}`,
    );
  }

  function isTaken({ name, request, result }: GroupAnswered): boolean {
    if (result.error !== undefined) return false;
    if (name !== "commit") return name === "sync";
    return request.generationId >= 0 && result.partitions.some(({ error }) => error === undefined);
  }

  return {
    onGroupCall(call) {
      const { name, request } = call;
      if (name === "delete-group") deleted.add(request.groupId);
      if (name !== "sync" && name !== "commit") return;
      const { groupId, groupInstanceId } = request;
      known.set(call, {
        generation: newest.get(groupId) ?? -1,
        memberId: instances.get(`${groupId} ${groupInstanceId}`),
      });
    },
    onGroupAnswer(answered) {
      const { call, name, request, result } = answered;
      const { groupId } = request;
      if (result.error === undefined && name !== "delete-group") {
        checkCoordinator(call.node, groupId);
      }
      if (name === "join" && result.error === undefined) {
        const { generationId, memberId } = result;
        newest.set(groupId, Math.max(newest.get(groupId) ?? -1, generationId));
        joined.add(`${groupId} ${generationId} ${memberId}`);
        const { groupInstanceId } = request;
        if (groupInstanceId !== null) instances.set(`${groupId} ${groupInstanceId}`, memberId);
      }
      if ((name !== "sync" && name !== "commit") || !isTaken(answered)) return;
      if (deleted.has(groupId)) return;
      const { generationId, memberId, groupInstanceId } = request;
      const then = known.get(call) ?? { generation: -1, memberId: undefined };
      const who = `${call.node} takes a ${name} of ${memberId} in generation ${generationId} of ${groupId}`;
      if (generationId < then.generation) {
        context.fail(
          "G3 old generations are refused",
          `${who}, ${then.generation} was told before`,
        );
      }
      if (!joined.has(`${groupId} ${generationId} ${memberId}`)) {
        context.fail("G3 strangers are refused", `${who}, which was never told so`);
      }
      if (groupInstanceId === null || then.memberId === undefined) return;
      if (then.memberId === memberId) return;
      context.fail(
        "G6 static members are fenced",
        `${who}, ${groupInstanceId} is ${then.memberId}`,
      );
    },
  };
}
