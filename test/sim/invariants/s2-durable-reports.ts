/**
 * S2 and S7 where they matter to others: what a follower reports as durable lies on its disk and
 * would survive a loss of power, and what it has cut off before it fetches on would not come back
 * with one. In the strict profile; the relaxed one promises less. Sources: KIP-101; LevelDB's
 * `clear`, which does not sync.
 */
import { isStrict } from "../../../src/metadata/image-configs.ts";
import type { Offset } from "../../../src/model/ids.ts";
import { batchKey } from "../../../src/storage/segment-keys.ts";
import type { ObservedBatch, ObservedLog } from "../cluster/observed-logs.ts";
import { type Invariant, type RunContext, topicOfKey } from "../cluster/run-context.ts";
import { isSynced } from "./p16-ack-truth.ts";

export function durableReports(context: RunContext): Invariant {
  /** By machine and partition: what was cut off since the last fetch began. */
  const cut = new Map<string, ObservedBatch[]>();

  function isJudged(key: string): boolean {
    const image = context.newestImage();
    const topic = topicOfKey(image, key);
    return topic !== undefined && isStrict(image, topic, new Map());
  }

  function startOf(node: string, key: string): Offset {
    return context.states.head(node, key)?.logStartOffset ?? 0;
  }

  function returns(log: ObservedLog, batch: ObservedBatch): boolean {
    const store = context.diskOf(log.node).node(batch.store);
    return store?.type === "store" && !store.state.isSynced(batchKey(batch.endOffset - 1));
  }

  return {
    onRemoved(log, batch, how) {
      if (how !== "truncated") return;
      const id = `${log.node} ${log.key}`;
      const batches = cut.get(id);
      if (batches === undefined) cut.set(id, [batch]);
      else batches.push(batch);
    },
    onFetchStart({ follower, key, start }) {
      const id = `${follower.node} ${key}`;
      const removed = cut.get(id);
      cut.delete(id);
      const log = context.logs.log(follower.node, key);
      if (removed === undefined || log === undefined || !isJudged(key)) return;
      for (const batch of removed) {
        if (batch.baseOffset < start.fetchOffset || !returns(log, batch)) continue;
        context.fail(
          "S7 what is cut off stays away",
          `${follower.node} fetches ${key} from ${start.fetchOffset}, the removal of ${batch.baseOffset} is not synced`,
        );
        return;
      }
    },
    onProgress({ follower, key }, { durableEnd }) {
      const { node } = follower;
      // Who is no broker may say what it likes: that it counts for nothing is for P4 to see.
      if (context.lifeOf(node) === undefined) return;
      if (durableEnd <= startOf(node, key) || !isJudged(key)) return;
      const log = context.logs.log(node, key);
      const last = log?.batches[log.indexOf(durableEnd - 1)];
      if (last?.endOffset !== durableEnd) {
        // The log may start within a batch, and end there.
        if (last !== undefined && last.endOffset > durableEnd) return;
        context.fail(
          "S2 what is reported as durable is on the disk",
          `${node} reports ${durableEnd} of ${key}, on its disk are ${log?.endOffset ?? 0}`,
        );
      } else if (!isSynced(context, { node, key }, last)) {
        context.fail(
          "S2 what is reported as durable is on the disk",
          `${node} reports ${durableEnd} of ${key}, the last batch is not synced`,
        );
      }
    },
  };
}
