/** Rare paths of the log cleaner: what it left, what a crash left of it, who copied what it left. */
import { text } from "../../../src/base/bytes.ts";
import { deleteHorizonOf, readBatchHeader } from "../../../src/record/batch.ts";
import { CLEANED_SUFFIX } from "../../../src/storage/segment-swap.ts";
import { LOG_DIR } from "./cluster-config.ts";
import type { Hit } from "./probe-taps.ts";
import type { Invariant, RunContext } from "./run-context.ts";

export function compactionProbes(context: RunContext, hit: Hit): Invariant {
  return {
    onCompacted(_log, { batch, covered, before }) {
      const isOwn = before.size > 0;
      hit(isOwn ? "segment-cleaned" : "cleaned-batch-copied");
      if (!isOwn) {
        if (batch.recordsCount === 0) hit("rest-of-a-grown-batch-copied");
        return;
      }
      const left = [...before.values()].find((each) => each !== undefined);
      if (left !== undefined && left !== batch) hit("cleaned-again");
      if (batch.recordsCount === 0) hit("batch-emptied");
      else if (covered.length > 1) hit("batch-grown");
      const horizonMs = deleteHorizonOf(readBatchHeader(batch.bytes));
      if (horizonMs !== undefined) hit("delete-horizon-set");
      const hadHorizon = left !== undefined && deleteHorizonOf(readBatchHeader(left.bytes));
      if (hadHorizon !== false && horizonMs === undefined) hit("tombstone-removed");
    },
    onLife({ node }) {
      // Once per life, and only then: what the last life left.
      let isCleaned = false;
      for (const [path] of node.disk.below(`${LOG_DIR}/logs`)) {
        if (path.endsWith(CLEANED_SUFFIX)) isCleaned = true;
      }
      if (!isCleaned) return;
      const states = node.disk.node(`${LOG_DIR}/broker`);
      if (states?.type !== "store") return;
      let isSwap = false;
      for (const { key } of states.state.entries()) if (text(key).endsWith("/swap")) isSwap = true;
      hit(isSwap ? "start-amid-a-swap" : "start-amid-a-cleaning");
    },
    onPartition({ key, before, after }) {
      if (before === undefined || before.leader === after.leader || after.leader === -1) return;
      const log = context.logs.log(context.nodeOf(after.leader), key);
      if (log?.batches.some(({ compacted }) => compacted !== undefined) === true) {
        hit("leader-with-a-cleaned-log");
      }
    },
  };
}
