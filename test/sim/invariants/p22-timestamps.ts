/**
 * P22, offsets by timestamp: the answer is the first offset, from the log start on, whose record is
 * not older than what was asked for; none only if no committed record is. Source: KIP-33, KIP-79.
 *
 * What was found may be cleaned before the answer leaves: a cleaner only removes, so the answer then
 * lies between what the log had as it was asked, and what it has as it answers.
 */
import { readInt64 } from "../../../src/base/bytes.ts";
import type { Offset } from "../../../src/model/ids.ts";
import { readBatchHeader, recordsSection } from "../../../src/record/batch.ts";
import { decodeRecords } from "../../../src/record/records.ts";
import type { CompactedBatch } from "../cluster/observed-compaction.ts";
import type { ObservedLog } from "../cluster/observed-logs.ts";
import type { Invariant, ListCall, RunContext } from "../cluster/run-context.ts";

const ATTRIBUTES_AT = 22;
const CODEC = 0x07;
const MAX_TIMESTAMP_AT = 35;

/** As they lie on the disk: of a compacted log, what the cleaner has left. */
function* storedBatches({ batches }: ObservedLog): IterableIterator<CompactedBatch> {
  let last: CompactedBatch | undefined;
  for (const batch of batches) {
    const stored = batch.compacted ?? batch;
    if (stored !== last) yield stored;
    last = stored;
  }
}

export function timestamps(context: RunContext): Invariant {
  /** What the leader had saved as committed when it was asked, and what it would have found. */
  const asked = new WeakMap<ListCall, { readonly least: Offset; readonly first: Offset }>();

  function firstFrom(log: ObservedLog, start: Offset, timestamp: number): Offset | undefined {
    for (const { bytes, endOffset } of storedBatches(log)) {
      if (endOffset <= start || readInt64(bytes, MAX_TIMESTAMP_AT) < timestamp) continue;
      // Compressed records are not opened here; nothing is said of such a log.
      if (((bytes[ATTRIBUTES_AT] ?? 0) & CODEC) !== 0) return undefined;
      const header = readBatchHeader(bytes);
      for (const record of decodeRecords(header, recordsSection({ header, bytes }))) {
        if (record.offset >= start && record.timestamp >= timestamp) return record.offset;
      }
    }
    return Number.POSITIVE_INFINITY;
  }

  return {
    onListCall(call) {
      const { key, where, item } = call;
      if (key === undefined || item.timestamp < 0) return;
      const least = context.states.savedHighWatermark(where.node, key);
      const log = context.logs.log(where.node, key);
      const start = context.states.head(where.node, key)?.logStartOffset ?? 0;
      const cleaned =
        log?.originals !== undefined ? firstFrom(log, start, item.timestamp) : undefined;
      asked.set(call, { least, first: cleaned ?? Number.POSITIVE_INFINITY });
    },
    onListed(call, { error, offset }) {
      const { key, where, item } = call;
      const before = asked.get(call);
      if (key === undefined || before === undefined || error !== undefined) return;
      const { least, first } = before;
      const log = context.logs.log(where.node, key);
      const start = context.states.head(where.node, key)?.logStartOffset ?? 0;
      const wanted = log === undefined ? undefined : firstFrom(log, start, item.timestamp);
      // Deleted since it was found.
      if (wanted === undefined || (offset !== -1 && offset < start)) return;
      if (offset === -1 ? wanted >= least : offset === wanted) return;
      if (first <= offset && offset < wanted) return;
      context.fail(
        "P22 the first offset of a timestamp",
        `${where.node} says ${offset} for ${item.timestamp} in ${key}, its log has ${wanted}`,
      );
    },
  };
}
