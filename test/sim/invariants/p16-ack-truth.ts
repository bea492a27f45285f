/**
 * P16: an acknowledgement names the offset at which the batch lies in the acknowledging leader's
 * log; P17: with acks=1 as well, it lies on that leader's disk, fsynced in the strict profile.
 * Sources: KIP-98; Ottla's own promise 1 (written and fsynced before the producer hears of it).
 */
import { isStrict } from "../../../src/metadata/image-configs.ts";
import { batchKey, segmentBase, segmentName } from "../../../src/storage/segment-keys.ts";
import { CLEANED_SUFFIX } from "../../../src/storage/segment-swap.ts";
import { swapOf } from "../cluster/observed-compaction.ts";
import type { ObservedBatch, ObservedLog } from "../cluster/observed-logs.ts";
import { type Invariant, logStart, type RunContext, topicOfKey } from "../cluster/run-context.ts";

/**
 * Whether a loss of power would leave the batch. Between two renames of a swap it lies only in the
 * cleaned segment, which was whole and fsynced before the swap was written down.
 */
export function isSynced(
  context: RunContext,
  { node, key }: Pick<ObservedLog, "node" | "key">,
  batch: ObservedBatch,
): boolean {
  const disk = context.diskOf(node);
  const store = disk.node(batch.store);
  if (store?.type === "store") {
    return store.state.isSynced(batchKey((batch.compacted ?? batch).endOffset - 1));
  }
  const slash = batch.store.lastIndexOf("/");
  const base = segmentBase(batch.store.slice(slash + 1));
  const swap = swapOf({ disk }, key);
  if (swap === undefined || base === undefined || !swap.replaced.includes(base)) return false;
  const replica = batch.store.slice(0, slash);
  const cleaned = disk.node(`${replica}/${segmentName(swap.base)}${CLEANED_SUFFIX}`);
  return cleaned?.type === "store" && cleaned.state.unsyncedCount === 0;
}

export function ackTruth(context: RunContext): Invariant {
  return {
    onAcknowledged({ node, key, baseOffset, crc, acks }) {
      const log = context.logs.log(node, key);
      const batch = log?.at(baseOffset);
      const image = context.newestImage();
      const topic = topicOfKey(image, key);
      const isDeleted = topic === undefined || logStart(context, node, key) > baseOffset;
      if (batch?.crc !== crc) {
        if (isDeleted) return;
        context.fail(
          "P16 an acknowledgement names the batch's place",
          `${node} acknowledges ${key}:${baseOffset} with acks=${acks}, there ${batch === undefined ? "is nothing" : "are other bytes"} on its disk`,
        );
      } else if (
        !isDeleted &&
        isStrict(image, topic, new Map()) &&
        !isSynced(context, { node, key }, batch)
      ) {
        context.fail(
          "P17 what a leader acknowledges is fsynced",
          `${node} acknowledges ${key}:${baseOffset} with acks=${acks} before a sync covers it`,
        );
      }
    },
  };
}
