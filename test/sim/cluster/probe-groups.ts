/** Rare paths of consumer groups: what members are told, and who tells them. */
import type { ErrorCode } from "../../../src/model/errors.ts";
import type { Hit } from "./probe-taps.ts";
import type { ProbeName } from "./probes.ts";
import type { Invariant } from "./run-context.ts";

const REFUSALS: Partial<Record<ErrorCode, ProbeName>> = {
  COORDINATOR_LOAD_IN_PROGRESS: "group-call-while-groups-are-read",
  COORDINATOR_NOT_AVAILABLE: "group-call-while-nothing-can-be-written",
  FENCED_INSTANCE_ID: "static-member-fenced",
  NOT_COORDINATOR: "group-call-to-a-former-coordinator",
  REBALANCE_IN_PROGRESS: "told-to-join-again",
  UNKNOWN_MEMBER_ID: "unknown-member-refused",
};

export function groupProbes(hit: Hit): Invariant {
  /** Who answered for a group last. */
  const coordinators = new Map<string, string>();
  const newest = new Map<string, number>();
  /** Who told members to be in a generation, by group and generation. */
  const joinedAt = new Map<string, string>();
  const instances = new Map<string, { readonly memberId: string; readonly generation: number }>();
  return {
    onGroupAnswer({ call, name, request, result }) {
      const { node } = call;
      const { groupId } = request;
      if (result.error !== undefined) {
        const { code } = result.error;
        const probe = REFUSALS[code];
        if (probe !== undefined) hit(probe);
        if (code === "ILLEGAL_GENERATION") {
          hit(name === "commit" ? "zombie-commit-refused" : "old-generation-refused");
        }
        return;
      }
      const before = coordinators.get(groupId);
      coordinators.set(groupId, node);
      if (before !== undefined && before !== node) hit("coordinator-moved");
      if (name === "join") {
        const { generationId, memberId } = result;
        const known = newest.get(groupId) ?? 0;
        newest.set(groupId, Math.max(known, generationId));
        if (generationId > known) hit("group-rebalanced");
        joinedAt.set(`${groupId} ${generationId}`, node);
        const { groupInstanceId } = request;
        if (groupInstanceId === null) return;
        const id = `${groupId} ${groupInstanceId}`;
        const last = instances.get(id);
        instances.set(id, { memberId, generation: generationId });
        const isBack = last?.generation === generationId && last.memberId !== memberId;
        if (isBack) hit("static-member-back-without-a-rebalance");
      } else if (name === "sync") {
        const { generationId } = request;
        const told = joinedAt.get(`${groupId} ${generationId}`);
        if (told !== undefined && told !== node) hit("rebalance-ended-by-a-new-coordinator");
      } else if (name === "fetch" && result.partitions.some(({ offset }) => offset > 0)) {
        hit("group-offset-taken-up");
      }
    },
  };
}
