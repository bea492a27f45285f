/** As `observed-api.ts`: what a broker is asked about consumer groups, and what it answers. */
import type { DeletedGroup, GroupApi } from "../../../src/broker/groups/group-api.ts";
import type {
  DeleteOffsets,
  Heartbeat,
  HeartbeatResult,
  JoinGroup,
  JoinGroupResult,
  LeaveGroup,
  LeaveGroupResult,
  OffsetCommit,
  OffsetFetch,
  OffsetFetchResult,
  PartitionsResult,
  SyncGroup,
  SyncGroupResult,
} from "../../../src/group/calls.ts";
import type { Incarnation } from "../world/sim-node.ts";
import type { Told } from "./observation.ts";

interface Calls {
  readonly join: { request: Omit<JoinGroup, "unique">; result: JoinGroupResult };
  readonly sync: { request: SyncGroup; result: SyncGroupResult };
  readonly heartbeat: { request: Heartbeat; result: HeartbeatResult };
  readonly leave: { request: LeaveGroup; result: LeaveGroupResult };
  readonly commit: { request: OffsetCommit; result: PartitionsResult };
  readonly fetch: { request: OffsetFetch; result: OffsetFetchResult };
  readonly "delete-offsets": { request: DeleteOffsets; result: PartitionsResult };
  readonly "delete-group": { request: { readonly groupId: string }; result: DeletedGroup };
}
type Name = keyof Calls;

export interface CallOf<Of extends Name> {
  readonly node: string;
  readonly life: number;
  readonly name: Of;
  readonly request: Readonly<Calls[Of]["request"]>;
}
export type GroupCalled = { readonly [Of in Name]: CallOf<Of> }[Name];
export type GroupAnswered = {
  readonly [Of in Name]: {
    /** The same object as when it was called. */
    readonly call: CallOf<Of>;
    readonly name: Of;
    readonly request: CallOf<Of>["request"];
    readonly result: Calls[Of]["result"];
  };
}[Name];

export function observedGroups(api: GroupApi, incarnation: Incarnation, told: Told): GroupApi {
  const { life, node } = incarnation;
  const observed = <Of extends Name>(
    name: Of,
    request: Calls[Of]["request"],
    run: () => Promise<Calls[Of]["result"]>,
  ): Promise<Calls[Of]["result"]> => {
    const call = { node: node.name, life, name, request };
    told.tell("onGroupCall", call as unknown as GroupCalled);
    return run().then((result) => {
      const answered = { call, name, request, result };
      if (incarnation.alive) told.tell("onGroupAnswer", answered as unknown as GroupAnswered);
      return result;
    });
  };
  return {
    findCoordinator: (groupId) => api.findCoordinator(groupId),
    joinGroup: (request) => observed("join", request, () => api.joinGroup(request)),
    syncGroup: (request) => observed("sync", request, () => api.syncGroup(request)),
    heartbeat: (request) => observed("heartbeat", request, () => api.heartbeat(request)),
    leaveGroup: (request) => observed("leave", request, () => api.leaveGroup(request)),
    offsetCommit: (request) => observed("commit", request, () => api.offsetCommit(request)),
    offsetFetch: (request) => observed("fetch", request, () => api.offsetFetch(request)),
    listGroups: (request) => api.listGroups(request),
    describeGroups: (groupIds) => api.describeGroups(groupIds),
    deleteGroups: (groupIds) =>
      Promise.all(
        groupIds.map((groupId) =>
          observed("delete-group", { groupId }, async () => {
            const [deleted] = await api.deleteGroups([groupId]);
            return deleted as DeletedGroup;
          }),
        ),
      ),
    deleteOffsets: (request) =>
      observed("delete-offsets", request, () => api.deleteOffsets(request)),
    watchGroup: (groupId, listener) => api.watchGroup(groupId, listener),
  };
}
