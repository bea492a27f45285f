/** Administration of consumer groups: the unary methods of the Groups service. */
import type { DoorApi, LeaderHint } from "../../broker/broker-api.ts";
import { ottla } from "../../gen/ottla.js";
import type { GroupError, GroupState } from "../../group/calls.ts";
import { OttlaError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import { type AdminCall, method } from "./admin.ts";
import { checkCount } from "./checks.ts";
import {
  commitFrom,
  describedMessage,
  fetchFrom,
  fetchMessage,
  partitionsMessage,
} from "./group-messages.ts";
import { hintMessage } from "./image-messages.ts";
import { errorMessage, invalid } from "./status.ts";

const v1 = ottla.v1;

/** By the names of `ottla.v1.Groups`. */
export const GROUP_METHODS = {
  FindCoordinator: method(v1.FindCoordinatorRequest, v1.FindCoordinatorResponse, findCoordinator),
  ListGroups: method(v1.ListGroupsRequest, v1.ListGroupsResponse, listGroups),
  DescribeGroups: method(v1.DescribeGroupsRequest, v1.DescribeGroupsResponse, describeGroups),
  DeleteGroups: method(v1.DeleteGroupsRequest, v1.DeleteGroupsResponse, deleteGroups),
  DeleteOffsets: method(v1.DeleteOffsetsRequest, v1.DeleteOffsetsResponse, deleteOffsets),
  OffsetCommit: method(v1.OffsetCommitRequest, v1.OffsetCommitResponse, offsetCommit),
  OffsetFetch: method(v1.OffsetFetchRequest, v1.OffsetFetchResponse, offsetFetch),
} as const;

const STATES: readonly GroupState[] = [
  "Empty",
  "PreparingRebalance",
  "CompletingRebalance",
  "Stable",
  "Dead",
];

async function findCoordinator(
  request: ottla.v1.FindCoordinatorRequest.$Properties,
  { broker, listenerName }: AdminCall<DoorApi>,
): Promise<ottla.v1.FindCoordinatorResponse.$Properties> {
  const groupIds = checkGroups(request.groupIds);
  const found = await Promise.all(groupIds.map((groupId) => broker.findCoordinator(groupId)));
  const image = broker.image();
  return {
    coordinators: found.map(({ error, coordinator }, index) => ({
      groupId: groupIds[index] ?? "",
      error: errorMessage(error),
      coordinator: hintMessage(coordinator, image, listenerName),
    })),
  };
}

async function listGroups(
  request: ottla.v1.ListGroupsRequest.$Properties,
  { broker }: AdminCall<DoorApi>,
): Promise<ottla.v1.ListGroupsResponse.$Properties> {
  const states = (request.states ?? []).map((state) => {
    const known = STATES.find((each) => each.toLowerCase() === state.toLowerCase());
    if (known === undefined) throw invalid("states", state, `allowed are ${STATES.join(", ")}`);
    return known;
  });
  const { error, groups } = broker.listGroups({ states });
  return {
    error: errorMessage(error),
    groups: groups.map(({ groupId, protocolType, state, membersCount }) => ({
      groupId,
      protocolType,
      state,
      members: membersCount,
    })),
  };
}

async function describeGroups(
  request: ottla.v1.DescribeGroupsRequest.$Properties,
  { broker, listenerName }: AdminCall<DoorApi>,
): Promise<ottla.v1.DescribeGroupsResponse.$Properties> {
  const described = await broker.describeGroups(checkGroups(request.groupIds));
  const groups = await Promise.all(
    described.map(async (group) => {
      const coordinator = await hintFor(broker, group.groupId, group.error);
      return describedMessage(group, hintMessage(coordinator, broker.image(), listenerName));
    }),
  );
  return { groups };
}

async function deleteGroups(
  request: ottla.v1.DeleteGroupsRequest.$Properties,
  { broker }: AdminCall<DoorApi>,
): Promise<ottla.v1.DeleteGroupsResponse.$Properties> {
  const deleted = await broker.deleteGroups(checkGroups(request.groupIds));
  return {
    groups: deleted.map(({ groupId, error }) => ({ groupId, error: errorMessage(error) })),
  };
}

async function deleteOffsets(
  request: ottla.v1.DeleteOffsetsRequest.$Properties,
  { broker }: AdminCall<DoorApi>,
): Promise<ottla.v1.DeleteOffsetsResponse.$Properties> {
  const result = await broker.deleteOffsets({
    groupId: request.groupId ?? "",
    partitions: (request.partitions ?? []).map(({ topic, partition }) => ({
      topic: topic ?? "",
      partition: partition ?? 0,
    })),
  });
  return { error: errorMessage(result.error), ...partitionsMessage(result) };
}

async function offsetCommit(
  request: ottla.v1.OffsetCommitRequest.$Properties,
  { broker }: AdminCall<DoorApi>,
): Promise<ottla.v1.OffsetCommitResponse.$Properties> {
  const result = await broker.offsetCommit(commitFrom(request));
  throwIf(result.error);
  return partitionsMessage(result);
}

async function offsetFetch(
  request: ottla.v1.OffsetFetchRequest.$Properties,
  { broker }: AdminCall<DoorApi>,
): Promise<ottla.v1.OffsetFetchResponse.$Properties> {
  const result = await broker.offsetFetch(fetchFrom(request));
  throwIf(result.error);
  return fetchMessage(result);
}

function throwIf(error: GroupError | undefined): void {
  if (error === undefined) return;
  const { code, field, message } = error;
  throw new OttlaError(code, message, field === undefined ? {} : { field });
}

async function hintFor(
  broker: DoorApi,
  groupId: string,
  error: GroupError | undefined,
): Promise<LeaderHint | undefined> {
  if (error?.code !== "NOT_COORDINATOR") return undefined;
  const { coordinator } = await broker.findCoordinator(groupId);
  return coordinator;
}

function checkGroups(groupIds: readonly string[] | null | undefined): readonly string[] {
  return checkCount("group_ids", groupIds, LIMITS.topicsPerRequestCount);
}
