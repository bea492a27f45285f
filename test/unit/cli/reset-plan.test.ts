import { describe, expect, it, test } from "vitest";
import {
  datetime,
  duration,
  parseOffsetsFile,
  planOffset,
  type ResetPartition,
  type ResetTarget,
  topicScope,
} from "../../../src/cli/reset-plan.ts";

function plan(target: ResetTarget, change: Partial<ResetPartition> = {}) {
  const partition = {
    topic: "t",
    partition: 1,
    committed: 50,
    logStart: 10,
    logEnd: 100,
    ...change,
  };
  const { newOffset, note } = planOffset(partition, target);
  return [newOffset, note];
}

describe("where a reset puts a partition", () => {
  test("earliest, latest, current", () => {
    expect(plan({ type: "earliest" })).toEqual([10, ""]);
    expect(plan({ type: "latest" })).toEqual([100, ""]);
    expect(plan({ type: "current" })).toEqual([50, ""]);
    expect(plan({ type: "current" }, { committed: null })).toEqual([
      100,
      "nothing is committed: the log's end",
    ]);
  });

  test("an offset, never outside the log", () => {
    expect(plan({ type: "offset", offset: 60 })).toEqual([60, ""]);
    expect(plan({ type: "offset", offset: 10 })).toEqual([10, ""]);
    expect(plan({ type: "offset", offset: 100 })).toEqual([100, ""]);
    expect(plan({ type: "offset", offset: 9 })).toEqual([10, "9 is below the log's start"]);
    expect(plan({ type: "offset", offset: 101 })).toEqual([100, "101 is above the log's end"]);
  });

  test("a time: the first record since, or the end", () => {
    const target = { type: "timestamp", timestampMs: 5 } as const;
    expect(plan(target, { atTimestamp: 70 })).toEqual([70, ""]);
    expect(plan(target, { atTimestamp: null })).toEqual([
      100,
      "no record is as young: the log's end",
    ]);
    expect(plan(target)).toEqual([100, "no record is as young: the log's end"]);
  });

  test("a shift from what is committed", () => {
    expect(plan({ type: "shift", by: -20 })).toEqual([30, ""]);
    expect(plan({ type: "shift", by: 20 })).toEqual([70, ""]);
    expect(plan({ type: "shift", by: -41 })).toEqual([10, "9 is below the log's start"]);
    expect(plan({ type: "shift", by: 51 })).toEqual([100, "101 is above the log's end"]);
    expect(() => plan({ type: "shift", by: 1 }, { committed: null })).toThrow(
      "nothing is committed for t-1",
    );
  });
});

describe("a file of offsets", () => {
  test("has a topic, a partition and an offset in each line", () => {
    expect(parseOffsetsFile("f", 'a,0,5\r\n\n"a.long-name", 12 , 0\n')).toEqual([
      { topic: "a", partition: 0, offset: 5 },
      { topic: "a.long-name", partition: 12, offset: 0 },
    ]);
  });

  test.each([
    ["a,0,5\na,1", 'f, line 2: "a,1" is not TOPIC,PARTITION,OFFSET'],
    ["a,0,5\n\na,x,1\n", "f, line 3"],
    ["a,0,-5", "has an offset that is not of 0 to"],
    ["a,0,99999999999999999999", "has an offset that is not of 0 to"],
    ["a,3000000000,1", "has a partition above 2147483647"],
    ["a,0,5\nb,0,1\na,0,6", 'f, line 3: "a,0,6" names a partition that line 1 has already'],
    ["g,a,0,5", "is not TOPIC,PARTITION,OFFSET"],
    ["\n \n", "f has no TOPIC,PARTITION,OFFSET line"],
  ])("%j is refused with its line", (content, message) => {
    expect(() => parseOffsetsFile("f", content)).toThrow(message);
  });

  test("has as many lines as one commit takes, and no more", () => {
    const lines = Array.from({ length: 10_001 }, (_, index) => `t,${index},0`);
    expect(parseOffsetsFile("f", lines.slice(0, 10_000).join("\n"))).toHaveLength(10_000);
    expect(() => parseOffsetsFile("f", lines.join("\n"))).toThrow("f, line 10001");
  });
});

it("scopes name a topic, or some of its partitions", () => {
  expect(topicScope("orders")).toEqual({ topic: "orders", partitions: undefined });
  expect(topicScope("orders:0,12")).toEqual({ topic: "orders", partitions: [0, 12] });
  for (const wrong of ["", "orders:", "orders:a", "a,b", "orders:1,"]) {
    expect(() => topicScope(wrong)).toThrow("must be TOPIC");
  }
});

it("times are ISO-8601, UTC without a zone", () => {
  const noon = Date.UTC(2026, 0, 31, 12);
  expect(datetime("2026-01-31T12:00:00.000")).toBe(noon);
  expect(datetime("2026-01-31T12:00")).toBe(noon);
  expect(datetime("2026-01-31T14:00:00+02:00")).toBe(noon);
  for (const wrong of ["yesterday", "2026-01-31", "2026-13-31T12:00:00", "1960-01-01T00:00:00"]) {
    expect(() => datetime(wrong)).toThrow("ISO-8601");
  }
});

it("durations are ISO-8601", () => {
  expect(duration("PT30M")).toBe(1_800_000);
  expect(duration("P1DT2H3M4.5S")).toBe(86_400_000 + 7_200_000 + 180_000 + 4_500);
  expect(duration("PT0S")).toBe(0);
  for (const wrong of ["", "P", "PT", "1h", "P1M", "PT1D", "P1DT", "-PT1S"]) {
    expect(() => duration(wrong)).toThrow("ISO-8601");
  }
});
