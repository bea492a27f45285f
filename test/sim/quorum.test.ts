import { expect, test } from "vitest";
import { acknowledgeBeforeDurable } from "./planted-bugs.ts";
import { runQuorumSimulation } from "./quorum-simulation.ts";

// The metadata quorum alone, on production Raft drivers, under faults drawn from fixed seeds.

test("100 seeds hold", async () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= 100; seed++) {
    const { failure } = await runQuorumSimulation({ seed, faultsMs: 8_000 });
    if (failure !== undefined) failures.push(`seed ${seed}: ${failure.message}`);
  }
  expect(failures).toEqual([]);
});

test("two runs of one seed take the same course", async () => {
  for (const seed of [3, 14, 15]) {
    const first = await runQuorumSimulation({ seed, faultsMs: 5_000 });
    const second = await runQuorumSimulation({ seed, faultsMs: 5_000 });
    expect(second.traceHash).toBe(first.traceHash);
    expect(second.eventsCount).toBe(first.eventsCount);
  }
});

// The checker's own test: votes and entries that are not durable when they should be.
test("a quorum that does not wait for its disk is found out", async () => {
  const found = new Set<string>();
  for (let seed = 1; seed <= 40 && found.size === 0; seed++) {
    const { failure } = await runQuorumSimulation({
      seed,
      faults: ["power-loss", "power-loss-all"],
      bug: acknowledgeBeforeDurable,
    });
    if (failure !== undefined && /^R\d/.test(failure.invariant)) found.add(failure.invariant);
  }
  expect(found.size).toBe(1);
});
