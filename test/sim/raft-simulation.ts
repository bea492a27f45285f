/**
 * One run of the Raft cores alone: no driver, disk or network, only values, which makes it the fastest
 * way to look for a bad order of messages, ticks, writes and crashes. A tick stands for 100 ms.
 */
import { AssertionError } from "../../src/base/assert.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { RaftWorld, type WorldFaults } from "../support/raft-world.ts";
import type { SimulationResult } from "./run-world.ts";
import { crc32c } from "./world/sim-codecs.ts";
import { describe, type TimelineLine } from "./world/world.ts";

export interface RaftSimulationOptions {
  readonly seed: number;
  /** Of the faulty phase, in virtual ms. Default 20,000. */
  readonly faultsMs?: number;
  readonly onNote?: (line: TimelineLine) => void;
}

const TICK_MS = 100;
const FAULTS_MS = 20_000;
/** Until everybody must have caught up, once the faults are over. */
const HEAL_TICKS = 2_000;
const TIMELINE_LINES = 600;

function drawFaults(prng: Prng): WorldFaults {
  // Not both: of a set that was made small, a lost disk is more than the promise covers.
  const setChanges = prng.pick(["never", "lost disks", "by hand"]);
  return {
    permille: prng.pick([10, 10, 30]),
    lossPercent: prng.pick([0, 1, 5, 30]),
    duplicatePercent: prng.pick([0, 5, 30]),
    crashPercent: prng.pick([0, 10, 30, 100]),
    replacePercent: setChanges === "lost disks" ? prng.pick([10, 30]) : 0,
    voterChangePercent: setChanges === "by hand" ? prng.pick([20, 60, 100]) : 0,
    slowDiskPercent: prng.pick([0, 20, 60]),
    inOrder: prng.chance(1, 3),
  };
}

/** The same seed plays the same run; one that failed is played again for its timeline. */
export function runRaftSimulation(options: RaftSimulationOptions): Promise<SimulationResult> {
  const { onNote } = options;
  const first = play(options, onNote);
  if (first.failure === undefined || onNote !== undefined) return Promise.resolve(first);
  const timeline: TimelineLine[] = [];
  play(options, (line) => {
    timeline.push(line);
    if (timeline.length > TIMELINE_LINES) timeline.shift();
  });
  return Promise.resolve({ ...first, timeline });
}

function play(
  { seed, faultsMs = FAULTS_MS }: RaftSimulationOptions,
  onNote: ((line: TimelineLine) => void) | undefined,
): SimulationResult {
  const prng = new Prng(seed);
  const shape = prng.fork("shape");
  const world = new RaftWorld({
    prng: prng.fork("world"),
    faults: drawFaults(shape),
    votersCount: shape.pick([1, 2, 3, 3, 3, 3, 4, 5]),
    ...(onNote && {
      onNote: (text: string, tick: number) => onNote({ atMs: tick * TICK_MS, text }),
    }),
  });
  let stepsCount = 0;
  let failure: SimulationResult["failure"];
  try {
    for (; world.ticksCount * TICK_MS < faultsMs; stepsCount++) world.step();
    if (!world.heal(HEAL_TICKS)) {
      const invariant = "liveness: all nodes catch up";
      failure = {
        invariant,
        message: `${invariant}: not within ${HEAL_TICKS} ticks; ${world.describeNodes().join("; ")}`,
      };
    }
  } catch (thrown) {
    const message = thrown instanceof AssertionError ? thrown.message : describe(thrown);
    failure = { invariant: message.split("\n")[0] ?? "", message };
  }
  return {
    seed,
    traceHash: crc32c(utf8(world.fingerprint())).toString(16).padStart(8, "0"),
    virtualMs: (world.ticksCount + world.healedTicks) * TICK_MS,
    eventsCount: stepsCount,
    acknowledgedCount: world.committedCount,
    faultsCount: world.faultsCount,
    failure,
    timeline: [],
  };
}
