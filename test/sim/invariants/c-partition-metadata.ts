/**
 * C1 to C6, C9 of the controller, at each change of the cluster's newest metadata:
 * - C1: the leader is in the ISR; ISR and ELR are replicas and share nobody;
 * - C2: a partition with a leader has an ISR, one without an ISR keeps its last known leader;
 * - C5: leader epoch and partition epoch never fall, and rise with each change;
 * - C6: one leader per leader epoch in the whole run;
 * - C9: a broker's epoch never falls.
 * Sources: KIP-966, KIP-841, KIP-631; Kafka's ReplicationControlManager.
 */
import type { Invariant, RunContext } from "../cluster/run-context.ts";

export function partitionMetadata(context: RunContext): Invariant {
  const leaders = new Map<string, number>();
  const brokerEpochs = new Map<number, number>();
  const fail = (id: string, key: string, detail: string): void =>
    context.fail(`${id} partition metadata`, `${key}: ${detail}`);
  return {
    onPartition({ key, before, after }) {
      const { leader, leaderEpoch, isr, elr, replicas } = after;
      const text = JSON.stringify(after);
      if (leader !== -1 && !isr.includes(leader)) fail("C1", key, `leader outside the ISR ${text}`);
      if (![...isr, ...elr].every((id) => replicas.includes(id))) {
        fail("C1", key, `ISR or ELR beyond the replicas ${text}`);
      }
      if (isr.some((id) => elr.includes(id))) fail("C1", key, `ISR and ELR overlap ${text}`);
      if (leader !== -1 && isr.length === 0) fail("C2", key, `a leader without an ISR ${text}`);
      if (isr.length === 0 && elr.length === 0 && after.lastKnownLeader === -1) {
        fail("C2", key, `nobody is known to hold the data ${text}`);
      }
      if (before !== undefined) {
        if (leaderEpoch < before.leaderEpoch) fail("C5", key, `leader epoch fell ${text}`);
        if (leader !== before.leader && leaderEpoch === before.leaderEpoch) {
          fail("C5", key, `a new leader in an old epoch ${text}`);
        }
        if (after.partitionEpoch <= before.partitionEpoch) {
          fail("C5", key, `partition epoch did not rise ${text}`);
        }
      }
      if (leader === -1) return;
      const id = `${key} epoch ${leaderEpoch}`;
      const known = leaders.get(id);
      if (known === undefined) leaders.set(id, leader);
      else if (known !== leader)
        fail("C6", key, `${known} and ${leader} lead epoch ${leaderEpoch}`);
    },
    onImage({ after }) {
      if (after !== context.newestImage()) return;
      for (const { id, epoch } of after.brokers.values()) {
        const known = brokerEpochs.get(id) ?? -1;
        if (epoch < known) context.fail("C9 broker epoch", `broker ${id}: ${known} to ${epoch}`);
        brokerEpochs.set(id, epoch);
      }
    },
  };
}
