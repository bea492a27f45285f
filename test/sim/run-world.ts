/**
 * What every kind of run has in common: a world from a seed, a budget, nothing unhandled, and a
 * result. A run that holds, one that breaks an invariant, and one that spent its budget before
 * either could be said are three different things.
 */
import type { HistoryLine } from "../history/format.ts";
import type { FaultPlan } from "./faults/plan.ts";
import { BudgetExhausted, describe, type TimelineLine, World } from "./world/world.ts";

export interface SimulationResult {
  readonly seed: number;
  readonly traceHash: string;
  readonly virtualMs: number;
  readonly eventsCount: number;
  readonly acknowledgedCount: number;
  readonly faultsCount: number;
  readonly failure: { readonly invariant: string; readonly message: string } | undefined;
  /** Why nothing can be said: the run was ended because it exceeded its budget. */
  readonly unknown?: string;
  readonly timeline: readonly TimelineLine[];
  /** The faults as they were played. */
  readonly plan?: FaultPlan;
  /** How often each rare path was taken, by the name of its probe. */
  readonly probes?: Readonly<Record<string, number>>;
  /** How many faults of each kind began. */
  readonly injected?: Readonly<Record<string, number>>;
  /** What clients did and saw, as `checkHistory` read it. */
  readonly history?: readonly HistoryLine[];
}

/** One run in its world. */
export interface Play {
  play(): Promise<void>;
  /** What only this kind of run knows of itself. */
  tell(): Pick<
    SimulationResult,
    "acknowledgedCount" | "faultsCount" | "plan" | "probes" | "injected" | "history" | "unknown"
  >;
}

export interface RunWorldOptions {
  readonly seed: number;
  readonly onNote?: (line: TimelineLine) => void;
}

/** Far above what a run needs, below where Node would end the process without a word. */
const HEAP_BYTES_MAX = 1_500 * 1024 * 1024;
/** Looking at the heap costs a few microseconds, an event about ten. */
const LOOK_EVERY_EVENTS = 4_096;

export async function runWorld(
  options: RunWorldOptions,
  begin: (world: World) => Play,
): Promise<SimulationResult> {
  const { seed, onNote } = options;
  const world = new World(seed);
  if (onNote !== undefined) world.onNote = onNote;
  watchHeap(world);
  const onUnhandled = (thrown: unknown): void =>
    world.fail("no unhandled rejection", describe(thrown));
  process.on("unhandledRejection", onUnhandled);
  const play = begin(world);
  let unknown: string | undefined;
  try {
    await play.play();
  } catch (thrown) {
    if (thrown instanceof BudgetExhausted) unknown = thrown.message;
    else if (world.failure === undefined) world.fail("the simulation itself", describe(thrown));
  } finally {
    process.off("unhandledRejection", onUnhandled);
  }
  const { failure } = world;
  return {
    seed,
    traceHash: world.traceHash,
    virtualMs: world.nowMs,
    eventsCount: world.eventsCount,
    ...play.tell(),
    failure: failure && { invariant: failure.invariant, message: failure.message },
    ...(unknown === undefined ? {} : { unknown }),
    timeline: world.timeline,
  };
}

/** The world's own budget counts what it knows; what processes keep to themselves shows here only. */
function watchHeap(world: World): void {
  world.observers.push(() => {
    if (world.eventsCount % LOOK_EVERY_EVENTS !== 0) return;
    const { heapUsed } = process.memoryUsage();
    if (heapUsed <= HEAP_BYTES_MAX) return;
    throw new BudgetExhausted(`${heapUsed} bytes of heap, ${HEAP_BYTES_MAX} are allowed`);
  });
}
