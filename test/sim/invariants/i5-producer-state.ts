/**
 * I5: what a checkpoint remembers of producers is the fold of the batches of its log below it. That
 * a state from checkpoint and tail equals that of the whole log is checked in the log's own
 * simulation. Source: KIP-98.
 *
 * A log cleaner keeps what the states rest on where it ends (P20), not at every offset before: of a
 * compacted log a checkpoint may lag, as far as what is left lags, for nobody truncates to there.
 */

import type { ProducerState } from "../../../src/replica/producer-states.ts";
import { saysItsProducer } from "../cluster/observed-compaction.ts";
import type { ObservedBatch, ObservedLog } from "../cluster/observed-logs.ts";
import type { Invariant, RunContext } from "../cluster/run-context.ts";

const STATEMENT = "I5 producer state is the fold of the log";
/** A log with more forgets those that were idle longest. */
const PRODUCERS_SURELY_KEPT = 1_000;

/** Whether a batch that is remembered of a producer is one between the two, and remembered rightly. */
function isBetween(
  log: ObservedLog,
  {
    state,
    left,
    last,
  }: { state: ProducerState | undefined; left: ObservedBatch | undefined; last: ObservedBatch },
): boolean {
  const found = state?.batches.at(-1);
  if (found === undefined) return left === undefined;
  const batch = log.at(found.baseOffset);
  return (
    batch?.producerId === state?.producerId &&
    batch?.producerEpoch === state?.epoch &&
    batch?.baseSequence === found.baseSequence &&
    found.baseOffset >= (left?.baseOffset ?? 0) &&
    found.baseOffset <= last.baseOffset
  );
}

export function producerState(context: RunContext): Invariant {
  return {
    onCheckpoint(node, key, { offset, producers }, restored) {
      const log = context.logs.log(node, key);
      if (restored || log === undefined) return;
      const last = new Map<number, ObservedBatch>();
      const left = new Map<number, ObservedBatch>();
      let end = log.batches[0]?.baseOffset;
      for (const batch of log.batches) {
        if (batch.endOffset > offset) break;
        // Logs are dense: a cleaned segment takes the place of others just now.
        if (batch.baseOffset !== end) return;
        end = batch.endOffset;
        if (batch.producerId < 0) continue;
        last.set(batch.producerId, batch);
        if (saysItsProducer(batch)) left.set(batch.producerId, batch);
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
        const kept = left.get(producerId);
        if (kept !== batch && isBetween(log, { state, left: kept, last: batch })) continue;
        context.fail(
          STATEMENT,
          `${node} remembers ${JSON.stringify(found ?? "nothing")} of producer ${producerId} in ${key} below ${offset}, its last batch is at ${batch.baseOffset} with sequence ${batch.baseSequence}`,
        );
        return;
      }
    },
  };
}
