/**
 * I1 and I2 of the idempotent producer: in each log the sequences of one producer epoch follow one
 * another without gap, begin at 0, and none occurs twice, whatever was retried, across failover and
 * restart; I4: along a log the epochs of one producer id never fall. Source: KIP-98, KIP-360.
 */
import type { ObservedBatch, ObservedLog } from "../cluster/observed-logs.ts";
import {
  describeBatch,
  type Invariant,
  logStart,
  type RunContext,
} from "../cluster/run-context.ts";

const SEQUENCES = 0x8000_0000;

export function noDuplicates(context: RunContext): Invariant {
  /** Per log and producer epoch its batches, in offset order. */
  const written = new Map<string, ObservedBatch[]>();
  const epochs = new Map<string, number>();
  const idOf = (log: ObservedLog, batch: ObservedBatch): string =>
    `${log.node} ${log.key} producer ${batch.producerId}/${batch.producerEpoch}`;
  /** Of one producer id, the epochs along a log never fall. */
  function checkEpoch(log: ObservedLog, batch: ObservedBatch, index: number): void {
    const id = `${log.node} ${log.key} ${batch.producerId}`;
    const known = epochs.get(id) ?? 0;
    // Cut off and written again: what stands before it is looked at itself.
    const before =
      batch.producerEpoch < known
        ? log.batches.slice(0, index).findLast((other) => other.producerId === batch.producerId)
        : undefined;
    epochs.set(id, Math.max(known, batch.producerEpoch));
    if (before === undefined || before.producerEpoch <= batch.producerEpoch) return;
    context.fail(
      "I4 a fenced producer writes nothing",
      `${log.node} wrote ${log.key}${describeBatch(batch)} of producer ${batch.producerId}/${batch.producerEpoch} after epoch ${before.producerEpoch}`,
    );
  }

  return {
    onWritten(log, batch, index, restored) {
      if (batch.producerId < 0) return;
      if (!restored) checkEpoch(log, batch, index);
      const id = idOf(log, batch);
      const batches = written.get(id) ?? [];
      written.set(id, batches);
      let at = batches.length;
      while (at > 0 && (batches[at - 1] as ObservedBatch).baseOffset > batch.baseOffset) at--;
      const neighbour = batches[at - 1];
      batches.splice(at, 0, batch);
      const start = logStart(context, log.node, log.key);
      // Segments that are out of the log go from the disk one by one, in any order.
      const before = (neighbour?.endOffset ?? 0) <= start ? undefined : neighbour;
      const first = start === 0 && (batch.baseOffset === 0 || log.startOffset === 0);
      const expected =
        before === undefined
          ? first
            ? 0
            : batch.baseSequence
          : (before.baseSequence + before.recordsCount) % SEQUENCES;
      if (restored || batch.baseSequence === expected) return;
      context.fail(
        "I2 each sequence once and in order",
        `${id}: ${describeBatch(batch)} has sequence ${batch.baseSequence}, expected is ${expected}`,
      );
    },
    onRemoved(log, batch) {
      const batches = written.get(idOf(log, batch));
      const at = batches?.indexOf(batch) ?? -1;
      if (at >= 0) batches?.splice(at, 1);
    },
  };
}
