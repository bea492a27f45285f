import type { ServiceError } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { ottla } from "../../../src/gen/ottla.js";
import type { JoinGroup, OffsetCommit } from "../../../src/group/calls.ts";
import { REFUSED } from "../../../src/group/calls.ts";
import { LIMITS } from "../../../src/model/limits.ts";
import { callRaw, fakeBroker, openDoor, openRaw, statusOfStream, until } from "./door-fixture.ts";

const v1 = ottla.v1;
const PATH = "/ottla.v1.Groups/Session";
type Request = ottla.v1.GroupRequest.$Properties;
type Response = ottla.v1.GroupResponse.$Properties;

function openSession(door: Awaited<ReturnType<typeof openDoor>>) {
  const call = openRaw(door.client, PATH);
  const responses: Response[] = [];
  const messages: Buffer[] = [];
  call.on("data", (bytes: Buffer) => {
    messages.push(bytes);
    responses.push(...v1.GroupAnswers.decode(bytes).answers);
  });
  const send = (...calls: readonly Request[]): void => {
    call.write(Buffer.from(v1.GroupCalls.encode({ calls: [...calls] }).finish()));
  };
  return { call, responses, messages, send };
}

const HEARTBEAT = { groupId: "g", memberId: "m", generationId: 3 };

describe("the Session stream", () => {
  test("passes a join on whole, and answers with the member's id that it must come back with", async () => {
    const asked: Omit<JoinGroup, "unique">[] = [];
    const broker = fakeBroker({
      joinGroup: async (request) => {
        asked.push(request);
        return REFUSED.join({ code: "MEMBER_ID_REQUIRED", message: "come again" }, "m-1");
      },
    });
    await using door = await openDoor(broker);
    const { responses, send } = openSession(door);
    send({
      correlationId: 7,
      join: {
        groupId: "g",
        clientId: "c",
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 20_000,
        protocolType: "consumer",
        protocols: [{ name: "range", metadata: Uint8Array.of(1, 2) }],
      },
    });
    await until(() => responses.length === 1);
    expect(asked[0]).toMatchObject({
      groupId: "g",
      memberId: "",
      groupInstanceId: null,
      clientId: "c",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 20_000,
      requireKnownMemberId: true,
      canSkipAssignment: true,
    });
    expect(asked[0]?.clientHost).toContain("127.0.0.1");
    expect(asked[0]?.protocols[0]?.metadata).toEqual(Uint8Array.of(1, 2));
    expect(responses[0]).toMatchObject({
      correlationId: 7,
      error: { code: "MEMBER_ID_REQUIRED", retriable: true },
      join: { memberId: "m-1" },
    });
  });

  test("answers in order of completion, and calls the broker in order of arrival", async () => {
    const asked: OffsetCommit[] = [];
    const answers: (() => void)[] = [];
    const broker = fakeBroker({
      offsetCommit: (request) => {
        asked.push(request);
        return new Promise((resolve) => {
          answers.push(() => resolve({ error: undefined, partitions: [] }));
        });
      },
    });
    await using door = await openDoor(broker);
    const { responses, send } = openSession(door);
    for (let id = 1; id <= 100; id++) {
      const offsets = [{ topic: "orders", partition: 0, offset: id, leaderEpoch: -1 }];
      send({ correlationId: id, commit: { ...HEARTBEAT, offsets } });
    }
    await until(() => asked.length === 100);
    expect(asked.map(({ offsets }) => offsets[0]?.offset)).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
    for (const answer of answers.reverse()) answer();
    await until(() => responses.length === 100);
    expect(responses[0]?.correlationId).toBe(100);
  });

  test("takes many calls in one message, and answers them in one", async () => {
    const broker = fakeBroker({ heartbeat: async () => ({ error: undefined }) });
    await using door = await openDoor(broker);
    const { messages, responses, send } = openSession(door);
    send(
      ...Array.from({ length: 200 }, (_, index) => ({
        correlationId: index + 1,
        heartbeat: HEARTBEAT,
      })),
    );
    await until(() => responses.length === 200);
    expect(messages).toHaveLength(1);
    expect(responses.map(({ correlationId }) => correlationId)).toEqual(
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
  });

  test("says who coordinates the group if this broker does not", async () => {
    const broker = fakeBroker({
      heartbeat: async () => ({ error: { code: "NOT_COORDINATOR", message: "not here" } }),
      findCoordinator: async () => ({
        error: undefined,
        coordinator: { brokerId: 1, leaderEpoch: 4 },
      }),
    });
    await using door = await openDoor(broker);
    const { responses, send } = openSession(door);
    send({ correlationId: 1, heartbeat: HEARTBEAT });
    await until(() => responses.length === 1);
    expect(responses[0]).toMatchObject({
      error: { code: "NOT_COORDINATOR" },
      coordinator: { brokerId: 1, leaderEpoch: 4 },
    });
    expect(responses[0]?.coordinator?.port).toBeGreaterThan(0);
  });

  test("tells of a rebalance where somebody has joined or beaten, until the stream ends", async () => {
    const listeners = new Set<() => void>();
    const broker = fakeBroker({
      joinGroup: async () => ({
        ...REFUSED.join({ code: "CLOSED", message: "" }),
        error: undefined,
      }),
      heartbeat: async () => ({ error: undefined }),
      watchGroup: (groupId, listener) => {
        expect(groupId).toBe("g");
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    });
    await using door = await openDoor(broker);
    const { call, responses, send } = openSession(door);
    send({ correlationId: 1, join: { groupId: "g" } });
    send({ correlationId: 2, join: { groupId: "g" } });
    await until(() => responses.length === 2);
    expect(listeners.size).toBe(1);
    // Under another coordinator than the one that it joined.
    const other = openSession(door);
    other.send({ correlationId: 1, heartbeat: HEARTBEAT });
    await until(() => listeners.size === 2);
    other.call.end();
    await until(() => listeners.size === 1);
    for (const listener of listeners) listener();
    await until(() => responses.length === 3);
    expect(responses[2]).toMatchObject({ correlationId: 0, rebalancing: { groupId: "g" } });
    call.end();
    await until(() => listeners.size === 0);
  });

  test.each<[string, Request, RegExp]>([
    ["no correlation id", { heartbeat: HEARTBEAT }, /correlation_id is 0/],
    ["no call", { correlationId: 1 }, /call is undefined; it must be join/],
  ])("ends a stream with %s", async (_, request, message) => {
    await using door = await openDoor(fakeBroker());
    const { call, send } = openSession(door);
    const status = statusOfStream(call);
    send(request);
    expect((await status).message).toMatch(message);
  });

  test("refuses more calls than may wait", async () => {
    const broker = fakeBroker({ heartbeat: () => new Promise(() => undefined) });
    await using door = await openDoor(broker);
    const { responses, send } = openSession(door);
    for (let id = 1; id <= LIMITS.groupCallsPerStreamCount + 1; id++) {
      send({ correlationId: id, heartbeat: HEARTBEAT });
    }
    await until(() => responses.length === 1);
    expect(responses[0]).toMatchObject({
      correlationId: LIMITS.groupCallsPerStreamCount + 1,
      error: { code: "THROTTLING_QUOTA_EXCEEDED", retriable: true },
    });
  });
});

describe("administration of groups", () => {
  async function call<Asked, Answer>(
    door: Awaited<ReturnType<typeof openDoor>>,
    name: string,
    types: {
      readonly request: { encode(message: Asked): { finish(): Uint8Array } };
      readonly response: { decode(bytes: Uint8Array): Answer };
    },
    message: Asked,
  ): Promise<Answer> {
    const bytes = types.request.encode(message).finish();
    return types.response.decode(await callRaw(door.client, `/ottla.v1.Groups/${name}`, bytes));
  }

  test("lists by state, and refuses a state that does not exist", async () => {
    const asked: unknown[] = [];
    const broker = fakeBroker({
      listGroups: (request) => {
        asked.push(request);
        const group = { groupId: "g", protocolType: "consumer", state: "Stable", membersCount: 2 };
        return { error: undefined, groups: [{ ...group, state: "Stable" }] };
      },
    });
    await using door = await openDoor(broker);
    const types = { request: v1.ListGroupsRequest, response: v1.ListGroupsResponse };
    const listed = await call(door, "ListGroups", types, { states: ["stable"] });
    expect(asked).toEqual([{ states: ["Stable"] }]);
    expect(listed.groups).toMatchObject([{ groupId: "g", state: "Stable", members: 2 }]);
    await expect(call(door, "ListGroups", types, { states: ["Sleeping"] })).rejects.toThrow(
      /states is "Sleeping"; allowed are Empty/,
    );
  });

  test("finds, describes and deletes, each group with its own error", async () => {
    const none = { code: "GROUP_ID_NOT_FOUND", message: "there is no group x" } as const;
    const moved = { code: "NOT_COORDINATOR", message: "not here" } as const;
    const broker = fakeBroker({
      findCoordinator: async () => ({
        error: undefined,
        coordinator: { brokerId: 1, leaderEpoch: 4 },
      }),
      describeGroups: async () => [REFUSED.describe(none, "x"), REFUSED.describe(moved, "y")],
      deleteGroups: async () => [
        { groupId: "x", error: none },
        { groupId: "y", error: undefined },
      ],
      deleteOffsets: async ({ partitions }) => ({
        error: undefined,
        partitions: partitions.map((one) => ({ ...one, error: undefined })),
      }),
    });
    await using door = await openDoor(broker);
    const groupIds = ["x", "y"];
    const found = await call(
      door,
      "FindCoordinator",
      { request: v1.FindCoordinatorRequest, response: v1.FindCoordinatorResponse },
      { groupIds },
    );
    expect(found.coordinators?.map(({ coordinator }) => coordinator?.brokerId)).toEqual([1, 1]);
    const described = await call(
      door,
      "DescribeGroups",
      { request: v1.DescribeGroupsRequest, response: v1.DescribeGroupsResponse },
      { groupIds },
    );
    expect(described.groups).toMatchObject([
      { groupId: "x", state: "Dead", error: { code: "GROUP_ID_NOT_FOUND" } },
      { groupId: "y", error: { code: "NOT_COORDINATOR" }, coordinator: { brokerId: 1 } },
    ]);
    const deleted = await call(
      door,
      "DeleteGroups",
      { request: v1.DeleteGroupsRequest, response: v1.DeleteGroupsResponse },
      { groupIds },
    );
    expect(deleted.groups?.map(({ error }) => error?.code)).toEqual([
      "GROUP_ID_NOT_FOUND",
      undefined,
    ]);
    const removed = await call(
      door,
      "DeleteOffsets",
      { request: v1.DeleteOffsetsRequest, response: v1.DeleteOffsetsResponse },
      { groupId: "y", partitions: [{ topic: "orders", partition: 1 }] },
    );
    expect(removed.partitions).toMatchObject([{ topic: "orders", partition: 1 }]);
  });
});

describe("offsets without a stream", () => {
  const COMMIT = { groupId: "g", generationId: -1, offsets: [{ topic: "orders", offset: 5 }] };
  const encoded = v1.OffsetCommitRequest.encode(COMMIT).finish();

  test("a commit comes with the result of each partition", async () => {
    const asked: OffsetCommit[] = [];
    const error = { code: "UNKNOWN_TOPIC_OR_PARTITION", message: "no such" } as const;
    const broker = fakeBroker({
      offsetCommit: async (request) => {
        asked.push(request);
        return { error: undefined, partitions: [{ topic: "orders", partition: 0, error }] };
      },
    });
    await using door = await openDoor(broker);
    const bytes = await callRaw(door.client, "/ottla.v1.Groups/OffsetCommit", encoded);
    expect(asked[0]).toMatchObject({ groupId: "g", generationId: -1, memberId: "" });
    expect(v1.OffsetCommitResponse.decode(bytes).partitions[0]).toMatchObject({
      topic: "orders",
      error: { code: "UNKNOWN_TOPIC_OR_PARTITION" },
    });
  });

  test("a refusal of the whole is the call's status, with its code and field", async () => {
    const error = { code: "UNKNOWN_MEMBER_ID", message: "Stable", field: "member.id" } as const;
    const broker = fakeBroker({
      offsetCommit: async () => REFUSED.commit(error),
      offsetFetch: async () => ({
        error: { code: "NOT_COORDINATOR", message: "b" },
        partitions: [],
      }),
    });
    await using door = await openDoor(broker);
    const commit = callRaw(door.client, "/ottla.v1.Groups/OffsetCommit", encoded);
    const refused = (await commit.catch((thrown: unknown) => thrown)) as ServiceError;
    expect(refused.metadata.get("ottla-error-code")).toEqual(["UNKNOWN_MEMBER_ID"]);
    expect(refused.metadata.get("ottla-error-field")).toEqual(["member.id"]);
    const fetch = callRaw(door.client, "/ottla.v1.Groups/OffsetFetch", Buffer.alloc(0));
    const moved = (await fetch.catch((thrown: unknown) => thrown)) as ServiceError;
    expect(moved.metadata.get("ottla-error-code")).toEqual(["NOT_COORDINATOR"]);
  });
});
