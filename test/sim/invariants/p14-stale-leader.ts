/**
 * P14, stale leaders: an acknowledgement with acks=all that a leader gives although the metadata
 * has a newer one holds in the newer leader's log too. It may be given at all because the members
 * of its ISR had not heard of their new leader when they wrote; but whoever was elected is one of
 * them. Sources: KIP-101, KIP-966; Vanlightly's TLA+ model.
 */
import {
  type Invariant,
  logStart,
  partitionByKey,
  type RunContext,
} from "../cluster/run-context.ts";

export function staleLeader(context: RunContext): Invariant {
  return {
    onAcknowledged({ node, key, baseOffset, crc, acks }) {
      if (acks !== -1) return;
      const newest = partitionByKey(context.newestImage(), key);
      if (newest === undefined || newest.leader === -1) return;
      const leader = context.nodeOf(newest.leader);
      const own = context.logs.log(node, key)?.at(baseOffset);
      if (leader === node || own === undefined || newest.leaderEpoch <= own.leaderEpoch) return;
      if (context.wasWiped(leader) || context.newestImage().uncleanElectionsCount > 0) return;
      const log = context.logs.log(leader, key);
      if (log?.at(baseOffset)?.crc === crc) return;
      // It may have been read, and deleted, by those who know the new leader.
      if (log !== undefined && logStart(context, leader, key) > baseOffset) return;
      context.fail(
        "P14 a stale leader acknowledges nothing that is lost",
        `${node} acknowledges ${key}:${baseOffset} of epoch ${own.leaderEpoch}, ${leader} leads epoch ${newest.leaderEpoch} without it`,
      );
    },
  };
}
