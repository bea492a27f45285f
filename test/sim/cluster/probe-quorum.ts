/** Rare paths of the metadata quorum. */
import type { MetadataLogStatus } from "../../../src/runtime/metadata-log.ts";
import type { Hit } from "./probe-taps.ts";
import type { Invariant, RunContext } from "./run-context.ts";

export function quorumProbes(context: RunContext, hit: Hit): Invariant {
  /** By node, of the present life. */
  const statuses = new Map<string, MetadataLogStatus>();
  let newestTerm = 0;
  return {
    onLife({ node }) {
      statuses.delete(node.name);
    },
    onQuorum({ node, before, after }) {
      statuses.set(node, after);
      const wasCandidate = before?.role === "candidate";
      if (wasCandidate && after.role === "candidate" && after.term > before.term) {
        hit("election-without-winner");
      }
      if (before?.role === "leader" && after.role !== "leader" && after.term === before.term) {
        hit("leader-steps-down-in-its-term");
      }
      if (after.role === "leader" && before?.role !== "leader") {
        newestTerm = Math.max(newestTerm, after.term);
        for (const [other, status] of statuses) {
          if (other === node || status.role !== "leader") continue;
          if (context.isRunning(other)) hit("two-quorum-leaders-at-once");
        }
      }
      if (before !== undefined && after.voters !== before.voters) {
        const names = (status: MetadataLogStatus): string =>
          status.voters.map(({ id, directoryId }) => `${id}@${directoryId}`).join();
        if (before.voters.length > 0 && names(before) !== names(after)) hit("voter-set-changed");
      }
    },
    onRaftSent({ message }) {
      switch (message.type) {
        case "vote-response":
          if (!message.granted) hit(message.preVote ? "pre-vote-refused" : "vote-refused");
          return;
        case "append-response":
          if (!message.success) hit("append-conflict");
          return;
        case "snapshot-request":
          hit(message.offset === 0 ? "snapshot-sent" : "snapshot-sent-in-pieces");
          return;
        case "snapshot-response":
          if (message.installed) hit("snapshot-installed");
          return;
        case "timeout-now":
          hit("leadership-handed-over");
          return;
        case "observe-request":
          hit("observer-asks-for-the-log");
          return;
        default:
          return;
      }
    },
    onRaftRemoved(_log, _entry, how) {
      if (how === "truncated") hit("metadata-log-truncated");
      else if (how === "lost") hit("metadata-entries-lost-with-power");
      else if (how === "compacted") hit("metadata-log-compacted");
    },
    onCommitted({ term }) {
      if (term < newestTerm) hit("entry-of-an-old-term-committed");
    },
  };
}
