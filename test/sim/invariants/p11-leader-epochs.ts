/**
 * P11, leader epochs: every batch bears an epoch in which the partition had a leader, and was first
 * written by that leader or sent by it; what a checkpoint remembers of epochs is what the batches
 * of its log say. That epochs rise along a log is checked with P3. Sources: KIP-101, KIP-279.
 */
import { type Invariant, logStart, type RunContext } from "../cluster/run-context.ts";
import { partitionSteps } from "./partition-steps.ts";

export function leaderEpochs(context: RunContext): Invariant {
  const leaders = new Map<string, number>();
  const known = new Set<string>();
  return {
    onMetadata(step) {
      for (const { key, after } of partitionSteps(step)) {
        known.add(key);
        if (after.leader !== -1) leaders.set(`${key} ${after.leaderEpoch}`, after.leader);
      }
    },
    onWritten(log, batch, _index, restored) {
      if (restored || !known.has(log.key)) return;
      if (leaders.has(`${log.key} ${batch.leaderEpoch}`)) return;
      context.fail(
        "P11 each epoch has its leader",
        `${log.node} wrote ${log.key}:${batch.baseOffset} of epoch ${batch.leaderEpoch}, which had no leader`,
      );
    },
    onFrame({ from, fetching }) {
      const { key, start } = fetching;
      const leader = leaders.get(`${key} ${start.leaderEpoch}`);
      if (leader === undefined || context.nodeOf(leader) === from.node) return;
      context.fail(
        "P11 each epoch has its leader",
        `${from.node} sends ${key} in epoch ${start.leaderEpoch} of broker ${leader}`,
      );
    },
    onCheckpoint(node, key, { offset, epochs }, restored) {
      const log = context.logs.log(node, key);
      if (restored || log === undefined) return;
      for (const batch of log.batches) {
        if (batch.endOffset > offset) break;
        const covering = epochs.findLast(({ startOffset }) => startOffset <= batch.baseOffset);
        if (covering?.epoch === batch.leaderEpoch) continue;
        // Epochs are remembered from the log's start on; its segment may hold batches from before it.
        if (covering === undefined && batch.baseOffset < logStart(context, node, key)) continue;
        context.fail(
          "P11 remembered epochs are those of the log",
          `${node} remembers ${JSON.stringify(epochs)} of ${key}, offset ${batch.baseOffset} is of ${batch.leaderEpoch}`,
        );
        return;
      }
    },
  };
}
