import { describe, expect, it } from "vitest";
import {
  compileFormat,
  type PrintableRecord,
  recordToJson,
} from "../../../src/cli/record-format.ts";

const record: PrintableRecord = {
  topic: "orders",
  partition: 2,
  offset: 41,
  timestamp: 1_700_000_000_000,
  key: Buffer.from("k"),
  value: Buffer.from("grün"),
};

function format(text: string, of: PrintableRecord = record): string {
  return Buffer.from(compileFormat(text)(of)).toString("utf8");
}

describe("compileFormat", () => {
  it("replaces every token and escape", () => {
    expect(format("%t %p %o %T %k %v\\n")).toBe("orders 2 41 1700000000000 k grün\n");
    expect(format("100%%\\t\\\\%v")).toBe("100%\t\\grün");
  });

  it("prints null as a word", () => {
    expect(format("%k=%v", { ...record, key: null, value: null })).toBe("null=null");
  });

  it("keeps bytes that are no text", () => {
    const value = Uint8Array.of(0, 255, 128);
    expect([...compileFormat("%v\\0")({ ...record, value })]).toEqual([0, 255, 128, 0]);
  });

  it("refuses what it does not know and lists what it does", () => {
    expect(() => compileFormat("%x")).toThrow(/"%x".*%t topic/);
    expect(() => compileFormat("%")).toThrow(/tokens are/);
    expect(() => compileFormat("\\q")).toThrow(/escapes are/);
  });
});

describe("recordToJson", () => {
  it("gives text as text and bytes as base64", () => {
    expect(recordToJson({ ...record, key: null, value: Uint8Array.of(255) })).toEqual({
      topic: "orders",
      partition: 2,
      offset: 41,
      timestamp: 1_700_000_000_000,
      key: null,
      value: { base64: "/w==" },
    });
    expect(recordToJson(record)).toMatchObject({ key: "k", value: "grün" });
  });
});
