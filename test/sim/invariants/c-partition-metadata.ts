/**
 * C1, C2, C5, C6, C13 of the controller, at each record of the committed log, and C9 of its images:
 * - C1: the leader is in the ISR; ISR and ELR are replicas and share nobody;
 * - C2: a partition with a leader has an ISR, one without an ISR keeps its last known leader;
 * - C5: leader epoch and partition epoch never fall, and rise with each change;
 * - C6: one leader per leader epoch in the whole run;
 * - C13: replicas go when all that stay are in sync, or when those go that were being added;
 * - C9: a broker's epoch never falls, and rises with each registration.
 * Sources: KIP-966, KIP-841, KIP-631; Kafka's ReplicationControlManager.
 */
import { type Invariant, partitionByKey, type RunContext } from "../cluster/run-context.ts";
import { type PartitionStep, partitionSteps } from "./partition-steps.ts";

export function partitionMetadata(context: RunContext): Invariant {
  const leaders = new Map<string, number>();
  const fail = (id: string, key: string, detail: string): void =>
    context.fail(`${id} partition metadata`, `${key}: ${detail}`);

  function check({ key, before, after }: PartitionStep): void {
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
      const stay = before.replicas.every((id) => replicas.includes(id));
      const moved = replicas.every((id) => isr.includes(id));
      const back = replicas.every((id) => !before.adding.includes(id));
      if (!stay && !moved && !back) {
        fail("C13", key, `replicas ${before.replicas.join(",")} became ${text}`);
      }
      if (after.partitionEpoch <= before.partitionEpoch) {
        fail("C5", key, `partition epoch did not rise ${text}`);
      }
    }
    if (leader === -1) return;
    const id = `${key} epoch ${leaderEpoch}`;
    const known = leaders.get(id);
    if (known === undefined) leaders.set(id, leader);
    else if (known !== leader) fail("C6", key, `${known} and ${leader} lead epoch ${leaderEpoch}`);
  }

  return {
    onMetadata(step) {
      const last = new Map<string, PartitionStep>();
      for (const each of partitionSteps(step)) {
        check(each);
        last.set(each.key, each);
      }
      for (const [key, { after }] of last) {
        const image = partitionByKey(step.after, key);
        if (image === undefined || sameState(image, after)) continue;
        fail(
          "C11",
          key,
          `the image has ${JSON.stringify(image)}, its records ${JSON.stringify(after)}`,
        );
      }
      for (const { id, epoch, incarnationId } of step.after.brokers.values()) {
        const known = step.before.brokers.get(id);
        if (known === undefined || known.epoch < epoch) continue;
        if (known.epoch === epoch && known.incarnationId === incarnationId) continue;
        context.fail("C9 broker epoch", `broker ${id}: ${known.epoch} to ${epoch}`);
      }
    },
  };
}

type State = PartitionStep["after"];

function sameState(left: State, right: State): boolean {
  const text = ({
    isr,
    elr,
    replicas,
    leader,
    leaderEpoch,
    partitionEpoch,
    lastKnownLeader,
  }: State) =>
    JSON.stringify([isr, elr, replicas, leader, leaderEpoch, partitionEpoch, lastKnownLeader]);
  return text(left) === text(right);
}
