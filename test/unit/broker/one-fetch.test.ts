import { beforeEach, describe, expect, test } from "vitest";
import type { FetchOne, FetchOneResult } from "../../../src/broker/broker-api.ts";
import type { OneFetch } from "../../../src/broker/one-fetch.ts";
import { image, partition, TOPIC } from "../runtime/cluster-image.ts";
import { Desk } from "./desk.ts";

let desk: Desk;

beforeEach(async () => {
  desk = await Desk.start(image([partition(), partition()]));
});

function one(change: Partial<FetchOne> = {}): FetchOne {
  return {
    topic: TOPIC,
    partition: 0,
    offset: 0,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
    maxBytes: 1024 * 1024,
    ...change,
  };
}

function done(fetch: OneFetch): Promise<readonly FetchOneResult[]> {
  return desk.cluster.member(1).memory.world.settle(fetch.done);
}

function offsets(result: FetchOneResult | undefined): number[] {
  return (result?.batches ?? []).map(({ header }) => header.baseOffset);
}

async function fill(count: number, bytes: number, change = {}): Promise<void> {
  for (let index = 0; index < count; index++) {
    await desk.produce(desk.batch("x".repeat(bytes)), change);
  }
}

describe("a fetch that is answered once", () => {
  test("brings what is committed, at once", async () => {
    await fill(3, 10);
    const fetch = desk.fetchOnce([one({ offset: 1 }), one({ partition: 1 })]);
    expect(fetch.settled).toBe(true);
    const [first, second] = await done(fetch);
    expect(offsets(first)).toEqual([1, 2]);
    expect(first).toMatchObject({ error: undefined, highWatermark: 3, logStartOffset: 0 });
    expect(second).toMatchObject({ error: undefined, highWatermark: 0, batches: [] });
  });

  test("is woken by a high watermark, not by what is only appended", async () => {
    const fetch = desk.fetchOnce([one({ partition: 1 }), one()], { maxWaitMs: 60_000 });
    desk.cluster.log(2).autoSync = false;
    desk.cluster.append(1, "a");
    await desk.cluster.run(100);
    expect(fetch.settled).toBe(false);
    desk.cluster.log(2).sync();
    await desk.cluster.until(() => fetch.settled);
    const results = await done(fetch);
    expect(results.map(offsets)).toEqual([[], [0]]);
  });

  test("comes back empty when its time is over", async () => {
    const fetch = desk.fetchOnce([one()], { maxWaitMs: 500 });
    await desk.cluster.run(499);
    expect(fetch.settled).toBe(false);
    await desk.cluster.run(2);
    expect(fetch.settled).toBe(true);
    expect(await done(fetch)).toMatchObject([{ error: undefined, highWatermark: 0 }]);
  });

  test("waits for minBytes over all its partitions, each batch once", async () => {
    await fill(1, 1_000);
    const fetch = desk.fetchOnce([one(), one({ partition: 1 })], {
      minBytes: 3_000,
      maxWaitMs: 60_000,
    });
    expect(fetch.settled).toBe(false);
    await fill(1, 1_000, { partition: 1 });
    expect(fetch.settled).toBe(false);
    await fill(1, 1_000);
    await desk.cluster.until(() => fetch.settled);
    expect((await done(fetch)).map(offsets)).toEqual([[0, 1], [0]]);
  });

  test("does not wait for more than its limits let in", async () => {
    await fill(2, 1_000);
    const fetch = desk.fetchOnce([one({ maxBytes: 100 })], { minBytes: 5_000, maxWaitMs: 60_000 });
    expect(fetch.settled).toBe(true);
    expect((await done(fetch)).map(offsets)).toEqual([[0]]);
  });

  test("brings one batch whatever the limits, and then keeps to them (KIP-74)", async () => {
    await fill(3, 10_000);
    await fill(3, 10_000, { partition: 1 });
    const [first, second] = await done(
      desk.fetchOnce([one({ maxBytes: 1 }), one({ partition: 1 })], { maxBytes: 1 }),
    );
    expect([offsets(first), offsets(second)]).toEqual([[0], []]);
    const both = await done(
      desk.fetchOnce([one({ maxBytes: 15_000 }), one({ partition: 1, maxBytes: 1 })], {
        maxBytes: 1_000_000,
      }),
    );
    expect(both.map(offsets)).toEqual([[0], [0]]);
  });

  test("reads from disk too", async () => {
    await fill(3, 10);
    desk.cluster.log(1).cold = true;
    const fetch = desk.fetchOnce([one(), one({ partition: 1 })]);
    expect(fetch.settled).toBe(false);
    expect((await done(fetch)).map(offsets)).toEqual([[0, 1, 2], []]);
  });

  test("is answered with what there is when it is cancelled", async () => {
    await fill(1, 10);
    const fetch = desk.fetchOnce([one()], { minBytes: 1_000_000, maxWaitMs: 60_000 });
    fetch.cancel();
    expect((await done(fetch)).map(offsets)).toEqual([[0]]);
  });

  test("without partitions is answered at once", async () => {
    expect(desk.fetchOnce([], { maxWaitMs: 60_000 }).settled).toBe(true);
  });
});

describe("what is wrong is told at once, beside what is right", () => {
  async function errorsOf(...ones: FetchOne[]): Promise<(string | undefined)[]> {
    const fetch = desk.fetchOnce([...ones, one()], { minBytes: 1_000_000, maxWaitMs: 60_000 });
    expect(fetch.settled).toBe(true);
    const results = await done(fetch);
    expect(offsets(results.at(-1))).toEqual([0]);
    return results.slice(0, -1).map(({ error }) => error?.code);
  }

  beforeEach(() => fill(1, 10));

  test("names, offsets and epochs that are none", async () => {
    const errors = await errorsOf(
      one({ topic: "nobody" }),
      one({ partition: 2 }),
      one({ offset: 2 }),
      one({ offset: -1 }),
      one({ currentLeaderEpoch: 0 }),
      one({ currentLeaderEpoch: 2 }),
    );
    expect(errors).toEqual([
      "UNKNOWN_TOPIC_OR_PARTITION",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "OFFSET_OUT_OF_RANGE",
      "OFFSET_OUT_OF_RANGE",
      "FENCED_LEADER_EPOCH",
      "UNKNOWN_LEADER_EPOCH",
    ]);
  });

  test("another history of the client's log (KIP-595)", async () => {
    const fetch = desk.fetchOnce(
      [
        one({ offset: 1, lastFetchedEpoch: 1 }),
        one({ offset: 1, lastFetchedEpoch: 2 }),
        one({ offset: 1, lastFetchedEpoch: 0 }),
      ],
      { maxWaitMs: 60_000 },
    );
    const [same, newer, older] = await done(fetch);
    expect(same).toMatchObject({ error: undefined, diverging: undefined });
    expect(newer?.diverging).toEqual({ epoch: 1, endOffset: 1 });
    expect(older?.error?.code).toBe("OFFSET_OUT_OF_RANGE");
  });

  test("a leader that moves while the fetch waits, and who leads then", async () => {
    const fetch = desk.fetchOnce([one({ offset: 1 })], { maxWaitMs: 60_000 });
    await desk.publish(
      image([partition({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 }), partition()]),
    );
    await desk.cluster.until(() => fetch.settled);
    expect(await done(fetch)).toMatchObject([
      { error: { code: "NOT_LEADER_OR_FOLLOWER" }, leader: { brokerId: 2, leaderEpoch: 2 } },
    ]);
  });
});
