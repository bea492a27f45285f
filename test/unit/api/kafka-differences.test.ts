/** Where the door once answered otherwise than Kafka does (found by `npm run differential`). */
import { describe, expect, it, test } from "vitest";
import { configHandlers } from "../../../src/api/kafka/config-handlers.ts";
import { groupAdminHandlers } from "../../../src/api/kafka/group-admin-handlers.ts";
import { topicHandlers } from "../../../src/api/kafka/topic-handlers.ts";
import type { DoorApi } from "../../../src/broker/broker-api.ts";
import type { ApiName } from "../../../src/kafka-wire/api-keys.ts";
import type { RequestInputs, Responses } from "../../../src/kafka-wire/messages.ts";
import { ERRORS, type ErrorCode } from "../../../src/model/errors.ts";
import { createMemoryPorts } from "../../support/memory-ports.ts";
import { fakeBroker } from "./door-fixture.ts";
import { ask } from "./kafka-ask.ts";

const HANDLERS = { ...topicHandlers, ...configHandlers, ...groupAdminHandlers };
const number = (code: ErrorCode): number => ERRORS[code].kafka;

/** A broker that expects to be asked for nothing but what the test gives it. */
function client(broker: Partial<DoorApi> = {}) {
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

describe("CreateTopics", () => {
  const assignments = [{ partitionIndex: 0, brokerIds: [1] }];
  const topic = { name: "a", numPartitions: -1, replicationFactor: -1, assignments, configs: [] };

  test.each([
    ["a count of partitions beside an assignment", { numPartitions: 1 }, "INVALID_REQUEST"],
    ["a replication factor beside one", { replicationFactor: 1 }, "INVALID_REQUEST"],
    [
      "a broker below 0",
      { assignments: [{ partitionIndex: 0, brokerIds: [-1] }] },
      "INVALID_REPLICA_ASSIGNMENT",
    ],
  ] as const)("refuses %s", async (_, change, code) => {
    const { topics } = await client()("CreateTopics", 7, { topics: [{ ...topic, ...change }] });
    expect(topics.map(({ errorCode }) => errorCode)).toEqual([number(code)]);
  });
});

describe("DeleteTopics", () => {
  test.each([1, 6])("deletes nothing that is named twice, version %i", async (version) => {
    const deleted: unknown[] = [];
    const call = client({
      controller: async (_, request) => {
        deleted.push(request);
        return { topics: [{ name: "b", topicId: "", error: null }] } as never;
      },
    });
    const names = ["a", "b", "a"];
    const topics = names.map((name) => ({ name, topicId: "A".repeat(22) }));
    const body = { topics, topicNames: names, timeoutMs: 1_000 };
    const { responses } = await call("DeleteTopics", version, body);
    expect(deleted).toEqual([{ topics: [{ name: "b" }] }]);
    expect(responses.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ["b", 0],
      ["a", number("INVALID_REQUEST")],
    ]);
  });
});

describe("CreatePartitions", () => {
  it("refuses an assignment that is empty", async () => {
    const topics = [{ name: "a", count: 3, assignments: [] }];
    const body = { topics, timeoutMs: 1_000, validateOnly: false };
    const { results } = await client()("CreatePartitions", 3, body);
    expect(results[0]?.errorCode).toBe(number("INVALID_REPLICA_ASSIGNMENT"));
  });
});

describe("DeleteRecords", () => {
  it("leaves what groups have committed alone", async () => {
    const call = client({
      deleteRecords: async (items) => {
        expect(items).toEqual([]);
        return [];
      },
    });
    const partitions = [{ partitionIndex: 0, offset: 3 }];
    const topics = [{ name: "__consumer_offsets", partitions }];
    const answer = await call("DeleteRecords", 2, { topics, timeoutMs: 1_000 });
    expect(answer.topics[0]?.partitions).toEqual([
      { partitionIndex: 0, lowWatermark: -1, errorCode: number("INVALID_TOPIC_EXCEPTION") },
    ]);
  });
});

describe("ElectLeaders", () => {
  it("refuses a type that nobody knows", async () => {
    const body = { electionType: 9, topicPartitions: null, timeoutMs: 1_000 };
    const answer = await client()("ElectLeaders", 2, body);
    expect(answer.errorCode).toBe(number("INVALID_REQUEST"));
  });
});

describe("DescribeConfigs", () => {
  const entry = (key: string) => ({
    key,
    value: "1",
    isSet: true,
    source: "DEFAULT_CONFIG" as const,
    fallbacks: [],
    readOnly: false,
    type: "long" as const,
    documentation: "",
    hasEffect: true,
  });

  it("tells all of them where no keys are named, except what is internal", async () => {
    const call = client({
      describeConfigs: () => [
        {
          resource: "topic",
          name: "a",
          error: undefined,
          entries: [entry("segment.ms"), entry("internal.segment.bytes")],
        },
      ],
    });
    const resources = [{ resourceType: 2, resourceName: "a", configurationKeys: [] }];
    const { results } = await call("DescribeConfigs", 4, { resources });
    expect(results[0]).toMatchObject({ errorCode: 0, errorMessage: "" });
    expect(results[0]?.configs.map(({ name }) => name)).toEqual(["segment.ms"]);
  });

  test.each(["", "a b"])("says that no topic is called %j", async (resourceName) => {
    const error = { code: "UNKNOWN_TOPIC_OR_PARTITION", message: "none" } as const;
    const call = client({
      describeConfigs: () => [{ resource: "topic", name: resourceName, error, entries: [] }],
    });
    const resources = [{ resourceType: 2, resourceName, configurationKeys: null }];
    const { results } = await call("DescribeConfigs", 4, { resources });
    expect(results[0]?.errorCode).toBe(number("INVALID_TOPIC_EXCEPTION"));
  });
});

describe("IncrementalAlterConfigs", () => {
  test.each([
    ["", "INVALID_REQUEST"],
    ["a b", "INVALID_TOPIC_EXCEPTION"],
  ] as const)("refuses the topic %j", async (resourceName, code) => {
    const configs = [{ name: "retention.ms", configOperation: 0, value: "1" }];
    const resources = [{ resourceType: 2, resourceName, configs }];
    const body = { resources, validateOnly: false };
    const { responses } = await client()("IncrementalAlterConfigs", 1, body);
    expect(responses[0]?.errorCode).toBe(number(code));
  });
});

describe("DeleteGroups", () => {
  it("answers once for what is named twice", async () => {
    const call = client({
      deleteGroups: async (names) => names.map((groupId) => ({ groupId, error: undefined })),
    });
    const { results } = await call("DeleteGroups", 2, { groupsNames: ["g", "g"] });
    expect(results).toEqual([{ groupId: "g", errorCode: 0 }]);
  });
});
