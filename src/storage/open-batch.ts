/** A stored batch's records, for the few who open one on a broker. */
import { OttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";
import { LIMITS } from "../model/limits.ts";
import type { Timers } from "../ports/clock.ts";
import type { Codecs } from "../ports/codecs.ts";
import { type Batch, compressionOf, recordsSection } from "../record/batch.ts";
import { RecordCursor } from "../record/record-cursor.ts";

/** Between two yields to the event loop. */
const RECORDS_COUNT = 4_096;

/** The records section, uncompressed. Rejects with CORRUPT_MESSAGE, or LIMIT_EXCEEDED for a bomb. */
export async function openBatch(batch: Batch, codecs: Codecs): Promise<Uint8Array> {
  const codec = compressionOf(batch.header);
  if (codec === "none") return recordsSection(batch);
  if (codec === undefined) {
    const { baseOffset } = batch.header;
    throw new OttlaError("CORRUPT_MESSAGE", `batch at ${baseOffset} has no known codec`);
  }
  return codecs.decompress(codec, recordsSection(batch), LIMITS.decompressedBatchBytes);
}

/** Offset of the last record that is left in the batch; -1 if there is none. */
export async function lastRecordOffset(
  batch: Batch,
  codecs: Codecs,
  timers: Timers,
): Promise<Offset> {
  if (batch.header.recordsCount === 0) return -1;
  const cursor = new RecordCursor(batch.header, await openBatch(batch, codecs));
  for (let count = 1; cursor.next(); count++) {
    if (count % RECORDS_COUNT === 0) await timers.yield();
  }
  return cursor.offset;
}
