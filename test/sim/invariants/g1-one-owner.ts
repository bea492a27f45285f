/**
 * G1: in one generation no partition is assigned to two members, and who asks again is told the
 * same; G4: assigned are partitions of topics that the member subscribed to. Source: Kafka's classic
 * group protocol. Members see only what the leader of their own generation assigned.
 */
import { decodeAssignment } from "../../../src/group/consumer-protocol.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "G1 one owner of a partition in a generation";

export function oneOwner(context: RunContext): Invariant {
  /** By group and generation. */
  const owners = new Map<string, Map<string, string>>();
  const told = new Map<string, string>();
  /** What leaders have assigned, by group, generation and member. */
  const assigned = new Map<string, Set<string>>();

  return {
    onGroupCall({ name, request }) {
      if (name !== "sync") return;
      const { groupId, generationId } = request;
      for (const { memberId, assignment } of request.assignments) {
        const id = `${groupId} ${generationId} ${memberId}`;
        const known = assigned.get(id) ?? new Set();
        assigned.set(id, known.add(Buffer.from(assignment).toString("latin1")));
      }
    },
    onGroupAnswer(answered) {
      if (answered.name !== "sync" || answered.result.error !== undefined) return;
      const { node } = answered.call;
      const { groupId, generationId, memberId, groupInstanceId } = answered.request;
      const { assignment } = answered.result;
      const generation = `${groupId} ${generationId}`;
      const content = Buffer.from(assignment).toString("latin1");
      const member = `${generation} ${memberId}`;
      const before = told.get(member);
      if (before !== undefined && before !== content) {
        context.fail(STATEMENT, `${node} tells ${member} another assignment than before`);
      }
      told.set(member, content);
      // A static member that has come back has another id than the one that was assigned to.
      const isKnown = groupInstanceId !== null || assignment.length === 0;
      if (!isKnown && assigned.get(member)?.has(content) !== true) {
        context.fail(STATEMENT, `${node} tells ${member} what no leader of it has assigned`);
      }
      const who = groupInstanceId ?? memberId;
      const owned = owners.get(generation) ?? new Map<string, string>();
      owners.set(generation, owned);
      for (const { topic, partitions } of decodeAssignment(assignment).partitions) {
        for (const partition of partitions) {
          const key = `${topic}-${partition}`;
          const owner = owned.get(key);
          owned.set(key, who);
          if (owner === undefined || owner === who) continue;
          context.fail(STATEMENT, `${key} is ${owner}'s and ${who}'s in generation ${generation}`);
        }
      }
    },
  };
}
