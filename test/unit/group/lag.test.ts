import { describe, expect, test } from "vitest";
import { lagRecords, lagSeconds, timestampWithin } from "../../../src/group/lag.ts";
import type { BatchHeader } from "../../../src/record/batch.ts";

function header(change: Partial<BatchHeader>): BatchHeader {
  return {
    baseOffset: 100,
    sizeBytes: 200,
    leaderEpoch: 0,
    magic: 2,
    crc: 0,
    attributes: 0,
    lastOffsetDelta: 10,
    baseTimestamp: 1_000,
    maxTimestamp: 2_000,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordsCount: 11,
    ...change,
  };
}

test("lag in records never falls below zero", () => {
  expect(lagRecords(3, 10)).toBe(7);
  expect(lagRecords(10, 10)).toBe(0);
  expect(lagRecords(11, 10)).toBe(0);
});

test("lag in seconds is the age of the first record that waits", () => {
  expect(lagSeconds(1_000, 4_500)).toBe(3.5);
  // Clocks of producers differ from the broker's.
  expect(lagSeconds(5_000, 4_500)).toBe(0);
  expect(lagSeconds(undefined, 4_500)).toBeUndefined();
  expect(lagSeconds(-1, 4_500)).toBeUndefined();
});

describe("the time of a record, from its batch's header", () => {
  test("lies between the first and the largest, as far as the record in the batch", () => {
    expect(timestampWithin(header({}), 100)).toBe(1_000);
    expect(timestampWithin(header({}), 105)).toBe(1_500);
    expect(timestampWithin(header({}), 110)).toBe(2_000);
  });

  test("is that of a batch with one record, or with one time", () => {
    expect(timestampWithin(header({ lastOffsetDelta: 0, maxTimestamp: 1_000 }), 100)).toBe(1_000);
    expect(timestampWithin(header({ baseTimestamp: 7, maxTimestamp: 7 }), 104)).toBe(7);
  });

  test("is not known without times", () => {
    expect(timestampWithin(header({ baseTimestamp: -1, maxTimestamp: -1 }), 100)).toBe(-1);
  });

  test("does not run out of the batch", () => {
    expect(timestampWithin(header({}), 90)).toBe(1_000);
    expect(timestampWithin(header({}), 120)).toBe(2_000);
  });
});
