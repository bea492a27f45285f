/** Administration through Kafka's door: what is asked of the broker, and in what form it is answered. */
import { describe, expect, test } from "vitest";
import { clusterAdminHandlers } from "../../../src/api/kafka/cluster-admin-handlers.ts";
import { configHandlers } from "../../../src/api/kafka/config-handlers.ts";
import { reassignmentHandlers } from "../../../src/api/kafka/reassignment-handlers.ts";
import { topicHandlers } from "../../../src/api/kafka/topic-handlers.ts";
import type { DescribedConfigEntry, DoorApi } from "../../../src/broker/broker-api.ts";
import { APIS, type ApiName } from "../../../src/kafka-wire/api-keys.ts";
import type { RequestInputs, Responses } from "../../../src/kafka-wire/messages.ts";
import { ZERO_UUID } from "../../../src/kafka-wire/reader.ts";
import { ERRORS, type ErrorCode, OttlaError } from "../../../src/model/errors.ts";
import { createMemoryPorts } from "../../support/memory-ports.ts";
import { fakeBroker, IMAGE } from "./door-fixture.ts";
import { ask } from "./kafka-ask.ts";

const HANDLERS = {
  ...topicHandlers,
  ...configHandlers,
  ...clusterAdminHandlers,
  ...reassignmentHandlers,
};
const ID = "AAECAwQFBgcICQoLDA0ODw";
const number = (code: ErrorCode): number => ERRORS[code].kafka;
const refusal = (code: ErrorCode) => ({ code, message: `refused: ${code}` });

function client(broker: Partial<DoorApi>) {
  const { ports } = createMemoryPorts();
  const context = {
    broker: fakeBroker(broker),
    ports,
    clientId: "admin",
    clientHost: "10.0.0.7",
    listenerName: "GRPC",
  };
  return <Name extends ApiName>(
    api: Name,
    version: number,
    body: RequestInputs[Name],
  ): Promise<Responses[Name]> => ask(HANDLERS, context, api, version, body);
}

/** A controller that notes what it is asked, and answers as it is told. */
function controller(answer: (name: string, request: unknown) => unknown) {
  const asked: (readonly [string, unknown, number])[] = [];
  const call: DoorApi["controller"] = async (name, request, timeoutMs) => {
    asked.push([name, request, timeoutMs]);
    return (await answer(name, request)) as never;
  };
  return { asked, controller: call };
}

function versions(api: ApiName): number[] {
  const { lowest, highest } = APIS[api];
  return Array.from({ length: highest - lowest + 1 }, (_, index) => lowest + index);
}

const ENTRY: DescribedConfigEntry = {
  key: "retention.ms",
  value: "5",
  isSet: true,
  source: "DYNAMIC_TOPIC_CONFIG",
  fallbacks: [
    { key: "retention.ms", value: "5", source: "DYNAMIC_TOPIC_CONFIG" },
    { key: "log.retention.ms", value: "9", source: "STATIC_BROKER_CONFIG" },
  ],
  readOnly: false,
  type: "long",
  documentation: "How long.",
  hasEffect: true,
};

describe("CreateTopics", () => {
  const asked = {
    assignments: [],
    configs: [],
    numPartitions: -1,
    replicationFactor: -1,
  };

  test.each(versions("CreateTopics"))(
    "creates and tells what was made, version %i",
    async (version) => {
      const desk = controller(() => ({
        topics: [
          { name: "a", error: null, topicId: ID, partitionsCount: 6, replicationFactor: 3 },
          { name: "b", error: refusal("TOPIC_ALREADY_EXISTS") },
        ],
      }));
      const call = client({
        controller: desk.controller,
        describeConfigs: ([one]) => {
          expect(one).toEqual({
            resource: "topic",
            name: "a",
            overrides: new Map([["retention.ms", "5"]]),
          });
          return [{ resource: "topic", name: "a", error: undefined, entries: [ENTRY] }];
        },
      });
      const { topics } = await call("CreateTopics", version, {
        topics: [
          { ...asked, name: "a", configs: [{ name: "retention.ms", value: "5" }] },
          {
            ...asked,
            name: "b",
            assignments: [
              { partitionIndex: 1, brokerIds: [2] },
              { partitionIndex: 0, brokerIds: [1] },
            ],
          },
        ],
        timeoutMs: 5_000,
        validateOnly: true,
      });
      const wanted = {
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
            partitionsCount: -1,
            replicationFactor: -1,
            assignment: [[1], [2]],
            configs: {},
          },
        ],
        validateOnly: true,
      };
      expect(desk.asked).toEqual([["create-topics", wanted, 5_000]]);
      const rich = version >= 5;
      expect(topics).toMatchObject([
        {
          name: "a",
          errorCode: 0,
          errorMessage: null,
          topicId: version >= 7 ? ID : ZERO_UUID,
          numPartitions: rich ? 6 : -1,
          replicationFactor: rich ? 3 : -1,
          configs: rich ? [{ name: "retention.ms", value: "5", configSource: 1 }] : [],
        },
        {
          name: "b",
          errorCode: number("TOPIC_ALREADY_EXISTS"),
          errorMessage: "refused: TOPIC_ALREADY_EXISTS",
        },
      ]);
    },
  );

  test("refuses by itself what makes no sense, and asks for the rest", async () => {
    const desk = controller(() => ({
      topics: [
        { name: "good", error: null, topicId: ID, partitionsCount: 1, replicationFactor: 1 },
      ],
    }));
    const call = client({
      controller: desk.controller,
      describeConfigs: () => [{ resource: "topic", name: "good", error: undefined, entries: [] }],
    });
    const { topics } = await call("CreateTopics", 7, {
      topics: [
        { ...asked, name: "twice" },
        { ...asked, name: "hole", assignments: [{ partitionIndex: 1, brokerIds: [1] }] },
        { ...asked, name: "good" },
        { ...asked, name: "null", configs: [{ name: "retention.ms", value: null }] },
        { ...asked, name: "twice" },
      ],
    });
    expect(topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ["twice", number("INVALID_REQUEST")],
      ["hole", number("INVALID_REPLICA_ASSIGNMENT")],
      ["good", 0],
      ["null", number("INVALID_CONFIG")],
    ]);
    expect(desk.asked).toHaveLength(1);
  });

  test("tells every topic if the controller does not answer", async () => {
    const call = client(
      controller(() => {
        throw new OttlaError("REQUEST_TIMED_OUT", "nobody decided");
      }),
    );
    const { topics } = await call("CreateTopics", 4, {
      topics: [
        { ...asked, name: "a" },
        { ...asked, name: "b" },
      ],
    });
    expect(topics.map(({ errorCode }) => errorCode)).toEqual([7, 7]);
  });
});

describe("DeleteTopics", () => {
  test.each(versions("DeleteTopics"))("by name in version %i", async (version) => {
    const desk = controller(() => ({
      topics: [
        { name: "a", topicId: ID, error: null },
        { name: "b", topicId: "", error: refusal("UNKNOWN_TOPIC_OR_PARTITION") },
      ],
    }));
    const { responses } = await client(desk)("DeleteTopics", version, {
      topicNames: ["a", "b"],
      topics: ["a", "b"].map((name) => ({ name, topicId: ZERO_UUID })),
      timeoutMs: 1_000,
    });
    expect(desk.asked).toEqual([
      ["delete-topics", { topics: [{ name: "a" }, { name: "b" }] }, 1_000],
    ]);
    expect(responses).toMatchObject([
      { name: "a", errorCode: 0, topicId: version >= 6 ? ID : ZERO_UUID },
      { name: "b", errorCode: 3, topicId: ZERO_UUID },
    ]);
    if (version >= 5) expect(responses[1]?.errorMessage).toContain("refused");
  });

  test("by id, which may be nobody's", async () => {
    const desk = controller(() => ({
      topics: [
        { name: "a", topicId: ID, error: null },
        { name: "", topicId: ID, error: refusal("UNKNOWN_TOPIC_ID") },
      ],
    }));
    const { responses } = await client(desk)("DeleteTopics", 6, {
      topics: [{ topicId: ID }, { topicId: ID }],
      topicNames: [],
      timeoutMs: 1_000,
    });
    expect(desk.asked[0]?.[1]).toEqual({ topics: [{ topicId: ID }, { topicId: ID }] });
    expect(responses).toMatchObject([
      { name: "a", topicId: ID, errorCode: 0 },
      { name: null, topicId: ID, errorCode: 100 },
    ]);
  });

  test("is refused in words that old clients know", async () => {
    const call = client(
      controller(() => {
        throw new OttlaError("TOPIC_DELETION_DISABLED", "off");
      }),
    );
    const body = { topicNames: ["a"], topics: [], timeoutMs: 1 };
    expect((await call("DeleteTopics", 2, body)).responses[0]?.errorCode).toBe(42);
    expect((await call("DeleteTopics", 3, body)).responses[0]?.errorCode).toBe(73);
  });
});

describe("partitions", () => {
  test.each(versions("CreatePartitions"))("are added by version %i", async (version) => {
    const desk = controller((_, request) => {
      if ((request as { topic: string }).topic === "b") {
        throw new OttlaError("INVALID_PARTITIONS", "fewer");
      }
      return {};
    });
    const { results } = await client(desk)("CreatePartitions", version, {
      topics: [
        { name: "a", count: 4, assignments: [{ brokerIds: [2, 1] }] },
        { name: "b", count: 1, assignments: null },
      ],
      timeoutMs: 2_000,
      validateOnly: false,
    });
    expect(desk.asked[0]).toEqual([
      "create-partitions",
      { topic: "a", partitionsCount: 4, assignment: [[2, 1]], validateOnly: false },
      2_000,
    ]);
    expect(results).toEqual([
      { name: "a", errorCode: 0, errorMessage: null },
      { name: "b", errorCode: 37, errorMessage: "fewer" },
    ]);
  });

  test.each(versions("DeleteRecords"))("lose their records by version %i", async (version) => {
    const call = client({
      deleteRecords: async (items, timeoutMs) => {
        expect(timeoutMs).toBe(300_000);
        return items.map(({ topic, partition, beforeOffset }) => ({
          topic,
          partition,
          error: partition === 1 ? refusal("OFFSET_OUT_OF_RANGE") : undefined,
          lowWatermark: partition === 1 ? -1 : beforeOffset,
          leader: undefined,
        }));
      },
    });
    const { topics } = await call("DeleteRecords", version, {
      topics: [
        { name: "a", partitions: [{ partitionIndex: 0, offset: 7 }] },
        { name: "b", partitions: [{ partitionIndex: 1, offset: 2 ** 40 }] },
      ],
      timeoutMs: 0x7fff_ffff,
    });
    expect(topics).toEqual([
      { name: "a", partitions: [{ partitionIndex: 0, lowWatermark: 7, errorCode: 0 }] },
      { name: "b", partitions: [{ partitionIndex: 1, lowWatermark: -1, errorCode: 1 }] },
    ]);
  });

  test.each(versions("ElectLeaders"))("elect leaders by version %i", async (version) => {
    const desk = controller(() => ({
      partitions: [
        { topic: "a", partition: 0, leader: 1, error: null },
        { topic: "a", partition: 1, leader: 2, error: refusal("ELECTION_NOT_NEEDED") },
      ],
    }));
    const answer = await client(desk)("ElectLeaders", version, {
      electionType: 1,
      topicPartitions: [{ topic: "a", partitions: [0, 1] }],
      timeoutMs: 3_000,
    });
    expect(desk.asked[0]).toEqual([
      "elect-leaders",
      {
        type: version === 0 ? "preferred" : "unclean",
        partitions: [
          { topic: "a", partition: 0 },
          { topic: "a", partition: 1 },
        ],
      },
      3_000,
    ]);
    expect(answer.replicaElectionResults).toMatchObject([
      {
        topic: "a",
        partitionResult: [
          { partitionId: 0, errorCode: 0 },
          { partitionId: 1, errorCode: 84 },
        ],
      },
    ]);
  });
});

describe("reassignments", () => {
  test.each(versions("AlterPartitionReassignments"))("begin by version %i", async (version) => {
    const desk = controller(() => ({
      partitions: [
        { topic: "a", partition: 0, error: null },
        { topic: "a", partition: 1, error: refusal("NO_REASSIGNMENT_IN_PROGRESS") },
      ],
    }));
    const answer = await client(desk)("AlterPartitionReassignments", version, {
      timeoutMs: 4_000,
      allowReplicationFactorChange: false,
      topics: [
        {
          name: "a",
          partitions: [
            { partitionIndex: 0, replicas: [3, 1] },
            { partitionIndex: 1, replicas: null },
          ],
        },
      ],
    });
    expect(desk.asked).toEqual([
      [
        "reassign-partitions",
        {
          partitions: [
            { topic: "a", partition: 0, replicas: [3, 1] },
            { topic: "a", partition: 1, replicas: null },
          ],
          // Version 0 knew no other way.
          allowReplicationFactorChange: version === 0,
        },
        4_000,
      ],
    ]);
    expect(answer).toMatchObject({
      errorCode: 0,
      responses: [
        {
          name: "a",
          partitions: [
            { partitionIndex: 0, errorCode: 0 },
            { partitionIndex: 1, errorCode: 85 },
          ],
        },
      ],
    });
  });

  test("under way are listed, and no other partitions", async () => {
    const orders = IMAGE.topics.get("topic-id");
    const [still] = orders?.partitions ?? [];
    if (orders === undefined || still === undefined) throw new Error("the image has changed");
    const moving = { ...still, replicas: [3, 4, 2, 1], adding: [3, 4], removing: [4, 2, 1] };
    const topic = { ...orders, partitions: [still, moving] };
    const image = { ...IMAGE, topics: new Map([["topic-id", topic]]) };
    const call = client({ image: () => image });
    const list = async (
      topics: RequestInputs["ListPartitionReassignments"]["topics"],
    ): Promise<unknown> => (await call("ListPartitionReassignments", 0, { topics })).topics;
    const found = [
      {
        name: "orders",
        partitions: [
          {
            partitionIndex: 1,
            replicas: [3, 4, 2, 1],
            // Of an earlier reassignment, which this one does not want.
            addingReplicas: [3],
            removingReplicas: [4, 2, 1],
          },
        ],
      },
    ];
    expect(await list(null)).toEqual(found);
    expect(await list([{ name: "orders", partitionIndexes: [0, 1] }])).toEqual(found);
    expect(await list([{ name: "orders", partitionIndexes: [0] }])).toEqual([]);
    expect(await list([{ name: "others", partitionIndexes: [1] }])).toEqual([]);
  });
});

describe("configurations", () => {
  const resource = (resourceType: number, resourceName: string) => ({ resourceType, resourceName });

  test.each(versions("DescribeConfigs"))("are described by version %i", async (version) => {
    const call = client({
      describeConfigs: ([one]) => {
        const { resource: kind = "topic", name = "" } = one ?? {};
        const entries: DescribedConfigEntry[] = [
          ENTRY,
          {
            ...ENTRY,
            key: "unset",
            value: "",
            isSet: false,
            source: "DEFAULT_CONFIG",
            fallbacks: [],
          },
          { ...ENTRY, key: "secret", value: "", type: "password", fallbacks: [] },
        ];
        if (name === "gone") {
          const error = refusal("UNKNOWN_TOPIC_OR_PARTITION");
          return [{ resource: kind, name, error, entries: [] }];
        }
        return [{ resource: kind, name, error: undefined, entries }];
      },
    });
    const { results } = await call("DescribeConfigs", version, {
      resources: [
        { ...resource(2, "a"), configurationKeys: null },
        { ...resource(4, "1"), configurationKeys: ["secret"] },
        { ...resource(4, ""), configurationKeys: null },
        { ...resource(2, "gone"), configurationKeys: null },
        { ...resource(16, "metrics"), configurationKeys: null },
        { ...resource(99, "x"), configurationKeys: null },
      ],
      includeSynonyms: true,
      includeDocumentation: true,
    });
    const typed = version >= 3;
    expect(results[0]).toMatchObject({
      errorCode: 0,
      resourceType: 2,
      resourceName: "a",
      configs: [
        {
          name: "retention.ms",
          value: "5",
          configSource: 1,
          synonyms: [
            { name: "retention.ms", value: "5", source: 1 },
            { name: "log.retention.ms", value: "9", source: 4 },
          ],
          configType: typed ? 5 : 0,
          ...(typed ? { documentation: "How long." } : {}),
        },
        { name: "unset", value: null, configSource: 5 },
        { name: "secret", value: null, isSensitive: true },
      ],
    });
    expect(results[1]?.configs.map(({ name }) => name)).toEqual(["secret"]);
    expect(results[2]).toMatchObject({ errorCode: 0, configs: [] });
    expect(results.slice(3).map(({ errorCode }) => errorCode)).toEqual([3, 0, 42]);
  });

  test.each([0, 1])("change key by key, version %i", async (version) => {
    const desk = controller(() => ({
      resources: [
        { resource: "topic", name: "a", error: null },
        { resource: "broker", name: "", error: refusal("INVALID_CONFIG") },
      ],
    }));
    const { responses } = await client(desk)("IncrementalAlterConfigs", version, {
      resources: [
        {
          ...resource(2, "a"),
          configs: [
            { name: "retention.ms", configOperation: 0, value: "1" },
            { name: "cleanup.policy", configOperation: 2, value: "compact" },
            { name: "segment.ms", configOperation: 1, value: "ignored" },
          ],
        },
        { ...resource(2, "b"), configs: [{ name: "x", configOperation: 9, value: "1" }] },
        { ...resource(4, ""), configs: [] },
        { ...resource(2, "c"), configs: [{ name: "x", configOperation: 0, value: null }] },
      ],
      validateOnly: false,
    });
    expect(desk.asked).toEqual([
      [
        "alter-configs",
        {
          resources: [
            {
              resource: "topic",
              name: "a",
              operations: [
                { key: "retention.ms", operation: "set", value: "1" },
                { key: "cleanup.policy", operation: "append", value: "compact" },
                { key: "segment.ms", operation: "delete", value: null },
              ],
            },
            { resource: "broker", name: "", operations: [] },
          ],
          validateOnly: false,
        },
        30_000,
      ],
    ]);
    expect(responses.map(({ errorCode, resourceName }) => [resourceName, errorCode])).toEqual([
      ["a", 0],
      ["b", 42],
      ["", 40],
      ["c", 42],
    ]);
  });

  test("are replaced as a whole by the older request", async () => {
    const desk = controller(() => ({ resources: [{ resource: "topic", name: "a", error: null }] }));
    const twice = { ...resource(2, "b"), configs: [] };
    const { responses } = await client(desk)("AlterConfigs", 2, {
      resources: [
        { ...resource(2, "a"), configs: [{ name: "retention.ms", value: "1" }] },
        twice,
        twice,
      ],
      validateOnly: true,
    });
    const operations = [{ key: "retention.ms", operation: "set", value: "1" }];
    expect(desk.asked[0]?.[1]).toEqual({
      resources: [{ resource: "topic", name: "a", operations, replace: true }],
      validateOnly: true,
    });
    expect(responses.map(({ errorCode }) => errorCode)).toEqual([0, 42]);
  });

  test("are listed by kind of resource", async () => {
    const call = client({});
    const list = async (version: number, ...resourceTypes: readonly number[]) =>
      await call("ListConfigResources", version, { resourceTypes });
    expect((await list(0)).configResources).toEqual([]);
    expect((await list(1, 2)).configResources).toEqual([
      { resourceName: "orders", resourceType: 2 },
    ]);
    expect((await list(1, 4)).configResources.map(({ resourceName }) => resourceName)).toEqual([
      "1",
      "2",
    ]);
    expect((await list(1)).configResources).toHaveLength(5);
    expect((await list(1, 3)).errorCode).toBe(number("UNSUPPORTED_VERSION"));
  });
});

describe("the cluster", () => {
  test.each(versions("DescribeQuorum"))("describes its quorum by version %i", async (version) => {
    const member = (id: number, matchIndex: number) => ({
      id,
      directoryId: id === 1 ? ID : "short",
      matchIndex,
      lastContactMs: 5,
    });
    const call = client({
      describeQuorum: async () => ({
        leaderId: 1,
        term: 3,
        commitIndex: 40,
        voters: [member(1, 41), member(2, 39)],
        observers: [member(4, 40)],
      }),
    });
    const answer = await call("DescribeQuorum", version, {
      topics: [
        {
          topicName: "__cluster_metadata",
          partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }],
        },
      ],
    });
    const [known, unknown] = answer.topics[0]?.partitions ?? [];
    expect(known).toMatchObject({ errorCode: 0, leaderId: 1, leaderEpoch: 3, highWatermark: 41 });
    expect(
      known?.currentVoters.map(({ replicaId, logEndOffset }) => [replicaId, logEndOffset]),
    ).toEqual([
      [1, 42],
      [2, 40],
    ]);
    expect(known?.observers[0]?.replicaId).toBe(4);
    if (version >= 1) {
      const [first, second] = known?.currentVoters ?? [];
      expect(first?.lastCaughtUpTimestamp).toBe(first?.lastFetchTimestamp);
      expect(second?.lastCaughtUpTimestamp).toBe(-1);
    }
    if (version >= 2) {
      expect(known?.currentVoters.map((each) => each.replicaDirectoryId)).toEqual([ID, ZERO_UUID]);
      expect(answer.nodes).toEqual([
        { nodeId: 1, listeners: [{ name: "GRPC", host: "host-1", port: 9191 }] },
        { nodeId: 2, listeners: [{ name: "GRPC", host: "host-2", port: 9192 }] },
      ]);
    }
    expect(unknown?.errorCode).toBe(3);
  });

  test.each(versions("DescribeLogDirs"))("shows its directories by version %i", async (version) => {
    const replica = (topic: string, partition: number) => ({
      topic,
      partition,
      sizeBytes: 2 ** 33,
      offsetLag: 4,
    });
    const call = client({
      describeLogDirectories: async () => [
        {
          path: "/a",
          replicas: [replica("x", 0), replica("y", 1), replica("x", 2)],
          totalBytes: 10,
          usableBytes: 9,
        },
        { path: "/b", replicas: [], totalBytes: -1, usableBytes: -1 },
      ],
    });
    const all = await call("DescribeLogDirs", version, { topics: null });
    expect(all.results).toMatchObject([
      {
        errorCode: 0,
        logDir: "/a",
        usableBytes: version >= 4 ? 9 : -1,
        totalBytes: version >= 4 ? 10 : -1,
        topics: [
          {
            name: "x",
            partitions: [
              { partitionIndex: 0, partitionSize: 2 ** 33, offsetLag: 4, isFutureKey: false },
              { partitionIndex: 2 },
            ],
          },
          { name: "y", partitions: [{ partitionIndex: 1 }] },
        ],
      },
      { logDir: "/b", topics: [] },
    ]);
    const one = await call("DescribeLogDirs", version, {
      topics: [{ topic: "x", partitions: [2, 3] }],
    });
    expect(one.results[0]?.topics).toMatchObject([
      { name: "x", partitions: [{ partitionIndex: 2 }] },
    ]);
  });

  test("tells who produces to a partition", async () => {
    const call = client({
      describeProducers: (items) =>
        items.map(({ partition }) =>
          partition === 0
            ? {
                error: undefined,
                producers: [
                  { producerId: 7, producerEpoch: 1, lastSequence: 3, lastTimestamp: 99 },
                ],
              }
            : { error: refusal("NOT_LEADER_OR_FOLLOWER"), producers: [] },
        ),
    });
    const { topics } = await call("DescribeProducers", 0, {
      topics: [{ name: "a", partitionIndexes: [0, 1] }],
    });
    expect(topics[0]?.partitions).toMatchObject([
      {
        partitionIndex: 0,
        errorCode: 0,
        activeProducers: [
          {
            producerId: 7,
            producerEpoch: 1,
            lastSequence: 3,
            lastTimestamp: 99,
            coordinatorEpoch: -1,
            currentTxnStartOffset: -1,
          },
        ],
      },
      { partitionIndex: 1, errorCode: 6, activeProducers: [] },
    ]);
  });

  test.each(versions("UpdateFeatures"))("keeps its features, version %i", async (version) => {
    const call = client({ image: () => IMAGE });
    const none = await call("UpdateFeatures", version, { featureUpdates: [] });
    expect(none.errorCode).toBe(0);
    const answer = await call("UpdateFeatures", version, {
      featureUpdates: [{ feature: "metadata.version", maxVersionLevel: 9, allowDowngrade: false }],
    });
    // As Kafka answers where it does not know the feature: no results, also in old versions.
    expect(answer).toMatchObject({ errorCode: number("INVALID_UPDATE_VERSION"), results: [] });
  });
});
