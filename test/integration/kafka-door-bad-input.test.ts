/**
 * What a broken or hostile client may send to Kafka's door. Each gets its answer or its end, with one
 * line in the log, and the broker and its other clients live on.
 */
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { concatBytes, writeInt32 } from "../../src/base/bytes.ts";
import { Admin, Producer } from "../../src/client/index.ts";
import { ZERO_UUID } from "../../src/kafka-wire/reader.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { alteredBatch, rawBatch } from "../support/raw-client.ts";
import { RawKafkaClient } from "../support/raw-kafka-client.ts";

const TOPIC = "victim";

let cluster: Cluster;
let leader: number;
let honest: RawKafkaClient;
let written = 0;

beforeAll(async () => {
  cluster = await startCluster({
    brokers: 1,
    properties: { "socket.request.max.bytes": "10000000", "min.insync.replicas": "1" },
  });
  await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  await admin.createTopics([{ name: TOPIC, partitions: 1, replicationFactor: 1 }]);
  leader = 1;
  await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
  await producer.send({ topic: TOPIC, value: "one" });
  written = 1;
  honest = client();
});

afterAll(async () => {
  honest?.close();
  await cluster?.stop();
});

/** After each of these the broker lives, and serves the client that was there all the time. */
afterEach(async () => {
  expect(cluster.isRunning(leader), cluster.logOf(leader, 20)).toBe(true);
  const partitions = [{ partitionIndex: 0, timestamp: -1 }];
  const { topics } = await honest.ask("ListOffsets", 5, {
    replicaId: -1,
    isolationLevel: 0,
    timeoutMs: 0,
    topics: [{ name: TOPIC, partitions }],
  });
  expect(topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, offset: written });
});

function client(): RawKafkaClient {
  return new RawKafkaClient(cluster.portsOf(leader).kafkaPort);
}

/** Lines of the broker's log about clients that it disconnected for this reason. */
function disconnections(reason: string): number {
  return cluster
    .logOf(leader)
    .split("\n")
    .filter((line) => line.includes("a client was disconnected") && line.includes(reason)).length;
}

async function isCutOff(bytes: Uint8Array, reason: string): Promise<void> {
  const before = disconnections(reason);
  const hostile = client();
  hostile.socket.write(bytes);
  await hostile.ended;
  await eventually("one line in the log", () => disconnections(reason) === before + 1);
}

function length(size: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeInt32(bytes, 0, size);
  return bytes;
}

describe("streams that make no sense", () => {
  it.each([
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "it speaks HTTP"],
    ["TLS", Buffer.from("16030100f1010000ed0303", "hex"), "it speaks TLS"],
    ["a frame that is too large", length(10_000_001), "socket.request.max.bytes"],
    ["the largest length", length(2 ** 31 - 1), "socket.request.max.bytes"],
    ["a negative length", length(-5), "too short"],
    ["garbage", Buffer.from("9d5bde1c00ff00ff00ff00ff00ff", "hex"), "too short"],
    [
      "an unknown API",
      concatBytes([length(10), Buffer.from("03e7000000000001ffff", "hex")]),
      "999",
    ],
    [
      "an old version",
      concatBytes([length(10), Buffer.from("0001000000000001ffff", "hex")]),
      "Fetch",
    ],
  ])("%s", async (_name, bytes, reason) => {
    await isCutOff(bytes, reason);
  });

  it("a request that never ends holds nobody up", async () => {
    const hostile = client();
    hostile.socket.write(concatBytes([length(5_000_000), new Uint8Array(1_000_000)]));
    const other = client();
    const { apiKeys } = await other.ask("ApiVersions", 0, {
      clientSoftwareName: "",
      clientSoftwareVersion: "",
    });
    expect(apiKeys.length).toBeGreaterThan(5);
    expect(hostile.isOpen).toBe(true);
    hostile.close();
    other.close();
  });

  it("five hundred connections that come, say half a request and go", async () => {
    const { kafkaPort } = cluster.portsOf(leader);
    const sockets = Array.from({ length: 500 }, () => {
      const socket = connect(kafkaPort, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(Uint8Array.of(0, 0, 1));
      return socket;
    });
    const other = client();
    await other.ask("ApiVersions", 0, { clientSoftwareName: "", clientSoftwareVersion: "" });
    for (const socket of sockets) socket.destroy();
    other.close();
  });
});

async function produce(records: Uint8Array | null, version = 8): Promise<number | undefined> {
  const sender = client();
  const topicData = [{ name: TOPIC, topicId: ZERO_UUID, partitionData: [{ index: 0, records }] }];
  const body = { acks: -1, timeoutMs: 10_000, topicData };
  const { responses } = await sender.ask("Produce", version, body);
  sender.close();
  return responses[0]?.partitionResponses[0]?.errorCode;
}

describe("batches that are none", () => {
  const good = rawBatch([{ value: "two" }]);

  it.each<[string, () => Uint8Array | null, number]>([
    ["none", () => null, 87],
    ["no bytes", () => new Uint8Array(0), 87],
    ["two batches", () => concatBytes([good, good]), 87],
    ["message format 1", () => alteredBatch(good, (view) => view.setInt8(16, 1)), 87],
    ["message format 0", () => alteredBatch(good, (view) => view.setInt8(16, 0)), 87],
    ["half a batch", () => good.subarray(0, good.length - 5), 2],
    ["damaged bytes", () => good.map((byte, at) => (at === good.length - 1 ? byte ^ 1 : byte)), 2],
    ["another number of records", () => alteredBatch(good, (view) => view.setInt32(57, 2)), 87],
    ["a control batch", () => alteredBatch(good, (view) => view.setInt16(21, 0x20)), 87],
    ["a codec that is none", () => alteredBatch(good, (view) => view.setInt16(21, 7)), 76],
    ["more than max.message.bytes", () => rawBatch([{ value: "x".repeat(1_100_000) }]), 10],
  ])("%s", async (_name, batch, code) => {
    expect(await produce(batch())).toBe(code);
  });

  it("acks that are none", async () => {
    const sender = client();
    const topicData = [
      { name: TOPIC, topicId: ZERO_UUID, partitionData: [{ index: 0, records: good }] },
    ];
    const { responses } = await sender.ask("Produce", 8, { acks: 2, timeoutMs: 1, topicData });
    expect(responses[0]?.partitionResponses[0]?.errorCode).toBe(21);
    sender.close();
  });

  it("into a topic of the brokers' own, and into one that there is not", async () => {
    const sender = client();
    const topicData = ["__consumer_offsets", "nobody"].map((name) => ({
      name,
      topicId: ZERO_UUID,
      partitionData: [{ index: 0, records: good }],
    }));
    const { responses } = await sender.ask("Produce", 8, { acks: -1, timeoutMs: 1, topicData });
    expect(responses.map((one) => one.partitionResponses[0]?.errorCode)).toEqual([17, 3]);
    sender.close();
  });
});

describe("clients that do not read", () => {
  it("are not read either, and take no memory but their share", async () => {
    const hostile = client();
    hostile.socket.pause();
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }];
    const body = {
      maxWaitMs: 0,
      minBytes: 0,
      topics: [{ topic: TOPIC, topicId: ZERO_UUID, partitions }],
      forgottenTopicsData: [],
    };
    // Once the kernel's buffers are full on both sides it takes no more.
    let sent = 0;
    while (hostile.socket.writableLength < 200_000 && sent < 1_000_000) {
      hostile.send("Fetch", 11, body);
      if (++sent % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(hostile.socket.writableLength).toBeGreaterThanOrEqual(200_000);
    const held = await metric("nodejs_external_memory_bytes");
    expect(held).toBeLessThan(300_000_000);
    hostile.close();
  });

  it("lose nothing when they read again: all answers, in order", async () => {
    const slow = client();
    slow.socket.pause();
    const ids = Array.from({ length: 3_000 }, () =>
      slow.send("Metadata", 5, {
        topics: null,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      }),
    );
    slow.socket.resume();
    for (const id of ids) {
      const frame = await slow.nextAnswer();
      expect(new DataView(frame.buffer, frame.byteOffset).getInt32(0)).toBe(id);
    }
    slow.close();
  });
});

async function metric(name: string): Promise<number> {
  const { httpPort } = cluster.portsOf(leader);
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return Number(line?.split(" ")[1]);
}
