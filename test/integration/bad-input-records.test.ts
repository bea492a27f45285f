/**
 * What a broken or hostile client may send and do. Each is refused with its own error, and the
 * broker, the other clients and everything acknowledged before live on.
 */
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { nativeCodecs } from "../../src/adapters/native-codecs.ts";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { ottla } from "../../src/gen/ottla.js";
import { LIMITS } from "../../src/model/limits.ts";
import { writeBatchHeader } from "../../src/record/batch.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { alteredBatch, RawClient, rawBatch } from "../support/raw-client.ts";

let cluster: Cluster;
let admin: Admin;
let raw: RawClient;
let leader: number;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  await admin.createTopics([{ name: "victim", partitions: 1, replicationFactor: 3 }]);
  await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
  for (const value of ["one", "two", "three"]) await producer.send({ topic: "victim", value });
  const [topic] = await admin.describeTopics(["victim"]);
  leader = topic?.partitions[0]?.leader as number;
  raw = new RawClient(cluster.portsOf(leader).grpcPort);
});

afterAll(async () => {
  raw?.close();
  await admin?.close();
  await cluster?.stop();
});

/** After each of these: all brokers run, and what was acknowledged before can be read. */
afterEach(async () => {
  for (const id of cluster.brokerIds) {
    expect(cluster.isRunning(id), cluster.logOf(id, 20)).toBe(true);
  }
  expect((await readFirst(3)).map((value) => Buffer.from(value).toString())).toEqual([
    "one",
    "two",
    "three",
  ]);
});

async function readFirst(count: number): Promise<readonly Uint8Array[]> {
  await using consumer = new Consumer({ bootstrapServers: cluster.bootstrapServers });
  await consumer.assign([{ topic: "victim", partition: 0, offset: "beginning" }]);
  const values: Uint8Array[] = [];
  for await (const message of consumer) {
    values.push(message.value as Uint8Array);
    if (values.length === count) break;
  }
  return values;
}

describe("batches", () => {
  const batch = rawBatch([{ value: "a" }, { value: "b" }]);
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ["a wrong CRC", flip(batch, batch.length - 1), "CORRUPT_MESSAGE"],
    [
      "a count that is not its records'",
      alteredBatch(batch, (view) => view.setInt32(57, 3)),
      "INVALID_RECORD",
    ],
    [
      "a count and a delta beyond its records",
      alteredBatch(batch, (view) => {
        view.setInt32(57, 3);
        view.setInt32(23, 2);
      }),
      "INVALID_RECORD",
    ],
    [
      "another magic",
      alteredBatch(batch, (_, bytes) => {
        bytes[16] = 1;
      }),
      "UNSUPPORTED_FOR_MESSAGE_FORMAT",
    ],
    [
      "offsets that are not contiguous",
      alteredBatch(batch, (_, bytes) => {
        // The second record's offset delta: length, attributes, timestamp delta, offset delta.
        const second = bytes.indexOf("b".charCodeAt(0), 61) - 3;
        bytes[second] = 8;
      }),
      "INVALID_RECORD",
    ],
    ["a length beyond its bytes", batch.subarray(0, batch.length - 3), "CORRUPT_MESSAGE"],
    ["no bytes at all", new Uint8Array(0), "INVALID_RECORD"],
    [
      "an unknown compression",
      alteredBatch(batch, (view) => view.setInt16(21, 7)),
      "UNSUPPORTED_COMPRESSION_TYPE",
    ],
    [
      "the mark of a control batch",
      alteredBatch(batch, (view) => view.setInt16(21, 0x20)),
      "INVALID_RECORD",
    ],
  ];

  it.each(cases)("refuses %s", async (_, bytes, code) => {
    const result = await raw.produce({ topic: "victim", batch: bytes });
    expect(result.error?.code).toBe(code);
    expect(result.error?.message).not.toBe("");
    expect(result.baseOffset).toBe(-1);
  });

  it("refuses a record over max.message.bytes, and names the key", async () => {
    const big = rawBatch([{ value: "x".repeat(2_000_000) }]);
    const result = await raw.produce({ topic: "victim", batch: big });
    expect(result.error).toMatchObject({ code: "MESSAGE_TOO_LARGE", field: "max.message.bytes" });
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    const value = "x".repeat(2_000_000);
    await expect(producer.send({ topic: "victim", value })).rejects.toMatchObject({
      code: "MESSAGE_TOO_LARGE",
    });
  });

  it("refuses a sequence out of order, and answers a repetition with its first offset", async () => {
    const options = { producerId: 900_000, producerEpoch: 0 };
    const first = rawBatch([{ value: "s0" }], { ...options, baseSequence: 0 });
    const placed = await raw.produce({ topic: "victim", batch: first });
    expect(placed.error).toBeNull();
    const again = await raw.produce({ topic: "victim", batch: first });
    expect(again.error).toBeNull();
    expect(again.baseOffset).toBe(placed.baseOffset);
    const gap = rawBatch([{ value: "s9" }], { ...options, baseSequence: 9 });
    const refused = await raw.produce({ topic: "victim", batch: gap });
    expect(refused.error?.code).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
  });

  it("refuses unknown acks", async () => {
    const result = await raw.produce({ topic: "victim", batch, acks: 2 as 1 });
    expect(result.error).toMatchObject({ code: "INVALID_REQUIRED_ACKS", field: "acks" });
  });

  it("stores a compression bomb closed; the consumer that opens it refuses it", async () => {
    await admin.createTopics([{ name: "bomb", partitions: 1, replicationFactor: 3 }]);
    const [topic] = await admin.describeTopics(["bomb"]);
    const port = cluster.portsOf(topic?.partitions[0]?.leader as number).grpcPort;
    const bomber = new RawClient(port);
    try {
      const zeros = Buffer.alloc(LIMITS.decompressedBatchBytes + 1_048_576);
      const result = await bomber.produceOnceLed({
        topic: "bomb",
        batch: gzipBatch(gzipSync(zeros)),
      });
      expect(result.error).toBeNull();
    } finally {
      bomber.close();
    }
    await using consumer = new Consumer({ bootstrapServers: cluster.bootstrapServers });
    await consumer.assign([{ topic: "bomb", partition: 0, offset: "beginning" }]);
    const read = async (): Promise<void> => {
      for await (const _ of consumer) break;
    };
    await expect(read()).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
  });
});

describe("requests", () => {
  it("refuses a topic that is not there", async () => {
    const batch = rawBatch([{ value: "a" }]);
    const result = await raw.produce({ topic: "nowhere", batch });
    expect(result.error?.code).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    const beyond = await raw.produce({ topic: "victim", partition: 7, batch });
    expect(beyond.error?.code).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  });

  it("refuses at a broker that does not lead, and names the one that does", async () => {
    const other = cluster.brokerIds.find((id) => id !== leader) as number;
    const stranger = new RawClient(cluster.portsOf(other).grpcPort);
    try {
      const batch = rawBatch([{ value: "a" }]);
      const produced = await stranger.produce({ topic: "victim", batch });
      expect(produced.error?.code).toBe("NOT_LEADER_OR_FOLLOWER");
      expect(produced.leader?.brokerId).toBe(leader);
      expect(produced.leader?.port).toBe(cluster.portsOf(leader).grpcPort);
      const fetched = await stranger.fetch("victim", 0, 0);
      expect(fetched.error?.code).toBe("NOT_LEADER_OR_FOLLOWER");
      expect(fetched.leader?.brokerId).toBe(leader);
    } finally {
      stranger.close();
    }
  });

  it("refuses a fetch out of range", async () => {
    const beyond = await raw.fetch("victim", 0, 1_000_000);
    expect(beyond.error?.code).toBe("OFFSET_OUT_OF_RANGE");
    expect(beyond.error?.message).toContain("1000000");
    const negative = await raw.fetch("victim", 0, -5);
    expect(negative.error).toMatchObject({ code: "INVALID_REQUEST" });
  });

  it("refuses a gRPC message over the limit and keeps the broker", async () => {
    const batch = new Uint8Array(LIMITS.grpcMessageBytes + 2 * 1_048_576);
    await expect(raw.produce({ topic: "victim", batch })).rejects.toMatchObject({
      code: expect.stringMatching(/LIMIT_EXCEEDED|NETWORK_EXCEPTION/),
    });
  });
});

describe("connections", () => {
  it("lives with clients that connect and say nothing, or nonsense", async () => {
    const { grpcPort, httpPort, internalPort } = cluster.portsOf(leader);
    const silent = [grpcPort, httpPort, internalPort].map((port) => connect(port, "127.0.0.1"));
    const babbling = [grpcPort, httpPort, internalPort].map((port) => {
      const socket = connect(port, "127.0.0.1");
      socket.write(Buffer.alloc(4_096, 0xff));
      return socket;
    });
    for (const socket of [...silent, ...babbling]) socket.on("error", () => undefined);
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    const { offset } = await producer.send({ topic: "victim", value: "beside them" });
    expect(offset).toBeGreaterThan(2);
    for (const socket of [...silent, ...babbling]) socket.destroy();
  });

  it("lives with a client that stops reading, and serves the others", async () => {
    await admin.createTopics([{ name: "deluge", partitions: 1, replicationFactor: 3 }]);
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    const value = new Uint8Array(500_000);
    for (let sent = 0; sent < 40; sent++) await producer.send({ topic: "deluge", value });
    const [topic] = await admin.describeTopics(["deluge"]);
    const port = cluster.portsOf(topic?.partitions[0]?.leader as number).grpcPort;
    const pid = cluster.pidOf(topic?.partitions[0]?.leader as number) as number;
    const before = residentBytes(pid);
    // Credit for far more than there is, on many streams, and nobody takes what comes.
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const streams = Array.from({ length: 64 }, () => {
      const stream = client.makeBidiStreamRequest(
        "/ottla.v1.Log/Fetch",
        (message: object) => Buffer.from(ottla.v1.FetchRequest.encode(message).finish()),
        (bytes: Buffer) => bytes,
      );
      stream.on("error", () => undefined);
      const start = { handle: 1, topic: "deluge", partition: 0, offset: 0 };
      stream.write({
        start: [{ ...start, currentLeaderEpoch: -1, maxBytes: 1_048_576 }],
        creditBytes: 1_000_000_000,
      });
      return stream;
    });
    try {
      for (let sent = 0; sent < 200; sent++) await producer.send({ topic: "victim", value: "on" });
      // Sixty-four times twenty megabytes, if all of it were taken from the disk and kept.
      expect(residentBytes(pid) - before).toBeLessThan(500_000_000);
    } finally {
      for (const stream of streams) stream.cancel();
      client.close();
    }
  });
});

/** Linux tells; elsewhere only that the others were served is checked. */
function residentBytes(pid: number): number {
  const file = `/proc/${pid}/statm`;
  return existsSync(file) ? Number(readFileSync(file, "utf8").split(" ")[1]) * 4_096 : 0;
}

function flip(batch: Uint8Array, at: number): Uint8Array {
  const bytes = Uint8Array.from(batch);
  bytes[at] = (bytes[at] as number) ^ 0x40;
  return bytes;
}

/** One record, said to be `compressed`. */
function gzipBatch(compressed: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(61 + compressed.length);
  bytes.set(compressed, 61);
  writeBatchHeader(
    bytes,
    {
      baseOffset: 0,
      leaderEpoch: -1,
      attributes: 1,
      lastOffsetDelta: 0,
      baseTimestamp: Date.now(),
      maxTimestamp: Date.now(),
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      recordsCount: 1,
    },
    nativeCodecs.crc32c,
  );
  return bytes;
}
