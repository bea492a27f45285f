import { describe, expect, it } from "vitest";
import {
  bootstrapServers,
  configs,
  integer,
  recordsBefore,
  startPosition,
} from "../../../src/cli/arguments.ts";

describe("startPosition", () => {
  it("takes words, offsets and times", () => {
    expect(startPosition("beginning")).toEqual({ type: "beginning" });
    expect(startPosition("end")).toEqual({ type: "end" });
    expect(startPosition("42")).toEqual({ type: "offset", offset: 42 });
    expect(startPosition("@1700000000000")).toEqual({
      type: "timestamp",
      timestampMs: 1_700_000_000_000,
    });
    expect(startPosition("2026-01-31T12:00:00Z")).toEqual({
      type: "timestamp",
      timestampMs: Date.UTC(2026, 0, 31, 12),
    });
  });

  it.each(["", "first", "-1", "@", "@x", "1.5", "2026-13-40", "99999999999999999999"])(
    "refuses %j and says what is allowed",
    (text) => {
      expect(() => startPosition(text)).toThrow(/beginning, end, an offset, @milliseconds/);
    },
  );
});

describe("bootstrapServers", () => {
  it("takes a list of host:port", () => {
    expect(bootstrapServers("a:1, 127.0.0.1:9192,[::1]:65535")).toEqual([
      "a:1",
      "127.0.0.1:9192",
      "[::1]:65535",
    ]);
  });

  it.each(["", ",", "localhost", "a:0", "a:65536", "a:b", ":9192", "http://a:1"])(
    "refuses %j",
    (text) => {
      expect(() => bootstrapServers(text)).toThrow(/host:port/);
    },
  );
});

describe("numbers and pairs", () => {
  it("keeps integers within their range", () => {
    expect(integer(1, 5)("5")).toBe(5);
    for (const text of ["0", "6", "x", "1.5", "", " 3", "1e3"]) {
      expect(() => integer(1, 5)(text)).toThrow("It must be an integer from 1 to 5.");
    }
  });

  it("splits configurations at the first sign", () => {
    expect(configs(["a=1", "b = x=y", "c="])).toEqual({ a: "1", b: "x=y", c: "" });
    expect(() => configs(["a"])).toThrow(/key=value/);
  });

  it("reads positions for delete-records", () => {
    expect(recordsBefore("3:100")).toEqual({ partition: 3, beforeOffset: 100 });
    expect(recordsBefore("3:end")).toEqual({ partition: 3, beforeOffset: -1 });
    expect(() => recordsBefore("3")).toThrow(/PARTITION:OFFSET/);
  });
});
