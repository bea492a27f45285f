import type { RaftNode } from "./messages.ts";

/** A map key for a node: broker and directory, so that a wiped voter is somebody else. */
export function nodeKey(node: RaftNode): string {
  return `${node.id}:${node.directoryId}`;
}

/** The order of a voter set: by broker, then directory, so that equal sets have equal bytes. */
export function compareNodes(left: RaftNode, right: RaftNode): number {
  if (left.id !== right.id) return left.id - right.id;
  if (left.directoryId === right.directoryId) return 0;
  return left.directoryId < right.directoryId ? -1 : 1;
}
