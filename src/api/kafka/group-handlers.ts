/**
 * Members of consumer groups: FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup. The
 * coordinator is the one that gRPC's clients use: members of both doors share a group.
 */
import type { GroupError, JoinGroup } from "../../group/calls.ts";
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import { NONE } from "../../model/ids.ts";
import { errorNumber, type Handlers, type RequestContext } from "./handler.ts";

/** Coordinators of `FindCoordinator.keyType`. */
const GROUP_KEY = 0;
/** From here on many keys are asked for at once. */
const MANY_KEYS = 4;
/** KIP-394: since then a member is given its id, and joins with it. */
const KNOWN_MEMBERS = 4;
/** Since then a response may have no protocol. */
const NULL_PROTOCOL = 7;
/** KIP-814 */
const SKIPS_ASSIGNMENT = 9;
/** KIP-559: since then members say which protocol they mean. */
const NAMES_PROTOCOL = 5;
/** Since then several members leave at once. */
const MANY_LEAVE = 3;

type Coordinator = ResponseInputs["FindCoordinator"]["coordinators"][number];

async function findCoordinator(
  request: Requests["FindCoordinator"],
  context: RequestContext,
): Promise<ResponseInputs["FindCoordinator"]> {
  const keys = context.version < MANY_KEYS ? [request.key] : request.coordinatorKeys;
  const found = await Promise.all(keys.map((key) => coordinatorOf(key, request.keyType, context)));
  const [first = nobody(request.key, unknownType(request.keyType))] = found;
  const errorMessage = first.errorCode === 0 ? "NONE" : first.errorMessage;
  return { ...first, errorMessage, coordinators: found };
}

async function coordinatorOf(
  key: string,
  keyType: number,
  { broker, listenerName }: RequestContext,
): Promise<Coordinator> {
  if (keyType !== GROUP_KEY) return nobody(key, unknownType(keyType));
  const { coordinator, error } = await broker.findCoordinator(key);
  if (error !== undefined || coordinator === undefined) {
    const code = "COORDINATOR_NOT_AVAILABLE";
    return nobody(key, error ?? { code, message: `group ${key} has no coordinator` });
  }
  const { brokerId } = coordinator;
  const registration = broker.image().brokers.get(brokerId);
  const endpoint = registration?.endpoints.find(({ name }) => name === listenerName);
  if (endpoint === undefined) {
    const message = `broker ${brokerId}, which coordinates group ${key}, has no listener ${listenerName}`;
    return nobody(key, { code: "COORDINATOR_NOT_AVAILABLE", message });
  }
  const { host, port } = endpoint;
  return { key, nodeId: brokerId, host, port, errorCode: 0, errorMessage: "" };
}

function nobody(key: string, error: GroupError): Coordinator {
  const errorCode = errorNumber(error);
  return { key, nodeId: NONE, host: "", port: NONE, errorCode, errorMessage: error.message };
}

/** Clients of transactions give up at it, instead of asking again until their time is over. */
function unknownType(keyType: number): GroupError {
  const message = `key_type is ${keyType}; allowed is 0: there are coordinators of groups, none of transactions`;
  return { code: "INVALID_REQUEST", message, field: "key_type" };
}

async function joinGroup(
  request: Requests["JoinGroup"],
  { broker, clientHost, clientId, version }: RequestContext,
): Promise<ResponseInputs["JoinGroup"]> {
  const { rebalanceTimeoutMs, sessionTimeoutMs } = request;
  const join: Omit<JoinGroup, "unique"> = {
    groupId: request.groupId,
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    clientId: clientId ?? "",
    // As Java prints an address, and so every tool has shown it.
    clientHost: `/${clientHost}`,
    sessionTimeoutMs,
    // Version 0 had one timeout for both.
    // What is wrong with it is told of the session's.
    rebalanceTimeoutMs: version === 0 ? Math.max(1, sessionTimeoutMs) : rebalanceTimeoutMs,
    protocolType: request.protocolType,
    protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: copy(metadata) })),
    requireKnownMemberId: version >= KNOWN_MEMBERS,
    canSkipAssignment: version >= SKIPS_ASSIGNMENT,
  };
  const { error, protocolName, ...joined } = await broker.joinGroup(join);
  return {
    ...joined,
    errorCode: errorNumber(error),
    protocolName: version < NULL_PROTOCOL ? (protocolName ?? "") : protocolName,
  };
}

async function syncGroup(
  request: Requests["SyncGroup"],
  { broker, version }: RequestContext,
): Promise<ResponseInputs["SyncGroup"]> {
  const { protocolName, protocolType } = request;
  if (version >= NAMES_PROTOCOL && (protocolType === null || protocolName === null)) {
    return {
      errorCode: errorNumber({ code: "INCONSISTENT_GROUP_PROTOCOL" }),
      assignment: new Uint8Array(0),
    };
  }
  const { error, ...synced } = await broker.syncGroup({
    groupId: request.groupId,
    generationId: request.generationId,
    memberId: request.memberId,
    groupInstanceId: request.groupInstanceId,
    protocolType,
    protocolName,
    assignments: request.assignments.map(({ memberId, assignment }) => ({
      memberId,
      assignment: copy(assignment),
    })),
  });
  return { ...synced, errorCode: errorNumber(error) };
}

async function heartbeat(
  { groupId, generationId, memberId, groupInstanceId }: Requests["Heartbeat"],
  { broker }: RequestContext,
): Promise<ResponseInputs["Heartbeat"]> {
  const { error } = await broker.heartbeat({ groupId, generationId, memberId, groupInstanceId });
  // Java's members take a coordinator that is still loading for a fatal error here, and only here.
  // Nobody's session runs out meanwhile, so that nothing is wrong.
  const loading = error?.code === "COORDINATOR_LOAD_IN_PROGRESS";
  return { errorCode: loading ? 0 : errorNumber(error) };
}

async function leaveGroup(
  request: Requests["LeaveGroup"],
  { broker, version }: RequestContext,
): Promise<ResponseInputs["LeaveGroup"]> {
  const { groupId, memberId } = request;
  const alone = version < MANY_LEAVE;
  const members = alone
    ? [{ memberId, groupInstanceId: null }]
    : request.members.map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
      }));
  const result = await broker.leaveGroup({ groupId, members });
  const error = result.error ?? (alone ? result.members[0]?.error : undefined);
  return {
    errorCode: errorNumber(error),
    members: result.members.map((member) => ({ ...member, errorCode: errorNumber(member.error) })),
  };
}

/** What a group keeps must not keep the whole frame alive. */
function copy(bytes: Uint8Array): Uint8Array {
  return bytes.slice();
}

export const groupHandlers: Handlers = {
  FindCoordinator: findCoordinator,
  JoinGroup: joinGroup,
  SyncGroup: syncGroup,
  Heartbeat: heartbeat,
  LeaveGroup: leaveGroup,
};
