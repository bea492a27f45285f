/**
 * P1, no acknowledged loss: a record acknowledged with acks=all lies at its offset, with the same
 * bytes, on the disks of `min.insync.replicas` replicas as the acknowledgement leaves, and in the
 * log of every later leader. P12 with it: no replica ever truncates an acknowledged batch, short
 * of losing its whole directory. Sources: KIP-101, KIP-279, KIP-966; Ottla's own promise 1.
 */
import type { Offset } from "../../../src/model/ids.ts";
import type { ObservedLog } from "../observed-logs.ts";
import type { Acknowledged, Invariant, RunContext } from "../run-context.ts";
import { partitionsOf } from "../run-context.ts";

const STATEMENT = "P1 no acknowledged loss";

export function noAcknowledgedLoss(context: RunContext): Invariant {
  const acknowledged = new Map<string, Map<Offset, Acknowledged>>();

  function checkWhole(log: ObservedLog | undefined, key: string, who: string): void {
    for (const batch of acknowledged.get(key)?.values() ?? []) {
      if (log?.at(batch.baseOffset)?.crc === batch.crc) continue;
      context.fail(
        STATEMENT,
        `${who} lacks the acknowledged batch at ${key}:${batch.baseOffset}, its log ends at ${log?.endOffset ?? 0}`,
      );
      return;
    }
  }

  return {
    onAcknowledged(ack) {
      if (ack.acks !== -1) return;
      const batches = acknowledged.get(ack.key) ?? new Map<Offset, Acknowledged>();
      acknowledged.set(ack.key, batches);
      const known = batches.get(ack.baseOffset);
      if (known !== undefined && known.crc !== ack.crc) {
        context.fail(STATEMENT, `two batches acknowledged at ${ack.key}:${ack.baseOffset}`);
      }
      batches.set(ack.baseOffset, ack);
      const holders: string[] = [];
      for (const log of context.logs.replicas(ack.key)) {
        if (log.at(ack.baseOffset)?.crc === ack.crc) holders.push(log.node);
      }
      if (holders.length >= ack.minIsr && holders.includes(ack.node)) return;
      context.fail(
        STATEMENT,
        `${ack.node} acknowledged ${ack.key}:${ack.baseOffset}, which lies on the disks of ${holders.join(",") || "nobody"}, wanted are ${ack.minIsr}`,
      );
    },
    onPartition({ key, before, after }) {
      if (after.leader === -1 || after.leader === before?.leader) return;
      const node = context.nodeOf(after.leader);
      checkWhole(
        context.logs.log(node, key),
        key,
        `${node}, leader of epoch ${after.leaderEpoch},`,
      );
    },
    onRemoved(log, batch) {
      const ack = acknowledged.get(log.key)?.get(batch.baseOffset);
      if (ack === undefined || ack.crc !== batch.crc) return;
      context.world.note(`${log.node} no longer has acknowledged ${log.key}:${batch.baseOffset}`);
    },
    atEnd() {
      for (const [key, partition] of partitionsOf(context.newestImage())) {
        for (const id of partition.replicas) {
          const node = context.nodeOf(id);
          checkWhole(context.logs.log(node, key), key, node);
        }
      }
    },
  };
}
