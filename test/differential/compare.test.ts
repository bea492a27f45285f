/** What compares two answers must see every difference, and excuse none that has no reason. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compare } from "./compare.ts";
import { normalise } from "./normalise.ts";
import { REASONS } from "./reasons.ts";
import { documentOf, judge, type Reason, rowsOf } from "./table.ts";
import type { Observation } from "./target.ts";

const names = { token: "x1", ids: new Map([["T1", "id of a"]]), baseTimestamp: 1_000_000_000_000 };

describe("compare", () => {
  it("finds items of lists by what they are about, in whatever order", () => {
    const left = {
      topics: [
        { name: "a", offset: 1 },
        { name: "b", offset: 2 },
      ],
    };
    const right = {
      topics: [
        { name: "b", offset: 3 },
        { name: "a", offset: 1 },
      ],
    };
    expect(compare(left, right)).toEqual([{ path: "topics[b].offset", ottla: "2", kafka: "3" }]);
    expect(compare(left, left)).toEqual([]);
  });

  it("sees what only one has, and what one has twice", () => {
    const once = { topics: [{ name: "a", errorCode: 0 }] };
    const twice = {
      topics: [
        { name: "a", errorCode: 0 },
        { name: "a", errorCode: 42 },
      ],
    };
    expect(compare(once, twice)).toEqual([
      { path: "topics[a#2]", ottla: "absent", kafka: "present, error 42" },
    ]);
    expect(compare({ a: 1 }, { a: 1, b: null })).toEqual([
      { path: "b", ottla: "absent", kafka: "null" },
    ]);
  });

  it("tells null, empty and nothing apart", () => {
    const paths = compare({ a: null, b: "", c: [] }, { a: "", b: [], c: null });
    expect(paths.map(({ path }) => path)).toEqual(["a", "b", "c"]);
  });

  it("tells of an error alone where one was refused", () => {
    const refused = { name: "a", errorCode: 3, offset: -1 };
    const served = { name: "a", errorCode: 0, offset: 7 };
    expect(compare([refused], [served])).toEqual([
      { path: "[a].errorCode", ottla: "3", kafka: "0" },
    ]);
  });
});

describe("normalise", () => {
  it("takes out what was drawn, and nothing else", () => {
    const answer = { throttleTimeMs: 3, topicId: "T1", name: "ax1", nodeId: 2, leaderId: 2 };
    expect(normalise("Metadata", answer, names)).toEqual({
      topicId: "<id of a>",
      name: "a",
      nodeId: "<nodeId>",
      leaderId: 2,
    });
    const absent = { nodeId: -1, errorMessage: null, timestamp: names.baseTimestamp + 5 };
    expect(normalise("Metadata", absent, names)).toEqual({
      nodeId: -1,
      errorMessage: null,
      timestamp: "<begin>+5",
    });
  });
});

describe("the table", () => {
  const seen = (version: number, errorCode: number): Observation => ({
    api: "Metadata",
    version,
    label: "one",
    outcome: { errorCode },
  });
  const reason: Reason = { api: "Metadata", path: /^errorCode$/, ottla: /^3$/, because: "so" };

  it("puts versions that differ in the same way together", () => {
    const rows = rowsOf([seen(1, 3), seen(2, 3), seen(3, 0)], [seen(1, 0), seen(2, 0), seen(3, 0)]);
    expect(rows).toMatchObject([{ versions: [1, 2], path: "errorCode", ottla: "3", kafka: "0" }]);
  });

  it("refuses to compare runs that did not ask the same", () => {
    expect(() => rowsOf([seen(1, 0)], [])).toThrow("1 and 0 answers");
    expect(() => rowsOf([seen(1, 0)], [seen(2, 0)])).toThrow("was not asked");
  });

  it("leaves over what no reason explains, and reasons that explain nothing", () => {
    const [row] = rowsOf([seen(1, 3)], [seen(1, 0)]);
    const [other] = rowsOf([seen(1, 5)], [seen(1, 0)]);
    if (row === undefined || other === undefined) throw new Error("there is no difference");
    expect(judge([row, other], [reason]).unexplained).toEqual([other]);
    expect(judge([other], [reason]).idle).toEqual([reason]);
    expect(documentOf(judge([row], [reason]), [reason])).toContain(
      "| Metadata | 1 | one | errorCode | 3 | 0 |",
    );
  });

  it("that is committed has every reason, once", () => {
    const document = readFileSync(join(import.meta.dirname, "DIFFERENCES.md"), "utf8");
    const headings = document.split("\n").filter((line) => line.startsWith("## "));
    expect(headings).toEqual(REASONS.map(({ because }) => `## ${because}`));
  });
});
