import { describe, expect, it } from "vitest";
import { utf8 } from "../../../src/base/bytes.ts";
import { murmur2, partitionOfKey } from "../../../src/client/core/murmur2.ts";
import { RoundRobin, UnkeyedChoice } from "../../../src/client/core/partitioner.ts";
import { retryDelayMs } from "../../../src/client/core/retry-delay.ts";

describe("murmur2", () => {
  // The vectors of Kafka's own UtilsTest: equal hashes put a key into the same partition whichever
  // client wrote it.
  it.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ])("hashes %s as Kafka does", (key, hash) => {
    expect(murmur2(utf8(key))).toBe(hash);
  });

  it("maps negative hashes to a partition as toPositive does", () => {
    expect(partitionOfKey(utf8("21"), 6)).toBe((-973932308 & 0x7fffffff) % 6);
  });

  it("hashes a string as its UTF-8, short or long, ASCII or not", () => {
    for (const key of ["foobar", "", "ü", "x".repeat(127), "y".repeat(300), "é".repeat(70)]) {
      expect(partitionOfKey(key, 1_000_003)).toBe(partitionOfKey(utf8(key), 1_000_003));
    }
  });

  it("takes an empty key", () => {
    expect(partitionOfKey(new Uint8Array(0), 7)).toBeGreaterThanOrEqual(0);
  });
});

describe("records without a key", () => {
  const all = () => true;

  it("stay with a partition until its batch is sealed", () => {
    const choice = new UnkeyedChoice();
    const draws = [4, 1];
    const below = () => draws.shift() ?? 0;
    expect(choice.current(6, all, below)).toBe(4);
    expect(choice.current(6, all, below)).toBe(4);
    choice.onSealed(2);
    expect(choice.current(6, all, below)).toBe(4);
    choice.onSealed(4);
    expect(choice.current(6, all, below)).toBe(1);
  });

  it("leave a partition that has lost its leader, and pass over others without one", () => {
    const choice = new UnkeyedChoice();
    expect(choice.current(3, all, () => 0)).toBe(0);
    expect(
      choice.current(
        3,
        (partition) => partition === 2,
        () => 0,
      ),
    ).toBe(2);
  });

  it("get some partition even if none has a leader", () => {
    expect(
      new UnkeyedChoice().current(
        3,
        () => false,
        () => 1,
      ),
    ).toBe(1);
    expect(new RoundRobin().next(3, () => false)).toBe(0);
  });

  it("go round", () => {
    const roundRobin = new RoundRobin();
    const seen = [1, 2, 3, 4].map(() => roundRobin.next(3, all));
    expect(seen).toEqual([0, 1, 2, 0]);
    expect(roundRobin.next(3, (partition) => partition !== 1)).toBe(2);
  });
});

describe("the wait between attempts", () => {
  it("is an eighth of the outage so far, within its limits", () => {
    const limits = { minMs: 20, maxMs: 250 };
    const waits = [0, 100, 400, 1_000, 10_000].map((each) => retryDelayMs(each, limits));
    expect(waits).toEqual([20, 20, 50, 125, 250]);
  });
});
