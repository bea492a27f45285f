/** What administrators ask about groups: ListGroups, DescribeGroups, DeleteGroups. */
import type { DescribedGroup, GroupState } from "../../group/calls.ts";
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import { GROUP_OPERATIONS, NOT_ASKED } from "./authorized-operations.ts";
import { errorNumber, type Handlers, type RequestContext } from "./handler.ts";

/** The only type there is; Kafka has others of KIP-848, 932 and 1071. */
const GROUP_TYPE = "classic";
/** KIP-1043: since then an unknown group is an error, and not one that is dead. */
const UNKNOWN_IS_ERROR = 6;

const STATES: readonly GroupState[] = [
  "Empty",
  "PreparingRebalance",
  "CompletingRebalance",
  "Stable",
  "Dead",
];

function listGroups(
  { statesFilter, typesFilter }: Requests["ListGroups"],
  { broker }: RequestContext,
): ResponseInputs["ListGroups"] {
  const wanted = new Set(statesFilter.map((state) => state.toLowerCase()));
  const states = STATES.filter((state) => wanted.has(state.toLowerCase()));
  const types = typesFilter.map((type) => type.toLowerCase());
  const { error, groups } = broker.listGroups({ states });
  const asked =
    (types.length === 0 || types.includes(GROUP_TYPE)) &&
    // States of other types of group match nothing here.
    (wanted.size === 0 || states.length > 0);
  return {
    errorCode: errorNumber(error),
    groups: (asked ? groups : []).map(({ groupId, protocolType, state }) => ({
      groupId,
      protocolType,
      groupState: state,
      groupType: GROUP_TYPE,
    })),
  };
}

type Described = ResponseInputs["DescribeGroups"]["groups"][number];

async function describeGroups(
  { groups, includeAuthorizedOperations }: Requests["DescribeGroups"],
  { broker, version }: RequestContext,
): Promise<ResponseInputs["DescribeGroups"]> {
  const described = await broker.describeGroups(groups);
  const authorizedOperations = includeAuthorizedOperations ? GROUP_OPERATIONS : NOT_ASKED;
  return {
    groups: described.map((group) => ({ ...describe(group, version), authorizedOperations })),
  };
}

function describe(group: DescribedGroup, version: number): Described {
  const { error, groupId, members, protocolName, protocolType, state } = group;
  const unknown = error?.code === "GROUP_ID_NOT_FOUND";
  return {
    errorCode: unknown && version < UNKNOWN_IS_ERROR ? 0 : errorNumber(error),
    errorMessage: error?.message ?? null,
    groupId,
    // Of a group that is kept elsewhere no state is known; it must not look dead.
    groupState: error === undefined || unknown ? state : "",
    protocolType,
    protocolData: protocolName,
    members: members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: member.metadata,
      memberAssignment: member.assignment,
    })),
  };
}

async function deleteGroups(
  { groupsNames }: Requests["DeleteGroups"],
  { broker }: RequestContext,
): Promise<ResponseInputs["DeleteGroups"]> {
  const deleted = await broker.deleteGroups([...new Set(groupsNames)]);
  return {
    results: deleted.map(({ groupId, error }) => ({ groupId, errorCode: errorNumber(error) })),
  };
}

export const groupAdminHandlers: Handlers = {
  ListGroups: listGroups,
  DescribeGroups: describeGroups,
  DeleteGroups: deleteGroups,
};
