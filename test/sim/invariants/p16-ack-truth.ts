/**
 * P16: an acknowledgement names the offset at which the batch lies in the acknowledging leader's
 * log; P17: with acks=1 as well, it lies on that leader's disk, fsynced in the strict profile.
 * Sources: KIP-98; Ottla's own promise 1 (written and fsynced before the producer hears of it).
 */
import { isStrict } from "../../../src/metadata/image-configs.ts";
import { batchKey } from "../../../src/storage/segment-keys.ts";
import type { ObservedBatch } from "../cluster/observed-logs.ts";
import { type Invariant, logStart, type RunContext, topicOfKey } from "../cluster/run-context.ts";

/** Whether a loss of power would leave the batch. */
export function isSynced(context: RunContext, node: string, batch: ObservedBatch): boolean {
  const store = context.diskOf(node).node(batch.store);
  // Moved aside for a cleaned segment, which is fsynced before it takes its place.
  if (store === undefined) return true;
  return store?.type === "store" && store.state.isSynced(batchKey(batch.endOffset - 1));
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
        !isSynced(context, node, batch)
      ) {
        context.fail(
          "P17 what a leader acknowledges is fsynced",
          `${node} acknowledges ${key}:${baseOffset} with acks=${acks} before a sync covers it`,
        );
      }
    },
  };
}
