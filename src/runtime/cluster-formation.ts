/**
 * How a new cluster comes to be: only when every configured voter answers that it is empty. Then all
 * of them know the same set of brokers and directories, and each writes it down as the first entry
 * of the log before it says anything else. A voter that missed the moment adopts the set from one
 * that did not, if it is named in it with the very directory it has; a voter whose disk was wiped
 * since is not, and joins as an observer.
 */
import type { BrokerId } from "../model/ids.ts";
import { includesNode, sortedNodes } from "../raft/membership.ts";
import { type RaftNode, type RaftStreamMessage, sameNode } from "../raft/messages.ts";

export type RaftHello = Extract<RaftStreamMessage, { readonly type: "hello" }>;

export type FormationStep =
  /** Found the cluster with these voters, or adopt it from one that did. */
  | { readonly type: "form"; readonly voters: readonly RaftNode[] }
  /** There is a cluster already, and this node is new to it. */
  | { readonly type: "observe" }
  | { readonly type: "wait"; readonly missing: readonly BrokerId[] };

/**
 * `hellos` are those of live connections: one of a node that was wiped since could name a directory
 * that nobody has any more.
 */
export function nextFormationStep(
  self: RaftNode,
  voterIds: readonly BrokerId[],
  hellos: readonly RaftHello[],
): FormationStep {
  const others = hellos.filter(({ node }) => node.id !== self.id && voterIds.includes(node.id));
  for (const { formation } of others) {
    if (includesNode(formation, self)) return { type: "form", voters: sortedNodes(formation) };
  }
  if (others.some((hello) => !hello.empty)) return { type: "observe" };
  const missing = voterIds.filter((id) => id !== self.id && nodeOf(id, others) === undefined);
  if (missing.length > 0) return { type: "wait", missing };
  const nodes = voterIds.map((id) => (id === self.id ? self : (nodeOf(id, others) as RaftNode)));
  return { type: "form", voters: sortedNodes(nodes) };
}

/** The one node that speaks for a broker; none while an old connection and a new one disagree. */
function nodeOf(id: BrokerId, hellos: readonly RaftHello[]): RaftNode | undefined {
  const nodes = hellos.filter(({ node }) => node.id === id).map(({ node }) => node);
  const first = nodes[0];
  return first !== undefined && nodes.every((node) => sameNode(node, first)) ? first : undefined;
}
