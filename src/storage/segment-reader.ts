import { OttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";
import type { Crc32c } from "../ports/codecs.ts";
import type { KeyValueStore } from "../ports/key-value-store.ts";
import { type Batch, lastOffset } from "../record/batch.ts";
import type { ReadLimits } from "./log.ts";
import { parseStoredBatch } from "./segment.ts";
import { batchKey, isBatchKey } from "./segment-keys.ts";

const READ_ENTRIES_COUNT = 2_048;

/**
 * As `PartitionLog.read`, from one segment: what follows in the next is the next read's. Throws
 * CORRUPT_MESSAGE for a batch that fails its CRC, and for a hole.
 */
export async function readSegment(
  store: KeyValueStore,
  from: Offset,
  limits: ReadLimits,
  crc32c: Crc32c,
): Promise<Batch[]> {
  const out: Batch[] = [];
  let bytes = 0;
  let expected = from;
  const iterator = store.iterate({ gte: batchKey(from) });
  try {
    while (expected < limits.upTo && (out.length === 0 || bytes < limits.maxBytes)) {
      const entries = await iterator.next(READ_ENTRIES_COUNT, Math.max(1, limits.maxBytes - bytes));
      if (entries.length === 0) break;
      for (const entry of entries) {
        if (!isBatchKey(entry.key)) continue;
        const batch = parseStoredBatch(entry, crc32c);
        const { baseOffset } = batch.header;
        const follows = out.length === 0 ? baseOffset <= from : baseOffset === expected;
        if (!follows) throw missing(expected);
        expected = lastOffset(batch.header) + 1;
        if (expected > limits.upTo) return out;
        if (out.length > 0 && bytes + batch.bytes.length > limits.maxBytes) return out;
        out.push(batch);
        bytes += batch.bytes.length;
      }
    }
  } finally {
    await iterator.close();
  }
  if (expected === from) throw missing(from);
  return out;
}

function missing(offset: Offset): OttlaError {
  return new OttlaError("CORRUPT_MESSAGE", `the batch that holds offset ${offset} is missing`);
}
