/** The client's transport against a gRPC server that answers as a broker's door does. */
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/adapters/system-clock.ts";
import { GrpcTransport } from "../../src/client/grpc-transport.ts";
import { Producer } from "../../src/client/index.ts";
import type { ProduceResponse } from "../../src/client/messages.ts";
import type { Connection } from "../../src/client/transport.ts";
import { ottla } from "../../src/gen/ottla.js";
import { OttlaError } from "../../src/model/errors.ts";

const { v1 } = ottla;

type Stream = ServerDuplexStream<ottla.v1.ProduceRequest, ottla.v1.ProduceResponse.$Properties>;

interface FakeBroker {
  readonly port: number;
  readonly server: Server;
  readonly streams: Stream[];
}

const unary = { requestStream: false, responseStream: false };
const bytesOf = (bytes: Uint8Array) => Buffer.from(bytes);

/** Answers Metadata for a topic "t" that it leads itself, hands out ids, acknowledges batches. */
async function fakeBroker(port = 0): Promise<FakeBroker> {
  const server = new Server();
  const streams: Stream[] = [];
  const broker = { port: 0 };
  let end = 0;
  server.addService(
    {
      Metadata: {
        path: "/ottla.v1.Admin/Metadata",
        ...unary,
        requestSerialize: bytesOf,
        requestDeserialize: (bytes: Buffer) => v1.MetadataRequest.decode(bytes),
        responseSerialize: (message: ottla.v1.MetadataResponse.$Properties) =>
          bytesOf(v1.MetadataResponse.encode(message).finish()),
        responseDeserialize: (bytes: Buffer) => bytes,
      },
      InitProducerId: {
        path: "/ottla.v1.Admin/InitProducerId",
        ...unary,
        requestSerialize: bytesOf,
        requestDeserialize: (bytes: Buffer) => v1.InitProducerIdRequest.decode(bytes),
        responseSerialize: (message: ottla.v1.InitProducerIdResponse.$Properties) =>
          bytesOf(v1.InitProducerIdResponse.encode(message).finish()),
        responseDeserialize: (bytes: Buffer) => bytes,
      },
      DeleteTopics: {
        path: "/ottla.v1.Admin/DeleteTopics",
        ...unary,
        requestSerialize: bytesOf,
        requestDeserialize: (bytes: Buffer) => v1.DeleteTopicsRequest.decode(bytes),
        responseSerialize: bytesOf,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
      Produce: {
        path: "/ottla.v1.Log/Produce",
        requestStream: true,
        responseStream: true,
        requestSerialize: bytesOf,
        requestDeserialize: (bytes: Buffer) => v1.ProduceRequest.decode(bytes),
        responseSerialize: (message: ottla.v1.ProduceResponse.$Properties) =>
          bytesOf(v1.ProduceResponse.encode(message).finish()),
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    },
    {
      Metadata: (_call: unknown, callback: (error: null, value: object) => void) => {
        const partitions = [{ partition: 0, leader: 1, leaderEpoch: 0 }];
        callback(null, {
          clusterId: "fake",
          controllerId: 1,
          brokers: [{ id: 1, host: "127.0.0.1", port: broker.port }],
          topics: [{ name: "t", id: "id", partitions }],
        });
      },
      InitProducerId: (_call: unknown, callback: (error: null, value: object) => void) => {
        callback(null, { producerId: 5_000_000_000, producerEpoch: 0 });
      },
      DeleteTopics: (_call: unknown, callback: (error: object) => void) => {
        const metadata = new Metadata();
        metadata.set("ottla-error-code", "TOPIC_DELETION_DISABLED");
        metadata.set("ottla-error-field", "delete.topic.enable");
        callback({ code: status.FAILED_PRECONDITION, details: "not here", metadata });
      },
      Produce: (stream: Stream) => {
        streams.push(stream);
        stream.on("error", () => undefined);
        stream.on("end", () => stream.end());
        stream.on("data", ({ correlationId, partitions }: ottla.v1.ProduceRequest) => {
          const [first] = partitions ?? [];
          const count = Buffer.from(first?.batch ?? []).readInt32BE(57);
          stream.write({
            correlationId,
            partitions: [{ topic: "t", partition: 0, baseOffset: end, logAppendTimeMs: -1 }],
          });
          end += count;
        });
      },
    },
  );
  broker.port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { port: broker.port, server, streams };
}

const open: { close(): void }[] = [];

function connectTo(port: number): Connection {
  const connection = new GrpcTransport(systemClock).connect({ host: "127.0.0.1", port });
  open.push(connection);
  return connection;
}

async function started(port = 0): Promise<FakeBroker> {
  const broker = await fakeBroker(port);
  open.push({ close: () => broker.server.forceShutdown() });
  return broker;
}

async function errorOf(promise: Promise<unknown>): Promise<OttlaError> {
  const thrown = await promise.catch((error: unknown) => error);
  if (thrown instanceof OttlaError) return thrown;
  throw new Error(`no OttlaError: ${String(thrown)}`);
}

afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const METADATA = { topics: ["t"], noTopics: false, allowAutoTopicCreation: false };

describe("unary calls", () => {
  it("return messages with every field readable, 64-bit numbers as numbers", async () => {
    const connection = connectTo((await started()).port);
    const { topics } = await connection.call("Metadata", METADATA, { timeoutMs: 5_000 });
    expect(topics[0]?.error).toBeNull();
    expect(topics[0]?.partitions[0]?.replicas).toEqual([]);
    const { error, producerId } = await connection.call("InitProducerId", {}, { timeoutMs: 5_000 });
    expect([error, producerId]).toEqual([null, 5_000_000_000]);
  });

  it("reject with the broker's own error, code, message and field", async () => {
    const connection = connectTo((await started()).port);
    const error = await errorOf(
      connection.call("DeleteTopics", { topics: [] }, { timeoutMs: 5_000 }),
    );
    expect([error.code, error.message, error.field]).toEqual([
      "TOPIC_DELETION_DISABLED",
      "not here",
      "delete.topic.enable",
    ]);
  });

  it("reject with NETWORK_EXCEPTION where nobody listens, and ABORTED on a signal", async () => {
    const { port, server } = await fakeBroker();
    server.forceShutdown();
    const refused = connectTo(port).call("Metadata", METADATA, { timeoutMs: 5_000 });
    expect((await errorOf(refused)).code).toBe("NETWORK_EXCEPTION");
    const signal = AbortSignal.abort();
    const aborted = connectTo(port).call("Metadata", METADATA, { timeoutMs: 5_000, signal });
    expect((await errorOf(aborted)).code).toBe("ABORTED");
  });

  it("reject with NETWORK_EXCEPTION from ready while nobody listens, and settle once one does", async () => {
    const first = await fakeBroker();
    first.server.forceShutdown();
    const connection = connectTo(first.port);
    expect((await errorOf(connection.ready(100))).code).toBe("NETWORK_EXCEPTION");
    await started(first.port);
    await connection.ready(5_000);
  });
});

describe("streams", () => {
  it("hear at once of a broker that dies", async () => {
    const { port, server, streams } = await started();
    const connection = connectTo(port);
    const ended = new Promise<OttlaError>((resolve) => {
      const stream = connection.openProduce({ onMessage: () => undefined, onEnd: resolve });
      const batch = new Uint8Array(61);
      const partitions = [{ topic: "t", partition: 0, batch }];
      stream.send({ correlationId: 1, acks: -1, timeoutMs: 1_000, partitions });
    });
    await expect.poll(() => streams.length).toBe(1);
    server.forceShutdown();
    expect((await ended).code).toBe("NETWORK_EXCEPTION");
  });

  it("copy what they send: the buffer may be used again at once", async () => {
    const connection = connectTo((await started()).port);
    const answers: number[] = [];
    const stream = connection.openProduce({
      onMessage: ({ partitions }: ProduceResponse) => {
        answers.push(partitions[0]?.baseOffset ?? -1);
      },
      onEnd: () => undefined,
    });
    const batch = new Uint8Array(61);
    for (let correlationId = 1; correlationId <= 3; correlationId++) {
      batch[60] = 10;
      const partitions = [{ topic: "t", partition: 0, batch }];
      stream.send({ correlationId, acks: -1, timeoutMs: 1_000, partitions });
      batch.fill(0);
    }
    await expect.poll(() => answers).toEqual([0, 10, 20]);
    stream.close();
  });
});

describe("a producer over gRPC", () => {
  it("goes on when its broker was gone for a while", async () => {
    const first = await fakeBroker();
    await using producer = new Producer({ bootstrapServers: `127.0.0.1:${first.port}` });
    const values = Array.from({ length: 100 }, (_, index) => ({ value: `${index}` }));
    const places = await producer.sendBatch("t", values);
    expect(places.map(({ offset }) => offset)).toEqual(values.map((_, index) => index));
    first.server.forceShutdown();
    const waiting = producer.send({ topic: "t", value: "later" });
    await started(first.port);
    expect((await waiting).offset).toBe(0);
  });
});
