/** The doors of a real broker: what probes, scrapers and generic clients meet there. */
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { ottla } from "../../src/gen/ottla.js";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 1 });
  client = new Client(cluster.bootstrapServers[0] as string, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
});

afterAll(async () => {
  client.close();
  await cluster.stop();
});

const identity = (bytes: Buffer): Buffer => bytes;

function open(path: string, to: Client = client) {
  const call = to.makeBidiStreamRequest<Buffer, Buffer>(path, identity, identity);
  call.on("error", () => {});
  return call;
}

async function until<Value>(ask: () => Promise<Value | undefined>): Promise<Value> {
  let value: Value | undefined;
  await eventually("the door answers as asked for", async () => {
    value = await ask();
    return value !== undefined;
  });
  return value as Value;
}

describe("HTTP", () => {
  const get = (path: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${cluster.portsOf(1).httpPort}${path}`);

  test("a ready broker says so, and shows its metrics", async () => {
    expect((await get("/health/live")).status).toBe(200);
    expect((await get("/health/ready")).status).toBe(200);
    const text = await (await get("/metrics")).text();
    expect(text).toMatch(/^kafka_brokers 1$/m);
    expect(text).toMatch(/^kafka_controller_kafkacontroller_activecontrollercount 1$/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
    expect((await get("/nothing")).status).toBe(404);
  });
});

describe("gRPC for generic clients", () => {
  test("health is SERVING", async () => {
    const { Check } = healthService;
    const status = await until<string>(
      () =>
        new Promise((resolve) => {
          client.makeUnaryRequest<Buffer, Buffer>(
            "/grpc.health.v1.Health/Check",
            identity,
            identity,
            Buffer.alloc(0),
            (error: ServiceError | null, bytes) => {
              if (error !== null || bytes === undefined || Check === undefined) resolve(undefined);
              else resolve((Check.responseDeserialize(bytes) as { status: string }).status);
            },
          );
        }),
    );
    expect(status).toBe("SERVING");
  });

  test("reflection lists the public services and none of those between brokers", async () => {
    const listServices = Buffer.from([0x3a, 0]);
    const services = await until<string>(
      () =>
        new Promise((resolve) => {
          const call = open("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
          call.on("data", (bytes: Buffer) => resolve(bytes.toString("latin1")));
          call.on("error", () => resolve(undefined));
          call.end(listServices);
        }),
    );
    expect(services).toContain("ottla.v1.Log");
    expect(services).toContain("ottla.v1.Admin");
    expect(services).not.toContain("internal");
  });

  test("the public port knows no peers, and the internal port no clients", async () => {
    const { internalPort } = cluster.portsOf(1);
    const inside = new Client(`127.0.0.1:${internalPort}`, credentials.createInsecure());
    const statusOf = (call: ReturnType<typeof open>): Promise<number> =>
      new Promise((resolve) => {
        call.on("error", (error: ServiceError) => resolve(error.code));
        call.on("data", () => {});
      });
    expect(await statusOf(open("/ottla.internal.v1.Peer/Replication"))).toBe(12);
    expect(await statusOf(open("/ottla.v1.Log/Produce", inside))).toBe(12);
    inside.close();
  });
});

describe("a client that stops reading", () => {
  test("costs the others nothing", async () => {
    const bootstrapServers = cluster.bootstrapServers;
    await using admin = new Admin({ bootstrapServers });
    await admin.createTopics([{ name: "unread", partitions: 1, replicationFactor: 1 }]);
    const value = Buffer.alloc(100_000, 7);
    const recordsCount = 300;
    await using producer = new Producer({ bootstrapServers });
    const sends = Array.from({ length: recordsCount }, () =>
      producer.send({ topic: "unread", value }),
    );
    await Promise.all(sends);
    // All of it is asked for, and none of it read: the socket's window closes.
    const unread = open("/ottla.v1.Log/Fetch");
    const start = { handle: 1, topic: "unread", offset: 0, currentLeaderEpoch: -1 };
    const request = { start: [{ ...start, maxBytes: 2 ** 30 }], creditBytes: 2 ** 30 };
    unread.write(Buffer.from(ottla.v1.FetchRequest.encode(request).finish()));
    for (let round = 0; round < 2; round++) {
      await using consumer = new Consumer({ bootstrapServers });
      await consumer.assign([{ topic: "unread", partition: 0, offset: "beginning" }]);
      let received = 0;
      for await (const message of consumer.messages()) {
        expect(message.value?.length).toBe(value.length);
        received++;
        if (received === recordsCount) break;
      }
      expect(received).toBe(recordsCount);
    }
    // It may still change its mind.
    const first = new Promise<Buffer>((resolve) => unread.once("data", resolve));
    expect(ottla.v1.FetchResponse.decode(await first).partitions?.[0]?.error).toBeNull();
    unread.cancel();
  });
});
