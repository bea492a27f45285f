import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KafkaDoor } from "../../../src/api/kafka/door.ts";
import { concatBytes, readInt32 } from "../../../src/base/bytes.ts";
import type {
  DoorApi,
  FetchOne,
  FetchOneResult,
  ListOffsetOne,
  ProduceOne,
  ProduceResult,
} from "../../../src/broker/broker-api.ts";
import { APIS, type ApiName } from "../../../src/kafka-wire/api-keys.ts";
import {
  decodeResponse,
  encodeRequest,
  type RequestInputs,
  type Responses,
} from "../../../src/kafka-wire/messages.ts";
import { EMPTY_IMAGE, type MetadataImage } from "../../../src/metadata/image.ts";
import type { ByteStream, ByteStreams } from "../../../src/ports/byte-streams.ts";
import { readBatchHeader } from "../../../src/record/batch.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";
import { partition, sealedBatch } from "../runtime/cluster-image.ts";
import { fakeBroker } from "./door-fixture.ts";
import { MemoryStream } from "./memory-stream.ts";

const ID = "AAAAAAAAAAAAAAAAAAAAAQ";
const GONE_ID = "AAAAAAAAAAAAAAAAAAAAAg";

let memory: MemoryPorts;
let accept: (stream: ByteStream) => void;
let stream: MemoryStream;
let correlationId: number;

const streams: ByteStreams = {
  listen: (address, onStream) => {
    accept = onStream;
    return Promise.resolve({ address, close: () => Promise.resolve() });
  },
};

function clusterImage(): MetadataImage {
  const brokers = [1, 2, 3].map((id) => ({
    id,
    epoch: id,
    incarnationId: `life-${id}`,
    endpoints: [
      { name: "PLAINTEXT", host: `host-${id}`, port: 9091 + id },
      ...(id === 3 ? [] : [{ name: "OUTSIDE", host: `outside-${id}`, port: 19_091 + id }]),
    ],
    rack: `rack-${id}`,
    directories: ["directory"],
    features: [1, 1] as const,
    fenced: false,
    inControlledShutdown: false,
  }));
  const topic = {
    id: ID,
    name: "orders",
    partitions: [partition(), partition({ leader: 3 }), partition({ leader: -1 })],
  };
  return {
    ...EMPTY_IMAGE,
    clusterId: "cluster",
    brokers: new Map(brokers.map((broker) => [broker.id, broker])),
    topics: new Map([[topic.id, topic]]),
    topicIds: new Map([[topic.name, topic.id]]),
  };
}

const IMAGE = clusterImage();

async function open(
  broker: Partial<DoorApi> = {},
  properties: Readonly<Record<string, string>> = {},
  listener = "PLAINTEXT",
): Promise<KafkaDoor> {
  const door = new KafkaDoor({
    broker: fakeBroker({
      image: () => IMAGE,
      liveBrokers: () => [...IMAGE.brokers.values()],
      controllerId: () => 2,
      ...broker,
    }),
    ports: memory.ports,
    streams,
    config: { properties: new Map(Object.entries(properties)), fetchMaxBytes: 50_000_000 },
  });
  await door.listen({ name: listener, host: "", port: 9092 });
  stream = connect();
  return door;
}

function connect(): MemoryStream {
  const fresh = new MemoryStream();
  accept(fresh);
  return fresh;
}

beforeEach(() => {
  memory = createMemoryPorts({ auto: false });
  correlationId = 0;
});

afterEach(() => memory.dispose());

async function send<Name extends ApiName>(
  api: Name,
  version: number,
  body: RequestInputs[Name],
): Promise<void> {
  correlationId++;
  const frame = { api, version, correlationId, clientId: "test", body };
  await deliver(concatBytes(encodeRequest(frame)));
}

async function deliver(bytes: Uint8Array): Promise<void> {
  stream.onData(bytes);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

async function ask<Name extends ApiName>(
  api: Name,
  version: number,
  body: RequestInputs[Name],
): Promise<Responses[Name]> {
  await send(api, version, body);
  return answered(api, version);
}

function answered<Name extends ApiName>(api: Name, version: number): Responses[Name] {
  const bytes = concatBytes(stream.written);
  stream.written.length = 0;
  expect(readInt32(bytes, 0)).toBe(bytes.length - 4);
  const response = decodeResponse(api, version, bytes.subarray(4));
  if (!response.ok) throw new Error(response.reason);
  expect(response.value.correlationId).toBe(correlationId);
  return response.value.body;
}

/** Why the broker ended the connection. */
function reason(): unknown {
  expect(stream.ended).toBe("destroy");
  const lines = memory.logs.filter(({ message }) => message === "a client was disconnected");
  expect(lines).toHaveLength(1);
  return lines[0]?.fields["reason"];
}

const SOFTWARE = { clientSoftwareName: "test-client", clientSoftwareVersion: "1.0" };

describe("ApiVersions", () => {
  it("names what is served, Produce from 0 on", async () => {
    await open();
    const { errorCode, apiKeys, finalizedFeatures } = await ask("ApiVersions", 4, SOFTWARE);
    expect([errorCode, finalizedFeatures]).toEqual([0, []]);
    const ranges = new Map(apiKeys.map((one) => [one.apiKey, [one.minVersion, one.maxVersion]]));
    expect(ranges.get(APIS.Produce.key)).toEqual([0, 13]);
    expect(ranges.get(APIS.Fetch.key)).toEqual([4, 18]);
    expect([...ranges.keys()]).toEqual([...ranges.keys()].sort((left, right) => left - right));
    // Kafka's that nobody answers here.
    for (const key of [4, 24, 71]) expect(ranges.has(key)).toBe(false);
  });

  it("answers a version of tomorrow in the oldest, with what it knows", async () => {
    await open();
    // Key 18, version 99, correlation id 7, and bytes that only tomorrow can read.
    await deliver(Uint8Array.of(0, 0, 0, 12, 0, 18, 0, 99, 0, 0, 0, 7, 255, 255, 255, 255));
    correlationId = 7;
    const { errorCode, apiKeys } = answered("ApiVersions", 0);
    expect(errorCode).toBe(35);
    expect(apiKeys).toEqual([{ apiKey: 18, minVersion: 0, maxVersion: 4 }]);
    expect(stream.ended).toBeUndefined();
  });

  it("refuses names that would break a log line", async () => {
    await open();
    const body = { ...SOFTWARE, clientSoftwareName: "bad\nname" };
    expect((await ask("ApiVersions", 3, body)).errorCode).toBe(42);
  });
});

describe("what is not served", () => {
  it("unknown APIs and versions end the connection", async () => {
    await open();
    await deliver(Uint8Array.of(0, 0, 0, 10, 0, 99, 0, 0, 0, 0, 0, 1, 255, 255));
    expect(reason()).toBe("it asks for API 99, which is not served");
  });

  it("versions of Produce that are only advertised", async () => {
    await open();
    await deliver(Uint8Array.of(0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 1, 255, 255));
    expect(reason()).toBe("it asks for version 2 of Produce, which is not served");
  });

  it("bodies that make no sense", async () => {
    await open();
    // Eight topics are announced, and none follows.
    await deliver(Uint8Array.of(0, 0, 0, 12, 0, 3, 0, 12, 0, 0, 0, 1, 255, 255, 0, 9));
    expect(reason()).toMatch(/^its Metadata request makes no sense/);
  });

  it("takes bytes behind a request for what they are: librdkafka sends some", async () => {
    await open();
    const body = { topics: null, includeTopicAuthorizedOperations: false };
    const frame = { api: "Metadata" as const, version: 9, correlationId: 1, clientId: "t", body };
    const bytes = concatBytes([
      ...encodeRequest({ ...frame, body: { ...body, includeClusterAuthorizedOperations: false } }),
      Uint8Array.of(1, 2, 3),
    ]);
    bytes[3] = bytes.length - 4;
    correlationId = 1;
    await deliver(bytes);
    expect(answered("Metadata", 9).topics).toHaveLength(1);
  });
});

const ALL_TOPICS = {
  topics: null,
  includeClusterAuthorizedOperations: false,
  includeTopicAuthorizedOperations: false,
} as const;

describe("Metadata", () => {
  it("names brokers by the listener that the client came to", async () => {
    await open({}, {}, "OUTSIDE");
    const { brokers, controllerId, topics } = await ask("Metadata", 12, ALL_TOPICS);
    expect(brokers).toEqual([
      { nodeId: 1, host: "outside-1", port: 19_092, rack: "rack-1" },
      { nodeId: 2, host: "outside-2", port: 19_093, rack: "rack-2" },
    ]);
    expect(controllerId).toBe(2);
    // Broker 3 leads, but not for clients of this listener; and nobody leads the third.
    expect(topics[0]?.partitions.map(({ errorCode, leaderId }) => [errorCode, leaderId])).toEqual([
      [0, 1],
      [72, -1],
      [5, -1],
    ]);
    expect(topics[0]?.partitions[0]?.offlineReplicas).toEqual([3]);
    const old = await ask("Metadata", 5, ALL_TOPICS);
    expect(old.topics[0]?.partitions[1]?.errorCode).toBe(5);
  });

  it("knows topics by name and by id, and tells each that it does not know", async () => {
    const asked: unknown[] = [];
    await open({
      topics: (names, allow) => {
        asked.push([names, allow]);
        const topic = IMAGE.topics.get(ID);
        if (topic === undefined) throw new Error("no topic");
        const code = "UNKNOWN_TOPIC_OR_PARTITION" as const;
        const found = (name: string) => (name === "orders" ? topic : { name, code, message: "" });
        return Promise.resolve(names.map(found));
      },
    });
    const { topics } = await ask("Metadata", 12, {
      ...ALL_TOPICS,
      allowAutoTopicCreation: false,
      topics: [
        { name: null, topicId: ID },
        { name: "nobody", topicId: "AAAAAAAAAAAAAAAAAAAAAA" },
        { name: null, topicId: GONE_ID },
        { name: "orders", topicId: "AAAAAAAAAAAAAAAAAAAAAA" },
        { name: "no such/name", topicId: "AAAAAAAAAAAAAAAAAAAAAA" },
      ],
    });
    expect(topics.map(({ errorCode, name, topicId }) => [errorCode, name, topicId])).toEqual([
      [0, "orders", ID],
      [3, "nobody", "AAAAAAAAAAAAAAAAAAAAAA"],
      [100, null, GONE_ID],
      [17, "no such/name", "AAAAAAAAAAAAAAAAAAAAAA"],
    ]);
    expect(asked).toEqual([[["nobody", "orders", "no such/name"], false]]);
  });

  it("says what its client may do where it asks: with no authorizer, everything", async () => {
    await open({ topics: () => Promise.resolve([]) });
    const asked = {
      ...ALL_TOPICS,
      includeClusterAuthorizedOperations: true,
      includeTopicAuthorizedOperations: true,
    };
    const all = await ask("Metadata", 10, asked);
    // Bits by number of AclOperation: all that a topic, or the cluster, knows.
    expect(all.topics[0]?.topicAuthorizedOperations).toBe(0b1101_1111_1000);
    expect(all.clusterAuthorizedOperations).toBe(0b1_1111_1010_0000);
    const none = await ask("Metadata", 10, ALL_TOPICS);
    expect(none.topics[0]?.topicAuthorizedOperations).toBe(-2_147_483_648);
    expect(none.clusterAuthorizedOperations).toBe(-2_147_483_648);
  });

  it("means all topics by no list in version 0, and none by an empty one since", async () => {
    await open({ topics: () => Promise.resolve([]) });
    expect((await ask("Metadata", 0, { ...ALL_TOPICS, topics: [] })).topics).toHaveLength(1);
    expect((await ask("Metadata", 1, { ...ALL_TOPICS, topics: [] })).topics).toEqual([]);
    expect((await ask("Metadata", 1, ALL_TOPICS)).topics).toHaveLength(1);
  });
});

describe("DescribeTopicPartitions", () => {
  it("gives pages, and a cursor to the next", async () => {
    await open();
    const first = await ask("DescribeTopicPartitions", 0, {
      topics: [{ name: "orders" }],
      responsePartitionLimit: 2,
    });
    expect(first.topics[0]?.partitions.map(({ partitionIndex }) => partitionIndex)).toEqual([0, 1]);
    expect(first.nextCursor).toEqual({ topicName: "orders", partitionIndex: 2 });
    const next = await ask("DescribeTopicPartitions", 0, {
      topics: [{ name: "orders" }, { name: "unknown" }],
      responsePartitionLimit: 2,
      cursor: first.nextCursor,
    });
    expect(next.topics.map(({ errorCode, partitions }) => [errorCode, partitions.length])).toEqual([
      [0, 1],
      [3, 0],
    ]);
    expect(next.nextCursor).toBeNull();
    expect(next.topics[0]?.partitions[0]?.eligibleLeaderReplicas).toEqual([]);
  });
});

describe("Produce", () => {
  const produced: ProduceOne[] = [];
  const good: ProduceResult = {
    error: undefined,
    baseOffset: 7,
    logAppendTimeMs: -1,
    logStartOffset: 2,
    leader: undefined,
  };
  const moved: ProduceResult = {
    ...good,
    error: { code: "NOT_LEADER_OR_FOLLOWER", message: "broker 2 leads" },
    baseOffset: -1,
    leader: { brokerId: 2, leaderEpoch: 5 },
  };

  beforeEach(() => {
    produced.length = 0;
  });

  function openTo(...results: readonly ProduceResult[]): Promise<KafkaDoor> {
    let next = 0;
    return open({
      produce: (one) => {
        produced.push(one);
        return Promise.resolve(results[next++] ?? good);
      },
    });
  }

  function batch(attributes = 0): Uint8Array {
    const bytes = sealedBatch("text", memory.ports.codecs.crc32c);
    bytes[22] = attributes;
    return bytes;
  }

  function request(
    data: readonly (readonly [number, Uint8Array | null])[],
    change: Partial<RequestInputs["Produce"]> = {},
  ): RequestInputs["Produce"] {
    const partitionData = data.map(([index, records]) => ({ index, records }));
    return {
      acks: -1,
      timeoutMs: 1_500,
      topicData: [{ name: "orders", topicId: ID, partitionData }],
      ...change,
    };
  }

  it("refuses what Kafka refuses before a log sees it", async () => {
    await openTo(good);
    const [old, moved] = [batch(), batch()];
    [old[16], moved[7]] = [1, 77];
    const cases = [[87, old, moved] as const, [53, batch(), batch(0x10)] as const];
    for (const [code, ...records] of cases) {
      const body = request(records.map((one, index) => [index, one]));
      const [topic] = (await ask("Produce", 8, body)).responses;
      expect(topic?.partitionResponses.map(({ errorCode }) => errorCode)).toEqual([code, code]);
    }
    expect(produced).toEqual([]);
  });

  it("hands each batch on as a view of the frame, and answers in the request's order", async () => {
    await openTo(good, moved);
    const body = request([
      [0, batch()],
      [1, batch()],
    ]);
    const { responses, nodeEndpoints } = await ask("Produce", 10, body);
    expect(produced.map(({ topic, partition: index }) => [topic, index])).toEqual([
      ["orders", 0],
      ["orders", 1],
    ]);
    expect(produced[0]).toMatchObject({ acks: -1, timeoutMs: 1_500 });
    expect(produced[0]?.batch.buffer).toBe(produced[1]?.batch.buffer);
    expect(readBatchHeader(produced[0]?.batch as Uint8Array).recordsCount).toBe(1);
    const [first, second] = responses[0]?.partitionResponses ?? [];
    expect(first).toMatchObject({ index: 0, errorCode: 0, baseOffset: 7, logStartOffset: 2 });
    expect(second).toMatchObject({
      index: 1,
      errorCode: 6,
      errorMessage: "broker 2 leads",
      currentLeader: { leaderId: 2, leaderEpoch: 5 },
    });
    expect(nodeEndpoints).toEqual([{ nodeId: 2, host: "host-2", port: 9093, rack: "rack-2" }]);
  });

  it("knows topics by id since version 13", async () => {
    await openTo();
    const topicData = [ID, GONE_ID].map((topicId) => ({
      name: "",
      topicId,
      partitionData: [{ index: 0, records: batch() }],
    }));
    const { responses } = await ask("Produce", 13, request([], { topicData }));
    expect(produced.map(({ topic }) => topic)).toEqual(["orders"]);
    expect(responses.map((one) => [one.topicId, one.partitionResponses[0]?.errorCode])).toEqual([
      [ID, 0],
      [GONE_ID, 100],
    ]);
  });

  it("refuses no batch, and zstd from who could not read it", async () => {
    await openTo();
    const body = request([
      [0, null],
      [1, new Uint8Array(0)],
      [2, batch(4)],
    ]);
    const { responses } = await ask("Produce", 6, body);
    const codes = responses[0]?.partitionResponses.map(({ errorCode }) => errorCode);
    expect(codes).toEqual([87, 87, 76]);
    expect(produced).toEqual([]);
  });

  it("answers nothing with acks=0, and disconnects where a batch was refused", async () => {
    await openTo(good, moved);
    await send("Produce", 9, request([[0, batch()]], { acks: 0 }));
    expect(stream.written).toEqual([]);
    expect(stream.ended).toBeUndefined();
    await send("Produce", 9, request([[0, batch()]], { acks: 0 }));
    expect(reason()).toBe("a batch sent with acks=0 was refused: NOT_LEADER_OR_FOLLOWER");
  });

  it("gives ids to idempotent producers, and none for transactions", async () => {
    await open({ initProducerId: () => Promise.resolve({ producerId: 42, producerEpoch: 0 }) });
    const body = { transactionalId: null, transactionTimeoutMs: 0 };
    expect(await ask("InitProducerId", 4, body)).toMatchObject({ errorCode: 0, producerId: 42 });
    const transactional = { ...body, transactionalId: "t" };
    expect(await ask("InitProducerId", 4, transactional)).toMatchObject({ errorCode: 35 });
  });
});

describe("ListOffsets and OffsetForLeaderEpoch", () => {
  it("answers the special timestamps that need no log, each since its version", async () => {
    const asked: ListOffsetOne[] = [];
    await open({
      listOffsets: (items) => {
        asked.push(...items);
        const result = { error: undefined, offset: 5, leaderEpoch: 1, leader: undefined };
        return Promise.resolve(items.map((item) => ({ ...item, ...result })));
      },
    });
    const partitions = [-1, -2, -3, -4, -5, -6, -7, 1_000].map((timestamp, partitionIndex) => ({
      partitionIndex,
      timestamp,
    }));
    const body = {
      replicaId: -1,
      isolationLevel: 0,
      timeoutMs: 0,
      topics: [{ name: "orders", partitions }],
    };
    const codesOf = async (version: number): Promise<(number | undefined)[][]> => {
      const { topics } = await ask("ListOffsets", version, body);
      return (topics[0]?.partitions ?? []).map(({ errorCode, offset }) => [errorCode, offset]);
    };
    const [found, none, refused] = [
      [0, 5],
      [0, -1],
      [35, -1],
    ];
    expect(await codesOf(11)).toEqual([found, found, found, found, none, none, refused, found]);
    expect(asked.map(({ timestamp }) => timestamp)).toEqual([-1, -2, -3, -2, 1_000]);
    expect(await codesOf(7)).toEqual([
      found,
      found,
      found,
      refused,
      refused,
      refused,
      refused,
      found,
    ]);
    expect(await codesOf(6)).toEqual([
      found,
      found,
      refused,
      refused,
      refused,
      refused,
      refused,
      found,
    ]);
  });

  it("says where an epoch ended, but to no replica", async () => {
    await open({
      leaderEpochEnds: (items) =>
        items.map(({ leaderEpoch }) => ({ error: undefined, leaderEpoch, endOffset: 9 })),
    });
    const partitions = [
      { partition: 0, leaderEpoch: 0 },
      { partition: 0, leaderEpoch: 1_000 },
    ];
    const body = { replicaId: -1, topics: [{ topic: "orders", partitions }] };
    const { topics } = await ask("OffsetForLeaderEpoch", 4, body);
    // Of an epoch that is to come it knows no end, as Kafka.
    expect(topics[0]?.partitions).toEqual([
      { errorCode: 0, partition: 0, leaderEpoch: 0, endOffset: 9 },
      { errorCode: 0, partition: 0, leaderEpoch: -1, endOffset: -1 },
    ]);
    const replica = await ask("OffsetForLeaderEpoch", 4, { ...body, replicaId: 2 });
    expect(replica.topics[0]?.partitions[0]?.errorCode).toBe(31);
  });
});

describe("Fetch", () => {
  let asked: (readonly FetchOne[])[];
  let results: Map<string, Partial<FetchOneResult>>;

  beforeEach(async () => {
    asked = [];
    results = new Map();
    await open({
      fetchOnce: (ones) => {
        asked.push(ones);
        const done = ones.map((one) => ({
          error: undefined,
          highWatermark: 10,
          lastStableOffset: 10,
          logStartOffset: 0,
          batches: [],
          leader: undefined,
          diverging: undefined,
          ...results.get(`${one.topic}-${one.partition}`),
        }));
        return { done: Promise.resolve(done), cancel: () => undefined };
      },
    });
  });

  function stored(text: string, attributes = 0) {
    const bytes = sealedBatch(text, memory.ports.codecs.crc32c);
    bytes[22] = attributes;
    return { header: readBatchHeader(bytes), bytes };
  }

  function request(
    partitions: readonly number[],
    change: Partial<RequestInputs["Fetch"]> = {},
  ): RequestInputs["Fetch"] {
    return {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 1_000_000,
      topics: [
        {
          topic: "orders",
          topicId: ID,
          partitions: partitions.map((index) => ({
            partition: index,
            fetchOffset: 4,
            partitionMaxBytes: 1_000,
          })),
        },
      ].filter((topic) => topic.partitions.length > 0),
      forgottenTopicsData: [],
      ...change,
    };
  }

  function shown(response: Responses["Fetch"]): number[] {
    return response.responses.flatMap(({ partitions }) =>
      partitions.map(({ partitionIndex }) => partitionIndex),
    );
  }

  it("sends stored batches as they lie there, without a copy of large ones", async () => {
    const large = stored("x".repeat(5_000));
    results.set("orders-0", { batches: [stored("a"), large] });
    await send("Fetch", 12, request([0, 1]));
    expect(stream.written.some(({ buffer }) => buffer === large.bytes.buffer)).toBe(true);
    const { responses } = answered("Fetch", 12);
    const [first, second] = responses[0]?.partitions ?? [];
    expect(first?.records).toEqual(concatBytes([stored("a").bytes, large.bytes]));
    expect(second).toMatchObject({ errorCode: 0, highWatermark: 10, abortedTransactions: null });
    expect(second?.records).toHaveLength(0);
  });

  it("tells readers of committed records that none was aborted", async () => {
    const { responses } = await ask("Fetch", 11, request([0], { isolationLevel: 1 }));
    expect(responses[0]?.partitions[0]).toMatchObject({
      abortedTransactions: [],
      lastStableOffset: 10,
    });
  });

  it("knows topics by id since version 13, and names one that is gone beside the others", async () => {
    const topics = [ID, GONE_ID].map((topicId) => ({
      topic: "",
      topicId,
      partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }],
    }));
    const { responses } = await ask("Fetch", 17, request([], { topics }));
    expect(responses.map((one) => [one.topicId, one.partitions[0]?.errorCode])).toEqual([
      [ID, 0],
      [GONE_ID, 100],
    ]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject([{ topic: "orders", partition: 0 }]);
  });

  it("refuses whoever says it is a replica", async () => {
    const old = await ask("Fetch", 12, request([0], { replicaId: 2 }));
    expect(old.responses[0]?.partitions[0]?.errorCode).toBe(31);
    const replicaState = { replicaId: 2, replicaEpoch: 1 };
    const current = await ask("Fetch", 17, request([0], { replicaState }));
    expect(current.responses[0]?.partitions[0]?.errorCode).toBe(31);
    expect(asked).toEqual([]);
  });

  it("keeps zstd from who could not read it", async () => {
    results.set("orders-0", { batches: [stored("a", 4)] });
    expect((await ask("Fetch", 9, request([0]))).responses[0]?.partitions[0]?.errorCode).toBe(76);
    expect((await ask("Fetch", 10, request([0]))).responses[0]?.partitions[0]?.errorCode).toBe(0);
  });

  it("names the leader that has the partition now", async () => {
    const error = { code: "FENCED_LEADER_EPOCH", message: "" } as const;
    results.set("orders-0", { error, leader: { brokerId: 2, leaderEpoch: 6 } });
    const { responses, nodeEndpoints } = await ask("Fetch", 16, request([0]));
    expect(responses[0]?.partitions[0]).toMatchObject({
      errorCode: 74,
      currentLeader: { leaderId: 2, leaderEpoch: 6 },
    });
    expect(nodeEndpoints).toMatchObject([{ nodeId: 2, host: "host-2" }]);
  });

  describe("sessions (KIP-227)", () => {
    async function begin(partitions: readonly number[]): Promise<number> {
      const first = await ask("Fetch", 13, request(partitions, { sessionId: 0, sessionEpoch: 0 }));
      expect(first.sessionId).toBeGreaterThan(0);
      expect(shown(first)).toEqual(partitions);
      return first.sessionId;
    }

    function next(
      sessionId: number,
      sessionEpoch: number,
      change = {},
    ): Promise<Responses["Fetch"]> {
      return ask("Fetch", 13, request([], { sessionId, sessionEpoch, ...change }));
    }

    it("answer with what is new alone, and serve in turn", async () => {
      const id = await begin([0, 1, 2]);
      expect(shown(await next(id, 1))).toEqual([]);
      expect(asked.at(-1)?.map((one) => one.partition)).toEqual([0, 1, 2]);
      results.set("orders-0", { batches: [stored("a")] });
      results.set("orders-2", { highWatermark: 11 });
      expect(shown(await next(id, 2))).toEqual([0, 2]);
      // Who was served stands behind the others.
      expect(shown(await next(id, 3))).toEqual([0]);
      expect(asked.at(-1)?.map((one) => one.partition)).toEqual([1, 2, 0]);
    });

    it("take over new positions, new partitions, and what is forgotten", async () => {
      const id = await begin([0]);
      const forgottenTopicsData = [{ topic: "", topicId: ID, partitions: [0] }];
      const topics = request([1]).topics;
      const changed = await next(id, 1, { topics, forgottenTopicsData });
      expect(shown(changed)).toEqual([1]);
      expect(asked.at(-1)).toMatchObject([{ partition: 1, offset: 4 }]);
      const moved = request([1]).topics.map((topic) => ({
        ...topic,
        partitions: topic.partitions.map((one) => ({ ...one, fetchOffset: 9 })),
      }));
      await next(id, 2, { topics: moved });
      expect(asked.at(-1)).toMatchObject([{ partition: 1, offset: 9 }]);
      const empty = [{ topic: "", topicId: ID, partitions: [1] }];
      expect(await next(id, 3, { forgottenTopicsData: empty })).toMatchObject({
        errorCode: 0,
        sessionId: 0,
      });
      expect((await next(id, 4)).errorCode).toBe(70);
    });

    it("end with the wrong epoch or id, or where names and ids are mixed", async () => {
      const id = await begin([0]);
      expect((await next(id, 2)).errorCode).toBe(71);
      expect((await next(id + 1, 1)).errorCode).toBe(70);
      const named = await ask("Fetch", 12, request([], { sessionId: id, sessionEpoch: 1 }));
      expect(named.errorCode).toBe(106);
      expect((await next(id, 1)).errorCode).toBe(0);
      expect((await next(id, -1)).errorCode).toBe(0);
      expect((await next(id, 2)).errorCode).toBe(70);
    });

    it("are not kept for who does not want them", async () => {
      expect((await ask("Fetch", 13, request([0]))).sessionId).toBe(0);
      expect((await ask("Fetch", 13, request([0], { sessionEpoch: 0 }))).sessionId).not.toBe(0);
    });

    it("make room for others only when nobody has used them for long", async () => {
      await open(
        {
          fetchOnce: (ones) => ({
            done: Promise.resolve(ones.map(empty)),
            cancel: () => undefined,
          }),
        },
        { "max.incremental.fetch.session.cache.slots": "1" },
      );
      const first = await begin([0]);
      expect((await ask("Fetch", 13, request([0], { sessionEpoch: 0 }))).sessionId).toBe(0);
      await memory.world.runFor(120_000);
      await begin([0]);
      expect((await next(first, 1)).errorCode).toBe(70);
    });
  });
});

function empty(): FetchOneResult {
  return {
    error: undefined,
    highWatermark: 0,
    lastStableOffset: 0,
    logStartOffset: 0,
    batches: [],
    leader: undefined,
    diverging: undefined,
  };
}

describe("connections", () => {
  it("are limited, in all and by address", async () => {
    await open({}, { "max.connections": "2" });
    expect(connect().ended).toBeUndefined();
    expect(connect().ended).toBe("destroy");
    stream.destroy();
    expect(connect().ended).toBeUndefined();
    await open({}, { "max.connections.per.ip": "1" });
    expect(connect().ended).toBe("destroy");
    await open(
      {},
      { "max.connections.per.ip": "1", "max.connections.per.ip.overrides": "192.0.2.1:2" },
    );
    expect(connect().ended).toBeUndefined();
    expect(connect().ended).toBe("destroy");
  });

  it("wait for a broker that has not caught up", async () => {
    let ready = false;
    await open({ health: () => ({ live: true, ready, reason: "" }) });
    await send("ApiVersions", 3, SOFTWARE);
    await memory.world.runFor(5_000);
    expect(stream.written).toEqual([]);
    ready = true;
    await memory.world.runFor(20);
    expect(answered("ApiVersions", 3).errorCode).toBe(0);
    // Fenced for a while: what it answers then is for errors to tell.
    ready = false;
    expect((await ask("ApiVersions", 3, SOFTWARE)).errorCode).toBe(0);
  });

  it("end when they are idle, at connections.max.idle.ms", async () => {
    await open({}, { "connections.max.idle.ms": "60000" });
    await memory.world.runFor(60_000);
    expect(stream.ended).toBeUndefined();
    await memory.world.runFor(4_000);
    expect(reason()).toBe("idle");
  });

  it("are held up beyond their equal share once requests fill the memory", async () => {
    await open({}, { "queued.max.request.bytes": "1000" });
    const modest = connect();
    stream.onData(Uint8Array.of(0, 0, 8, 0, ...new Uint8Array(900)));
    modest.onData(Uint8Array.of(0, 0, 8, 0, ...new Uint8Array(50)));
    expect([stream.paused, modest.paused]).toEqual([false, false]);
    modest.onData(new Uint8Array(100));
    stream.onData(new Uint8Array(1));
    expect([stream.paused, modest.paused]).toEqual([true, false]);
    modest.destroy();
    expect(stream.paused).toBe(false);
  });
});
