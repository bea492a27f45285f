import { describe, expect, test } from "vitest";
import type { DoorApi } from "../../../src/broker/broker-api.ts";
import { GrpcTransport } from "../../../src/client/grpc-transport.ts";
import { ottla } from "../../../src/gen/ottla.js";
import { OttlaError } from "../../../src/model/errors.ts";
import { LIMITS } from "../../../src/model/limits.ts";
import { callRaw, type Door, fakeBroker, IMAGE, openDoor } from "./door-fixture.ts";

const v1 = ottla.v1;

interface Codec<Request, Response> {
  encode(message: Request): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Response;
}

/** Sends what the generated code writes, and reads the answer as a plain object. */
async function call<Request, Answer>(
  door: Door,
  name: string,
  request: Pick<Codec<Request, unknown>, "encode">,
  response: Pick<Codec<unknown, Answer>, "decode">,
  message: Request,
): Promise<unknown> {
  const bytes = await callRaw(
    door.client,
    `/ottla.v1.Admin/${name}`,
    request.encode(message).finish(),
  );
  return JSON.parse(JSON.stringify(response.decode(bytes)));
}

/** A controller that records what it is asked and answers the same always. */
function controllerBroker(reply: unknown): { asked: unknown[]; broker: DoorApi } {
  const asked: unknown[] = [];
  const broker = fakeBroker({
    controller: async (name, request, timeoutMs) => {
      expect(timeoutMs).toBeGreaterThan(0);
      expect(timeoutMs).toBeLessThanOrEqual(5_000);
      asked.push([name, request]);
      return reply as never;
    },
  });
  return { asked, broker };
}

describe("metadata", () => {
  test("tells live brokers by their GRPC listener, and all topics, or those named, or none", async () => {
    const names: unknown[] = [];
    const broker = fakeBroker({
      topics: async (asked, allowAutoCreate) => {
        names.push([asked, allowAutoCreate]);
        return [
          ...IMAGE.topics.values(),
          { name: "none", code: "UNKNOWN_TOPIC_OR_PARTITION", message: "topic none is not known" },
        ];
      },
    });
    await using door = await openDoor(broker);
    const ask = (message: ottla.v1.MetadataRequest.$Properties) =>
      call(door, "Metadata", v1.MetadataRequest, v1.MetadataResponse, message);
    const orders = {
      name: "orders",
      id: "topic-id",
      partitions: [
        { leader: 1, leaderEpoch: 4, replicas: [2, 1], isr: [1], elr: [2], offlineReplicas: [2] },
      ],
    };
    const head = {
      clusterId: "cluster",
      controllerId: 1,
      brokers: [{ id: 1, host: "host-1", port: 9191, rack: "a" }],
    };
    expect(await ask({})).toMatchObject({ ...head, topics: [orders] });
    expect(await ask({ noTopics: true })).toMatchObject({ ...head, topics: [] });
    expect(await ask({ topics: ["orders", "none"], allowAutoTopicCreation: true })).toMatchObject({
      ...head,
      topics: [
        orders,
        { name: "none", error: { code: "UNKNOWN_TOPIC_OR_PARTITION", retriable: true } },
      ],
    });
    expect(names).toEqual([[["orders", "none"], true]]);
  });

  test("a cluster without a quorum is described by its brokers", async () => {
    let quorum: DoorApi["describeQuorum"] = async () => {
      throw new OttlaError("NO_QUORUM", "nobody leads");
    };
    await using door = await openDoor(fakeBroker({ describeQuorum: () => quorum() }));
    const ask = () =>
      call(door, "DescribeCluster", v1.DescribeClusterRequest, v1.DescribeClusterResponse, {});
    expect(await ask()).toMatchObject({
      clusterId: "cluster",
      metadataVersion: 1,
      brokers: [
        { id: 1, brokerEpoch: 11 },
        { id: 2, fenced: true, endpoints: [{ name: "INTERNAL" }, { name: "GRPC", port: 9192 }] },
      ],
    });
    quorum = async () => ({
      leaderId: 1,
      term: 3,
      commitIndex: 2 ** 33,
      voters: [{ id: 1, directoryId: "d", matchIndex: 2 ** 33, lastContactMs: 0.4 }],
      observers: [],
    });
    expect(await ask()).toMatchObject({
      quorum: { leaderId: 1, commitIndex: 2 ** 33, voters: [{ id: 1, matchIndex: 2 ** 33 }] },
    });
  });
});

describe("requests to the controller", () => {
  test("create topics", async () => {
    const { asked, broker } = controllerBroker({
      topics: [
        { name: "a", error: null, topicId: "id-a", partitionsCount: 2, replicationFactor: 1 },
        {
          name: "b",
          error: { code: "TOPIC_ALREADY_EXISTS", message: "it exists", field: "name" },
          topicId: "",
          partitionsCount: -1,
          replicationFactor: -1,
        },
      ],
    });
    await using door = await openDoor(broker);
    const reply = await call(
      door,
      "CreateTopics",
      v1.CreateTopicsRequest,
      v1.CreateTopicsResponse,
      {
        topics: [
          { name: "a", partitions: -1, replicationFactor: -1, configs: { "retention.ms": "5" } },
          { name: "b", partitions: 1, replicationFactor: 2, assignment: [{ replicas: [2, 1] }] },
        ],
        validateOnly: true,
      },
    );
    expect(asked).toEqual([
      [
        "create-topics",
        {
          topics: [
            {
              name: "a",
              partitionsCount: -1,
              replicationFactor: -1,
              assignment: [],
              configs: { "retention.ms": "5" },
            },
            {
              name: "b",
              partitionsCount: 1,
              replicationFactor: 2,
              assignment: [[2, 1]],
              configs: {},
            },
          ],
          validateOnly: true,
        },
      ],
    ]);
    expect(reply).toMatchObject({
      topics: [
        { name: "a", id: "id-a", partitions: 2, replicationFactor: 1 },
        { name: "b", error: { code: "TOPIC_ALREADY_EXISTS", field: "name" } },
      ],
    });
  });

  test("delete topics, create partitions, elect leaders", async () => {
    const { asked, broker } = controllerBroker({
      topics: [{ name: "a", topicId: "id-a", error: null }],
      partitions: [{ topic: "a", partition: 1, leader: 2, error: null }],
    });
    await using door = await openDoor(broker);
    await call(door, "DeleteTopics", v1.DeleteTopicsRequest, v1.DeleteTopicsResponse, {
      topics: ["a"],
    });
    await call(door, "CreatePartitions", v1.CreatePartitionsRequest, v1.CreatePartitionsResponse, {
      topic: "a",
      partitions: 4,
    });
    const elected = await call(
      door,
      "ElectLeaders",
      v1.ElectLeadersRequest,
      v1.ElectLeadersResponse,
      { type: 1, partitions: [{ topic: "a", partition: 1 }] },
    );
    await call(door, "ElectLeaders", v1.ElectLeadersRequest, v1.ElectLeadersResponse, {});
    expect(asked).toEqual([
      ["delete-topics", { topics: [{ name: "a" }] }],
      [
        "create-partitions",
        { topic: "a", partitionsCount: 4, assignment: [], validateOnly: false },
      ],
      ["elect-leaders", { type: "unclean", partitions: [{ topic: "a", partition: 1 }] }],
      ["elect-leaders", { type: "preferred", partitions: null }],
    ]);
    expect(elected).toMatchObject({ partitions: [{ topic: "a", partition: 1, leader: 2 }] });
  });

  test("alter configs", async () => {
    const { asked, broker } = controllerBroker({
      resources: [{ resource: "broker", name: "", error: null }],
    });
    await using door = await openDoor(broker);
    const reply = await call(
      door,
      "IncrementalAlterConfigs",
      v1.IncrementalAlterConfigsRequest,
      v1.IncrementalAlterConfigsResponse,
      {
        resources: [
          {
            resource: { type: 4, name: "" },
            operations: [
              { key: "a", operation: 0, value: "1" },
              { key: "b", operation: 1 },
              { key: "c", operation: 2, value: "x" },
              { key: "c", operation: 3, value: "y" },
            ],
          },
        ],
      },
    );
    expect(asked).toEqual([
      [
        "alter-configs",
        {
          resources: [
            {
              resource: "broker",
              name: "",
              operations: [
                { key: "a", operation: "set", value: "1" },
                { key: "b", operation: "delete", value: null },
                { key: "c", operation: "append", value: "x" },
                { key: "c", operation: "subtract", value: "y" },
              ],
            },
          ],
          validateOnly: false,
        },
      ],
    ]);
    expect(reply).toMatchObject({ resources: [{ resource: { type: 4 } }] });
  });
});

describe("requests to the broker itself", () => {
  test("offsets, records, configs, producer ids", async () => {
    const asked: unknown[] = [];
    const hint = { brokerId: 2, leaderEpoch: 1 };
    const broker = fakeBroker({
      listOffsets: async (items) => {
        asked.push(items);
        return items.map((item) => ({
          ...item,
          error: undefined,
          offset: 2 ** 41,
          leaderEpoch: 3,
          leader: undefined,
        }));
      },
      deleteRecords: async (items, timeoutMs) => {
        asked.push([items, timeoutMs]);
        return items.map(({ topic, partition }) => ({
          topic,
          partition,
          error: { code: "NOT_LEADER_OR_FOLLOWER" as const, message: "moved" },
          lowWatermark: -1,
          leader: hint,
        }));
      },
      describeConfigs: (resources) =>
        resources.map((resource) => ({
          ...resource,
          error: undefined,
          entries: [
            {
              key: "retention.ms",
              value: "5",
              isSet: true,
              source: "DEFAULT_CONFIG" as const,
              fallbacks: [],
              readOnly: false,
              type: "long",
              documentation: "How long.",
              hasEffect: true,
            },
          ],
        })),
      initProducerId: async () => ({ producerId: 2 ** 35, producerEpoch: 0 }),
    });
    await using door = await openDoor(broker);
    expect(
      await call(door, "ListOffsets", v1.ListOffsetsRequest, v1.ListOffsetsResponse, {
        partitions: [{ topic: "orders", partition: 1, timestamp: -3 }],
      }),
    ).toMatchObject({ partitions: [{ offset: 2 ** 41, timestamp: -3, leaderEpoch: 3 }] });
    expect(
      await call(door, "DeleteRecords", v1.DeleteRecordsRequest, v1.DeleteRecordsResponse, {
        partitions: [{ topic: "orders", partition: 1, beforeOffset: -1 }],
        timeoutMs: 70,
      }),
    ).toMatchObject({
      partitions: [{ error: { code: "NOT_LEADER_OR_FOLLOWER" }, leader: { host: "host-2" } }],
    });
    expect(asked).toEqual([
      [{ topic: "orders", partition: 1, timestamp: -3 }],
      [[{ topic: "orders", partition: 1, beforeOffset: -1 }], 70],
    ]);
    expect(
      await call(door, "DescribeConfigs", v1.DescribeConfigsRequest, v1.DescribeConfigsResponse, {
        resources: [{ type: 2, name: "orders" }],
      }),
    ).toMatchObject({
      resources: [{ resource: { type: 2, name: "orders" }, entries: [{ key: "retention.ms" }] }],
    });
    expect(
      await call(door, "InitProducerId", v1.InitProducerIdRequest, v1.InitProducerIdResponse, {}),
    ).toEqual({ producerId: 2 ** 35 });
  });
});

describe("errors of a whole request", () => {
  test("reach the client with code, field and message", async () => {
    const broker = fakeBroker({
      controller: async () => {
        throw new OttlaError("INVALID_PARTITIONS", "partitions is 2; orders has 6 – more than 2", {
          field: "partitions",
        });
      },
    });
    await using door = await openDoor(broker);
    const raw = callRaw(
      door.client,
      "/ottla.v1.Admin/CreatePartitions",
      v1.CreatePartitionsRequest.encode({ topic: "orders", partitions: 2 }).finish(),
    );
    await expect(raw).rejects.toMatchObject({
      code: 3,
      details: "partitions is 2; orders has 6 – more than 2",
    });
    // The client library makes the very same error of it.
    const transport = new GrpcTransport(door.ports.clock);
    const connection = transport.connect({ host: "127.0.0.1", port: door.port });
    const called = connection.call(
      "CreatePartitions",
      { topic: "orders", partitions: 2, assignment: [], validateOnly: false },
      { timeoutMs: 5_000 },
    );
    await expect(called).rejects.toMatchObject({
      name: "OttlaError",
      code: "INVALID_PARTITIONS",
      field: "partitions",
      message: "partitions is 2; orders has 6 – more than 2",
    });
    connection.close();
  });

  test("of a defect tell nothing of the broker's insides, and are logged", async () => {
    const broker = fakeBroker({
      initProducerId: async () => {
        throw new TypeError("secret of the inside");
      },
    });
    await using door = await openDoor(broker);
    const called = callRaw(door.client, "/ottla.v1.Admin/InitProducerId", new Uint8Array(0));
    await expect(called).rejects.toMatchObject({ code: 13 });
    await expect(called).rejects.not.toThrow(/secret/);
    expect(door.logs.some((line) => line.includes("secret of the inside"))).toBe(true);
  });

  test.each([
    ["Metadata", v1.MetadataRequest.encode({ topics: [""] }), "INVALID_REQUEST", "topics"],
    [
      "Metadata",
      v1.MetadataRequest.encode({ topics: Array(LIMITS.topicsPerRequestCount + 1).fill("x") }),
      "LIMIT_EXCEEDED",
      "topics",
    ],
    [
      "DescribeConfigs",
      v1.DescribeConfigsRequest.encode({ resources: [{ type: 0, name: "x" }] }),
      "INVALID_REQUEST",
      "resource.type",
    ],
    [
      "DescribeConfigs",
      v1.DescribeConfigsRequest.encode({ resources: [{ type: 4, name: "one" }] }),
      "INVALID_REQUEST",
      "resource.name",
    ],
    [
      "ListOffsets",
      v1.ListOffsetsRequest.encode({ partitions: [{ topic: "a", timestamp: -4 }] }),
      "INVALID_REQUEST",
      "partitions.timestamp",
    ],
    [
      "DeleteRecords",
      v1.DeleteRecordsRequest.encode({ partitions: [{ topic: "a", beforeOffset: -2 }] }),
      "INVALID_REQUEST",
      "partitions.before_offset",
    ],
    [
      "IncrementalAlterConfigs",
      v1.IncrementalAlterConfigsRequest.encode({
        resources: [
          {
            resource: { type: 2, name: "a" },
            operations: [{ key: "k", value: "x".repeat(LIMITS.configValueCharacters + 1) }],
          },
        ],
      }),
      "INVALID_REQUEST",
      "operations.value",
    ],
  ] as const)("%s is refused by its input", async (name, writer, code, field) => {
    await using door = await openDoor(fakeBroker());
    const called = callRaw(door.client, `/ottla.v1.Admin/${name}`, writer.finish());
    const error = await called.then(
      () => undefined,
      (thrown: { readonly metadata: { get(key: string): unknown[] } }) => thrown,
    );
    expect(error?.metadata.get("ottla-error-code")).toEqual([code]);
    expect(error?.metadata.get("ottla-error-field")).toEqual([field]);
  });
});
