import { expect, test } from "vitest";
import { runWorld } from "../run-world.ts";
import { DEFAULT_BUDGET, type World } from "../world/world.ts";
import { withRow } from "./ledger.ts";
import { timelineOf } from "./timeline.ts";

test("the timeline has a column per broker that shows its state", () => {
  const lines = [
    { atMs: 0, text: "broker 1 starts, life 1" },
    { atMs: 5, text: "broker 1 has started" },
    { atMs: 6, text: "broker 2 starts, life 1" },
    { atMs: 7, text: "broker 2 has started" },
    { atMs: 9, text: "broker 2: crash" },
    { atMs: 10, text: "the network is slow" },
  ];
  const [, ...rows] = timelineOf(lines, 2);
  expect(rows).toEqual([
    "    0.009  |  x   broker 2: crash",
    "    0.010  |      the network is slow",
  ]);
});

test("the ledger adds up by kind and commit", () => {
  const ledger = [
    "text",
    "| Kind | Commit | Runs | Virtual hours | Core hours | Failed | Unknown |",
    "| ---- | ------ | ---- | ------------- | ---------- | ------ | ------- |",
    "| cluster | abc | 10 | 1.50 | 0.02 | 1 | 0 |",
    "",
    "more",
  ].join("\n");
  const row = { runs: 5, virtualHours: 1, coreHours: 0.01, failed: 0, unknown: 2 };
  const again = withRow(ledger, { kind: "cluster", commit: "abc", ...row });
  expect(again).toContain("| cluster | abc | 15 | 2.50 | 0.03 | 1 | 2 |");
  const other = withRow(again, { kind: "quorum", commit: "abc", ...row });
  expect(other.split("\n").slice(3)).toEqual([
    "| cluster | abc | 15 | 2.50 | 0.03 | 1 | 2 |",
    "| quorum | abc | 5 | 1.00 | 0.01 | 0 | 2 |",
    "",
    "more",
  ]);
  expect(() => withRow("nothing", { kind: "log", commit: "x", ...row })).toThrow(/no table/);
});

test("a run that spends its budget is unknown, and says of what", async () => {
  const play = (world: World) => ({
    async play() {
      world.budget = { ...DEFAULT_BUDGET, eventsMax: 50 };
      const tick = (): void => {
        world.schedule(1, "tick", tick);
      };
      tick();
      await world.runFor(1_000);
    },
    tell: () => ({ acknowledgedCount: 0, faultsCount: 0 }),
  });
  const result = await runWorld({ seed: 1 }, play);
  expect(result.failure).toBeUndefined();
  expect(result.unknown).toMatch(/50 events/);
});

test("what is thrown, or rejected without anybody looking, fails the run", async () => {
  const tell = () => ({ acknowledgedCount: 0, faultsCount: 0 });
  const thrown = await runWorld({ seed: 1 }, () => ({
    play: () => Promise.reject(new Error("broken")),
    tell,
  }));
  expect(thrown.failure).toMatchObject({ invariant: "the simulation itself" });
  const rejected = await runWorld({ seed: 1 }, (world) => ({
    async play() {
      world.schedule(1, "rejects", () => void Promise.reject(new Error("unseen")));
      await world.runFor(5);
    },
    tell,
  }));
  expect(rejected.failure).toMatchObject({ invariant: "no unhandled rejection" });
});
