import { expect, test } from "vitest";
import { runLogSimulation } from "./log-simulation.ts";

// One partition's log alone, on a faulty disk: what was durable is found after every crash.

test("100 seeds hold", async () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= 100; seed++) {
    const { failure } = await runLogSimulation({ seed });
    if (failure !== undefined) failures.push(`seed ${seed}: ${failure.message}`);
  }
  expect(failures).toEqual([]);
});
