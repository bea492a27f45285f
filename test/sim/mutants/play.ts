/**
 * The child process in which one mutant lives: `play.js ORIGINAL MUTATED SCENARIO KIND SEEDS`; all
 * "-": every scenario, without a mutant. Puts the mutant in, plays the scenario, then seeds until one
 * fails, and prints a line of JSON for each step.
 */
import { existsSync } from "node:fs";
import { register } from "node:module";
import { pathToFileURL } from "node:url";
import type { SimulationResult } from "../simulation.ts";

export type PlayLine =
  | { readonly type: "scenario"; readonly name: string; readonly failure: string | undefined }
  | { readonly type: "seed"; readonly seed: number; readonly failure: string | undefined };

const [original = "-", mutated = "-", scenarioName = "", kind = "cluster", seeds = "0"] =
  process.argv.slice(2);

function print(line: PlayLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function summary({ failure }: SimulationResult): string | undefined {
  return failure?.message.split("\n")[0]?.slice(0, 300);
}

async function runSeed(seed: number): Promise<SimulationResult> {
  switch (kind) {
    case "quorum":
      return (await import("../quorum-simulation.ts")).runQuorumSimulation({ seed });
    case "raft":
      return (await import("../raft-simulation.ts")).runRaftSimulation({ seed });
    case "log":
      return (await import("../log-simulation.ts")).runLogSimulation({ seed });
    default: {
      const { startProductionBroker: startBroker } = await import(
        "../cluster/production-broker.ts"
      );
      return (await import("../simulation.ts")).runSimulation({ seed, startBroker });
    }
  }
}

if (original !== "-") {
  if (!existsSync(original) || !existsSync(mutated)) throw new Error(`${original}: not compiled`);
  register("./hooks.js", {
    parentURL: import.meta.url,
    data: { original: pathToFileURL(original).href, mutated },
  });
}
// Imported only now, or the product would have been loaded before the hooks were there.
const { SCENARIOS } = await import("../scenarios/all.ts");
const scenarios = SCENARIOS.filter(({ name }) => original === "-" || name === scenarioName);
if (scenarios.length === 0) throw new Error(`there is no scenario ${scenarioName}`);
for (const scenario of scenarios) {
  print({ type: "scenario", name: scenario.name, failure: summary(await scenario.run()) });
}
for (let seed = 1; seed <= Number(seeds); seed++) {
  const failure = summary(await runSeed(seed));
  print({ type: "seed", seed, failure });
  if (failure !== undefined) break;
}
