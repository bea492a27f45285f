/** A run's faults in a file: what a failing run leaves behind, and `--plan` plays. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type FaultPlan, parsePlan } from "../faults/plan.ts";
import { KINDS, type SeedJob } from "./job.ts";

const FILE = z.strictObject({
  kind: z.enum(KINDS),
  seed: z.number().int().min(0).max(0xffff_ffff),
  /** For people: where and how it failed. */
  commit: z.string().optional(),
  violates: z.string().optional(),
  plan: z.unknown(),
});

/** Throws a `RangeError` that says what is wrong with it. */
export function readPlanFile(path: string): SeedJob & { readonly plan: FaultPlan } {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (thrown) {
    throw new RangeError(`plan ${path} cannot be read: ${(thrown as Error).message}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (thrown) {
    throw new RangeError(`plan ${path} is not JSON: ${(thrown as Error).message}`);
  }
  const file = FILE.safeParse(json);
  if (!file.success) throw new RangeError(`plan ${path}: ${z.prettifyError(file.error)}`);
  const plan = parsePlan(file.data.plan);
  const { kind, seed } = file.data;
  return { kind, seed, durationMs: plan.durationMs, plan };
}

/** Gives the path. */
export function writePlanFile(options: {
  readonly job: SeedJob;
  readonly plan: FaultPlan;
  readonly commit: string;
  readonly violates: string;
}): string {
  const { job, plan, commit, violates } = options;
  const directory = join(tmpdir(), "ottla-sim");
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${job.kind}-${job.seed}.json`);
  const content = { kind: job.kind, seed: job.seed, commit, violates, plan };
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`);
  return path;
}
