/**
 * `npm run sim -- --seed N | --seeds COUNT [--from N] [--quorum] [--verbose] [--faults a,b] [--faults-ms N]`
 *
 * Runs seeds of the cluster simulation (`--quorum`: of the metadata quorum alone), and prints of
 * each failed one the violated invariant and the last events. Ends with exit code 1 if any failed.
 */
import { parseArgs } from "node:util";
import { FAULTS, type Fault } from "./nemesis.ts";
import { startProductionBroker } from "./production-broker.ts";
import { runQuorumSimulation } from "./quorum-simulation.ts";
import { runSimulation, type SimulationResult } from "./simulation.ts";
import type { TimelineLine } from "./world.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    quorum: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    faults: { type: "string" },
    "faults-ms": { type: "string" },
    last: { type: "string", default: "60" },
  },
});

function faultsOf(list: string | undefined): readonly Fault[] {
  if (list === undefined) return FAULTS;
  return list
    .split(",")
    .filter(Boolean)
    .map((name) => {
      const fault = FAULTS.find((each) => each === name);
      if (fault === undefined) {
        throw new Error(`fault "${name}" is none of ${FAULTS.join(", ")}`);
      }
      return fault;
    });
}

function line({ atMs, text }: TimelineLine): string {
  return `${(atMs / 1000).toFixed(6).padStart(12)}  ${text}`;
}

function report(result: SimulationResult, seconds: number): void {
  const { seed, failure, traceHash, virtualMs, eventsCount } = result;
  const numbers = `${(virtualMs / 1000).toFixed(1)} s virtual, ${eventsCount} events, ${result.faultsCount} faults, ${result.acknowledgedCount} acknowledged, hash ${traceHash}, ${seconds.toFixed(2)} s`;
  if (failure === undefined) {
    console.log(`seed ${seed} holds: ${numbers}`);
    return;
  }
  if (!values.verbose) {
    for (const each of result.timeline.slice(-Number(values.last))) console.log(line(each));
  }
  console.log(`seed ${seed} FAILED: ${failure.message}\n  ${numbers}`);
}

const from = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds ?? 1) : 1;
const failed: number[] = [];
for (let seed = from; seed < from + count; seed++) {
  const options = {
    seed,
    faults: faultsOf(values.faults),
    ...(values["faults-ms"] === undefined ? {} : { faultsMs: Number(values["faults-ms"]) }),
    ...(values.verbose ? { onNote: (each: TimelineLine) => console.log(line(each)) } : {}),
  };
  const started = performance.now();
  const result = values.quorum
    ? await runQuorumSimulation(options)
    : await runSimulation({
        ...options,
        startBroker: startProductionBroker,
        verbose: values.verbose,
      });
  report(result, (performance.now() - started) / 1000);
  if (result.failure !== undefined) failed.push(seed);
}
if (count > 1) {
  console.log(`${count - failed.length} of ${count} seeds hold`);
  if (failed.length > 0) console.log(`failed: ${failed.join(" ")}`);
}
if (failed.length > 0) process.exitCode = 1;
