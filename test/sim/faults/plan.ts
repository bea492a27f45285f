/**
 * A run's faults, all drawn before it begins: a list of plain objects that may be read, written to a
 * file, thinned out and played again. Swarm style (Groce et al. 2012): each seed first draws which
 * classes and kinds it has at all and how often each comes, so that some runs are all network, some
 * all disk, and some quiet.
 */
import { z } from "zod";
import type { Prng } from "../../../src/base/prng.ts";
import { faultKind } from "./catalogue.ts";
import { type Fault, FaultDraw, type FaultKind, ms } from "./fault-kind.ts";

export type { Fault } from "./fault-kind.ts";

/** How the faulty phase ends. */
export type Heal =
  | { readonly mode: "whole" }
  | {
      /** Only what is needed to go on is healed at first (L8); the rest stays as `rest` says. */
      readonly mode: "core";
      /** Draws the members of the core among those that can be it. */
      readonly draw: number;
      readonly rest: RestOfCluster;
    };

export const RESTS = ["dead", "isolated", "deaf", "mute", "flapping"] as const;
export type RestOfCluster = (typeof RESTS)[number];

export interface FaultPlan {
  /** How long the faulty phase lasts, in virtual ms. */
  readonly durationMs: number;
  /** In order of `atMs`. */
  readonly faults: readonly Fault[];
  readonly heal: Heal;
}

export interface DrawPlanOptions {
  readonly prng: Prng;
  /** Kinds of which the run may draw. */
  readonly allowed: readonly string[];
  readonly durationMs: number;
  readonly brokersCount: number;
  /** Whether the run may go beyond the promise, once in ten. */
  readonly mayGoBeyond: boolean;
}

/** Mean time between two faults of one kind: log-uniform over these doublings of two seconds. */
const SHORTEST_GAP_MS = 2_000;
const GAP_DOUBLINGS = 6;

export function drawPlan(options: DrawPlanOptions): FaultPlan {
  const { prng, durationMs, brokersCount } = options;
  const draw = new FaultDraw(prng, brokersCount);
  const faults = drawKinds(options).flatMap((kind) => drawFaults(kind, draw, durationMs));
  faults.sort((left, right) => left.atMs - right.atMs);
  return { durationMs, faults, heal: drawHeal(prng) };
}

function drawKinds({ prng, allowed, brokersCount, mayGoBeyond }: DrawPlanOptions): FaultKind[] {
  const possible = allowed
    .map((name) => {
      const kind = faultKind(name);
      if (kind === undefined) throw new RangeError(`there is no fault "${name}"`);
      return kind;
    })
    .filter(({ brokersMin }) => brokersMin <= brokersCount);
  const quiet = prng.chance(1, 20);
  const beyond = mayGoBeyond && prng.chance(1, 10);
  const classes = [...new Set(possible.map((kind) => kind.class))];
  const drawn = new Set(classes.filter(() => prng.chance(1, 2)));
  if (drawn.size === 0 && classes.length > 0) drawn.add(prng.pick(classes));
  const kinds: FaultKind[] = [];
  for (const each of classes) {
    const members = possible.filter((kind) => kind.class === each);
    const some = members.filter(() => prng.chance(1, 2));
    if (drawn.has(each)) kinds.push(...(some.length > 0 ? some : [prng.pick(members)]));
  }
  if (quiet) return [];
  if (beyond) kinds.push(...["wipe-some"].map((name) => faultKind(name) as FaultKind));
  return [...new Set(kinds)];
}

function drawFaults(kind: FaultKind, draw: FaultDraw, durationMs: number): Fault[] {
  const { prng } = draw;
  const doubled = SHORTEST_GAP_MS << prng.below(GAP_DOUBLINGS);
  const gapMs = prng.between(doubled, 2 * doubled);
  const faults: Fault[] = [];
  for (
    let atMs = prng.between(0, gapMs);
    atMs < durationMs;
    atMs += prng.between(gapMs >> 2, 2 * gapMs - (gapMs >> 2))
  ) {
    const { durationMs: lastsMs, ...params } = kind.draw(draw);
    faults.push({ atMs, kind: kind.kind, ...params, durationMs: lastsMs });
  }
  return faults;
}

function drawHeal(prng: Prng): Heal {
  const core = prng.chance(3, 10);
  const draw = prng.below(1_000_000);
  const rest = prng.pick(RESTS);
  return core ? { mode: "core", draw, rest } : { mode: "whole" };
}

const PLAN = z.strictObject({
  durationMs: ms,
  faults: z.array(z.looseObject({ kind: z.string() })),
  heal: z.union([
    z.strictObject({ mode: z.literal("whole") }),
    z.strictObject({
      mode: z.literal("core"),
      draw: z.number().int().min(0),
      rest: z.enum(RESTS),
    }),
  ]),
});

/** Checks what was read from a file. Throws a `RangeError` that names what is wrong and where. */
export function parsePlan(value: unknown): FaultPlan {
  const plan = PLAN.safeParse(value);
  if (!plan.success) throw new RangeError(`the plan is not valid: ${z.prettifyError(plan.error)}`);
  const faults = plan.data.faults.map((each, index) => {
    const kind = faultKind(each.kind);
    if (kind === undefined) {
      throw new RangeError(`fault ${index} of the plan is of no known kind: "${each.kind}"`);
    }
    const fault = kind.schema.safeParse(each);
    if (fault.success) return fault.data;
    throw new RangeError(
      `fault ${index} of the plan is not valid: ${z.prettifyError(fault.error)}`,
    );
  });
  const inOrder = faults.every((each, at) => at === 0 || each.atMs >= (faults[at - 1]?.atMs ?? 0));
  if (!inOrder) throw new RangeError("the faults of the plan are not in order of atMs");
  return { durationMs: plan.data.durationMs, faults, heal: plan.data.heal };
}
