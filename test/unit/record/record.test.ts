/** RecordBatch v2: what is built is read back, and what is damaged is refused by name. */
import { crc32c } from "@node-rs/crc32";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  Reader,
  varintSize,
  varlongSize,
  writeVarint,
  writeVarlong,
} from "../../../src/base/varint.ts";
import {
  hasValidCrc,
  placeBatch,
  readBatchHeader,
  recordsSection,
  splitBatches,
  stampLogAppendTime,
} from "../../../src/record/batch.ts";
import { BatchBuilder, decodeRecords, type NewRecord } from "../../../src/record/records.ts";
import { validateProducedBatch } from "../../../src/record/validate.ts";

const checksum = (bytes: Uint8Array) => crc32c(bytes);
const rules = { maxMessageBytes: 1_048_588, crc32c: checksum };

function seal(
  records: readonly NewRecord[],
  producer = { id: -1, epoch: -1, sequence: -1 },
): Uint8Array {
  const builder = new BatchBuilder(64);
  for (const record of records) builder.append(record);
  return builder.seal({
    codec: "none",
    producerId: producer.id,
    producerEpoch: producer.epoch,
    baseSequence: producer.sequence,
    crc32c: checksum,
  });
}

function plain(count: number): Uint8Array {
  return seal(
    Array.from({ length: count }, (_, index) => ({
      timestamp: 1_700_000_000_000 + index,
      key: new Uint8Array([index]),
      value: new Uint8Array([index, index]),
      headers: [],
    })),
  );
}

/** Changes one byte and makes the CRC right again, so that only the check under test can object. */
function forged(batch: Uint8Array, at: number, value: number): Uint8Array {
  const out = batch.slice();
  out[at] = value;
  const sum = crc32c(out.subarray(21));
  new DataView(out.buffer).setUint32(17, sum);
  return out;
}

const recordArbitrary = fc.record({
  timestamp: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  key: fc.option(fc.uint8Array({ maxLength: 40 })),
  value: fc.option(fc.uint8Array({ maxLength: 300 })),
  headers: fc.array(
    fc.record({
      key: fc.string({ maxLength: 10 }),
      value: fc.option(fc.uint8Array({ maxLength: 20 })),
    }),
    { maxLength: 3 },
  ),
});

describe("varints", () => {
  it("come back as they went, in the size announced", () => {
    fc.assert(
      fc.property(fc.integer(), fc.maxSafeInteger(), (small, large) => {
        const bytes = new Uint8Array(20);
        const middle = writeVarint(bytes, 0, small);
        const end = writeVarlong(bytes, middle, large);
        expect(middle).toBe(varintSize(small));
        expect(end - middle).toBe(varlongSize(large));
        const reader = new Reader(bytes);
        expect(reader.varint()).toBe(small);
        expect(reader.varlong()).toBe(large);
      }),
      {
        examples: [
          [-1, -1],
          [0, 0],
          [2 ** 31 - 1, Number.MAX_SAFE_INTEGER],
          [-(2 ** 31), Number.MIN_SAFE_INTEGER],
        ],
      },
    );
  });
});

describe("a sealed batch", () => {
  it("holds the records that went in", () => {
    fc.assert(
      fc.property(fc.array(recordArbitrary, { minLength: 1, maxLength: 20 }), (records) => {
        const batch = validateProducedBatch(seal(records), rules);
        const decoded = decodeRecords(batch.header, recordsSection(batch));
        expect(decoded).toEqual(records.map((record, offset) => ({ ...record, offset })));
        expect(batch.header.maxTimestamp).toBe(
          Math.max(...records.map((record) => record.timestamp)),
        );
      }),
    );
  });

  it("keeps its CRC when it is placed in a log, and gets a new one with LogAppendTime", () => {
    const placed = placeBatch(validateProducedBatch(plain(3), rules), {
      baseOffset: 1_000,
      leaderEpoch: 9,
    });
    expect(readBatchHeader(placed.bytes)).toEqual(placed.header);
    expect(hasValidCrc(placed, checksum)).toBe(true);
    const stamped = stampLogAppendTime(placed, 42, checksum);
    expect(hasValidCrc(stamped, checksum)).toBe(true);
    expect(readBatchHeader(stamped.bytes)).toEqual(stamped.header);
    const times = decodeRecords(stamped.header, recordsSection(stamped)).map(
      (record) => record.timestamp,
    );
    expect(times).toEqual([42, 42, 42]);
  });

  it("is found again among others in one section", () => {
    const section = Buffer.concat([plain(1), plain(4), plain(2)]);
    expect(splitBatches(section).map((batch) => batch.header.recordsCount)).toEqual([1, 4, 2]);
  });
});

describe("the door refuses", () => {
  it.each([
    [
      "a flipped bit",
      (batch: Uint8Array) => batch.map((byte, at) => (at === 70 ? byte ^ 4 : byte)),
      "CORRUPT_MESSAGE",
    ],
    [
      "another magic",
      (batch: Uint8Array) => forged(batch, 16, 1),
      "UNSUPPORTED_FOR_MESSAGE_FORMAT",
    ],
    [
      "a count that is not the records'",
      (batch: Uint8Array) => forged(batch, 60, 4),
      "INVALID_RECORD",
    ],
    ["a last offset that skips one", (batch: Uint8Array) => forged(batch, 26, 7), "INVALID_RECORD"],
    [
      "a codec that does not exist",
      (batch: Uint8Array) => forged(batch, 22, 6),
      "UNSUPPORTED_COMPRESSION_TYPE",
    ],
    ["a control batch", (batch: Uint8Array) => forged(batch, 22, 0x20), "INVALID_RECORD"],
    [
      "a record that is longer than the batch",
      (batch: Uint8Array) => forged(batch, 61, 0x7e),
      "INVALID_RECORD",
    ],
    ["offsets with a gap", (batch: Uint8Array) => forged(batch, 64, 8), "INVALID_RECORD"],
    ["half a batch", (batch: Uint8Array) => batch.subarray(0, batch.length - 1), "CORRUPT_MESSAGE"],
    ["half a header", (batch: Uint8Array) => batch.subarray(0, 30), "CORRUPT_MESSAGE"],
    ["two batches at once", (batch: Uint8Array) => Buffer.concat([batch, batch]), "INVALID_RECORD"],
    ["nothing", () => new Uint8Array(0), "INVALID_RECORD"],
  ])("%s", (_name, damage, code) => {
    expect(() => validateProducedBatch(damage(plain(3)), rules)).toThrow(
      expect.objectContaining({ code }),
    );
  });

  it("a batch over max.message.bytes, naming both sizes", () => {
    const batch = plain(100);
    expect(() => validateProducedBatch(batch, { ...rules, maxMessageBytes: 200 })).toThrow(
      `batch of ${batch.length} bytes, max.message.bytes allows 200`,
    );
  });

  it("any damage with an OttlaError, never another throw", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(90),
        fc.nat(255),
        (noise, at, value) => {
          for (const bytes of [noise, forged(plain(3), at % plain(3).length, value)]) {
            try {
              const batch = validateProducedBatch(bytes, rules);
              decodeRecords(batch.header, recordsSection(batch));
            } catch (error) {
              expect(error).toMatchObject({ name: "OttlaError" });
            }
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
