import { describe, expect, it } from "vitest";
import { utf8 } from "../../../src/base/bytes.ts";
import type { ProducerBatch } from "../../../src/client/core/producer-batch.ts";
import {
  ProducerCore,
  type ProducerCoreOptions,
  type ProducerEffects,
  recordBytes,
} from "../../../src/client/core/producer-core.ts";
import { type ErrorCode, OttlaError } from "../../../src/model/errors.ts";
import { readBatchHeader, recordsSection, splitBatches } from "../../../src/record/batch.ts";
import { decodeRecords } from "../../../src/record/records.ts";

const OPTIONS: ProducerCoreOptions = {
  acks: -1,
  idempotent: true,
  lingerMs: 5,
  sendWhenIdle: false,
  batchSizeBytes: 1_000,
  maxRequestBytes: 10_000,
  maxInFlightBatches: 5,
  bufferBytes: 100_000,
  deliveryTimeoutMs: 10_000,
  requestTimeoutMs: 3_000,
  stallMs: 1_000,
  retry: { minMs: 20, maxMs: 250 },
  compression: "none",
  crc32c: () => 0,
  seed: 1,
};

type Batch = ProducerBatch<string>;

class Bench {
  readonly core: ProducerCore<string>;
  nowMs = 0;
  readonly sent: { brokerId: number; batch: Batch; attempt: number }[] = [];
  readonly settled: Batch[] = [];
  last: ProducerEffects<string>;

  constructor(options: Partial<ProducerCoreOptions> = {}, partitions = 1) {
    this.core = new ProducerCore<string>({ ...OPTIONS, ...options });
    this.leaders(...Array.from({ length: partitions }, () => 1));
    this.core.setIdentity({ producerId: 7, producerEpoch: 0 });
    this.last = this.drain();
  }

  leaders(...leaders: readonly number[]): void {
    const states = leaders.map((leader, partition) => ({
      partition,
      leader,
      leaderEpoch: this.#epoch,
    }));
    this.#epoch++;
    this.core.updateLeaders("t", states, this.nowMs);
  }
  #epoch = 0;

  append(text: string, partition = 0): Batch {
    const topic = this.core.topic("t");
    if (topic === undefined) throw new Error("topic is known");
    const bytes = recordBytes(null, text, []);
    const record = { key: null, value: text, headers: [], timestamp: 0, bytes };
    return this.core.append(topic, partition, record, this.nowMs);
  }

  drain(afterMs = 0, pressed = false): ProducerEffects<string> {
    this.nowMs += afterMs;
    this.last = this.core.drain(this.nowMs, pressed);
    for (const { brokerId, batches } of this.last.sends) {
      for (const batch of batches) this.sent.push({ brokerId, batch, attempt: batch.attempt });
    }
    this.settled.push(...this.last.settled);
    return this.last;
  }

  /** Sends the record as a batch of its own and returns the batch. */
  send(text: string): Batch {
    const batch = this.append(text);
    this.drain(0, true);
    return batch;
  }

  answer(batch: Batch, outcome: number | ErrorCode): void {
    const error = typeof outcome === "string" ? { code: outcome, message: "refused" } : undefined;
    const baseOffset = typeof outcome === "number" ? outcome : -1;
    const result = { error, baseOffset, logAppendTimeMs: -1 };
    this.core.onResult(batch, batch.attempt, result, this.nowMs);
  }
}

function values(batch: Batch): string[] {
  const [whole] = splitBatches(batch.bytes as Uint8Array);
  if (whole === undefined) throw new Error("one batch");
  return decodeRecords(whole.header, recordsSection(whole)).map(({ value }) =>
    new TextDecoder().decode(value as Uint8Array),
  );
}

function sequence(batch: Batch): number {
  return readBatchHeader(batch.bytes as Uint8Array).baseSequence;
}

describe("a topic that was deleted and created again with fewer partitions", () => {
  it("gets records for those that it has, and what waits for the others goes nowhere", () => {
    const bench = new Bench();
    bench.leaders(1, 1, 1);
    const lost = bench.append("lost", 2);
    bench.leaders(1);
    const topic = bench.core.topic("t");
    if (topic === undefined) throw new Error("topic is known");
    expect(topic.queues).toHaveLength(1);
    expect([1, 2, 3].map(() => bench.core.roundRobinPartition(topic))).toEqual([0, 0, 0]);
    expect(bench.core.unkeyedPartition(topic, 10)).toBe(0);
    bench.append("kept");
    const { metadataWanted, sends } = bench.drain(10);
    expect(sends.flatMap(({ batches }) => batches).map(values)).toEqual([["kept"]]);
    expect(metadataWanted).toBe(true);
    bench.drain(200_000);
    expect(lost.error?.code).toBe("DELIVERY_TIMED_OUT");
  });
});

describe("when a batch is sealed", () => {
  it("waits for company as long as lingerMs, then goes", () => {
    const bench = new Bench();
    const batch = bench.append("a");
    expect(bench.drain().sends).toEqual([]);
    expect(bench.last.wakeAtMs).toBe(5);
    bench.append("b");
    expect(bench.drain(5).sends).toHaveLength(1);
    expect(values(batch)).toEqual(["a", "b"]);
  });

  it("goes at once if its partition is idle and lingerMs was left to the producer", () => {
    const bench = new Bench({ sendWhenIdle: true });
    const first = bench.append("a");
    expect(bench.drain().sends).toHaveLength(1);
    bench.append("b");
    expect(bench.drain().sends).toEqual([]);
    bench.answer(first, 0);
    expect(bench.drain().sends).toHaveLength(1);
  });

  it("goes when it is full, and the record that did not fit begins the next", () => {
    const bench = new Bench({ batchSizeBytes: 200 });
    const first = bench.append("x".repeat(60));
    const second = bench.append("y".repeat(60));
    expect(second).not.toBe(first);
    expect(bench.drain().sends[0]?.batches).toEqual([first]);
  });

  it("keeps filling while as many batches are under way as may be", () => {
    const bench = new Bench({ maxInFlightBatches: 1, lingerMs: 0 });
    const first = bench.append("a");
    bench.drain();
    const second = bench.append("b");
    bench.drain(50);
    expect(bench.append("c")).toBe(second);
    bench.answer(first, 0);
    bench.drain();
    expect(values(second)).toEqual(["b", "c"]);
  });

  it("goes at once while somebody waits for memory or for a flush", () => {
    const bench = new Bench({ lingerMs: 1_000 });
    bench.append("a");
    expect(bench.drain(0, false).sends).toEqual([]);
    expect(bench.drain(0, true).sends).toHaveLength(1);
  });

  it("sends unkeyed records elsewhere once a batch is full, without a crumb left behind", () => {
    const bench = new Bench({ batchSizeBytes: 320 }, 4);
    const topic = bench.core.topic("t");
    if (topic === undefined) throw new Error("topic is known");
    const partitions: number[] = [];
    for (let index = 0; index < 6; index++) {
      const partition = bench.core.unkeyedPartition(topic, 136);
      partitions.push(partition);
      bench.append("z".repeat(100), partition);
    }
    bench.drain(0, true);
    expect(bench.sent.map(({ batch }) => batch.recordsCount)).toEqual([2, 2, 2]);
    expect(partitions[0]).toBe(partitions[1]);
  });
});

describe("what goes into a request", () => {
  it("coalesces batches of different partitions of one broker, one each", () => {
    const bench = new Bench({ lingerMs: 0 }, 3);
    bench.leaders(1, 2, 1);
    for (const partition of [0, 1, 2]) bench.append("a", partition);
    const { sends } = bench.drain();
    const shape = sends.map(({ brokerId, batches }) => [brokerId, batches.length]);
    expect(new Map(shape as [number, number][])).toEqual(
      new Map([
        [1, 2],
        [2, 1],
      ]),
    );
  });

  it("splits what is larger than maxRequestBytes over several", () => {
    const bench = new Bench({ lingerMs: 0, maxRequestBytes: 500 }, 4);
    for (const partition of [0, 1, 2, 3]) bench.append("a".repeat(150), partition);
    expect(bench.drain().sends.map(({ batches }) => batches.length)).toEqual([2, 2]);
  });

  it("pipelines up to maxInFlightBatches batches of a partition, with consecutive sequences", () => {
    const bench = new Bench();
    for (let index = 0; index < 7; index++) bench.send(`${index}`);
    expect(bench.sent.map(({ batch }) => sequence(batch))).toEqual([0, 1, 2, 3, 4]);
  });

  it("asks for an identity before the first batch, and for none without idempotence", () => {
    const core = new ProducerCore<string>(OPTIONS);
    core.updateLeaders("t", [{ partition: 0, leader: 1, leaderEpoch: 0 }], 0);
    const topic = core.topic("t");
    if (topic === undefined) throw new Error("topic is known");
    core.append(topic, 0, { key: null, value: "a", headers: [], timestamp: 0, bytes: 40 }, 0);
    const effects = core.drain(10, false);
    expect([effects.identityWanted, effects.sends.length]).toEqual([true, 0]);
    const bench = new Bench({ idempotent: false });
    expect(sequence(bench.send("a"))).toBe(-1);
    expect(bench.last.identityWanted).toBe(false);
  });

  it("takes acks 0 as written once it is sent", () => {
    const bench = new Bench({ acks: 0, idempotent: false });
    const batch = bench.send("a");
    expect(bench.settled).toEqual([batch]);
    expect(batch.offsetOf(0)).toBe(-1);
  });

  it("waits for compression, in order", () => {
    const bench = new Bench({ compression: "gzip" });
    const first = bench.append("a");
    expect(bench.drain(0, true).compress).toEqual([first]);
    const second = bench.append("b");
    bench.drain(0, true);
    bench.core.onCompressed(second, utf8("2"));
    expect(bench.drain().sends).toEqual([]);
    bench.core.onCompressed(first, utf8("1"));
    bench.drain();
    expect(bench.sent.map(({ batch }) => batch)).toEqual([first, second]);
    expect(readBatchHeader(first.bytes as Uint8Array).attributes).toBe(1);
  });
});

describe("results", () => {
  it("give each record its offset", () => {
    const bench = new Bench();
    const batch = bench.append("a");
    bench.append("b");
    bench.drain(5);
    bench.answer(batch, 40);
    bench.drain();
    expect([0, 1].map((index) => batch.offsetOf(index))).toEqual([40, 41]);
    expect(bench.core.usedBytes).toBe(0);
  });

  it("of a repetition that is too old to have offsets are a success without one", () => {
    const bench = new Bench();
    const batch = bench.send("a");
    bench.answer(batch, "DUPLICATE_SEQUENCE_NUMBER");
    expect(batch.offsetOf(0)).toBe(-1);
  });

  it("of an earlier attempt change nothing", () => {
    const bench = new Bench();
    const batch = bench.send("a");
    const { attempt } = batch;
    bench.answer(batch, "NOT_ENOUGH_REPLICAS");
    bench.drain(20);
    const result = { error: undefined, baseOffset: 3, logAppendTimeMs: -1 };
    bench.core.onResult(batch, attempt, result, bench.nowMs);
    expect(batch.state).toBe("in-flight");
  });

  it("that cannot change by themselves fail the batch with the broker's words", () => {
    const bench = new Bench();
    const batch = bench.send("a");
    bench.answer(batch, "INVALID_TIMESTAMP");
    expect(() => batch.offsetOf(0)).toThrow("t-0: refused");
    expect(bench.core.usedBytes).toBe(0);
  });
});

describe("retries", () => {
  it("send the same bytes and sequence again, in order, before anything later", () => {
    const bench = new Bench();
    const [first, second] = [bench.send("a"), bench.send("b")];
    const bytes = first.bytes?.slice();
    bench.answer(first, "NOT_LEADER_OR_FOLLOWER");
    const third = bench.send("c");
    // The second is still at the old leader: nothing may overtake it.
    bench.drain(30);
    expect(bench.sent).toHaveLength(2);
    bench.answer(second, "NOT_LEADER_OR_FOLLOWER");
    bench.drain(30);
    expect(bench.sent.slice(2).map(({ batch }) => batch)).toEqual([first, second, third]);
    expect(first.bytes).toEqual(bytes);
  });

  it("go to the new leader as soon as it is known", () => {
    const bench = new Bench();
    const batch = bench.send("a");
    bench.answer(batch, "NOT_LEADER_OR_FOLLOWER");
    expect(bench.drain().metadataWanted).toBe(true);
    expect(bench.last.sends).toEqual([]);
    bench.leaders(2);
    bench.drain();
    expect(bench.sent.at(-1)?.brokerId).toBe(2);
    expect(bench.last.metadataWanted).toBe(false);
  });

  it("of a broken stream wait for another leader or for the broker's return", () => {
    const bench = new Bench();
    bench.send("a");
    bench.core.onBrokerLost(1, lost(), 0);
    bench.drain(100);
    expect([bench.sent.length, bench.last.metadataWanted]).toEqual([1, true]);
    bench.core.onBrokerUp(1);
    bench.drain();
    expect(bench.sent).toHaveLength(2);
  });

  it("take back from a silent broker what another one leads now", () => {
    const bench = new Bench();
    const batch = bench.send("a");
    bench.leaders(2);
    bench.drain(999);
    expect(bench.sent).toHaveLength(1);
    bench.drain(1);
    expect(bench.sent.at(-1)).toMatchObject({ brokerId: 2, batch });
  });

  it("ask for metadata while a broker is silent, and give its stream up at requestTimeoutMs", () => {
    const bench = new Bench();
    bench.send("a");
    bench.drain(1_000);
    expect([bench.last.metadataWanted, bench.last.hungBrokers]).toEqual([true, []]);
    bench.drain(2_000);
    expect(bench.last.hungBrokers).toEqual([1]);
  });

  it("end at deliveryTimeoutMs, naming the last error", () => {
    const bench = new Bench();
    const batch = bench.send("a");
    bench.answer(batch, "NOT_ENOUGH_REPLICAS");
    bench.core.onBrokerLost(1, lost(), 0);
    bench.drain(10_000);
    expect(bench.settled).toEqual([batch]);
    expect(batch.error?.code).toBe("DELIVERY_TIMED_OUT");
    expect(batch.error?.message).toContain("NOT_ENOUGH_REPLICAS");
  });
});

describe("sequences after a loss", () => {
  it("begin anew under a new identity for what is surely not in the log", () => {
    const bench = new Bench();
    const [first, second] = [bench.send("a"), bench.send("b")];
    bench.answer(first, "INVALID_TIMESTAMP");
    bench.answer(second, "OUT_OF_ORDER_SEQUENCE_NUMBER");
    bench.drain(30);
    expect([bench.last.identityWanted, bench.sent.length]).toEqual([true, 2]);
    bench.core.setIdentity({ producerId: 8, producerEpoch: 0 });
    bench.drain();
    expect(sequence(second)).toBe(0);
    expect(readBatchHeader(second.bytes as Uint8Array).producerId).toBe(8);
  });

  it("wait while a batch before may still arrive", () => {
    const bench = new Bench();
    const [first, second] = [bench.send("a"), bench.send("b")];
    bench.answer(second, "OUT_OF_ORDER_SEQUENCE_NUMBER");
    bench.answer(first, 0);
    bench.drain(30);
    expect([bench.last.identityWanted, sequence(second)]).toEqual([false, 1]);
    expect(bench.sent.at(-1)?.batch).toBe(second);
  });

  it("fail what may have been written when the broker forgot the producer", () => {
    const bench = new Bench();
    const first = bench.send("a");
    bench.answer(first, 0);
    const second = bench.send("b");
    bench.answer(second, "REQUEST_TIMED_OUT");
    bench.drain(20);
    bench.answer(second, "UNKNOWN_PRODUCER_ID");
    bench.drain();
    expect(second.error?.code).toBe("UNKNOWN_PRODUCER_ID");
  });

  it("of a batch that is too large pass to its halves", () => {
    const bench = new Bench();
    const batch = bench.append("a");
    for (const text of ["b", "c"]) bench.append(text);
    bench.drain(5);
    const after = bench.send("d");
    bench.answer(batch, "MESSAGE_TOO_LARGE");
    bench.answer(after, "UNKNOWN_PRODUCER_ID");
    bench.drain(30);
    const again = bench.sent.slice(2);
    expect(again.map((each) => [values(each.batch), sequence(each.batch)])).toEqual([
      [["a"], 0],
      [["b", "c"], 1],
      [["d"], 3],
    ]);
    again.forEach((each, index) => {
      bench.answer(each.batch, [10, 20, 30][index] as number);
    });
    expect([0, 1, 2].map((index) => batch.offsetOf(index))).toEqual([10, 20, 21]);
    expect(bench.core.usedBytes).toBe(0);
  });

  it("of a single record that is too large fail it", () => {
    const bench = new Bench();
    const batch = bench.send("a");
    bench.answer(batch, "MESSAGE_TOO_LARGE");
    expect(batch.error?.code).toBe("MESSAGE_TOO_LARGE");
  });
});

function lost() {
  return new OttlaError("NETWORK_EXCEPTION", "the stream broke");
}
