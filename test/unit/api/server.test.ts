import { connect } from "node:net";
import fc from "fast-check";
import { service as healthService } from "grpc-health-check";
import { describe, expect, test } from "vitest";
import { startGrpcServer } from "../../../src/api/grpc/server.ts";
import type { BrokerHealth } from "../../../src/broker/broker-api.ts";
import { ottla } from "../../../src/gen/ottla.js";
import { LIMITS } from "../../../src/model/limits.ts";
import {
  callRaw,
  type Door,
  fakeBroker,
  openDoor,
  openRaw,
  statusOfStream,
  until,
} from "./door-fixture.ts";

const { ListOffsetsResponse, MetadataResponse } = ottla.v1;
const NO_OFFSETS = { topic: "orders", partition: 0, offset: -1, timestamp: -1, leaderEpoch: -1 };

/** The door still answers. */
async function expectServing(door: Door): Promise<void> {
  const bytes = await callRaw(door.client, "/ottla.v1.Admin/Metadata", new Uint8Array(0));
  expect(MetadataResponse.decode(bytes).clusterId).toBe("cluster");
}

const METHODS = ["Metadata", "CreateTopics", "IncrementalAlterConfigs", "ListOffsets"].map(
  (name) => `/ottla.v1.Admin/${name}`,
);

describe("hostile input", () => {
  test("garbage in place of messages is refused, and the door serves on", async () => {
    const broker = fakeBroker({
      topics: async () => [],
      listOffsets: async () => [],
      controller: async () => ({ topics: [], resources: [] }) as never,
    });
    await using door = await openDoor(broker);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...METHODS),
        fc.uint8Array({ maxLength: 200 }),
        async (path, bytes) => {
          // Chance may write a valid request; what counts is that there is an answer.
          await callRaw(door.client, path, bytes).catch((error: { readonly code: number }) =>
            expect([3, 8]).toContain(error.code),
          );
        },
      ),
      { numRuns: 200 },
    );
    await expectServing(door);
  });

  test("garbage in place of HTTP/2 costs its own connection only", async () => {
    await using door = await openDoor(fakeBroker());
    const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const beginnings = [
      Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
      Buffer.alloc(0),
      preface,
      Buffer.concat([preface, settings]),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...beginnings),
        fc.uint8Array({ maxLength: 500 }),
        async (beginning, bytes) => {
          const socket = connect(door.port, "127.0.0.1");
          socket.on("error", () => {});
          socket.resume();
          await new Promise<void>((resolve) => {
            socket.on("close", () => resolve());
            socket.end(Buffer.concat([beginning, bytes]), () => resolve());
          });
          await expectServing(door);
          socket.destroy();
        },
      ),
      { numRuns: 60 },
    );
    await expectServing(door);
  });

  test("a connection that says nothing disturbs nobody", async () => {
    await using door = await openDoor(fakeBroker());
    const socket = connect(door.port, "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    await expectServing(door);
    socket.destroy();
  });

  test("a message over the limit is RESOURCE_EXHAUSTED", async () => {
    const session = { start: () => {}, stop: () => {}, credit: () => {}, close: () => {} };
    await using door = await openDoor(fakeBroker({ openFetch: () => session }));
    const large = new Uint8Array(LIMITS.grpcMessageBytes + 1);
    await expect(callRaw(door.client, "/ottla.v1.Admin/Metadata", large)).rejects.toMatchObject({
      code: 8,
    });
    for (const path of ["/ottla.v1.Log/Produce", "/ottla.v1.Log/Fetch"]) {
      const call = openRaw(door.client, path);
      call.on("data", () => {});
      const status = statusOfStream(call);
      call.write(Buffer.from(large));
      expect(await status).toMatchObject({ code: 8 });
    }
    await expectServing(door);
  });

  test("the services between brokers do not exist here", async () => {
    await using door = await openDoor(fakeBroker());
    const call = openRaw(door.client, "/ottla.internal.v1.Peer/Raft");
    call.on("data", () => {});
    expect(await statusOfStream(call)).toMatchObject({ code: 12 });
  });
});

test("each listener sends its clients to the brokers' listeners of its own name", async () => {
  const moved = { code: "NOT_LEADER_OR_FOLLOWER" as const, message: "elsewhere" };
  const broker = fakeBroker({
    listOffsets: async () => [
      { ...NO_OFFSETS, error: moved, leader: { brokerId: 1, leaderEpoch: 4 } },
      // Has no listener of the second name.
      { ...NO_OFFSETS, error: moved, leader: { brokerId: 2, leaderEpoch: 4 } },
    ],
  });
  const told: unknown[] = [];
  for (const name of ["GRPC", "OUTSIDE"]) {
    await using door = await openDoor(broker, name);
    const ask = (method: string): Promise<Buffer> =>
      callRaw(door.client, `/ottla.v1.Admin/${method}`, new Uint8Array(0));
    const { brokers } = MetadataResponse.decode(await ask("Metadata"));
    told.push(brokers?.map(({ id, host, port }) => `${id} ${host}:${port}`));
    const { partitions } = ListOffsetsResponse.decode(await ask("ListOffsets"));
    told.push(
      partitions?.map(({ leader }) => `${leader?.brokerId} ${leader?.host}:${leader?.port}`),
    );
  }
  expect(told).toEqual([
    ["1 host-1:9191"],
    ["1 host-1:9191", "2 host-2:9192"],
    ["1 example.com:443"],
    ["1 example.com:443", "2 :0"],
  ]);
});

describe("opening and closing", () => {
  test("a port in use is named", async () => {
    await using door = await openDoor(fakeBroker());
    const second = startGrpcServer({
      broker: fakeBroker(),
      ports: door.ports,
      listener: { name: "GRPC", host: "127.0.0.1", port: door.port },
      config: { requestTimeoutMs: 1_000, fetchMaxBytes: 1_000 },
    });
    await expect(second).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: `listeners: 127.0.0.1:${door.port} is in use by another process`,
    });
    await expectServing(door);
  });

  test("open streams hear of the end, and the port is free at once", async () => {
    const ended: string[] = [];
    const broker = fakeBroker({
      openFetch: () => ({
        start: () => {},
        stop: () => {},
        credit: () => ended.push("credit"),
        close: () => ended.push("close"),
      }),
    });
    const door = await openDoor(broker);
    const call = openRaw(door.client, "/ottla.v1.Log/Fetch");
    call.on("data", () => {});
    call.write(Buffer.from(ottla.v1.FetchRequest.encode({ creditBytes: 1 }).finish()));
    const status = statusOfStream(call);
    await until(() => ended.length === 1);
    await door.server.close();
    expect((await status).metadata.get("ottla-error-code")).toEqual(["SHUTTING_DOWN"]);
    expect(ended).toEqual(["credit", "close"]);
    const again = await startGrpcServer({
      broker,
      ports: door.ports,
      listener: { name: "GRPC", host: "127.0.0.1", port: door.port },
      config: { requestTimeoutMs: 1_000, fetchMaxBytes: 1_000 },
    });
    await again.close();
    door.client.close();
  });
});

describe("health and reflection", () => {
  test("health follows the broker", async () => {
    let health: BrokerHealth = { live: true, ready: true, reason: "" };
    await using door = await openDoor(fakeBroker({ health: () => health }));
    const { Check } = healthService;
    const check = (): Promise<unknown> =>
      callRaw(door.client, "/grpc.health.v1.Health/Check", new Uint8Array(0)).then(
        (bytes) => Check?.responseDeserialize(bytes),
        () => undefined,
      );
    const untilStatus = async (status: string): Promise<void> => {
      for (;;) {
        const answer = (await check()) as { readonly status?: string } | undefined;
        if (answer?.status === status) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    await untilStatus("SERVING");
    health = { live: true, ready: false, reason: "fenced" };
    await untilStatus("NOT_SERVING");
    health = { live: true, ready: true, reason: "" };
    await untilStatus("SERVING");
  });

  test.each(["v1", "v1alpha"])(
    "reflection %s lists and describes the services",
    async (version) => {
      await using door = await openDoor(fakeBroker());
      const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      // Field 7: list_services. Field 4: file_containing_symbol.
      const symbol = "ottla.v1.ProduceRequest";
      const requests = [
        Buffer.from([0x3a, 0]),
        Buffer.concat([Buffer.from([0x22, symbol.length]), Buffer.from(symbol)]),
      ];
      const ask = (request: Buffer): Promise<string | undefined> =>
        new Promise((resolve) => {
          const call = openRaw(door.client, path);
          call.on("data", (bytes: Buffer) => resolve(bytes.toString("latin1")));
          call.on("error", () => resolve(undefined));
          call.end(request);
        });
      let services: string | undefined;
      while (services === undefined) services = await ask(requests[0] as Buffer);
      expect(services).toContain("ottla.v1.Log");
      expect(services).toContain("ottla.v1.Admin");
      expect(await ask(requests[1] as Buffer)).toContain("correlation_id");
    },
  );
});
