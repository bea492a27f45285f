/**
 * Voter sets. A set takes effect when its entry is appended, not when it is committed (thesis 4.1),
 * and falls back when the entry is truncated. Sets change by one voter at a time, so that any two
 * consecutive sets share a member in every pair of majorities.
 */
import { assert } from "../base/assert.ts";
import { text, utf8 } from "../base/bytes.ts";
import type { BrokerId, LogIndex } from "../model/ids.ts";
import { type RaftEntry, type RaftNode, sameNode } from "./messages.ts";
import { compareNodes } from "./node.ts";

export function includesNode(nodes: readonly RaftNode[], node: RaftNode): boolean {
  return nodes.some((other) => sameNode(other, node));
}

export function sortedNodes(nodes: readonly RaftNode[]): readonly RaftNode[] {
  return nodes.map(({ id, directoryId }) => ({ id, directoryId })).sort(compareNodes);
}

/** Payload of a `config` entry: the whole set, so that the newest entry alone tells it. */
export function encodeVoters(voters: readonly RaftNode[]): Uint8Array {
  return utf8(JSON.stringify(sortedNodes(voters)));
}

export function decodeVoters(payload: Uint8Array): readonly RaftNode[] {
  const value: unknown = JSON.parse(text(payload));
  assert(Array.isArray(value), "a config entry holds a list of voters");
  return value.map((item: unknown) => {
    const { id, directoryId } = item as { id: unknown; directoryId: unknown };
    assert(
      typeof id === "number" && typeof directoryId === "string",
      "a voter is a broker and a directory",
    );
    return { id, directoryId };
  });
}

/** Entry 1 of every cluster: what its first voters agreed on before there was a leader. */
export function formationEntry(voters: readonly RaftNode[]): RaftEntry {
  return { index: 1, term: 1, kind: "config", payload: encodeVoters(voters) };
}

/** Whether exactly one voter was added or removed. */
export function isSingleStep(from: readonly RaftNode[], to: readonly RaftNode[]): boolean {
  const removed = from.filter((node) => !includesNode(to, node)).length;
  const added = to.filter((node) => !includesNode(from, node)).length;
  return removed + added === 1 && to.length > 0;
}

interface VoterSet {
  readonly index: LogIndex;
  readonly voters: readonly RaftNode[];
}

/** The voter sets of a log, oldest first; the last one is in force. */
export class VoterHistory {
  #sets: VoterSet[];

  constructor(base: VoterSet, entries: readonly RaftEntry[]) {
    this.#sets = [base];
    this.append(entries);
  }

  get current(): readonly RaftNode[] {
    return this.#latest.voters;
  }

  /** Where the set in force was appended; beyond the commit index it may still fall back. */
  get currentIndex(): LogIndex {
    return this.#latest.index;
  }

  get #latest(): VoterSet {
    return this.#sets[this.#sets.length - 1] as VoterSet;
  }

  at(index: LogIndex): readonly RaftNode[] {
    let found = this.#sets[0] as VoterSet;
    for (const set of this.#sets) if (set.index <= index) found = set;
    return found.voters;
  }

  /** Returns whether the set in force changed. */
  append(entries: readonly RaftEntry[]): boolean {
    let changed = false;
    for (const entry of entries) {
      if (entry.kind !== "config") continue;
      this.#sets.push({ index: entry.index, voters: decodeVoters(entry.payload) });
      changed = true;
    }
    return changed;
  }

  truncateFrom(index: LogIndex): void {
    while (this.#sets.length > 1 && this.currentIndex >= index) this.#sets.pop();
  }

  compactTo(index: LogIndex): void {
    while (this.#sets.length > 1 && (this.#sets[1] as VoterSet).index <= index) this.#sets.shift();
  }

  restart(base: VoterSet): void {
    this.#sets = [base];
  }
}

/** What the leader knows of a node when it decides about replacing a voter. */
export interface ReplacementCandidate {
  readonly node: RaftNode;
  readonly voter: boolean;
  readonly active: boolean;
  readonly caughtUp: boolean;
}

/**
 * The next voter set on the way to one in which every broker of `voterIds` votes with the directory
 * that it has now; undefined if there is nothing to do. A voter that came back with a new directory
 * has caught up as an observer: first its old self is removed, then the new one added, each as one
 * step. An old self that is still heard from is left alone: then two brokers run with one id, and
 * the newcomer is the intruder.
 */
export function nextReplacementStep(
  voters: readonly RaftNode[],
  candidates: readonly ReplacementCandidate[],
  voterIds: readonly BrokerId[],
): readonly RaftNode[] | undefined {
  for (const { node, voter, active, caughtUp } of candidates) {
    if (voter || !active || !caughtUp || !voterIds.includes(node.id)) continue;
    const old = voters.find((other) => other.id === node.id);
    if (old === undefined) return sortedNodes([...voters, node]);
    const oldIsActive = candidates.some((other) => sameNode(other.node, old) && other.active);
    if (!oldIsActive) return voters.filter((other) => !sameNode(other, old));
  }
  return undefined;
}
