/** The epoch index answers where an epoch ends, as OffsetsForLeaderEpoch does (KIP-101, KIP-279). */
import { describe, expect, it } from "vitest";
import { LeaderEpochs } from "../../../src/replica/leader-epochs.ts";

function sample(): LeaderEpochs {
  return new LeaderEpochs([
    { epoch: 1, startOffset: 0 },
    { epoch: 3, startOffset: 10 },
    { epoch: 7, startOffset: 25 },
  ]);
}

describe("LeaderEpochs", () => {
  it("ends an epoch where the next begins, the last at the log's end", () => {
    const epochs = sample();
    expect(epochs.endOf(1, 40)).toEqual({ epoch: 1, endOffset: 10 });
    expect(epochs.endOf(7, 40)).toEqual({ epoch: 7, endOffset: 40 });
  });

  it("answers an epoch it never saw with the largest one below", () => {
    const epochs = sample();
    expect(epochs.endOf(2, 40)).toEqual({ epoch: 1, endOffset: 10 });
    expect(epochs.endOf(99, 40)).toEqual({ epoch: 7, endOffset: 40 });
    expect(epochs.endOf(0, 40)).toEqual({ epoch: -1, endOffset: 0 });
  });

  it("knows which epoch wrote an offset", () => {
    expect([0, 9, 10, 24, 25, 1_000].map((offset) => sample().epochAt(offset))).toEqual([
      1, 1, 3, 3, 7, 7,
    ]);
  });

  it("forgets epochs that a truncation removed, and begins later when the start rises", () => {
    const epochs = sample();
    epochs.truncateTo(25);
    expect(epochs.latest).toBe(3);
    epochs.raiseStart(12);
    expect(epochs.starts).toEqual([{ epoch: 3, startOffset: 12 }]);
  });

  it("refuses an epoch that falls", () => {
    expect(() => sample().assign(5, 50)).toThrow(/leader epoch 5 after 7/);
  });
});
