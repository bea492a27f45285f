/** What a group call may hold, looked at before a group hears of it; nothing changes if it is refused. */
import type {
  GroupError,
  JoinGroup,
  LeaveGroup,
  OffsetCommit,
  SyncGroup,
} from "../../group/calls.ts";
import { NONE } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";

const TIMEOUT_LONGEST_MS = 0x7fff_ffff;
const LARGEST_INDEX = 0x7fff_ffff;
const INSTANCE_ID = /^[a-zA-Z0-9._-]{1,249}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what an id must not have
const CONTROL = /[\u0000-\u001f\u007f]/;

export function checkGroupId(groupId: string): GroupError | undefined {
  const most = LIMITS.groupIdCharacters;
  if (groupId !== "" && groupId.length <= most && !CONTROL.test(groupId)) return undefined;
  const shown = JSON.stringify(groupId.slice(0, 100));
  return {
    code: "INVALID_GROUP_ID",
    message: `group.id is ${shown} (${groupId.length} characters); it must have 1 to ${most} characters, and no control characters`,
    field: "group.id",
  };
}

export function checkIdentity(request: {
  readonly groupId: string;
  readonly memberId: string;
  readonly groupInstanceId: string | null;
}): GroupError | undefined {
  const { memberId, groupInstanceId } = request;
  if (memberId.length > 2 * LIMITS.groupIdCharacters) {
    return invalid("member.id", `${memberId.length} characters`, "one that the coordinator gave");
  }
  if (groupInstanceId !== null && !INSTANCE_ID.test(groupInstanceId)) {
    const allowed = "1 to 249 characters of a-z A-Z 0-9 . _ -";
    return invalid("group.instance.id", JSON.stringify(groupInstanceId.slice(0, 100)), allowed);
  }
  return checkGroupId(request.groupId);
}

export function checkJoin(request: Omit<JoinGroup, "unique">): GroupError | undefined {
  const { clientId, clientHost, rebalanceTimeoutMs, protocols, protocolType } = request;
  const identity = checkIdentity(request);
  if (identity !== undefined) return identity;
  if (clientId.length > LIMITS.groupIdCharacters || clientHost.length > LIMITS.groupIdCharacters) {
    return invalid("client.id", `${clientId.length} characters`, `${LIMITS.groupIdCharacters}`);
  }
  if (!isIndex(rebalanceTimeoutMs) || rebalanceTimeoutMs === 0) {
    const allowed = `1 to ${TIMEOUT_LONGEST_MS} ms`;
    return invalid("rebalance.timeout.ms", rebalanceTimeoutMs, allowed);
  }
  if (protocolType.length > LIMITS.groupIdCharacters) {
    return invalid("protocol type", `${protocolType.length} characters`, "fewer");
  }
  if (protocols.length > LIMITS.groupProtocolsCount) {
    return limit("protocols", protocols.length, `${LIMITS.groupProtocolsCount} protocols`);
  }
  const names = new Set<string>();
  let bytes = 0;
  for (const { name, metadata } of protocols) {
    if (name === "" || name.length > LIMITS.groupIdCharacters || names.has(name)) {
      return invalid(
        "protocols.name",
        JSON.stringify(name.slice(0, 100)),
        "each name once, not empty",
      );
    }
    names.add(name);
    bytes += metadata.length;
  }
  if (bytes <= LIMITS.groupSubscriptionBytes) return undefined;
  return limit("protocols.metadata", bytes, `${LIMITS.groupSubscriptionBytes} bytes in sum`);
}

export function checkSync(request: SyncGroup): GroupError | undefined {
  let bytes = 0;
  for (const { assignment } of request.assignments) bytes += assignment.length;
  if (bytes > LIMITS.groupMetadataBytes) {
    return limit("assignments", bytes, `${LIMITS.groupMetadataBytes} bytes in sum`);
  }
  return checkIdentity(request);
}

export function checkLeave(request: LeaveGroup): GroupError | undefined {
  const { groupId, members } = request;
  if (members.length > LIMITS.offsetsPerRequestCount) {
    return limit("members", members.length, `${LIMITS.offsetsPerRequestCount} members`);
  }
  for (const member of members) {
    const error = checkIdentity({ groupId, ...member });
    if (error !== undefined) return error;
  }
  return checkGroupId(groupId);
}

export function checkCommit(request: OffsetCommit): GroupError | undefined {
  const identity = checkIdentity(request);
  if (identity !== undefined) return identity;
  if (request.offsets.length > LIMITS.offsetsPerRequestCount) {
    return limit("offsets", request.offsets.length, `${LIMITS.offsetsPerRequestCount} offsets`);
  }
  for (const { partition, offset, leaderEpoch, retentionMs } of request.offsets) {
    if (!isIndex(partition)) return invalid("offsets.partition", partition, "0 or more");
    if (!Number.isSafeInteger(offset) || offset < 0) {
      return invalid("offsets.offset", offset, `0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    if (leaderEpoch !== NONE && !isIndex(leaderEpoch)) {
      return invalid("offsets.leader_epoch", leaderEpoch, "-1 (not known) or more");
    }
    if (!Number.isSafeInteger(retentionMs) || retentionMs < NONE) {
      return invalid("offsets.retention", retentionMs, "-1 (the broker's) or more");
    }
  }
  return undefined;
}

export function checkFetch(request: {
  readonly groupId: string;
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[] | null;
}): GroupError | undefined {
  const count = request.partitions?.length ?? 0;
  if (count > LIMITS.offsetsPerRequestCount) {
    return limit("partitions", count, `${LIMITS.offsetsPerRequestCount} partitions`);
  }
  return checkGroupId(request.groupId);
}

function isIndex(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= LARGEST_INDEX;
}

function invalid(field: string, value: string | number, allowed: string): GroupError {
  return { code: "INVALID_REQUEST", message: `${field} is ${value}; allowed is ${allowed}`, field };
}

function limit(field: string, value: number, allowed: string): GroupError {
  return { code: "LIMIT_EXCEEDED", message: `${field}: ${value}; allowed are ${allowed}`, field };
}
