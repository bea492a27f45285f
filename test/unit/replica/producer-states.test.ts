/** A producer's batches enter a log once and in sequence, whatever is sent twice or skipped (KIP-98). */
import { describe, expect, it } from "vitest";
import type { BatchHeader } from "../../../src/record/batch.ts";
import { ProducerStates } from "../../../src/replica/producer-states.ts";

function header(sequence: number, count: number, offset: number, epoch = 0): BatchHeader {
  return {
    baseOffset: offset,
    sizeBytes: 100,
    leaderEpoch: 0,
    magic: 2,
    crc: 0,
    attributes: 0,
    lastOffsetDelta: count - 1,
    baseTimestamp: 1_000 + offset,
    maxTimestamp: 1_000 + offset,
    producerId: 7,
    producerEpoch: epoch,
    baseSequence: sequence,
    recordsCount: count,
  };
}

function statesOf(...headers: BatchHeader[]): ProducerStates {
  const states = new ProducerStates();
  for (const each of headers) states.update(each);
  return states;
}

describe("ProducerStates", () => {
  it("takes the next batch and answers a retry of the last five with its offsets", () => {
    const states = statesOf(header(0, 10, 0), header(10, 5, 10));
    expect(states.check(header(15, 1, -1))).toBeUndefined();
    expect(states.check(header(10, 5, -1))).toEqual({ baseOffset: 10, lastOffset: 14 });
    expect(states.check(header(0, 10, -1))).toEqual({ baseOffset: 0, lastOffset: 9 });
  });

  it("refuses a gap, and a repetition older than it remembers", () => {
    const batches = Array.from({ length: 8 }, (_, index) => header(index * 10, 10, index * 10));
    const states = statesOf(...batches);
    expect(() => states.check(header(90, 1, -1))).toThrow(
      expect.objectContaining({ code: "OUT_OF_ORDER_SEQUENCE_NUMBER" }),
    );
    expect(() => states.check(header(0, 10, -1))).toThrow(
      expect.objectContaining({ code: "DUPLICATE_SEQUENCE_NUMBER" }),
    );
  });

  it("fences an older epoch and begins a newer one at zero", () => {
    const states = statesOf(header(0, 1, 0, 3));
    expect(() => states.check(header(1, 1, -1, 2))).toThrow(
      expect.objectContaining({ code: "INVALID_PRODUCER_EPOCH" }),
    );
    expect(states.check(header(0, 1, -1, 4))).toBeUndefined();
    expect(() => states.check(header(1, 1, -1, 4))).toThrow(
      expect.objectContaining({ code: "OUT_OF_ORDER_SEQUENCE_NUMBER" }),
    );
  });

  it("lets an unknown producer begin only at zero", () => {
    const states = new ProducerStates();
    expect(states.check(header(0, 1, -1))).toBeUndefined();
    expect(() => states.check(header(3, 1, -1))).toThrow(
      expect.objectContaining({ code: "UNKNOWN_PRODUCER_ID" }),
    );
  });

  it("wraps sequences at 2^31", () => {
    const states = statesOf(header(0x7fff_fffe, 2, 0));
    expect(states.check(header(0, 1, -1))).toBeUndefined();
  });

  it("is the same after a snapshot", () => {
    const states = statesOf(header(0, 10, 0), header(10, 5, 10));
    const copy = new ProducerStates();
    copy.restore(states.entries());
    copy.update(header(15, 1, 15));
    states.update(header(15, 1, 15));
    expect(copy.entries()).toEqual(states.entries());
    states.expire(2_000);
    expect(states.size).toBe(0);
  });
});
