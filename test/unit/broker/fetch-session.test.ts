import { beforeEach, describe, expect, test } from "vitest";
import type { FetchedOne, FetchStartOne } from "../../../src/broker/broker-api.ts";
import type { OpenFetch } from "../../../src/broker/fetch-session.ts";
import { image, partition, TOPIC } from "../runtime/cluster-image.ts";
import { Desk } from "./desk.ts";

let desk: Desk;
let fetched: FetchedOne[];
let fetch: OpenFetch;

beforeEach(async () => {
  desk = await Desk.start(image([partition(), partition()]));
  fetched = [];
  fetch = desk.openFetch((responses) => {
    fetched.push(...responses);
  });
});

function start(handle: number, change: Partial<FetchStartOne> = {}): FetchStartOne {
  return {
    handle,
    topic: TOPIC,
    partition: 0,
    offset: 0,
    currentLeaderEpoch: -1,
    maxBytes: 1024 * 1024,
    ...change,
  };
}

function offsets(handle: number): number[] {
  return fetched
    .filter((one) => one.handle === handle)
    .flatMap(({ batches }) => batches.map(({ header }) => header.baseOffset));
}

function errors(): string[] {
  return fetched.flatMap(({ handle, error }) =>
    error === undefined ? [] : [`${handle} ${error.code}`],
  );
}

describe("an open fetch", () => {
  test("sends what is committed, and the rest once it is", async () => {
    await desk.produce(desk.batch("a"));
    fetch.start(start(1));
    fetch.credit(1_000_000);
    await desk.cluster.until(() => offsets(1).length === 1);
    desk.cluster.log(2).autoSync = false;
    desk.cluster.append(1, "b");
    await desk.cluster.run(100);
    expect(offsets(1)).toEqual([0]);
    desk.cluster.log(2).sync();
    await desk.cluster.until(() => offsets(1).length === 2);
    expect(fetched.at(-1)?.highWatermark).toBe(2);
  });

  test("tells the high watermark at once, though there is nothing to send", async () => {
    fetch.start(start(1));
    fetch.credit(1);
    await desk.cluster.until(() => fetched.length === 1);
    expect(fetched[0]).toMatchObject({
      handle: 1,
      error: undefined,
      highWatermark: 0,
      batches: [],
    });
    await desk.cluster.run(1_000);
    expect(fetched).toHaveLength(1);
  });

  test("keeps within its credit", async () => {
    for (let index = 0; index < 20; index++) await desk.produce(desk.batch("x".repeat(10_000)));
    fetch.start(start(1, { maxBytes: 15_000 }));
    fetch.credit(25_000);
    await desk.cluster.run(100);
    expect(offsets(1)).toHaveLength(3);
    fetch.credit(1_000_000);
    await desk.cluster.until(() => offsets(1).length === 20);
    expect(offsets(1)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test("waits for its sink before it sends on, and partitions take turns", async () => {
    for (let index = 0; index < 10; index++) {
      await desk.produce(desk.batch("x".repeat(200_000)));
      await desk.produce(desk.batch("x".repeat(200_000)), { partition: 1 });
    }
    let open: () => void = () => undefined;
    const slow = desk.openFetch((responses) => {
      fetched.push(...responses);
      return new Promise((resolve) => {
        open = resolve;
      });
    });
    slow.start(start(1));
    slow.start(start(2, { partition: 1 }));
    slow.credit(100_000_000);
    await desk.cluster.run(100);
    const before = fetched.length;
    expect(before).toBeGreaterThan(0);
    await desk.cluster.run(1_000);
    expect(fetched).toHaveLength(before);
    expect(new Set(fetched.map(({ handle }) => handle))).toEqual(new Set([1, 2]));
    while (offsets(1).length + offsets(2).length < 20) {
      open();
      await desk.cluster.run(10);
    }
    expect(offsets(1)).toEqual(Array.from({ length: 10 }, (_, index) => index));
  });

  test("reads from disk too, and drops what was stopped meanwhile", async () => {
    for (let index = 0; index < 5; index++) await desk.produce(desk.batch("a"));
    desk.cluster.log(1).cold = true;
    fetch.start(start(1));
    fetch.credit(1_000_000);
    await desk.cluster.until(() => offsets(1).length === 5);
    fetch.start(start(2));
    await desk.cluster.until(() => offsets(2).length > 0);
    fetch.stop(1);
    fetch.stop(2);
    const before = fetched.length;
    await desk.produce(desk.batch("b"));
    await desk.cluster.run(100);
    expect(fetched).toHaveLength(before);
  });
});

describe("credit", () => {
  test("comes back for what was read ahead and dropped, because its handle was stopped", async () => {
    // A response is about a megabyte: two of these, and two more are read ahead.
    for (let index = 0; index < 4; index++) await desk.produce(desk.batch("x".repeat(600_000)));
    let release: () => void = () => undefined;
    const taken = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = desk.openFetch((responses) => {
      fetched.push(...responses);
      return taken;
    });
    slow.start(start(1));
    slow.credit(2_000_000);
    await desk.cluster.until(() => offsets(1).length === 2);
    slow.stop(1);
    slow.start(start(2, { offset: 3 }));
    release();
    await desk.cluster.until(() => offsets(2).length === 1);
    expect(offsets(1)).toEqual([0, 1]);
  });
});

describe("a fetch that cannot be served", () => {
  test("out of range", async () => {
    await desk.produce(desk.batch("a"));
    fetch.start(start(1, { offset: 2 }));
    fetch.credit(1);
    await desk.cluster.until(() => fetched.length === 1);
    expect(errors()).toEqual(["1 OFFSET_OUT_OF_RANGE"]);
  });

  test("unknown names, other leader epochs", async () => {
    fetch.start(start(1, { topic: "nothing" }));
    fetch.start(start(2, { partition: 9 }));
    fetch.start(start(3, { currentLeaderEpoch: 0 }));
    fetch.start(start(4, { currentLeaderEpoch: 2 }));
    await desk.cluster.until(() => fetched.length === 4);
    expect(errors()).toEqual([
      "1 UNKNOWN_TOPIC_OR_PARTITION",
      "2 UNKNOWN_TOPIC_OR_PARTITION",
      "3 FENCED_LEADER_EPOCH",
      "4 UNKNOWN_LEADER_EPOCH",
    ]);
  });

  test("of a history that the log does not have", async () => {
    await desk.produce(desk.batch("a"));
    await desk.publish(image([partition({ leaderEpoch: 4, partitionEpoch: 2 }), partition()]));
    await desk.produce(desk.batch("b"));
    await desk.produce(desk.batch("c"));
    // Epoch 1 wrote offset 0, epoch 4 what follows.
    fetch.start(start(1, { offset: 1, lastFetchedEpoch: 1 }));
    fetch.start(start(2, { offset: 3, lastFetchedEpoch: 4 }));
    fetch.start(start(3, { offset: 2, lastFetchedEpoch: 1 }));
    fetch.start(start(4, { offset: 2, lastFetchedEpoch: 3 }));
    fetch.start(start(5, { offset: 9, lastFetchedEpoch: 4 }));
    fetch.start(start(6, { offset: 2, lastFetchedEpoch: -1 }));
    fetch.credit(1_000_000);
    await desk.cluster.until(() => new Set(fetched.map(({ handle }) => handle)).size === 6);
    expect(new Set(errors())).toEqual(
      new Set(["3 OFFSET_OUT_OF_RANGE", "4 OFFSET_OUT_OF_RANGE", "5 OFFSET_OUT_OF_RANGE"]),
    );
    const divergedAt = new Map(fetched.map((one) => [one.handle, one.divergedAt]));
    expect([3, 4, 5].map((handle) => divergedAt.get(handle))).toEqual([1, 1, 3]);
    expect([offsets(1), offsets(2), offsets(6)]).toEqual([[1, 2], [], [2]]);
  });

  test("ends with the new leader's name when the leader moves, also without credit", async () => {
    fetch.start(start(1));
    await desk.cluster.run(20);
    await desk.publish(
      image([partition({ leader: 2, leaderEpoch: 2, partitionEpoch: 2 }), partition()]),
    );
    expect(errors()).toEqual(["1 NOT_LEADER_OR_FOLLOWER"]);
    expect(fetched.at(-1)?.leader).toEqual({ brokerId: 2, leaderEpoch: 2 });
  });

  test("goes on where the same broker leads in a new epoch", async () => {
    await desk.produce(desk.batch("a"));
    fetch.start(start(1));
    fetch.credit(1_000_000);
    await desk.cluster.until(() => offsets(1).length === 1);
    await desk.publish(image([partition({ leaderEpoch: 2, partitionEpoch: 2 }), partition()]));
    await desk.produce(desk.batch("b"));
    await desk.cluster.until(() => offsets(1).length === 2);
    expect(errors()).toEqual([]);
  });

  test("ends with the topic", async () => {
    fetch.start(start(1));
    await desk.cluster.run(20);
    await desk.publish(image([], { topics: new Map(), topicIds: new Map() }));
    expect(errors()).toEqual(["1 UNKNOWN_TOPIC_OR_PARTITION"]);
  });

  test("a sink that breaks closes the session", async () => {
    const broken = desk.openFetch(() => Promise.reject(new Error("the client left")));
    broken.start(start(1));
    broken.credit(1_000_000);
    await desk.cluster.run(100);
    await desk.produce(desk.batch("a"));
    expect(desk.cluster.member(1).memory.fatals).toEqual([]);
  });
});
