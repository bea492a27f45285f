/**
 * S1 and S2: a process that starts keeps every whole batch that it finds in an unbroken row from
 * its log's beginning, but for a truncation that had begun; recovery may cut only what lies behind
 * a hole or damage. So what was written before a crash, and synced before a loss of power, is there
 * after it. Sources: LevelDB's guarantees as measured; KAFKA-3919 (offsets out of order).
 */
import type { Offset } from "../../../src/model/ids.ts";
import type { ObservedLog } from "../cluster/observed-logs.ts";
import { type Invariant, partitionByKey, type RunContext } from "../cluster/run-context.ts";
import { crc32c } from "../world/sim-codecs.ts";

const CRC_FROM = 21;

export function recovery(context: RunContext): Invariant {
  /** By machine and partition, of the life that begins: up to where its log is unbroken. */
  const whole = new Map<string, Offset>();

  function unbrokenEnd(log: ObservedLog): Offset {
    let end = log.batches[0]?.baseOffset ?? 0;
    let epoch = -1;
    for (const batch of log.batches) {
      if (batch.baseOffset !== end || batch.leaderEpoch < epoch) break;
      end = batch.endOffset;
      epoch = batch.leaderEpoch;
    }
    const cut = context.states.head(log.node, log.key)?.cut;
    return cut === null || cut === undefined ? end : cut.reset ? 0 : Math.min(end, cut.offset);
  }

  /** Looked for only when something was removed: bits may have flipped at rest. */
  function isDamaged(log: ObservedLog): boolean {
    return log.batches.some(
      ({ bytes, crc }) => crc32c(bytes.subarray(CRC_FROM)) >>> 0 !== crc >>> 0,
    );
  }

  return {
    onLife({ node }) {
      for (const id of [...whole.keys()]) if (id.startsWith(`${node.name} `)) whole.delete(id);
      for (const log of context.logs.all()) {
        if (log.node === node.name) whole.set(`${log.node} ${log.key}`, unbrokenEnd(log));
      }
    },
    onRemoved(log, batch, how) {
      if (how === "lost" || context.isRunning(log.node)) return;
      if (context.lifeOf(log.node) === undefined) return;
      const end = whole.get(`${log.node} ${log.key}`) ?? 0;
      if (batch.endOffset > end || context.diskOf(log.node).faultsCount > 0) return;
      const start = context.states.head(log.node, log.key)?.logStartOffset ?? 0;
      const exists = partitionByKey(context.newestImage(), log.key) !== undefined;
      if (how === "directory" && (!exists || batch.endOffset <= start)) return;
      if (isDamaged(log)) return;
      context.fail(
        "S2 recovery keeps what is whole",
        `${log.node} removes ${log.key}:${batch.baseOffset} (${how}) as it starts, its log was unbroken up to ${end}`,
      );
    },
  };
}
