/**
 * One cleaning of one log (Kafka: LogCleaner): reads the dirty part and notes the last offset of
 * each key, as far as memory allows; then writes what survives of everything below into new
 * segments, group by group, and swaps each in. A crash between two groups loses only work: older
 * records are gone whose successors are still there.
 */
import { OttlaError } from "../model/errors.ts";
import type { Offset } from "../model/ids.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { WriteOperation } from "../ports/key-value-store.ts";
import {
  type Batch,
  type BatchHeader,
  compressionOf,
  isControl,
  lastOffset,
} from "../record/batch.ts";
import { BatchCompaction, type CompactionRules } from "../record/batch-compaction.ts";
import { DenseBatches } from "../record/dense-batches.ts";
import { OffsetMap } from "../record/offset-map.ts";
import { RecordCursor } from "../record/record-cursor.ts";
import { ProducerStates } from "../replica/producer-states.ts";
import { emptySegmentSummary } from "./checkpoint.ts";
import type { Cleanable } from "./cleanable.ts";
import type { CleanerPace } from "./cleaner-pace.ts";
import type { LogContext } from "./log-context.ts";
import { openBatch } from "./open-batch.ts";
import type { CleanedState } from "./replica-states.ts";
import { barrier, Segment, timeIndexEntry } from "./segment.ts";
import { batchKey } from "./segment-keys.ts";
import { cleanedPath } from "./segment-swap.ts";

/** What a log lets its cleaner see and do. */
export interface CompactableLog {
  readonly context: LogContext;
  readonly config: TopicConfig;
  readonly producers: ProducerStates;
  /** The next stored batches of a segment, verified, about `maxBytes` of them; empty at its end. */
  storedBatches(segment: Segment, from: Offset, maxBytes: number): Promise<readonly Batch[]>;
  /** As `SegmentLayout.swap`. */
  swapIn(replaced: readonly Segment[], cleaned: Segment, signal: AbortSignal): Promise<boolean>;
  cleanedState(): Promise<CleanedState | undefined>;
  saveCleaned(cleaned: CleanedState): Promise<void>;
}

export interface CleaningOptions {
  readonly pace: CleanerPace;
  readonly signal: AbortSignal;
  /** 16 random bytes. */
  readonly hashKey: Uint8Array;
  readonly bufferBytes: number;
  readonly loadFactor: number;
}

export interface CleaningReport {
  /** False: something else happened to the log meanwhile; what was done stays done. */
  readonly completed: boolean;
  readonly from: Offset;
  readonly to: Offset;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly recordsWithoutKeyCount: number;
  readonly bufferUtilization: number;
}

const READ_BYTES = 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;
const STEP_RECORDS_COUNT = 256;
/** Segments that one takes the place of: while their directories move, they cannot be read. */
const SEGMENTS_AT_ONCE_COUNT = 32;

export class LogCleaning {
  readonly #log: CompactableLog;
  readonly #cleanable: Cleanable;
  readonly #options: CleaningOptions;
  readonly #lastOffsets: OffsetMap;
  /** Folded up to where the map ends. */
  readonly #producers = new ProducerStates();
  #mappedEnd: Offset;
  #bytesRead = 0;
  #bytesWritten = 0;
  #recordsWithoutKeyCount = 0;

  constructor(log: CompactableLog, cleanable: Cleanable, options: CleaningOptions) {
    const { firstDirtyOffset, dirty } = cleanable;
    this.#log = log;
    this.#cleanable = cleanable;
    this.#options = options;
    this.#mappedEnd = firstDirtyOffset;
    const end = dirty.at(-1)?.endOffset ?? firstDirtyOffset;
    this.#lastOffsets = new OffsetMap({
      bytes: options.bufferBytes,
      loadFactor: options.loadFactor,
      entriesCountMax: end - firstDirtyOffset,
      hashKey: options.hashKey,
    });
  }

  /**
   * Rejects with CORRUPT_MESSAGE or LIMIT_EXCEEDED if a batch cannot be opened, INVALID_CONFIG if
   * its keys do not fit the memory, and with storage errors.
   */
  async run(): Promise<CleaningReport> {
    const { firstDirtyOffset, segments } = this.#cleanable;
    const { clock } = this.#log.context.ports;
    const { deleteRetentionMs } = this.#log.config;
    await this.#map();
    let completed = this.#mappedEnd > firstDirtyOffset && !this.#isOver;
    const rules: CompactionRules = {
      lastOffsets: this.#lastOffsets,
      mappedEnd: this.#mappedEnd,
      nowMs: clock.wallMs(),
      deleteRetentionMs,
    };
    const affected = segments.filter(({ baseOffset }) => baseOffset < this.#mappedEnd);
    for (let at = 0; completed && at < affected.length; ) {
      const next = affected.slice(at, at + SEGMENTS_AT_ONCE_COUNT);
      const taken = (await this.#keepsAll(next[0] as Segment, rules))
        ? 1
        : await this.#rewrite(next, rules);
      completed = taken > 0;
      at += taken;
    }
    if (completed) {
      const producers = this.#producers.entries();
      await this.#log.saveCleaned({ offset: this.#mappedEnd, producers });
    }
    return {
      completed,
      from: firstDirtyOffset,
      to: this.#mappedEnd,
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
      recordsWithoutKeyCount: this.#recordsWithoutKeyCount,
      bufferUtilization: this.#lastOffsets.utilization,
    };
  }

  get #isOver(): boolean {
    return this.#options.signal.aborted;
  }

  async #map(): Promise<void> {
    const { firstDirtyOffset, dirty } = this.#cleanable;
    const before = await this.#log.cleanedState();
    if (before !== undefined && before.offset <= firstDirtyOffset) {
      this.#producers.restore(before.producers);
    } else {
      await this.#foldClean();
    }
    for (const segment of dirty) {
      const from = Math.max(segment.baseOffset, firstDirtyOffset);
      for await (const batch of this.#batches(segment, from)) {
        if (!(await this.#mapBatch(batch))) {
          if (this.#mappedEnd > firstDirtyOffset) return;
          throw new OttlaError(
            "INVALID_CONFIG",
            `the batch at ${batch.header.baseOffset} has more keys than log.cleaner.dedupe.buffer.size can hold: ${this.#lastOffsets.count}`,
            { field: "log.cleaner.dedupe.buffer.size" },
          );
        }
        this.#producers.update(batch.header);
        this.#mappedEnd = lastOffset(batch.header) + 1;
      }
    }
  }

  /**
   * What was remembered of the producers is damaged, or there was no cleaning yet and the log starts
   * within a segment. Without it the batches of whoever wrote nothing since would seem to be nobody's.
   */
  async #foldClean(): Promise<void> {
    const { firstDirtyOffset, segments } = this.#cleanable;
    for (const segment of segments) {
      if (segment.baseOffset >= firstDirtyOffset) return;
      for await (const { header } of this.#batches(segment, segment.baseOffset)) {
        if (lastOffset(header) >= firstDirtyOffset) return;
        this.#producers.update(header);
      }
    }
  }

  /** False if the map is full: the batch counts as not looked at. */
  async #mapBatch(batch: Batch): Promise<boolean> {
    const { header } = batch;
    const { firstDirtyOffset } = this.#cleanable;
    if (isControl(header) || header.recordsCount === 0) return true;
    const cursor = new RecordCursor(header, await openBatch(batch, this.#log.context.ports.codecs));
    for (let count = 1; cursor.next(); count++) {
      // The log may start within the batch, or the batch have grown over where the last cleaning
      // ended: memory is for the keys of what is dirty.
      if (cursor.hasKey && cursor.offset >= firstDirtyOffset) {
        const { bytes, keyStart, keyEnd, offset } = cursor;
        if (!this.#lastOffsets.put(bytes, keyStart, keyEnd, offset)) return false;
      }
      if (count % STEP_RECORDS_COUNT === 0) await this.#breathe();
    }
    return true;
  }

  /**
   * Whether a large segment need not be written again: a key that nobody writes any more costs no
   * more than being read. Small ones are, so that they merge.
   */
  async #keepsAll(segment: Segment, rules: CompactionRules): Promise<boolean> {
    if (segment.sizeBytes * 2 < this.#log.config.segmentBytes) return false;
    const counted = this.#recordsWithoutKeyCount;
    for await (const batch of this.#batches(segment, segment.baseOffset)) {
      if (batch.header.recordsCount === 0) continue;
      if ((await this.#compact(batch, rules)) === batch) continue;
      this.#recordsWithoutKeyCount = counted;
      return false;
    }
    return !this.#isOver;
  }

  /**
   * Writes what is left of the first segments into one, of as many as fit it whatever is left of
   * the last, and puts it in their place. Returns how many; 0 if the cleaning is over.
   */
  async #rewrite(segments: readonly Segment[], rules: CompactionRules): Promise<number> {
    const first = segments[0] as Segment;
    const group: Segment[] = [];
    const { segmentBytes } = this.#log.config;
    const { context } = this.#log;
    const cleaned = new Segment(context.path, emptySegmentSummary(first.baseOffset), false);
    cleaned.createdMs = first.createdMs;
    const path = cleanedPath(cleaned.path);
    await context.ports.files.remove(path);
    const writer = new CleanedWriter(context, cleaned, path);
    // From the moment a swap may have been committed, what was written may be the log.
    let isDraft = true;
    try {
      const dense = new DenseBatches({
        crc32c: context.ports.codecs.crc32c,
        isReferenced: (header) => this.#isReferenced(header),
      });
      for (const segment of segments) {
        if (group.length > 0 && cleaned.sizeBytes + segment.sizeBytes > segmentBytes) break;
        group.push(segment);
        for await (const batch of this.#batches(segment, segment.baseOffset)) {
          const left = await this.#compact(batch, rules);
          const done = left === undefined ? dense.remove(batch.header) : dense.keep(left);
          if (done !== undefined) writer.add(done);
          if (writer.pendingBytes >= WRITE_BYTES) await this.#write(writer);
        }
      }
      const last = dense.finish();
      if (last !== undefined) writer.add(last);
      await this.#write(writer);
      if (this.#isOver) return 0;
      await writer.sync();
      await context.pool.close(path);
      isDraft = false;
      const swapped = await this.#log.swapIn(group, cleaned, this.#options.signal);
      isDraft = !swapped;
      return swapped ? group.length : 0;
    } finally {
      await context.pool.close(path);
      if (isDraft) await context.ports.files.remove(path);
    }
  }

  /** What is left of the batch: itself, a smaller one, or nothing. */
  async #compact(batch: Batch, rules: CompactionRules): Promise<Batch | undefined> {
    const { header } = batch;
    if (isControl(header) || header.baseOffset >= rules.mappedEnd) return batch;
    if (header.recordsCount === 0) return undefined;
    const compaction = new BatchCompaction(
      header,
      await openBatch(batch, this.#log.context.ports.codecs),
      rules,
    );
    while (!compaction.step(STEP_RECORDS_COUNT)) await this.#breathe();
    this.#recordsWithoutKeyCount += compaction.recordsWithoutKeyCount;
    if (compaction.isUnchanged) return batch;
    if (compaction.survivorsCount === 0) return undefined;
    const { codecs } = this.#log.context.ports;
    const codec = compressionOf(header) ?? "none";
    const compressed =
      codec === "none" ? undefined : await codecs.compress(codec, compaction.section());
    return compaction.batch(compressed, codecs.crc32c);
  }

  /**
   * Whether the state of a living producer rests on the batch, as of where the map ends: what lies
   * above may still be truncated, and then the older batches count again.
   */
  #isReferenced({ producerId, baseOffset }: BatchHeader): boolean {
    if (producerId < 0 || this.#log.producers.get(producerId) === undefined) return false;
    const batches = this.#producers.get(producerId)?.batches ?? [];
    return batches.some((batch) => batch.baseOffset === baseOffset);
  }

  /** Stops early once the cleaning is over. */
  async *#batches(segment: Segment, from: Offset): AsyncGenerator<Batch, void, undefined> {
    const { pace, signal } = this.#options;
    for (let at = from; at < segment.endOffset; ) {
      const batches = await this.#log.storedBatches(segment, at, READ_BYTES);
      let bytes = 0;
      for (const batch of batches) {
        if (signal.aborted) return;
        yield batch;
        bytes += batch.bytes.length;
        at = lastOffset(batch.header) + 1;
      }
      this.#bytesRead += bytes;
      await pace.moved(bytes, signal);
      if (signal.aborted) return;
      if (batches.length === 0) {
        throw new OttlaError("CORRUPT_MESSAGE", `offset ${at} is missing in its segment`);
      }
    }
  }

  async #write(writer: CleanedWriter): Promise<void> {
    const bytes = writer.pendingBytes;
    await writer.write();
    this.#bytesWritten += bytes;
    await this.#options.pace.moved(bytes, this.#options.signal);
  }

  async #breathe(): Promise<void> {
    const { pace, signal } = this.#options;
    if (pace.isDue) await pace.yield(signal);
  }
}

/** Fills the database of a cleaned segment. */
class CleanedWriter {
  readonly #context: LogContext;
  readonly #segment: Segment;
  readonly #path: string;
  #operations: WriteOperation[] = [];
  #pendingBytes = 0;

  constructor(context: LogContext, segment: Segment, path: string) {
    this.#context = context;
    this.#segment = segment;
    this.#path = path;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  add(batch: Batch): void {
    const offset = lastOffset(batch.header);
    const timeIndex = this.#segment.add(batch, this.#segment.createdMs);
    this.#operations.push({ type: "put", key: batchKey(offset), value: batch.bytes });
    if (timeIndex !== undefined) this.#operations.push(timeIndexEntry(offset, timeIndex));
    this.#pendingBytes += batch.bytes.length;
  }

  async write(): Promise<void> {
    const operations = this.#operations;
    if (operations.length === 0) return;
    this.#operations = [];
    this.#context.directory.noteWritten(this.#pendingBytes);
    this.#pendingBytes = 0;
    await this.#use(operations, false);
  }

  /** Makes all that was written durable. */
  async sync(): Promise<void> {
    await this.#use([barrier(this.#segment.endOffset)], true);
  }

  async #use(operations: readonly WriteOperation[], sync: boolean): Promise<void> {
    await this.#context.pool.use(this.#path, { active: true, create: true }, (store) =>
      store.write(operations, { sync }),
    );
  }
}
