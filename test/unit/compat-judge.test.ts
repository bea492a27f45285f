/** The judge of other people's clients, on what it must accuse and what it must let pass. */
import { describe, expect, it } from "vitest";
import { partitionOfKey } from "../../src/client/core/murmur2.ts";
import { atLeastOnce, compare, placed } from "../compat/judge.ts";

const log = [0, 1, 2, 3].map((offset) => ({
  partition: 0,
  offset,
  key: "key",
  value: `value ${offset}`,
}));
const [first, second, third, fourth] = log as [
  (typeof log)[0],
  (typeof log)[0],
  (typeof log)[0],
  (typeof log)[0],
];

describe("a log compared", () => {
  it("passes what is equal, whatever the order of the partitions", () => {
    const other = { ...first, partition: 1 };
    expect(compare([...log, other], [other, ...log])).toEqual([]);
  });

  it.each([
    ["lost", [first, second, fourth]],
    ["repeated", [first, second, third, third, fourth]],
    ["out of order", [first, third, second, fourth]],
    ["another value", [first, second, third, { ...fourth, value: "" }]],
    ["another offset", [first, second, third, { ...fourth, offset: 4 }]],
    ["another partition", [first, second, third, { ...fourth, partition: 1 }]],
  ])("accuses a record that is %s", (_, got) => {
    expect(compare(log, got)).not.toEqual([]);
  });

  it("places a record by murmur2 of its key, after what was there", () => {
    const partition = partitionOfKey("key", 2);
    const record = { key: "key", value: "" };
    const starts = partition === 0 ? [7, 0] : [0, 7];
    expect(placed([record, record], starts)).toEqual([
      { ...record, partition, offset: 7 },
      { ...record, partition, offset: 8 },
    ]);
  });
});

describe("a group's reading", () => {
  it.each([
    ["one after the other", [log]],
    [
      "handed over with a repetition",
      [
        [first, second],
        [second, third, fourth],
      ],
    ],
    ["begun again", [[first, second, first, second, third, fourth]]],
    [
      "given away and taken back",
      [
        [first, fourth],
        [second, third],
      ],
    ],
  ])("passes: %s", (_, readers) => {
    expect(atLeastOnce(log, readers)).toEqual([]);
  });

  it.each([
    ["a record that nobody read", [[first, second], [fourth]]],
    ["a record that nobody wrote", [[...log, { ...fourth, offset: 4 }]]],
    ["records out of order", [[first, third, second, fourth]]],
  ])("accuses %s", (_, readers) => {
    expect(atLeastOnce(log, readers)).not.toEqual([]);
  });
});
