/**
 * A coordinator's partition of `__consumer_offsets`, as its leader reads and writes it: reads it
 * from its start up to what is committed, and appends records in order, one append at a time.
 */
import type { GroupRecord } from "../../group/records.ts";
import type { Compression } from "../../model/compression.ts";
import { toOttlaError } from "../../model/errors.ts";
import { NONE, type Offset } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type { Ports } from "../../ports/ports.ts";
import {
  type Batch,
  compressionOf,
  isControl,
  lastOffset,
  recordsSection,
  splitBatches,
} from "../../record/batch.ts";
import { BatchBuilder, visitRecords } from "../../record/records.ts";
import type { LeaderReplica } from "../../runtime/leader-replica.ts";

/** A batch takes records until it is so large; one that is larger itself goes alone. */
const BATCH_BYTES = 64 * 1024;
const NO_PRODUCER = { producerId: NONE, producerEpoch: NONE, baseSequence: NONE };
/** Reading makes way for everything else after so long. */
const SLICE_MS = 2;

/** Sealed batches, not yet placed. */
export async function sealBatches(
  records: readonly GroupRecord[],
  { codecs, clock }: Ports,
  codec: Compression,
): Promise<readonly Uint8Array[]> {
  const builders: BatchBuilder[] = [];
  let builder: BatchBuilder | undefined;
  for (const { key, value } of records) {
    const size = key.length + (value?.length ?? 0);
    if (builder === undefined || builder.sizeBytes + size > BATCH_BYTES) {
      builder = new BatchBuilder(Math.min(BATCH_BYTES, 256 + 2 * size));
      builders.push(builder);
    }
    builder.append({ timestamp: clock.wallMs(), key, value, headers: [] });
  }
  const { crc32c } = codecs;
  if (codec === "none") {
    return builders.map((each) => each.seal({ codec, ...NO_PRODUCER, crc32c }));
  }
  const sealed: Uint8Array[] = [];
  for (const each of builders) {
    const compressed = await codecs.compress(codec, each.section());
    sealed.push(each.seal({ codec, compressed, ...NO_PRODUCER, crc32c }));
  }
  return sealed;
}

/** Appends what is sealed; returns the log's end behind it. Throws as `LeaderReplica.append`. */
export function appendBatch(leader: LeaderReplica, sealed: Uint8Array): Offset {
  for (const batch of splitBatches(sealed)) leader.append(batch);
  return leader.log.logEndOffset;
}

export interface ReadOffsetsOptions {
  readonly leader: LeaderReplica;
  /** Exclusive; must be committed. */
  readonly upTo: Offset;
  readonly maxBytes: number;
  /** True: nobody wants it any more. */
  readonly stopped: () => boolean;
  readonly visit: (key: Uint8Array, value: Uint8Array | null) => void;
}

/**
 * Visits every record of `[from, upTo)`, in slices; returns where it came to. Rejects as
 * `PartitionLog.read`.
 */
export async function readOffsets(
  ports: Ports,
  from: Offset,
  options: ReadOffsetsOptions,
): Promise<Offset> {
  const { leader, upTo, maxBytes, stopped, visit } = options;
  let at = from;
  let sliceMs = ports.clock.monotonicMs();
  while (at < upTo && !stopped()) {
    const batches = await leader.log.read(at, { maxBytes, upTo });
    // Nothing is left of the rest: it was compacted away.
    if (batches.length === 0) return upTo;
    for (const batch of batches) {
      if (stopped()) return at;
      await visitBatch(ports, batch, visit);
      at = Math.max(at + 1, lastOffset(batch.header) + 1);
      if (ports.clock.monotonicMs() - sliceMs >= SLICE_MS) {
        await ports.timers.yield();
        sliceMs = ports.clock.monotonicMs();
      }
    }
  }
  return at;
}

async function visitBatch(
  { codecs, logger }: Ports,
  batch: Batch,
  visit: ReadOffsetsOptions["visit"],
): Promise<void> {
  const { header } = batch;
  if (isControl(header)) return;
  const codec = compressionOf(header) ?? "none";
  let section = recordsSection(batch);
  if (codec !== "none") {
    section = await codecs.decompress(codec, section, LIMITS.decompressedBatchBytes);
  }
  visitRecords(header, section, (offset, _timestamp, key, value) => {
    if (key === null) return;
    try {
      visit(key, value);
    } catch (thrown) {
      // One group that cannot be read must not cost all others their offsets.
      const { code, message } = toOttlaError(thrown);
      if (code === "UNKNOWN_SERVER_ERROR") throw thrown;
      logger.error("a record of the offsets topic cannot be read and is passed over", {
        offset,
        code,
        cause: message,
      });
    }
  });
}
