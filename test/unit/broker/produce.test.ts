import { gzipSync } from "node:zlib";
import { beforeEach, describe, expect, test } from "vitest";
import { image, partition, TOPIC_CONFIG } from "../runtime/cluster-image.ts";
import { Desk } from "./desk.ts";

let desk: Desk;

beforeEach(async () => {
  desk = await Desk.start(image([partition()]));
});

function code(result: { readonly error: { readonly code: string } | undefined }): string {
  return result.error?.code ?? "ok";
}

describe("acknowledgements", () => {
  test("acks=all waits until the ISR has the batch on disk", async () => {
    desk.cluster.log(2).autoSync = false;
    let result: unknown;
    desk.producers.produce(desk.one(desk.batch("a"))).then(
      (settled) => {
        result = settled;
      },
      () => undefined,
    );
    await desk.cluster.until(() => desk.cluster.log(2).logEndOffset === 1);
    await desk.cluster.run(100);
    expect(result).toBeUndefined();
    desk.cluster.log(2).sync();
    await desk.cluster.until(() => result !== undefined);
    expect(result).toMatchObject({ error: undefined, baseOffset: 0, logAppendTimeMs: -1 });
  });

  test("acks=1 waits for the leader's own disk alone, acks=0 for nothing", async () => {
    for (const id of [1, 2, 3]) desk.cluster.log(id).autoSync = false;
    expect(await desk.produce(desk.batch("a"), { acks: 0 })).toMatchObject({ baseOffset: 0 });
    let result: unknown;
    desk.producers.produce(desk.one(desk.batch("b"), { acks: 1 })).then(
      (settled) => {
        result = settled;
      },
      () => undefined,
    );
    await desk.cluster.run(50);
    expect(result).toBeUndefined();
    desk.cluster.log(1).sync();
    await desk.cluster.until(() => result !== undefined);
    expect(result).toMatchObject({ error: undefined, baseOffset: 1 });
  });

  test("a batch that is not acknowledged in time may still be written", async () => {
    desk.cluster.log(2).autoSync = false;
    expect(code(await desk.produce(desk.batch("a"), { timeoutMs: 200 }))).toBe("REQUEST_TIMED_OUT");
    expect(desk.cluster.log(1).logEndOffset).toBe(1);
  });

  test("below min.insync.replicas nothing is appended; if it falls after, the error says so", async () => {
    await desk.publish(image([partition({ isr: [1], partitionEpoch: 2 })]));
    expect(code(await desk.produce(desk.batch("a")))).toBe("NOT_ENOUGH_REPLICAS");
    expect(desk.cluster.log(1).logEndOffset).toBe(0);
    expect(code(await desk.produce(desk.batch("a"), { acks: 1 }))).toBe("ok");
    await desk.publish(image([partition({ partitionEpoch: 3 })]));
    desk.cluster.log(2).autoSync = false;
    const late = desk.producers.produce(desk.one(desk.batch("b"), { timeoutMs: 300 }));
    await desk.publish(image([partition({ isr: [1], partitionEpoch: 4 })]));
    const { world } = desk.cluster.member(1).memory;
    expect(code(await world.settle(late))).toBe("NOT_ENOUGH_REPLICAS_AFTER_APPEND");
  });

  test("a deposed leader's producers are sent to the new one", async () => {
    desk.cluster.log(2).autoSync = false;
    const waiting = desk.producers.produce(desk.one(desk.batch("a")));
    await desk.publish(image([partition({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 })]));
    const { world } = desk.cluster.member(1).memory;
    const moved = {
      error: { code: "NOT_LEADER_OR_FOLLOWER" },
      leader: { brokerId: 2, leaderEpoch: 2 },
    };
    expect(await world.settle(waiting)).toMatchObject(moved);
    expect(await desk.produce(desk.batch("b"))).toMatchObject(moved);
  });

  test("a failing disk is told as such", async () => {
    desk.cluster.log(1).autoSync = false;
    const waiting = desk.producers.produce(desk.one(desk.batch("a"), { acks: 1 }));
    desk.cluster.log(1).fail();
    const { world } = desk.cluster.member(1).memory;
    expect(code(await world.settle(waiting))).toBe("KAFKA_STORAGE_ERROR");
    expect(code(await desk.produce(desk.batch("b")))).toBe("KAFKA_STORAGE_ERROR");
  });
});

describe("a compacted topic", () => {
  const compressed = (section: Uint8Array): Uint8Array => new Uint8Array(gzipSync(section));

  beforeEach(async () => {
    desk = await Desk.start(image([partition()]), { cleanupPolicy: ["compact"] });
  });

  test("takes records with keys alone", async () => {
    expect(code(await desk.produce(desk.batch("a")))).toBe("INVALID_RECORD");
    expect(code(await desk.produce(desk.batch("a", { compressed })))).toBe("INVALID_RECORD");
    const bomb = (): Uint8Array => compressed(new Uint8Array(100_000_000));
    const tooLarge = desk.batch("a", { key: "k", compressed: bomb });
    expect(code(await desk.produce(tooLarge))).toBe("LIMIT_EXCEEDED");
    expect(code(await desk.produce(desk.batch("a", { key: "k" })))).toBe("ok");
    expect(code(await desk.produce(desk.batch("a", { key: "k", compressed })))).toBe("ok");
    expect(desk.cluster.log(1).logEndOffset).toBe(2);
  });

  // While one is opened, what comes after it must not overtake it.
  test("appends compressed and other batches in the order of their arrival", async () => {
    const producer = { producerId: 5, producerEpoch: 0, key: "k" };
    const results = ["a", "b", "c", "d"].map((text, index) => {
      const options = { ...producer, baseSequence: index };
      const batch = desk.batch(text, index % 2 === 0 ? { ...options, compressed } : options);
      return desk.producers.produce(desk.one(batch));
    });
    const { world } = desk.cluster.member(1).memory;
    const settled = await world.settle(Promise.all(results));
    expect(settled.map(code)).toEqual(["ok", "ok", "ok", "ok"]);
    expect(settled.map(({ baseOffset }) => baseOffset)).toEqual([0, 1, 2, 3]);
  });
});

describe("idempotent producers", () => {
  const producer = { producerId: 5, producerEpoch: 0 };

  test("a retry is answered with the same offsets and written once", async () => {
    const first = desk.batch("a", { ...producer, baseSequence: 0, records: 3 });
    const retry = first.slice();
    expect(await desk.produce(first)).toMatchObject({ baseOffset: 0 });
    expect(await desk.produce(retry)).toMatchObject({ error: undefined, baseOffset: 0 });
    expect(desk.cluster.log(1).logEndOffset).toBe(3);
  });

  test("a retry waits for the ISR as the first attempt did", async () => {
    desk.cluster.log(2).autoSync = false;
    const first = desk.batch("a", { ...producer, baseSequence: 0 });
    const retry = first.slice();
    await desk.produce(first, { timeoutMs: 100 });
    expect(code(await desk.produce(retry, { timeoutMs: 100 }))).toBe("REQUEST_TIMED_OUT");
  });

  test("a part of what was written is called a duplicate once the whole is committed", async () => {
    desk.cluster.log(2).autoSync = false;
    await desk.produce(desk.batch("a", { ...producer, baseSequence: 0, records: 4 }), {
      timeoutMs: 100,
    });
    const half = (timeoutMs: number) =>
      desk.produce(desk.batch("a", { ...producer, baseSequence: 0, records: 2 }), { timeoutMs });
    expect(code(await half(100))).toBe("REQUEST_TIMED_OUT");
    desk.cluster.log(2).autoSync = true;
    await desk.produce(desk.batch("b", { ...producer, baseSequence: 4 }));
    expect(code(await half(10_000))).toBe("DUPLICATE_SEQUENCE_NUMBER");
    expect(desk.cluster.log(1).logEndOffset).toBe(5);
  });

  test("a gap is refused", async () => {
    await desk.produce(desk.batch("a", { ...producer, baseSequence: 0 }));
    const gap = await desk.produce(desk.batch("c", { ...producer, baseSequence: 2 }));
    expect(code(gap)).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
  });

  test("while the ISR is too small no batch in flight is told that it is out of order", async () => {
    await desk.produce(desk.batch("a", { ...producer, baseSequence: 0 }));
    await desk.publish(image([partition({ isr: [1], partitionEpoch: 2 })]));
    const results = await Promise.all(
      [1, 2, 0].map((baseSequence) => desk.produce(desk.batch("a", { ...producer, baseSequence }))),
    );
    expect(results.map(code)).toEqual(["NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS", "ok"]);
  });
});

describe("refusals at the door", () => {
  test("unknown topic and partition", async () => {
    const unknown = await desk.produce(desk.batch("a"), { topic: "nothing" });
    expect(code(unknown)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    expect(code(await desk.produce(desk.batch("a"), { partition: 7 }))).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION",
    );
  });

  test("no leader", async () => {
    await desk.publish(image([partition({ leader: -1, leaderEpoch: 2, partitionEpoch: 2 })]));
    expect(code(await desk.produce(desk.batch("a")))).toBe("LEADER_NOT_AVAILABLE");
  });

  test("acks, size, bytes", async () => {
    expect(code(await desk.produce(desk.batch("a"), { acks: 2 as never }))).toBe(
      "INVALID_REQUIRED_ACKS",
    );
    expect(code(await desk.produce(desk.batch("x".repeat(1_100_000))))).toBe("MESSAGE_TOO_LARGE");
    const damaged = desk.batch("a");
    damaged[damaged.length - 1] = 0x7f;
    expect(code(await desk.produce(damaged))).toBe("CORRUPT_MESSAGE");
    expect(desk.cluster.log(1).logEndOffset).toBe(0);
  });

  test("timestamps too far from the broker's clock, and the broker's own", async () => {
    desk.cluster.config = {
      ...TOPIC_CONFIG,
      messageTimestampBeforeMaxMs: 1_000,
      messageTimestampAfterMaxMs: 1_000,
    };
    await desk.publish({ ...desk.image, configs: new Map() });
    const nowMs = desk.ports.clock.wallMs();
    for (const timestamp of [nowMs - 5_000, nowMs + 5_000]) {
      expect(code(await desk.produce(desk.batch("a", { timestamp })))).toBe("INVALID_TIMESTAMP");
    }
    desk.cluster.config = { ...TOPIC_CONFIG, messageTimestampType: "LogAppendTime" };
    await desk.publish({ ...desk.image, configs: new Map() });
    const stamped = await desk.produce(desk.batch("a", { timestamp: 5 }));
    expect(stamped.logAppendTimeMs).toBeGreaterThanOrEqual(nowMs);
    const stored = desk.cluster.log(1).batches.at(-1);
    expect(stored?.header.maxTimestamp).toBe(stamped.logAppendTimeMs);
  });

  test("more than may wait for acknowledgement", async () => {
    const alone = { replicas: [1], directories: ["directory"], isr: [1], partitionEpoch: 2 };
    await desk.publish(image([partition(alone)]));
    desk.cluster.log(1).autoSync = false;
    // One buffer for all: nobody reads what the fake log holds.
    const batch = desk.batch("x".repeat(1_000_000));
    const pending: Promise<unknown>[] = [];
    for (let index = 0; index < 268; index++) pending.push(desk.producers.produce(desk.one(batch)));
    expect(code(await desk.produce(batch))).toBe("THROTTLING_QUOTA_EXCEEDED");
    desk.cluster.log(1).sync();
    await desk.cluster.member(1).memory.world.settle(Promise.all(pending));
    desk.cluster.log(1).autoSync = true;
    expect(code(await desk.produce(batch))).toBe("ok");
  });
});

test("the offsets topic is the coordinators' own", async () => {
  const refused = await desk.produce(desk.batch("a"), { topic: "__consumer_offsets" });
  expect(code(refused)).toBe("INVALID_TOPIC_EXCEPTION");
});

test("what came in is counted by topic", async () => {
  await desk.produce(desk.batch("a", { records: 4 }));
  const large = desk.batch("x".repeat(1_100_000));
  await desk.produce(large);
  const series = desk.cluster.member(1).memory.meter;
  series.collect();
  const rejected = "kafka_server_brokertopicmetrics_bytesrejected_total";
  expect(series.series(`${rejected}{topic="topic"}`)).toBe(large.length);
  expect(series.series('kafka_server_brokertopicmetrics_messagesin_total{topic="topic"}')).toBe(4);
});
