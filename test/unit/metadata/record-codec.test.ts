import { describe, expect, it } from "vitest";
import { AssertionError } from "../../../src/base/assert.ts";
import { text, utf8 } from "../../../src/base/bytes.ts";
import {
  decodeRecords,
  encodeInEntries,
  encodeRecords,
} from "../../../src/metadata/record-codec.ts";
import type { MetadataRecord } from "../../../src/metadata/records.ts";

const topic = (name: string): MetadataRecord => ({ type: "topic", topicId: `id-${name}`, name });
const config = (name: string): MetadataRecord => ({
  type: "config",
  resource: "topic",
  name,
  key: "retention.ms",
  value: "ä".repeat(100),
});

describe("metadata records as bytes", () => {
  it("are an envelope of type and version, fields in one order", () => {
    const shuffled = { name: "t", type: "topic", topicId: "id" } as const;
    expect(text(encodeRecords([shuffled]))).toBe('[["topic",1,{"topicId":"id","name":"t"}]]');
    expect(decodeRecords(encodeRecords([shuffled, config("t")]))).toEqual([shuffled, config("t")]);
  });

  it.each([
    ['[["shard",1,{}]]', "unknown metadata record shard"],
    ['[["constructor",1,{}]]', "unknown metadata record constructor"],
    ['[["topic",2,{"topicId":"a","name":"b"}]]', "version 2"],
    ['[["topic",1,{"topicId":"a"}]]', "without name"],
    ['[["topic",1,{"topicId":"a","name":"b","x":1}]]', "unknown field x"],
    ['{"topic":1}', "not a list"],
    ["[[", "not JSON"],
  ])("that this code does not understand are fatal: %s", (json, message) => {
    expect(() => decodeRecords(utf8(json))).toThrow(AssertionError);
    expect(() => decodeRecords(utf8(json))).toThrow(message);
  });

  it("are cut into entries below the limit, a topic never from what belongs to it", () => {
    const records = ["a", "b", "c"].flatMap((name) => [topic(name), config(name)]);
    const entries = encodeInEntries(records, 800);
    expect(entries.map((entry) => decodeRecords(entry).map(({ type }) => type))).toEqual([
      ["topic", "config"],
      ["topic", "config"],
      ["topic", "config"],
    ]);
    expect(encodeInEntries(records, 100_000)).toHaveLength(1);
    expect(encodeInEntries([], 100)).toEqual([]);
  });
});
