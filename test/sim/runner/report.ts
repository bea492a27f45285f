/** What a campaign prints, as lines. */
import type { SimulationResult } from "../run-world.ts";
import { commandOf, type Job } from "./job.ts";
import type { Tally } from "./tally.ts";
import { timelineOf } from "./timeline.ts";

const TIMELINE_LINES = 60;

export function nameOf(job: Job): string {
  if (job.kind === "scenario") return `scenario ${job.name}`;
  return job.kind === "cluster" ? `seed ${job.seed}` : `${job.kind} seed ${job.seed}`;
}

export function verdictOf(result: SimulationResult): "held" | "failed" | "unknown" {
  if (result.failure !== undefined) return "failed";
  return result.unknown === undefined ? "held" : "unknown";
}

/** One line about a run that needs no more. */
export function lineOf(job: Job, result: SimulationResult, coreSeconds: number): string {
  const { virtualMs, eventsCount, faultsCount, acknowledgedCount, traceHash } = result;
  const numbers = `${(virtualMs / 1000).toFixed(1)} s virtual, ${eventsCount} events, ${faultsCount} faults, ${acknowledgedCount} acknowledged, hash ${traceHash}, ${coreSeconds.toFixed(2)} s`;
  const words = { held: "holds", failed: "FAILED", unknown: "UNKNOWN" } as const;
  const why = result.failure?.message ?? result.unknown;
  return `${nameOf(job)} ${words[verdictOf(result)]}: ${why === undefined ? numbers : `${why} (${numbers})`}`;
}

/** Everything that is known about a failure at once; the shrunk plan comes later. */
export function failureOf(options: {
  readonly job: Job;
  readonly result: SimulationResult;
  readonly commit: string;
}): string[] {
  const { job, result, commit } = options;
  const { failure } = result;
  if (failure === undefined) return [];
  const detail = failure.message.startsWith(`${failure.invariant}: `)
    ? failure.message.slice(failure.invariant.length + 2)
    : failure.message;
  return [
    "",
    ...timelineOf(result.timeline, TIMELINE_LINES),
    "",
    `FAILED   ${nameOf(job)} at commit ${commit}`,
    `violates ${failure.invariant}`,
    ...detail.split("\n").map((line) => `         ${line}`),
    `repeat   ${commandOf(job)}`,
  ];
}

export function summaryOf(tally: Tally, commit: string): string[] {
  const { runsCount, heldCount, twiceCount, failed, unknown } = tally;
  const lines = [
    `${heldCount} of ${runsCount} runs hold, ${failed.length} failed, ${unknown.length} unknown, ${twiceCount} made twice with equal traces; commit ${commit}`,
    `${(tally.virtualMs / 3_600_000).toFixed(2)} h virtual, ${tally.speed.toFixed(0)} virtual seconds per core second, ${tally.eventsCount} events, ${tally.faultsCount} faults, ${tally.acknowledgedCount} acknowledged`,
  ];
  for (const { name, invariant } of failed) lines.push(`FAILED ${name}: ${invariant}`);
  for (const { name, why } of unknown) lines.push(`UNKNOWN ${name}: ${why}`);
  return lines;
}

/** Which rare paths the campaign took, and which it never did. */
export function probesOf(tally: Tally): string[] {
  if (tally.probes.size === 0) return [];
  const never = [...tally.probes].filter(([, { runsCount }]) => runsCount === 0);
  const names = never.map(([name]) => name);
  return [
    `${tally.probes.size - never.length} of ${tally.probes.size} rare paths taken`,
    ...(names.length === 0 ? [] : [`never: ${names.join(", ")}`]),
  ];
}
