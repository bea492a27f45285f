/**
 * `npm run sim -- --seed N | --seeds COUNT [--from N] [--quorum | --log] [--verbose] [--faults a,b] [--faults-ms N]`
 *
 * Runs seeds of the cluster simulation (`--quorum`: of the metadata quorum alone, `--log`: of one
 * partition's log alone), and prints of each failed one the violated invariant and the last events. Ends with exit code 1 if any failed.
 */
import { parseArgs } from "node:util";
import { FAULTS, faultsNamed } from "./faults/catalogue.ts";
import { runLogSimulation } from "./log-simulation.ts";
import { runQuorumSimulation } from "./quorum-simulation.ts";
import { runSimulation, type SimulationResult } from "./simulation.ts";
import type { TimelineLine } from "./world/world.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    quorum: { type: "boolean", default: false },
    log: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    faults: { type: "string" },
    "faults-ms": { type: "string" },
    last: { type: "string", default: "60" },
  },
});

interface RunOptions {
  readonly seed: number;
  readonly faults: readonly string[];
  readonly faultsMs?: number;
  readonly onNote?: (line: TimelineLine) => void;
}

function faultsOf(list: string | undefined): readonly string[] {
  return list === undefined ? FAULTS : faultsNamed(list.split(",").filter(Boolean));
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

async function runOne(options: RunOptions): Promise<SimulationResult> {
  if (values.quorum) return runQuorumSimulation(options);
  if (values.log) return runLogSimulation(options);
  const { startProductionBroker: startBroker } = await import("./cluster/production-broker.ts");
  return runSimulation({ ...options, startBroker, verbose: values.verbose });
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
  const result = await runOne(options);
  report(result, (performance.now() - started) / 1000);
  if (result.failure !== undefined) failed.push(seed);
}
if (count > 1) {
  console.log(`${count - failed.length} of ${count} seeds hold`);
  if (failed.length > 0) console.log(`failed: ${failed.join(" ")}`);
}
if (failed.length > 0) process.exitCode = 1;
