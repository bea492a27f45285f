/** One run as plain data, so that it can be handed to another process; and how it is played. */
import type { FaultPlan } from "../faults/plan.ts";
import { runLogSimulation } from "../log-simulation.ts";
import { runQuorumSimulation } from "../quorum-simulation.ts";
import { runRaftSimulation } from "../raft-simulation.ts";
import type { SimulationResult } from "../run-world.ts";
import { SCENARIOS } from "../scenarios/all.ts";
import { runSimulation } from "../simulation.ts";
import type { TimelineLine } from "../world/world.ts";

export const KINDS = ["cluster", "quorum", "raft", "log"] as const;
export type Kind = (typeof KINDS)[number];

export interface SeedJob {
  readonly kind: Kind;
  readonly seed: number;
  /** Kinds of faults that may be drawn; default all. */
  readonly faults?: readonly string[];
  /** Of the faulty phase, in virtual ms. */
  readonly durationMs: number;
  /** Instead of drawn faults. */
  readonly plan?: FaultPlan;
}

export interface ScenarioJob {
  readonly kind: "scenario";
  readonly name: string;
}

export type Job = SeedJob | ScenarioJob;

export interface PlayOptions {
  readonly onNote?: (line: TimelineLine) => void;
  readonly verbose: boolean;
}

export async function playJob(job: Job, options: PlayOptions): Promise<SimulationResult> {
  if (job.kind === "scenario") {
    const scenario = SCENARIOS.find(({ name }) => name === job.name);
    if (scenario === undefined) throw new RangeError(`there is no scenario "${job.name}"`);
    return scenario.run();
  }
  const { kind, seed, faults, durationMs, plan } = job;
  const { onNote, verbose } = options;
  const common = {
    seed,
    faultsMs: durationMs,
    ...(faults === undefined ? {} : { faults }),
    ...(plan === undefined ? {} : { plan }),
    ...(onNote === undefined ? {} : { onNote }),
  };
  if (kind === "quorum") return runQuorumSimulation(common);
  if (kind === "raft") {
    return runRaftSimulation({
      seed,
      faultsMs: durationMs,
      ...(onNote === undefined ? {} : { onNote }),
    });
  }
  if (kind === "log") {
    return runLogSimulation({ seed, ...(onNote === undefined ? {} : { onNote }) });
  }
  const { startProductionBroker: startBroker } = await import("../cluster/production-broker.ts");
  return runSimulation({ ...common, startBroker, verbose });
}

/** The command that plays it again. */
export function commandOf(job: Job): string {
  if (job.kind === "scenario") return `npm run sim -- --scenario ${job.name}`;
  const words = ["npm run sim --", `--seed ${job.seed}`];
  if (job.kind !== "cluster") words.push(`--${job.kind}`);
  if (job.faults !== undefined) words.push(`--faults ${job.faults.join(",")}`);
  if (job.kind !== "log") words.push(`--duration-ms ${job.durationMs}`);
  return words.join(" ");
}
