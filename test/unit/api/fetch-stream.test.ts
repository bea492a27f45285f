import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFetched } from "../../../src/api/grpc/fetch-messages.ts";
import type { FetchedOne, FetchSink, FetchStartOne } from "../../../src/broker/broker-api.ts";
import { ottla } from "../../../src/gen/ottla.js";
import { LIMITS } from "../../../src/model/limits.ts";
import type { Batch } from "../../../src/record/batch.ts";
import { fakeBroker, IMAGE, openDoor, openRaw, until } from "./door-fixture.ts";

const { FetchRequest, FetchResponse } = ottla.v1;
const PATH = "/ottla.v1.Log/Fetch";

/** The door looks at nothing but the bytes. */
function batch(bytes: Uint8Array): Batch {
  return { header: {} as Batch["header"], bytes };
}

function fetched(handle: number, batches: readonly Batch[]): FetchedOne {
  return {
    handle,
    error: undefined,
    highWatermark: 5,
    lastStableOffset: 5,
    logStartOffset: 0,
    batches,
    leader: undefined,
  };
}

function request(message: Parameters<typeof FetchRequest.encode>[0]): Buffer {
  return Buffer.from(FetchRequest.encode(message).finish());
}

function fetchBroker() {
  const events: unknown[] = [];
  const sinks: FetchSink[] = [];
  const broker = fakeBroker({
    openFetch: (sink) => {
      sinks.push(sink);
      return {
        start: (one: FetchStartOne) => events.push(one),
        stop: (handle) => events.push(`stop ${handle}`),
        credit: (bytes) => events.push(`credit ${bytes}`),
        close: () => events.push("close"),
      };
    },
  });
  return { events, sinks, broker };
}

describe("fetch responses", () => {
  test("are read by general code as they were meant, whatever the numbers", () => {
    const offset = fc.oneof(fc.integer({ min: -1, max: 300 }), fc.maxSafeNat());
    const one = fc.record({
      handle: fc.oneof(fc.nat(200), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
      highWatermark: offset,
      lastStableOffset: offset,
      logStartOffset: offset,
      batches: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }),
      refused: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), (items) => {
        const messages = encodeFetched(
          items.map(({ refused, batches, ...rest }) => ({
            ...rest,
            batches: batches.map(batch),
            error: refused ? { code: "OFFSET_OUT_OF_RANGE" as const, message: "é" } : undefined,
            leader: refused ? { brokerId: 1, leaderEpoch: 3 } : undefined,
          })),
          IMAGE,
          "GRPC",
        );
        const read = messages.flatMap((bytes) => FetchResponse.decode(bytes).partitions ?? []);
        expect(read.length).toBe(items.length);
        for (const [index, item] of items.entries()) {
          const part = read[index];
          expect(part).toMatchObject({
            handle: item.handle,
            highWatermark: item.highWatermark,
            lastStableOffset: item.lastStableOffset,
            logStartOffset: item.logStartOffset,
          });
          expect([...(part?.batches ?? [])]).toEqual(item.batches.flatMap((each) => [...each]));
          expect(part?.error?.code).toBe(item.refused ? "OFFSET_OUT_OF_RANGE" : undefined);
          expect(part?.leader?.host).toBe(item.refused ? "host-1" : undefined);
        }
      }),
    );
  });

  test("are split so that none passes the limit of a message", () => {
    const large = batch(new Uint8Array(LIMITS.grpcMessageBytes - 100));
    const small = batch(new Uint8Array(10));
    const messages = encodeFetched(
      [fetched(1, [small]), fetched(2, [large]), fetched(3, [large]), fetched(4, [small])],
      IMAGE,
      "GRPC",
    );
    expect(messages.map((bytes) => FetchResponse.decode(bytes).partitions?.length)).toEqual([
      1, 1, 1, 1,
    ]);
    for (const bytes of messages) {
      expect(bytes.length).toBeLessThan(LIMITS.grpcMessageBytes + 64 * 1024);
    }
    expect(encodeFetched([fetched(1, [small]), fetched(2, [small])], IMAGE, "GRPC").length).toBe(1);
  });
});

describe("the Fetch stream", () => {
  test("passes stops, starts and credit on, and closes the session with the stream", async () => {
    const { events, sinks, broker } = fetchBroker();
    await using door = await openDoor(broker);
    const call = openRaw(door.client, PATH);
    const responses: InstanceType<typeof FetchResponse>[] = [];
    call.on("data", (bytes: Buffer) => responses.push(FetchResponse.decode(bytes)));
    call.write(
      request({
        start: [
          { handle: 1, topic: "orders", partition: 2, offset: 2 ** 40, currentLeaderEpoch: -1 },
        ],
        stop: [9],
        creditBytes: 1_000,
      }),
    );
    await until(() => events.length === 3);
    expect(events).toEqual([
      "stop 9",
      {
        handle: 1,
        topic: "orders",
        partition: 2,
        offset: 2 ** 40,
        currentLeaderEpoch: -1,
        lastFetchedEpoch: -1,
        maxBytes: 1_000_000,
      },
      "credit 1000",
    ]);
    await sinks[0]?.([fetched(1, [batch(new Uint8Array([1, 2])), batch(new Uint8Array([3]))])]);
    await until(() => responses.length === 1);
    expect([...(responses[0]?.partitions?.[0]?.batches ?? [])]).toEqual([1, 2, 3]);
    call.end();
    await until(() => events.includes("close"));
  });

  test("refuses a start that cannot be, and only that one", async () => {
    const { events, broker } = fetchBroker();
    await using door = await openDoor(broker);
    const call = openRaw(door.client, PATH);
    const responses: InstanceType<typeof FetchResponse>[] = [];
    call.on("data", (bytes: Buffer) => responses.push(FetchResponse.decode(bytes)));
    const good = { topic: "orders", partition: 0, offset: 0, currentLeaderEpoch: 0, maxBytes: 5 };
    call.write(
      request({
        start: [
          { ...good, handle: 1, offset: -5 },
          { ...good, handle: 2, topic: "" },
          { ...good, handle: 3, currentLeaderEpoch: -2 },
          { ...good, handle: 4 },
        ],
      }),
    );
    await until(() => responses.length === 3);
    const refusals = responses.flatMap(({ partitions }) => partitions ?? []);
    expect(refusals.map(({ handle, error }) => [handle, error?.code, error?.field])).toEqual([
      [1, "INVALID_REQUEST", "start.offset"],
      [2, "INVALID_REQUEST", "start.topic"],
      [3, "INVALID_REQUEST", "start.current_leader_epoch"],
    ]);
    expect(events.filter((event) => typeof event === "object")).toMatchObject([{ handle: 4 }]);
    call.end();
  });

  // A paused client leaves its flow-control window closed: the broker must first wait, then let go.
  test("waits for a client that reads slowly, and cuts off one that does not read", async () => {
    const { events, sinks, broker } = fetchBroker();
    await using door = await openDoor(broker);
    const call = openRaw(door.client, PATH);
    call.write(request({ creditBytes: 1 }));
    await until(() => events.length === 1);
    const sink = sinks[0] as FetchSink;
    const megabyte = [fetched(1, [batch(new Uint8Array(1024 * 1024))])];
    let waiting: Promise<void> | undefined;
    let sent = 0;
    for (; waiting === undefined && sent < 200; sent++) {
      waiting = sink(megabyte) as Promise<void> | undefined;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(waiting).toBeDefined();
    // It begins to read: the wait ends.
    let received = 0;
    const onData = (): void => {
      received++;
    };
    call.on("data", onData);
    await waiting;
    await until(() => received === sent);
    expect(door.timers.delays).toEqual([]);
    // It stops reading for good.
    call.pause();
    waiting = undefined;
    for (let more = 0; waiting === undefined && more < 200; more++) {
      waiting = sink(megabyte) as Promise<void> | undefined;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(door.timers.delays).toEqual([LIMITS.slowReaderMs]);
    const outcome = expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
    const ended = new Promise((resolve) => call.once("status", resolve));
    door.timers.fire();
    await outcome;
    await until(() => events.includes("close"));
    call.resume();
    await ended;
    expect(door.logs.some((line) => line.includes("does not read"))).toBe(true);
  });
});
