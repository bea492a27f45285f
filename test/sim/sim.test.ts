import { expect, test } from "vitest";
import { startProductionBroker as startBroker } from "./cluster/production-broker.ts";
import {
  acknowledgeBeforeDurable,
  type PlantedBug,
  reportReceivedAsDurable,
  withBug,
} from "./planted-bugs.ts";
import { runSimulation } from "./simulation.ts";

// Whole clusters of production brokers on virtual time. A seed that fails here is run again, with
// its story, by `npm run sim -- --seed N --verbose`.

test("40 seeds hold", { timeout: 600_000 }, async () => {
  const failures: string[] = [];
  let acknowledgedCount = 0;
  let faultsCount = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const result = await runSimulation({ seed, startBroker });
    if (result.failure !== undefined) failures.push(`seed ${seed}: ${result.failure.message}`);
    acknowledgedCount += result.acknowledgedCount;
    faultsCount += result.faultsCount;
  }
  expect(failures).toEqual([]);
  // A run in which little happens proves little.
  expect(acknowledgedCount).toBeGreaterThan(10_000);
  expect(faultsCount).toBeGreaterThan(300);
});

test("two runs of one seed take the same course", { timeout: 120_000 }, async () => {
  for (const seed of [2, 71, 82]) {
    const first = await runSimulation({ seed, startBroker, faultsMs: 6_000 });
    const second = await runSimulation({ seed, startBroker, faultsMs: 6_000 });
    expect(second.traceHash).toBe(first.traceHash);
    expect(second.eventsCount).toBe(first.eventsCount);
  }
});

/** Invariants that a broker with the bug was found to break, by the seeds up to `seeds`. */
async function found(bug: PlantedBug, seeds: number, pattern: RegExp): Promise<readonly string[]> {
  for (let seed = 1; seed <= seeds; seed++) {
    const { failure } = await runSimulation({
      seed,
      startBroker: withBug(startBroker, bug),
      faults: ["power-loss", "power-loss-all", "crash"],
    });
    if (failure !== undefined && pattern.test(failure.invariant)) return [failure.invariant];
  }
  return [];
}

// The checker's own tests: brokers that acknowledge what disks do not hold yet.
test("a cluster that acknowledges before its disks is found out", {
  timeout: 120_000,
}, async () => {
  expect(await found(acknowledgeBeforeDurable, 40, /^[PR]\d/)).toHaveLength(1);
});

test("followers that report what they received as durable are found out", async () => {
  expect(await found(reportReceivedAsDurable, 10, /^[PS]\d/)).toHaveLength(1);
});
