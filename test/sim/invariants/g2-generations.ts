/**
 * G2: the generation of a group never falls, whoever coordinates it, until it is deleted; all who
 * join one generation are told the same leader and protocol. G8 with it, on the coordinator's log:
 * along it generations never fall, an assigned generation is not unassigned again, and assignments
 * in the log have one owner for each partition. Stricter than Kafka, where a generation that was not
 * assigned yet is forgotten with its coordinator. Source: KIP-62, KIP-345.
 */
import { decodeAssignment } from "../../../src/group/consumer-protocol.ts";
import { OFFSETS_TOPIC } from "../../../src/group/partition-of.ts";
import { decodeGroupValue, decodeKey, type GroupValue } from "../../../src/group/records.ts";
import { BATCH_HEADER_BYTES, compressionOf, readBatchHeader } from "../../../src/record/batch.ts";
import { decodeRecords } from "../../../src/record/records.ts";
import type { GroupCalled } from "../cluster/observed-groups.ts";
import type { ObservedLog } from "../cluster/observed-logs.ts";
import {
  type Invariant,
  partitionsOf,
  type RunContext,
  topicOfKey,
} from "../cluster/run-context.ts";
import { decompressed } from "../world/sim-codecs.ts";

const STATEMENT = "G2 generations never fall";
const LOG_STATEMENT = "G8 a group moves as its protocol says";
const OPENED_BYTES_MAX = 64 * 1024 * 1024;

interface Generation {
  readonly leader: string;
  readonly protocol: string | null;
}

export function generations(context: RunContext): Invariant {
  const newest = new Map<string, number>();
  const told = new Map<string, Generation>();
  /** What had been told as the call came. */
  const before = new WeakMap<GroupCalled, number>();
  const deleted = new Set<string>();

  function checkLog(log: ObservedLog): void {
    const groups = new Map<string, GroupValue>();
    for (const { bytes } of log.batches) {
      const header = readBatchHeader(bytes);
      const section = decompressed(
        compressionOf(header) ?? "none",
        bytes.subarray(BATCH_HEADER_BYTES),
        OPENED_BYTES_MAX,
      );
      for (const { key, value, offset } of decodeRecords(header, section)) {
        const decoded = key === null ? undefined : decodeKey(key);
        if (decoded?.type !== "group") continue;
        const { groupId } = decoded;
        if (value === null) {
          groups.delete(groupId);
          continue;
        }
        const after = decodeGroupValue(value);
        const wrong = wrongStep(groups.get(groupId), after) ?? twoOwners(after);
        groups.set(groupId, after);
        if (wrong === undefined) continue;
        context.fail(LOG_STATEMENT, `${log.key}:${offset}: group ${groupId} ${wrong}`);
        return;
      }
    }
  }

  return {
    onGroupCall(call) {
      const { name, request } = call;
      if (name === "delete-group") deleted.add(request.groupId);
      if (name === "join") before.set(call, newest.get(request.groupId) ?? 0);
    },
    onGroupAnswer(answered) {
      if (answered.name !== "join" || answered.result.error !== undefined) return;
      const { call, request, result } = answered;
      const { groupId } = request;
      if (deleted.has(groupId)) return;
      const { generationId, leader, protocolName: protocol } = result;
      const least = before.get(call) ?? 0;
      if (generationId < least) {
        context.fail(
          STATEMENT,
          `${call.node} tells generation ${generationId} of ${groupId}, ${least} was told before`,
        );
      }
      newest.set(groupId, Math.max(newest.get(groupId) ?? 0, generationId));
      const id = `${groupId} ${generationId}`;
      const known = told.get(id);
      told.set(id, { leader, protocol });
      // A static leader that comes back leads on under its new id.
      const isSame = known === undefined || known.leader === leader || request.groupInstanceId;
      if (isSame && (known === undefined || known.protocol === protocol)) return;
      context.fail(
        STATEMENT,
        `${call.node} tells leader ${leader} and ${protocol} of generation ${id}, before it was ${known?.leader} and ${known?.protocol}`,
      );
    },
    atEnd() {
      const image = context.newestImage();
      for (const [key, { leader }] of partitionsOf(image)) {
        if (topicOfKey(image, key) !== OFFSETS_TOPIC) continue;
        const log = context.logs.log(context.nodeOf(leader), key);
        if (log !== undefined) checkLog(log);
      }
    },
  };
}

function isAssigned({ completing, members }: GroupValue): boolean {
  return !completing && members.some(({ assignment }) => assignment.length > 0);
}

function wrongStep(before: GroupValue | undefined, after: GroupValue): string | undefined {
  if (before === undefined) return undefined;
  if (after.generation < before.generation) {
    return `goes from generation ${before.generation} to ${after.generation}`;
  }
  if (after.generation > before.generation) return undefined;
  if (isAssigned(before) && after.completing) return `is assigned anew in ${after.generation}`;
  const known = new Set(before.members.map(({ memberId }) => memberId));
  const came = after.members.find(
    ({ memberId, instanceId }) => !known.has(memberId) && instanceId === null,
  );
  if (came === undefined || before.members.length === 0) return undefined;
  return `takes in ${came.memberId} within generation ${after.generation}`;
}

function twoOwners({ members, protocolType }: GroupValue): string | undefined {
  if (protocolType !== "consumer") return undefined;
  const owners = new Map<string, string>();
  for (const { assignment, memberId } of members) {
    for (const { topic, partitions } of decodeAssignment(assignment).partitions) {
      for (const partition of partitions) {
        const owner = owners.get(`${topic}-${partition}`);
        if (owner !== undefined) return `gives ${topic}-${partition} to ${owner} and ${memberId}`;
        owners.set(`${topic}-${partition}`, memberId);
      }
    }
  }
  return undefined;
}
