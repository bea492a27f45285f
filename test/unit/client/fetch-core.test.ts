import { describe, expect, it } from "vitest";
import {
  FetchCore,
  type FetchCoreOptions,
  type FetchEffects,
} from "../../../src/client/core/fetch-core.ts";
import { type ErrorCode, OttlaError } from "../../../src/model/errors.ts";
import { BatchBuilder } from "../../../src/record/records.ts";

const OPTIONS: FetchCoreOptions = {
  prefetchBytes: 8_000,
  fetchMaxBytes: 4_000,
  maxPartitionFetchBytes: 1_000,
  autoOffsetReset: "latest",
  stallMs: 2_000,
  retry: { minMs: 20, maxMs: 250 },
};

/** `count` records from `baseOffset` on, as one batch. */
function batch(baseOffset: number, count: number, valueBytes = 10, epoch = 0): Uint8Array {
  const builder = new BatchBuilder(1_024);
  const value = new Uint8Array(valueBytes);
  for (let index = 0; index < count; index++) {
    builder.append({ timestamp: 0, key: null, value, headers: [] });
  }
  const bytes = builder
    .seal({ codec: "none", producerId: -1, producerEpoch: -1, baseSequence: -1, crc32c: () => 0 })
    .slice();
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(baseOffset));
  view.setInt32(12, epoch);
  return bytes;
}

class Bench {
  readonly core: FetchCore;
  nowMs = 0;

  constructor(options: Partial<FetchCoreOptions> = {}) {
    this.core = new FetchCore({ ...OPTIONS, ...options });
  }

  leader(leader: number, leaderEpoch = 0, partition = 0): void {
    this.core.updateLeaders("t", [{ partition, leader, leaderEpoch }], this.nowMs);
  }

  drain(afterMs = 0): FetchEffects {
    this.nowMs += afterMs;
    return this.core.drain(this.nowMs);
  }

  /** Starts at an offset and returns the handle of the fetch. */
  start(offset: number, leader = 1): number {
    this.core.add("t", 0, offset);
    this.leader(leader);
    return this.drain().requests[0]?.start[0]?.handle ?? -1;
  }

  fetched(handle: number, batches: Uint8Array, brokerId = 1): void {
    const data = { handle, error: undefined, highWatermark: 1_000, logStartOffset: 0, batches };
    this.core.onFetched(brokerId, [data], this.nowMs);
  }

  refused(handle: number, code: ErrorCode, divergedAt?: number): void {
    const error = { code, message: "refused" };
    const nothing = {
      divergedAt,
      highWatermark: -1,
      logStartOffset: -1,
      batches: new Uint8Array(0),
    };
    this.core.onFetched(1, [{ handle, error, ...nothing }], this.nowMs);
  }

  state() {
    const state = this.core.state("t", 0);
    if (state === undefined) throw new Error("assigned");
    return state;
  }
}

describe("where reading begins", () => {
  it("asks for the leader, then for the offset, then for the batches", () => {
    const bench = new Bench();
    bench.core.add("t", 0, "end");
    expect(bench.drain()).toMatchObject({ metadataWanted: true, lookups: [], requests: [] });
    bench.leader(2);
    const [lookup] = bench.drain().lookups;
    expect(lookup).toMatchObject({ brokerId: 2, timestamp: -1 });
    bench.core.onOffset("t", 0, lookup?.lookup ?? -1, { offset: 40 }, 0);
    const [request] = bench.drain().requests;
    expect(request).toMatchObject({ brokerId: 2, creditBytes: 4_000 });
    expect(request?.start[0]).toMatchObject({ offset: 40, leaderEpoch: 0 });
  });

  it("takes the end where no record is as late as asked", () => {
    const bench = new Bench();
    bench.core.add("t", 0, { timestampMs: 99 });
    bench.leader(1);
    const lookup = bench.drain().lookups[0]?.lookup ?? -1;
    bench.core.onOffset("t", 0, lookup, { offset: -1 }, 0);
    expect(bench.drain().lookups).toMatchObject([{ timestamp: -1 }]);
  });

  it("ignores an offset that was looked up before a seek", () => {
    const bench = new Bench();
    bench.core.add("t", 0, "end");
    bench.leader(1);
    const lookup = bench.drain().lookups[0]?.lookup ?? -1;
    bench.core.seek(bench.state(), 7);
    bench.core.onOffset("t", 0, lookup, { offset: 40 }, 0);
    expect(bench.state().position).toBe(7);
  });
});

describe("a leader that never answers a lookup", () => {
  it("makes metadata wanted, and the next leader is asked instead", () => {
    const bench = new Bench();
    bench.core.add("t", 0, "end");
    bench.leader(1);
    const frozen = bench.drain().lookups[0]?.lookup ?? -1;
    expect(bench.drain(1_999)).toMatchObject({ metadataWanted: false, wakeAtMs: 2_000 });
    expect(bench.drain(1).metadataWanted).toBe(true);
    bench.leader(2, 1);
    const [again] = bench.drain().lookups;
    expect(again).toMatchObject({ brokerId: 2, timestamp: -1 });
    // It thaws: what it says now was true a while ago.
    bench.core.onOffset("t", 0, frozen, { offset: 40 }, bench.nowMs);
    expect(bench.state().position).toBeUndefined();
    bench.core.onOffset("t", 0, again?.lookup ?? -1, { offset: 50 }, bench.nowMs);
    expect(bench.state().position).toBe(50);
  });
});

describe("what is delivered", () => {
  it("goes on where the last batch ended, at another leader too, and drops what it has", () => {
    const bench = new Bench();
    const handle = bench.start(0);
    bench.fetched(handle, batch(0, 5));
    bench.leader(2, 1);
    const { requests } = bench.drain();
    expect(requests.find(({ brokerId }) => brokerId === 1)?.stop).toEqual([handle]);
    const next = requests.find(({ brokerId }) => brokerId === 2)?.start[0];
    expect(next?.offset).toBe(5);
    // The new leader's batch may begin before the offset asked for.
    bench.fetched(next?.handle ?? -1, batch(0, 5), 2);
    bench.fetched(next?.handle ?? -1, batch(5, 5), 2);
    expect(bench.core.next()?.batch.header.baseOffset).toBe(0);
    expect(bench.core.next()?.batch.header.baseOffset).toBe(5);
    expect(bench.core.next()).toBeUndefined();
  });

  it("leaves out what comes for a fetch that has been stopped", () => {
    const bench = new Bench();
    const handle = bench.start(0);
    bench.core.seek(bench.state(), 50);
    bench.fetched(handle, batch(0, 5));
    expect(bench.core.hasNext).toBe(false);
    expect(bench.drain().requests[0]).toMatchObject({ stop: [handle] });
  });

  it("is fetched again from the position after a pause", () => {
    const bench = new Bench();
    const handle = bench.start(0);
    bench.fetched(handle, batch(0, 5));
    bench.core.pause(bench.state());
    expect(bench.core.hasNext).toBe(false);
    expect(bench.drain().requests[0]?.start).toEqual([]);
    bench.core.resume(bench.state());
    expect(bench.drain().requests[0]?.start[0]?.offset).toBe(0);
  });
});

describe("credit", () => {
  it("comes back as batches are taken, in quarters of the window", () => {
    const bench = new Bench();
    const handle = bench.start(0);
    for (let at = 0; at < 8; at++) bench.fetched(handle, batch(at, 1, 400));
    const size = batch(0, 1, 400).length;
    bench.core.next();
    expect(bench.drain().requests).toEqual([]);
    bench.core.next();
    bench.core.next();
    expect(bench.drain().requests).toMatchObject([{ creditBytes: 3 * size }]);
  });

  it("comes back at once when nothing lies ready, and for what is thrown away", () => {
    const bench = new Bench();
    const handle = bench.start(0);
    const bytes = batch(0, 1);
    bench.fetched(handle, bytes);
    bench.core.next();
    expect(bench.drain().requests).toMatchObject([{ creditBytes: bytes.length }]);
    bench.fetched(handle + 100, bytes);
    expect(bench.drain().requests).toMatchObject([{ creditBytes: bytes.length }]);
  });

  it("of a new stream is the whole window, shared among the brokers", () => {
    const bench = new Bench({ prefetchBytes: 4_000 });
    for (const partition of [0, 1]) {
      bench.core.add("t", partition, 0);
      bench.leader(partition + 1, 0, partition);
    }
    expect(bench.drain().requests.map(({ creditBytes }) => creditBytes)).toEqual([2_000, 2_000]);
    bench.core.onBrokerLost(1, new OttlaError("NETWORK_EXCEPTION", "gone"), 0);
    bench.core.onBrokerUp(1);
    expect(bench.drain(50).requests).toMatchObject([{ brokerId: 1, creditBytes: 2_000 }]);
  });
});

describe("refusals", () => {
  it("of a former leader wait for metadata or for the next try", () => {
    const bench = new Bench();
    bench.refused(bench.start(0), "NOT_LEADER_OR_FOLLOWER");
    const { metadataWanted, requests, wakeAtMs } = bench.drain();
    expect([metadataWanted, requests.length, wakeAtMs]).toEqual([true, 0, 20]);
    expect(bench.drain(20).requests).toHaveLength(1);
  });

  it("of an offset reset it as asked", () => {
    const bench = new Bench({ autoOffsetReset: "earliest" });
    bench.refused(bench.start(900), "OFFSET_OUT_OF_RANGE");
    expect(bench.drain().lookups).toMatchObject([{ timestamp: -2 }]);
    const strict = new Bench({ autoOffsetReset: "none" });
    strict.refused(strict.start(900), "OFFSET_OUT_OF_RANGE");
    expect(() => strict.core.next()).toThrow("t-0: refused");
    expect(strict.drain().requests.flatMap(({ start }) => start)).toEqual([]);
  });

  it("of a log that was cut go on where it was, whatever the reset, unless there is none", () => {
    for (const autoOffsetReset of ["earliest", "latest"] as const) {
      const bench = new Bench({ autoOffsetReset });
      bench.refused(bench.start(900), "OFFSET_OUT_OF_RANGE", 700);
      const { lookups, requests } = bench.drain();
      expect(lookups).toEqual([]);
      expect(requests[0]?.start).toMatchObject([{ offset: 700, lastFetchedEpoch: -1 }]);
      expect(bench.state().position).toBe(700);
    }
    const strict = new Bench({ autoOffsetReset: "none" });
    strict.refused(strict.start(900), "OFFSET_OUT_OF_RANGE", 700);
    expect(() => strict.core.next()).toThrow("t-0: refused");
  });

  it("that cannot change stop the partition until a seek", () => {
    const bench = new Bench();
    bench.refused(bench.start(0), "INVALID_TOPIC_EXCEPTION");
    expect(() => bench.core.next()).toThrow("t-0: refused");
    expect(bench.drain(1_000).metadataWanted).toBe(false);
    bench.core.seek(bench.state(), 0);
    expect(bench.drain().requests[0]?.start).toHaveLength(1);
  });

  it("of bytes that are no batch name the partition and the offset", () => {
    const bench = new Bench();
    bench.fetched(bench.start(3), new Uint8Array(30));
    expect(() => bench.core.next()).toThrow(/^t-0 at offset 3: /);
  });
});

describe("the leader epoch of what was read", () => {
  const startOf = (bench: Bench) => bench.drain().requests.flatMap(({ start }) => start);

  it("is named where a commit knew it, and not where nothing is known", () => {
    const bench = new Bench();
    bench.core.add("t", 0, 5, 3);
    bench.core.add("t", 1, 5);
    bench.leader(1);
    bench.leader(1, 0, 1);
    expect(startOf(bench)).toMatchObject([
      { partition: 0, lastFetchedEpoch: 3 },
      { partition: 1, lastFetchedEpoch: -1 },
    ]);
  });

  it("follows what is fetched, and goes back with what is dropped", () => {
    const bench = new Bench();
    const handle = bench.start(0);
    bench.fetched(handle, batch(0, 5, 10, 4));
    bench.refused(handle, "NOT_LEADER_OR_FOLLOWER");
    bench.leader(2, 1);
    expect(startOf(bench)).toMatchObject([{ offset: 5, lastFetchedEpoch: 4 }]);
    const state = bench.state();
    state.position = 2;
    state.consumedEpoch = 1;
    bench.core.pause(state);
    bench.core.resume(state);
    expect(startOf(bench)).toMatchObject([{ offset: 2, lastFetchedEpoch: 1 }]);
  });

  it("is forgotten with a seek", () => {
    const bench = new Bench();
    bench.core.add("t", 0, 5, 3);
    bench.leader(1);
    bench.core.seek(bench.state(), 4);
    expect(startOf(bench)).toMatchObject([{ offset: 4, lastFetchedEpoch: -1 }]);
    expect(bench.state().consumedEpoch).toBe(-1);
  });
});

describe("silence", () => {
  it("of a stream makes its leaders be asked for, once in a while", () => {
    const bench = new Bench();
    bench.start(0);
    expect(bench.drain(1_999).metadataWanted).toBe(false);
    expect(bench.drain(1).metadataWanted).toBe(true);
    expect(bench.drain(1).metadataWanted).toBe(false);
    expect(bench.drain(2_000).metadataWanted).toBe(true);
  });
});
