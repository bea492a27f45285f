/**
 * Whether this machine's wall clock is the odd one out. Nothing that is promised depends on wall
 * clocks; what people see of the log does: timestamps of records, retention, expiry of offsets. A
 * clock that is wrong by hours is a mistake of somebody's, and it is cheapest to say so at the start.
 */
import type { BrokerId } from "../model/ids.ts";

export interface ClockReading {
  readonly voterId: BrokerId;
  /** The voter's wall clock less ours. */
  readonly aheadMs: number;
}

export interface ClockVerdict {
  /** Positive: theirs is ahead of ours. */
  readonly aheadMs: number;
  readonly voterIds: readonly BrokerId[];
}

/**
 * Voters that are most of all and agree among themselves within `toleranceMs`, while each of them is
 * further from us; undefined if there are none. Of two clocks that differ nobody knows which is
 * wrong: a minority accuses nobody, and two majorities cannot be.
 */
export function outOfStep(
  readings: readonly ClockReading[],
  given: { readonly votersCount: number; readonly toleranceMs: number },
): ClockVerdict | undefined {
  const { toleranceMs, votersCount } = given;
  const most = Math.floor(votersCount / 2) + 1;
  const sorted = [...readings].sort((left, right) => left.aheadMs - right.aheadMs);
  for (let first = 0; first + most <= sorted.length; first++) {
    const group = sorted.slice(first, first + most);
    const least = (group[0] as ClockReading).aheadMs;
    const greatest = (group.at(-1) as ClockReading).aheadMs;
    if (greatest - least > toleranceMs) continue;
    if (group.some(({ aheadMs }) => Math.abs(aheadMs) <= toleranceMs)) continue;
    const voterIds = group.map(({ voterId }) => voterId).sort((left, right) => left - right);
    return { aheadMs: (group[Math.floor(most / 2)] as ClockReading).aheadMs, voterIds };
  }
  return undefined;
}
