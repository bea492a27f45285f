import { describe, expect, test } from "vitest";
import type { ProduceOne, ProduceResult } from "../../../src/broker/broker-api.ts";
import { ottla } from "../../../src/gen/ottla.js";
import { fakeBroker, openDoor, openRaw, statusOfStream, until } from "./door-fixture.ts";

const { ProduceRequest, ProduceResponse } = ottla.v1;
const PATH = "/ottla.v1.Log/Produce";

const DONE: ProduceResult = {
  error: undefined,
  baseOffset: 0,
  logAppendTimeMs: -1,
  logStartOffset: 0,
  leader: undefined,
};

function request(
  correlationId: number,
  partitions: readonly number[],
  more: { readonly acks?: number; readonly bytes?: number } = {},
): Buffer {
  return Buffer.from(
    ProduceRequest.encode({
      correlationId,
      acks: more.acks ?? -1,
      timeoutMs: 1_000,
      partitions: partitions.map((partition) => ({
        topic: "orders",
        partition,
        batch: new Uint8Array(more.bytes ?? 3).fill(partition),
      })),
    }).finish(),
  );
}

function produceBroker() {
  const asked: ProduceOne[] = [];
  const answers: ((result: ProduceResult) => void)[] = [];
  const broker = fakeBroker({
    produce: (one) => {
      asked.push(one);
      return new Promise((resolve) => answers.push(resolve));
    },
  });
  return { asked, answers, broker };
}

describe("the Produce stream", () => {
  // Order per stream is what an idempotent producer's sequences rely on.
  test("hands batches over in order of arrival, and answers in order of completion", async () => {
    const { asked, answers, broker } = produceBroker();
    await using door = await openDoor(broker);
    const call = openRaw(door.client, PATH);
    const responses: InstanceType<typeof ProduceResponse>[] = [];
    call.on("data", (bytes: Buffer) => responses.push(ProduceResponse.decode(bytes)));
    for (let id = 0; id < 50; id++) call.write(request(id, [id * 2, id * 2 + 1]));
    await until(() => asked.length === 100);
    expect(asked.map(({ partition }) => partition)).toEqual(
      Array.from({ length: 100 }, (_, index) => index),
    );
    expect(asked[3]?.batch).toEqual(new Uint8Array([3, 3, 3]));
    // Of the first request only one half; of the second both.
    answers[0]?.({ ...DONE, baseOffset: 2 ** 40 });
    answers[3]?.({ ...DONE, baseOffset: 8 });
    answers[2]?.({ ...DONE, baseOffset: 7 });
    await until(() => responses.length === 1);
    expect(responses[0]?.correlationId).toBe(1);
    expect(responses[0]?.partitions?.map(({ baseOffset }) => baseOffset)).toEqual([7, 8]);
    answers[1]?.(DONE);
    await until(() => responses.length === 2);
    expect(responses[1]?.correlationId).toBe(0);
    expect(responses[1]?.partitions?.map(({ baseOffset }) => baseOffset)).toEqual([2 ** 40, 0]);
    call.cancel();
  });

  test("names the leader with its address, and each item's own error", async () => {
    const broker = fakeBroker({
      produce: async () => ({
        ...DONE,
        baseOffset: -1,
        error: { code: "NOT_LEADER_OR_FOLLOWER", message: "moved", field: "partition" },
        leader: { brokerId: 2, leaderEpoch: 5 },
      }),
    });
    await using door = await openDoor(broker);
    const call = openRaw(door.client, PATH);
    const response = new Promise<Buffer>((resolve) => call.on("data", resolve));
    call.write(request(1, [0]));
    expect(ProduceResponse.decode(await response)).toMatchObject({
      partitions: [
        {
          topic: "orders",
          baseOffset: -1,
          error: { code: "NOT_LEADER_OR_FOLLOWER", field: "partition", retriable: true },
          leader: { brokerId: 2, leaderEpoch: 5, host: "host-2", port: 9192 },
        },
      ],
    });
    call.end();
  });

  test("answers acks=0 only to refuse", async () => {
    const { asked, answers, broker } = produceBroker();
    await using door = await openDoor(broker);
    const call = openRaw(door.client, PATH);
    const ids: number[] = [];
    call.on("data", (bytes: Buffer) => ids.push(ProduceResponse.decode(bytes).correlationId));
    for (const id of [1, 2, 3]) call.write(request(id, [0], { acks: 0 }));
    await until(() => asked.length === 3);
    answers[0]?.(DONE);
    answers[1]?.({ ...DONE, error: { code: "CORRUPT_MESSAGE", message: "crc" } });
    answers[2]?.(DONE);
    call.write(request(4, [0]));
    await until(() => asked.length === 4);
    answers[3]?.(DONE);
    await until(() => ids.length === 2);
    expect(ids).toEqual([2, 4]);
    call.end();
  });

  test("refuses what no producer may ask, naming field, value and what is allowed", async () => {
    await using door = await openDoor(fakeBroker());
    const call = openRaw(door.client, PATH);
    const responses: InstanceType<typeof ProduceResponse>[] = [];
    call.on("data", (bytes: Buffer) => responses.push(ProduceResponse.decode(bytes)));
    const partition = { topic: "orders", partition: 0, batch: new Uint8Array([1]) };
    const requests = [
      { acks: 3, partitions: [partition] },
      { acks: -1, partitions: [{ ...partition, topic: "" }] },
      { acks: -1, partitions: [{ ...partition, topic: "x".repeat(1_000) }] },
      { acks: 0, partitions: [{ ...partition, batch: new Uint8Array(0) }] },
    ];
    for (const [correlationId, each] of requests.entries()) {
      call.write(Buffer.from(ProduceRequest.encode({ correlationId, ...each }).finish()));
    }
    await until(() => responses.length === requests.length);
    const errors = responses.map(({ partitions }) => partitions?.[0]?.error);
    expect(errors.map((error) => error?.code)).toEqual([
      "INVALID_REQUIRED_ACKS",
      "INVALID_REQUEST",
      "INVALID_REQUEST",
      "INVALID_RECORD",
    ]);
    expect(errors.map((error) => error?.field)).toEqual([
      "acks",
      "partitions.topic",
      "partitions.topic",
      "partitions.batch",
    ]);
    expect(errors[0]?.message).toBe("acks is 3; it must be 0, 1 or -1 (all)");
    call.end();
  });

  // The bound of one stream is 32 MiB: a client must not fill the broker's memory by not waiting.
  test("stops reading while too many bytes wait for acknowledgement", async () => {
    const { asked, answers, broker } = produceBroker();
    await using door = await openDoor(broker);
    const call = openRaw(door.client, PATH);
    let answered = 0;
    call.on("data", () => answered++);
    const requestsCount = 120;
    const bytes = 1024 * 1024;
    for (let id = 0; id < requestsCount; id++) call.write(request(id, [0], { bytes }));
    await until(() => asked.length >= 33);
    // Whatever was read before the pause is handed over within a few turns of the loop.
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(asked.length).toBeLessThan(requestsCount / 2);
    for (let next = 0; next < requestsCount; next++) {
      await until(() => answers.length > next);
      answers[next]?.(DONE);
    }
    await until(() => answered === requestsCount);
    expect(asked.length).toBe(requestsCount);
    call.end();
  });

  test("ends with a status after a message that is none, and serves on", async () => {
    const { asked, answers, broker } = produceBroker();
    await using door = await openDoor(broker);
    const bad = openRaw(door.client, PATH);
    bad.on("data", () => {});
    const status = statusOfStream(bad);
    bad.write(Buffer.from([0x22, 0xff, 0xff, 0xff, 0xff]));
    expect(await status).toMatchObject({ code: 3 });
    expect((await status).metadata.get("ottla-error-code")).toEqual(["INVALID_REQUEST"]);
    const good = openRaw(door.client, PATH);
    let answered = false;
    good.on("data", () => {
      answered = true;
    });
    good.write(request(1, [0]));
    await until(() => asked.length === 1);
    answers[0]?.(DONE);
    await until(() => answered);
    good.end();
  });
});
