/** A node of the metadata quorum in words: a broker whose disk was wiped is somebody else. */
import type { RaftNode } from "../../../src/raft/messages.ts";

export function raftName({ id, directoryId }: RaftNode): string {
  return `${id}/${directoryId}`;
}
