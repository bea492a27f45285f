/** One history, cut into one file for each client and merged again, is the same history. */
import { describe, expect, it } from "vitest";
import type { HistoryLine } from "./format.ts";
import { mergeHistories } from "./merge.ts";
import { perfectHistory } from "./trust/perfect-run.ts";

/** Each client numbers its own lines. */
function cut(lines: readonly HistoryLine[]): readonly HistoryLine[][] {
  const files = new Map<string, HistoryLine[]>();
  const indexes = new Map<number, number>();
  for (const line of lines) {
    const file = files.get(line.p) ?? [];
    files.set(line.p, file);
    const i = file.length * 3;
    indexes.set(line.i, i);
    const of = "of" in line ? { of: indexes.get(line.of) as number } : {};
    file.push({ ...line, i, ...of });
  }
  return [...files.values()];
}

function merged(files: readonly HistoryLine[][]): readonly HistoryLine[] {
  return [...mergeHistories(files)].map(({ line }) => line);
}

describe("merged histories", () => {
  it("are what was cut, when no two lines have the same time", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const lines = perfectHistory({ seed }).map((line) => ({ ...line, t: line.i }));
      expect(merged(cut(lines))).toEqual(lines);
    }
  });

  it("begin operations early and end the final read late, of lines of the same time", () => {
    const final: HistoryLine[] = [
      { i: 0, t: 1, p: "final", type: "invoke", f: "final", keys: ["o-0"] },
      { i: 1, t: 5, p: "final", type: "ok", f: "final", of: 0, ends: { "o-0": 0 } },
    ];
    const reader: HistoryLine[] = [
      { i: 0, t: 4, p: "c", type: "invoke", f: "poll" },
      { i: 1, t: 5, p: "c", type: "ok", f: "poll", of: 0, recs: {} },
    ];
    const writer: HistoryLine[] = [
      { i: 0, t: 5, p: "w", type: "invoke", f: "poll" },
      { i: 1, t: 6, p: "w", type: "fail", f: "poll", of: 0 },
    ];
    const order = merged([final, reader, writer]).map(({ p, type }) => `${p} ${type}`);
    expect(order).toEqual(["final invoke", "c invoke", "w invoke", "c ok", "final ok", "w fail"]);
  });

  it("keep a completion without an invoke wrong", () => {
    const stray: HistoryLine[] = [{ i: 4, t: 0, p: "c", type: "fail", f: "poll", of: 2 }];
    expect(merged([stray])).toEqual([{ ...stray[0], i: 0, of: 0 }]);
  });
});
