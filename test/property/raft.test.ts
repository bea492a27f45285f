import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Prng } from "../../src/base/prng.ts";
import { majorityCount, majorityIndex, tally } from "../../src/raft/quorum.ts";
import { RaftWorld } from "../support/raft-world.ts";

const ORDINARY = {
  permille: 10,
  lossPercent: 5,
  duplicatePercent: 5,
  crashPercent: 30,
  replacePercent: 0,
  voterChangePercent: 0,
  slowDiskPercent: 10,
  inOrder: false,
};

function run(seed: number, votersCount: number, faults: typeof ORDINARY, steps: number): RaftWorld {
  const world = new RaftWorld({ prng: new Prng(seed), faults, votersCount });
  for (let step = 0; step < steps; step++) world.step();
  return world;
}

// Goal: R1 to R12 hold whatever is lost, doubled, reordered or crashed, and the cluster gets back to
// work when the faults end. The world asserts the invariants itself, after every event.
test.each([
  ["quiet network", { ...ORDINARY, lossPercent: 0, duplicatePercent: 0, inOrder: true }],
  ["ordinary faults", ORDINARY],
  ["bad network", { ...ORDINARY, lossPercent: 30, duplicatePercent: 30 }],
  ["crashes", { ...ORDINARY, crashPercent: 100 }],
  ["voters replaced", { ...ORDINARY, replacePercent: 10, crashPercent: 10 }],
  ["voters come and go", { ...ORDINARY, voterChangePercent: 60 }],
])("raft keeps its invariants: %s", (_name, faults) => {
  void fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 5 }), (seed, votersCount) => {
      const world = run(seed, votersCount, faults, 3_000);
      expect(world.heal(2_000)).toBe(true);
    }),
    { numRuns: 40 },
  );
});

// Goal: the runs above are no empty exercise.
test("a random run commits entries", () => {
  expect(run(1, 3, ORDINARY, 20_000).committedCount).toBeGreaterThan(50);
});

// Goal: the fast majority index equals its definition.
test("majorityIndex is the highest index that a majority has reached", () => {
  void fc.assert(
    fc.property(fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 9 }), (reached) => {
      const index = majorityIndex(reached);
      const holders = (at: number) => reached.filter((value) => value >= at).length;
      const needed = majorityCount(reached.length);
      expect(holders(index)).toBeGreaterThanOrEqual(needed);
      expect(holders(index + 1)).toBeLessThan(needed);
    }),
  );
});

// Goal: any two majorities of one set, and of two sets one step apart, share a member.
test("majorities of neighbouring voter sets overlap", () => {
  void fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), (count) => {
      expect(majorityCount(count) + majorityCount(count)).toBeGreaterThan(count);
      expect(majorityCount(count) + majorityCount(count + 1)).toBeGreaterThan(count + 1);
    }),
  );
});

// Goal: a tally is decided exactly when no further vote could change it.
test("tally is won, lost or open as all ways to go on say", () => {
  void fc.assert(
    fc.property(
      fc.array(fc.constantFrom(true, false, undefined), { minLength: 1, maxLength: 7 }),
      (cast) => {
        const voters = cast.map((_, id) => ({ id, directoryId: "d" }));
        const votes = new Map<string, boolean>();
        cast.forEach((vote, id) => {
          if (vote !== undefined) votes.set(`${id}:d`, vote);
        });
        const needed = majorityCount(cast.length);
        const least = cast.filter((vote) => vote === true).length;
        const most = cast.filter((vote) => vote !== false).length;
        const expected = least >= needed ? "won" : most < needed ? "lost" : "pending";
        expect(tally(voters, votes)).toBe(expected);
      },
    ),
  );
});
