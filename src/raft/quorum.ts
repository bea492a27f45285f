/** Majority arithmetic over one voter set (thesis 3.4 and 3.6). */
import type { LogIndex } from "../model/ids.ts";
import type { RaftNode } from "./messages.ts";
import { nodeKey } from "./node.ts";

export function majorityCount(votersCount: number): number {
  return Math.floor(votersCount / 2) + 1;
}

/**
 * The highest index that a majority has reached; `reached` holds one index per voter. 0 for an
 * empty set: nobody can commit.
 */
export function majorityIndex(reached: readonly LogIndex[]): LogIndex {
  if (reached.length === 0) return 0;
  const descending = [...reached].sort((left, right) => right - left);
  return descending[majorityCount(reached.length) - 1] as LogIndex;
}

export type Tally = "won" | "lost" | "pending";

/** Votes of nodes outside the set count for nothing. An empty set never wins. */
export function tally(voters: readonly RaftNode[], votes: ReadonlyMap<string, boolean>): Tally {
  const needed = majorityCount(voters.length);
  let granted = 0;
  let open = 0;
  for (const voter of voters) {
    const vote = votes.get(nodeKey(voter));
    if (vote === undefined) open++;
    else if (vote) granted++;
  }
  if (granted >= needed) return "won";
  return granted + open < needed ? "lost" : "pending";
}
