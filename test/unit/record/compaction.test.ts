import { describe, expect, test } from "vitest";
import { utf8 } from "../../../src/base/bytes.ts";
import { SipHash } from "../../../src/base/sip-hash.ts";
import {
  type Batch,
  deleteHorizonOf,
  hasValidCrc,
  isCompacted,
  lastOffset,
  lastSequence,
  readBatchHeader,
  recordsSection,
} from "../../../src/record/batch.ts";
import { BatchCompaction } from "../../../src/record/batch-compaction.ts";
import { DenseBatches, restOfBatch } from "../../../src/record/dense-batches.ts";
import { OFFSET_MAP_ENTRY_BYTES, OffsetMap } from "../../../src/record/offset-map.ts";
import { crc32c } from "../../sim/world/sim-codecs.ts";
import { type KeyedRecord, keyedBatch, recordsOf } from "../../support/compaction.ts";

const hex = (words: Uint32Array): string => Buffer.from(words.buffer).toString("hex");

describe("SipHash", () => {
  // From the reference implementation: key 00 01 .. 0f, input the first n of 00 01 02 ..
  const key = Uint8Array.from({ length: 16 }, (_, index) => index);
  test.each([
    [0, "a3817f04ba25a8e66df67214c7550293"],
    [1, "da87c1d86b99af44347659119b22fc45"],
    [2, "8177228da4a45dc7fca38bdef60affe4"],
    [8, "3b62a9ba6258f5610f83e264f31497b4"],
    [15, "5493e99933b0a8117e08ec0f97cfc3d9"],
  ])("agrees with SipHash-2-4-128 on %i bytes", (size, expected) => {
    const hash = new SipHash(key, { compression: 2, finalization: 4 });
    const input = Uint8Array.from({ length: size + 4 }, (_, index) => index - 2);
    hash.hash(input, 2, size + 2);
    expect(hex(hash.words)).toBe(expected);
  });

  test("another key gives another hash", () => {
    const one = new SipHash(key);
    const other = new SipHash(key.toReversed());
    one.hash(utf8("key"), 0, 3);
    other.hash(utf8("key"), 0, 3);
    expect(hex(one.words)).not.toBe(hex(other.words));
  });
});

function mapOf(entries: Readonly<Record<string, number>>): OffsetMap {
  const map = new OffsetMap({
    bytes: 10_000,
    loadFactor: 0.9,
    entriesCountMax: 100,
    hashKey: new Uint8Array(16),
  });
  for (const [key, offset] of Object.entries(entries)) {
    const bytes = utf8(key);
    map.put(bytes, 0, bytes.length, offset);
  }
  return map;
}

describe("OffsetMap", () => {
  test("keeps the last offset of each key, until it is full", () => {
    const map = new OffsetMap({
      bytes: 100 * OFFSET_MAP_ENTRY_BYTES,
      loadFactor: 0.9,
      entriesCountMax: 1_000_000,
      hashKey: new Uint8Array(16),
    });
    const keys: Uint8Array[] = [];
    while (!map.isFull) {
      const key = utf8(`key ${keys.length}`);
      expect(map.put(key, 0, key.length, keys.length)).toBe(true);
      keys.push(key);
    }
    expect(keys.length).toBeGreaterThan(80);
    expect(map.put(utf8("one more"), 0, 8, 1_000)).toBe(false);
    const [first] = keys as [Uint8Array];
    expect(map.put(first, 0, first.length, 2_000)).toBe(true);
    expect(map.get(first, 0, first.length)).toBe(2_000);
    for (const [index, key] of keys.entries()) {
      if (index > 0) expect(map.get(key, 0, key.length)).toBe(index);
    }
    expect(map.get(utf8("one more"), 0, 8)).toBe(-1);
  });

  test("has room for as many keys as it was made for", () => {
    for (let entriesCountMax = 1; entriesCountMax <= 300; entriesCountMax++) {
      const bytes = 1_000 * OFFSET_MAP_ENTRY_BYTES;
      const hashKey = new Uint8Array(16);
      const map = new OffsetMap({ bytes, loadFactor: 0.9, entriesCountMax, hashKey });
      for (let offset = 0; offset < entriesCountMax; offset++) {
        const key = utf8(`key ${offset}`);
        expect(map.put(key, 0, key.length, offset)).toBe(true);
      }
    }
  });

  test.each([0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 2])(
    "keeps offset %i",
    (offset) => {
      const key = utf8("key");
      const map = mapOf({ other: 5, key: offset, third: 7 });
      expect(map.get(key, 0, key.length)).toBe(offset);
      expect(map.put(key, 0, key.length, offset)).toBe(true);
      expect(map.count).toBe(3);
    },
  );

  test("takes no more memory than its entries need", () => {
    expect(mapOf({}).isFull).toBe(false);
    const small = new OffsetMap({
      bytes: 2 ** 30,
      loadFactor: 0.5,
      entriesCountMax: 0,
      hashKey: new Uint8Array(16),
    });
    expect(small.utilization).toBe(0);
  });
});

const RECORDS: readonly KeyedRecord[] = [
  { key: "a", value: "1" },
  { key: "b", value: "2" },
  { key: "c", value: null },
  { key: "a", value: "3" },
];

function compact(
  batch: Batch,
  change: { readonly map?: OffsetMap; readonly mappedEnd?: number; readonly nowMs?: number } = {},
): { readonly compaction: BatchCompaction; readonly left: Batch } {
  const compaction = new BatchCompaction(batch.header, recordsSection(batch), {
    lastOffsets: change.map ?? mapOf({ a: 13, b: 99, c: 12 }),
    mappedEnd: change.mappedEnd ?? 1_000,
    nowMs: change.nowMs ?? 5_000,
    deleteRetentionMs: 100,
  });
  // One record at a time: the steps make no difference.
  while (!compaction.step(1));
  return { compaction, left: compaction.batch(undefined, crc32c) };
}

describe("BatchCompaction", () => {
  const batch = keyedBatch(RECORDS, {
    baseOffset: 10,
    leaderEpoch: 4,
    producerId: 7,
    baseSequence: 2,
  });

  test("keeps the last record of each key, in its place", () => {
    const { compaction, left } = compact(batch);
    const before = new Map(recordsOf([batch]).map((record) => [record.offset, record]));
    expect(recordsOf([left])).toEqual([before.get(12), before.get(13)]);
    expect(compaction.isUnchanged).toBe(false);
    const { baseOffset, leaderEpoch, producerId, baseSequence } = left.header;
    expect({ baseOffset, leaderEpoch, producerId, baseSequence }).toEqual({
      baseOffset: 10,
      leaderEpoch: 4,
      producerId: 7,
      baseSequence: 2,
    });
    expect(lastOffset(left.header)).toBe(13);
    expect(lastSequence(left.header)).toBe(5);
    expect(left.header.maxTimestamp).toBe(batch.header.maxTimestamp);
    expect(hasValidCrc(left, crc32c)).toBe(true);
    expect(isCompacted(left.header)).toBe(true);
  });

  test("a tombstone gets its horizon at the first cleaning, and goes after it", () => {
    const { left } = compact(batch);
    expect(deleteHorizonOf(left.header)).toBe(5_100);
    const again = compact(left, { nowMs: 5_099 });
    expect(again.compaction.isUnchanged).toBe(true);
    const late = compact(left, { nowMs: 5_100 });
    expect(recordsOf([late.left]).map(({ offset }) => offset)).toEqual([13]);
    expect(recordsOf([late.left])[0]?.timestamp).toBe(1_013);
    expect(deleteHorizonOf(late.left.header)).toBe(5_100);
  });

  test("what the map does not know yet stays, and its tombstones wait", () => {
    const { left, compaction } = compact(batch, { mappedEnd: 11 });
    expect(recordsOf([left]).map(({ offset }) => offset)).toEqual([11, 12, 13]);
    expect(deleteHorizonOf(left.header)).toBeUndefined();
    expect(compaction.survivorsCount).toBe(3);
  });

  test("a batch that keeps everything is left alone", () => {
    const whole = keyedBatch([{ key: "a", value: "1" }], { baseOffset: 13 });
    expect(compact(whole).compaction.isUnchanged).toBe(true);
  });

  test("records without key go", () => {
    const mixed = keyedBatch([{ key: null, value: "1" }, ...RECORDS], { baseOffset: 9 });
    const { compaction, left } = compact(mixed);
    expect(compaction.recordsWithoutKeyCount).toBe(1);
    expect(recordsOf([left]).map(({ offset }) => offset)).toEqual([12, 13]);
  });

  test("offsets that a producer invented are corrupt", () => {
    const bytes = batch.bytes.slice();
    // The offset delta of the first record follows its length, attributes and timestamp.
    bytes[64] = 100;
    const header = readBatchHeader(bytes);
    const broken = () => compact({ header, bytes });
    expect(broken).toThrow(expect.objectContaining({ code: "CORRUPT_MESSAGE" }));
  });
});

describe("DenseBatches", () => {
  const one = (baseOffset: number, plan: object = {}): Batch =>
    keyedBatch(
      [
        { key: "k", value: "v" },
        { key: "k", value: "v" },
      ],
      { baseOffset, ...plan },
    );

  function pass(
    batches: readonly (readonly [Batch, "keep" | "remove"])[],
    referenced: readonly number[] = [],
  ): Batch[] {
    const dense = new DenseBatches({
      crc32c,
      isReferenced: ({ baseOffset, producerId }) =>
        producerId >= 0 && referenced.includes(baseOffset),
    });
    const out: (Batch | undefined)[] = [];
    for (const [batch, what] of batches) {
      out.push(what === "keep" ? dense.keep(batch) : dense.remove(batch.header));
    }
    out.push(dense.finish());
    const left = out.filter((batch) => batch !== undefined);
    let expected = batches[0]?.[0].header.baseOffset;
    for (const batch of left) {
      expect(batch.header.baseOffset).toBe(expected);
      expect(hasValidCrc(batch, crc32c)).toBe(true);
      expect(batch.header).toEqual(readBatchHeader(batch.bytes));
      expected = lastOffset(batch.header) + 1;
    }
    expect(expected).toBe(lastOffset((batches.at(-1) as (typeof batches)[number])[0].header) + 1);
    return left;
  }

  const ranges = (batches: readonly Batch[]): unknown[] =>
    batches.map(({ header }) => [header.baseOffset, lastOffset(header), header.recordsCount]);

  test("a batch grows over those that go", () => {
    const kept = one(0);
    const left = pass([
      [kept, "keep"],
      [one(2), "remove"],
      [one(4), "remove"],
      [one(6), "keep"],
    ]);
    expect(ranges(left)).toEqual([
      [0, 5, 2],
      [6, 7, 2],
    ]);
    expect(recordsOf(left.slice(0, 1))).toEqual(recordsOf([kept]));
    expect(lastOffset(kept.header)).toBe(1);
  });

  test("where the first goes, an empty one is left", () => {
    const left = pass([
      [one(0), "remove"],
      [one(2), "remove"],
    ]);
    expect(ranges(left)).toEqual([[0, 3, 0]]);
  });

  test("each leader epoch keeps its beginning", () => {
    const left = pass([
      [one(0, { leaderEpoch: 1 }), "keep"],
      [one(2, { leaderEpoch: 2 }), "remove"],
      [one(4, { leaderEpoch: 2 }), "remove"],
      [one(6, { leaderEpoch: 3 }), "keep"],
    ]);
    expect(ranges(left)).toEqual([
      [0, 1, 2],
      [2, 5, 0],
      [6, 7, 2],
    ]);
    expect(left[1]?.header.leaderEpoch).toBe(2);
  });

  test("what a producer's state rests on stays as it was, without records", () => {
    const producer = { producerId: 5, producerEpoch: 1 };
    const left = pass(
      [
        [one(0, { ...producer, baseSequence: 0 }), "keep"],
        [one(2, { ...producer, baseSequence: 2 }), "remove"],
        [one(4, { ...producer, baseSequence: 4 }), "remove"],
        [one(6, { ...producer, baseSequence: 6 }), "remove"],
      ],
      [4],
    );
    expect(ranges(left)).toEqual([
      [0, 3, 2],
      [4, 5, 0],
      [6, 7, 0],
    ]);
    const [grown, empty, filler] = left.map(({ header }) => header);
    // It ends elsewhere now: its sequences would not follow from its offsets.
    expect(grown?.producerId).toBe(-1);
    expect(empty).toMatchObject({ ...producer, baseSequence: 4, maxTimestamp: 1_005 });
    expect(filler?.producerId).toBe(-1);
  });

  test("a follower that ends within a batch that grew gets the rest", () => {
    const [grown] = pass([
      [one(0, { leaderEpoch: 3 }), "keep"],
      [one(2, { leaderEpoch: 3 }), "remove"],
      [one(4, { leaderEpoch: 3 }), "remove"],
    ]) as [Batch];
    const rest = restOfBatch(grown.header, 4, crc32c);
    expect(ranges([rest])).toEqual([[4, 5, 0]]);
    expect(rest.header.leaderEpoch).toBe(3);
    expect(hasValidCrc(rest, crc32c)).toBe(true);
  });
});
