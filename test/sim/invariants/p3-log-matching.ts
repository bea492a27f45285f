/**
 * P3, log matching: two replicas that have a batch of the same leader epoch at the same offset have
 * equal bytes there and everywhere before. P15 with it: offsets of a log are contiguous. Sources:
 * KIP-101, KIP-279; Vanlightly's TLA+ model.
 *
 * Each batch's content and predecessor are remembered by (partition, epoch, offset) as it is
 * written anywhere; equality of all prefixes follows by induction.
 */
import { OFFSETS_TOPIC } from "../../../src/group/partition-of.ts";
import type { Offset } from "../../../src/model/ids.ts";
import type { ObservedBatch } from "../cluster/observed-logs.ts";
import {
  describeBatch,
  type Invariant,
  logEnd,
  logStart,
  partitionsOf,
  type RunContext,
  topicOfKey,
} from "../cluster/run-context.ts";

export function logMatching(context: RunContext): Invariant {
  const seen = new Map<string, { content: string; previous: string | undefined }>();
  return {
    onWritten(log, batch, index, restored) {
      if (restored) return;
      const neighbour = log.batches[index - 1];
      // Segments that are out of the log go from the disk one by one, in any order.
      const start = logStart(context, log.node, log.key);
      const before = (neighbour?.endOffset ?? 0) <= start ? undefined : neighbour;
      if (before !== undefined && before.endOffset !== batch.baseOffset) {
        context.fail(
          "P15 offsets are contiguous",
          `${log.node} wrote ${log.key}${describeBatch(batch)} after ${describeBatch(before)}`,
        );
      }
      if (before !== undefined && before.leaderEpoch > batch.leaderEpoch) {
        context.fail(
          "P11 leader epochs rise along a log",
          `${log.node} wrote ${log.key}${describeBatch(batch)} after ${describeBatch(before)}`,
        );
      }
      const key = `${log.key} epoch ${batch.leaderEpoch} offset ${batch.baseOffset}`;
      const content = `${describeBatch(batch)} of ${batch.bytes.length} bytes`;
      const previous =
        before === undefined
          ? batch.baseOffset === 0
            ? "start"
            : undefined
          : describeBatch(before);
      const known = seen.get(key);
      if (known === undefined) {
        seen.set(key, { content, previous });
        return;
      }
      if (known.content !== content) {
        context.fail(
          "P3 log matching",
          `${log.node} has ${log.key}${content}, another replica had ${known.content}`,
        );
      }
      if (known.previous === undefined) known.previous = previous;
      else if (previous !== undefined && known.previous !== previous) {
        context.fail(
          "P3 log matching",
          `before ${log.key}${content} ${log.node} has ${previous}, another replica had ${known.previous}`,
        );
      }
    },
    atEnd() {
      for (const [key, partition] of partitionsOf(context.newestImage())) {
        // Coordinators write when sessions end, also now: the last record may be on its way.
        if (topicOfKey(context.newestImage(), key) === OFFSETS_TOPIC) continue;
        const [first, ...others] = partition.replicas.map((id) => {
          const node = context.nodeOf(id);
          const batches = context.logs.log(node, key)?.batches ?? [];
          const start = batches[0]?.baseOffset ?? logEnd(context, node, key);
          return { id, batches, start };
        });
        for (const other of others) {
          if (first === undefined) continue;
          // Each removes whole segments below its log's start, and segments differ.
          const from = Math.max(first.start, other.start);
          if (textFrom(first.batches, from) === textFrom(other.batches, from)) continue;
          context.fail(
            "L7 replicas are equal at rest",
            `${key}: broker ${first.id} has ${first.batches.length} batches up to ${lastOf(first.batches)}, broker ${other.id} ${other.batches.length} up to ${lastOf(other.batches)}`,
          );
        }
      }
    },
  };
}

function textFrom(batches: readonly ObservedBatch[], offset: Offset): string {
  return batches
    .filter(({ baseOffset }) => baseOffset >= offset)
    .map(describeBatch)
    .join();
}

function lastOf(batches: readonly ObservedBatch[]): string {
  const last = batches.at(-1);
  return last === undefined ? "nothing" : describeBatch(last);
}
