/**
 * I5: what a checkpoint remembers of producers is the fold of the batches of its log below it. That
 * a state from checkpoint and tail equals that of the whole log is checked in the log's own
 * simulation. Source: KIP-98.
 */
import type { ObservedBatch } from "../cluster/observed-logs.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "I5 producer state is the fold of the log";
/** A log with more forgets those that were idle longest. */
const PRODUCERS_SURELY_KEPT = 1_000;

export function producerState(context: RunContext): Invariant {
  return {
    onCheckpoint(node, key, { offset, producers }, restored) {
      const log = context.logs.log(node, key);
      if (restored || log === undefined) return;
      const last = new Map<number, ObservedBatch>();
      for (const batch of log.batches) {
        if (batch.endOffset > offset) break;
        if (batch.producerId >= 0) last.set(batch.producerId, batch);
      }
      const remembered = new Map(producers.map((state) => [state.producerId, state]));
      for (const [producerId, batch] of last) {
        const state = remembered.get(producerId);
        const found = state?.batches.at(-1);
        if (state === undefined && last.size > PRODUCERS_SURELY_KEPT) continue;
        if (
          state?.epoch === batch.producerEpoch &&
          found?.baseOffset === batch.baseOffset &&
          found.baseSequence === batch.baseSequence
        ) {
          continue;
        }
        context.fail(
          STATEMENT,
          `${node} remembers ${JSON.stringify(found ?? "nothing")} of producer ${producerId} in ${key} below ${offset}, its last batch is at ${batch.baseOffset} with sequence ${batch.baseSequence}`,
        );
        return;
      }
    },
  };
}
