/**
 * P1, no acknowledged loss: a record acknowledged with acks=all lies at its offset, with the same
 * bytes, on the disks of `min.insync.replicas` replicas as the acknowledgement leaves, and in the
 * log of every later leader. P12 with it: no replica ever truncates an acknowledged batch, short
 * of losing its whole directory. Whatever lies below a log's start was deleted by request or by
 * retention, which P19 and the history's checker judge. Sources: KIP-101, KIP-279, KIP-966; Ottla's own promise 1.
 */
import type { Offset } from "../../../src/model/ids.ts";
import type { Acknowledged, Invariant, RunContext } from "../cluster/run-context.ts";
import { logStart, partitionsOf, topicOfKey } from "../cluster/run-context.ts";

interface Held extends Acknowledged {
  /** Of the batch that was acknowledged. */
  readonly leaderEpoch: number;
}

const STATEMENT = "P1 no acknowledged loss";

export function noAcknowledgedLoss(context: RunContext): Invariant {
  const acknowledged = new Map<string, Map<Offset, Held>>();

  /** A retry to a later leader has the same CRC at the same offset, in another epoch. */
  function holds(node: string, { key, baseOffset, crc, leaderEpoch }: Held): boolean {
    // The log begins above it also where nothing of the log is left to look at.
    if (baseOffset < logStart(context, node, key)) return true;
    const batch = context.logs.log(node, key)?.at(baseOffset);
    return batch?.crc === crc && batch.leaderEpoch === leaderEpoch;
  }

  function checkWhole(node: string, key: string, who: string): void {
    for (const batch of acknowledged.get(key)?.values() ?? []) {
      if (holds(node, batch)) continue;
      const end = context.logs.log(node, key)?.endOffset ?? 0;
      context.fail(
        STATEMENT,
        `${who} lacks the acknowledged batch at ${key}:${batch.baseOffset}, its log ends at ${end}`,
      );
      return;
    }
  }

  return {
    onAcknowledged(acknowledgement) {
      if (acknowledgement.acks !== -1) return;
      const own = context.logs.log(acknowledgement.node, acknowledgement.key);
      const { node, key, baseOffset } = acknowledgement;
      // A retry of what has been deleted since: its leader does not know the epoch of it any more.
      if (own !== undefined && baseOffset < logStart(context, node, key)) return;
      const leaderEpoch = own?.at(baseOffset)?.leaderEpoch ?? -1;
      const ack: Held = { ...acknowledgement, leaderEpoch };
      const batches = acknowledged.get(ack.key) ?? new Map<Offset, Held>();
      acknowledged.set(ack.key, batches);
      const known = batches.get(ack.baseOffset);
      if (known !== undefined && known.crc !== ack.crc) {
        context.fail(STATEMENT, `two batches acknowledged at ${ack.key}:${ack.baseOffset}`);
      }
      batches.set(ack.baseOffset, ack);
      // Deleted as far as some broker knows, and followers hear of it first as well as last: a retry
      // may still be answered by a leader whose followers have removed their replicas.
      if (topicOfKey(context.newestImage(), ack.key) === undefined) return;
      const holders: string[] = [];
      for (const log of context.logs.replicas(ack.key)) {
        if (holds(log.node, ack)) holders.push(log.node);
      }
      const wiped = context.anyWiped ? 1 : 0;
      if (holders.length >= ack.minIsr - wiped && holders.includes(ack.node)) return;
      context.fail(
        STATEMENT,
        `${ack.node} acknowledged ${ack.key}:${ack.baseOffset}, which lies on the disks of ${holders.join(",") || "nobody"}, wanted are ${ack.minIsr}`,
      );
    },
    onPartition({ key, before, after }) {
      if (after.leader === -1 || after.leader === before?.leader) return;
      const node = context.nodeOf(after.leader);
      // One that was wiped and has not registered since may be elected, but never leads.
      if (context.wasWiped(node)) return;
      checkWhole(node, key, `${node}, leader of epoch ${after.leaderEpoch},`);
    },
    onRemoved(log, batch, how) {
      const ack = acknowledged.get(log.key)?.get(batch.baseOffset);
      if (how !== "truncated" || ack?.crc !== batch.crc) return;
      if (ack.leaderEpoch !== batch.leaderEpoch) return;
      // Its disk may have lost it, and whoever finds that out throws away more.
      if (context.wasWiped(log.node)) return;
      context.fail(
        "P12 nobody truncates what was acknowledged",
        `${log.node} no longer has ${log.key}:${batch.baseOffset}`,
      );
    },
    atEnd() {
      for (const [key, partition] of partitionsOf(context.newestImage())) {
        for (const id of partition.replicas) {
          const node = context.nodeOf(id);
          checkWhole(node, key, node);
        }
      }
    },
  };
}
