import { describe, expect, it } from "vitest";
import { outOfStep } from "../../../src/runtime/clock-agreement.ts";

const MINUTE = 60_000;

function judge(votersCount: number, ...aheadMinutes: readonly number[]) {
  const readings = aheadMinutes.map((minutes, index) => ({
    voterId: index + 1,
    aheadMs: minutes * MINUTE,
  }));
  return outOfStep(readings, { votersCount, toleranceMs: 5 * MINUTE });
}

describe("outOfStep", () => {
  it("believes most of the voters where they agree", () => {
    expect(judge(3, 60, 61)).toEqual({ aheadMs: 61 * MINUTE, voterIds: [1, 2] });
    expect(judge(3, 60, 0, 58)).toEqual({ aheadMs: 60 * MINUTE, voterIds: [1, 3] });
    expect(judge(5, -90, 200, -91, -92)).toEqual({ aheadMs: -91 * MINUTE, voterIds: [1, 3, 4] });
    // A broker that does not vote, beside the only one that does.
    expect(judge(1, 10)).toEqual({ aheadMs: 10 * MINUTE, voterIds: [1] });
  });

  it("accuses nobody where they do not", () => {
    expect(judge(3)).toBeUndefined();
    expect(judge(3, 60)).toBeUndefined();
    expect(judge(3, 60, 0, 1)).toBeUndefined();
    expect(judge(3, 60, -60)).toBeUndefined();
    expect(judge(3, 4, 5)).toBeUndefined();
    expect(judge(5, 60, 60, 1, 2)).toBeUndefined();
  });

  it("asks that each of them be further away than the tolerance", () => {
    expect(judge(3, 4, 8)).toBeUndefined();
    expect(judge(3, 6, 8)).toBeDefined();
  });
});
