/**
 * From what lies on disk to a log in memory: by the last checkpoint alone where the log was closed
 * in order, else by reading and verifying everything after a checkpoint. Finishes a truncation
 * that a crash interrupted; a live truncation takes the very same way.
 *
 * What verification decides, by the durable mark: a defect (hole, CRC, falling epoch, damaged
 * database) at or above the mark is the torn end of unacknowledged writes and is cut off; one below
 * means that vouched-for batches are gone, and the replica must be rebuilt from its peers. A log
 * that is sound but ends below its mark has lost its tail: kept, and reported.
 */
import { isErrorCode, OttlaError, toOttlaError } from "../model/errors.ts";
import type { LeaderEpoch, Offset } from "../model/ids.ts";
import type { Batch } from "../record/batch.ts";
import { LeaderEpochs } from "../replica/leader-epochs.ts";
import { ProducerStates } from "../replica/producer-states.ts";
import { type Checkpoint, emptySegmentSummary, type SegmentSummary } from "./checkpoint.ts";
import type { LogContext } from "./log-context.ts";
import { DELETED_SUFFIX } from "./replica-names.ts";
import type { ReplicaHead, ReplicaState, StateChange } from "./replica-states.ts";
import {
  barrier,
  deleteEntriesFrom,
  endOfStore,
  parseStoredBatch,
  Segment,
  visitEntries,
} from "./segment.ts";
import { batchKey, isBatchKey, segmentBase, segmentName } from "./segment-keys.ts";
import { recoverSwap } from "./segment-swap.ts";

/**
 * - `trust`: a log that was closed clean is not read;
 * - `tail`: read what follows the last checkpoint;
 * - `whole`: read every batch (a stored batch failed its CRC: a checkpoint says nothing then).
 */
export type LoadMode = "trust" | "tail" | "whole";

export interface LoadedLog {
  readonly head: ReplicaHead;
  readonly highWatermark: Offset;
  readonly logEndOffset: Offset;
  /** At least one; the last is the active one. */
  readonly segments: readonly Segment[];
  readonly epochs: LeaderEpochs;
  readonly producers: ProducerStates;
  readonly checkpointOffsets: readonly Offset[];
}

export type LoadResult =
  | {
      readonly type: "loaded";
      readonly log: LoadedLog;
      readonly verified: boolean;
      readonly truncated: { readonly from: Offset; readonly to: Offset } | undefined;
      /** The log ends below what this broker had vouched for. */
      readonly lost: boolean;
    }
  | { readonly type: "damaged"; readonly reason: string };

/** Renames first, so that a crash during the removal leaves nothing that looks like a log. */
export async function removeDirectory(context: LogContext, path: string): Promise<void> {
  const { files } = context.ports;
  const doomed = path + DELETED_SUFFIX;
  await context.pool.close(path);
  await files.remove(doomed);
  await files.rename(path, doomed);
  await files.remove(doomed);
}

/** A log that starts late keeps the epoch that covers its start, unless nothing follows the start. */
export function raiseEpochStart(epochs: LeaderEpochs, start: Offset, end: Offset): void {
  // With an empty log the covering epoch must not move to the start: the next epoch begins there.
  if (start < end) epochs.raiseStart(start);
}

function emptyCheckpoint(offset: Offset): Checkpoint {
  return { offset, segment: emptySegmentSummary(offset), epochs: [], producers: [] };
}

/** State folded from batches in order, beginning at a checkpoint. */
class Fold {
  readonly epochs: LeaderEpochs;
  readonly producers = new ProducerStates();
  /** Summaries of segments that were read to their end. */
  readonly sealed: SegmentSummary[] = [];
  readonly #path: string;
  readonly #nowMs: number;
  segment: Segment;

  constructor(path: string, from: Checkpoint, nowMs: number) {
    this.#path = path;
    this.#nowMs = nowMs;
    this.epochs = new LeaderEpochs(from.epochs);
    this.producers.restore(from.producers);
    this.segment = new Segment(path, from.segment, true);
  }

  get end(): Offset {
    return this.segment.endOffset;
  }

  startSegment(baseOffset: Offset): void {
    this.sealed.push(this.segment.summary());
    this.segment = new Segment(this.#path, emptySegmentSummary(baseOffset), true);
  }

  /** Throws CORRUPT_MESSAGE if the batch does not continue the log. */
  add(batch: Batch): void {
    const { header } = batch;
    if (header.baseOffset !== this.end) {
      throw new OttlaError(
        "CORRUPT_MESSAGE",
        `offset ${this.end} is missing, the next batch starts at ${header.baseOffset}`,
      );
    }
    if (header.leaderEpoch < this.epochs.latest) {
      throw new OttlaError(
        "CORRUPT_MESSAGE",
        `leader epoch ${header.leaderEpoch} at offset ${header.baseOffset} follows ${this.epochs.latest}`,
      );
    }
    this.epochs.assign(header.leaderEpoch, header.baseOffset);
    this.producers.update(header);
    this.segment.add(batch, this.#nowMs);
  }
}

export async function loadLog(context: LogContext, mode: LoadMode): Promise<LoadResult> {
  return new LogLoader(context).load(mode);
}

class LogLoader {
  readonly #context: LogContext;
  readonly #state: ReplicaState;
  #bases: Offset[] = [];
  #head: ReplicaHead;
  #mark: Offset;
  /** -1: unknown. */
  #markEpoch: LeaderEpoch;
  /** Nothing is left of the log: no earlier checkpoint means anything. */
  #emptied = false;

  constructor(context: LogContext) {
    const { directory, key, replica } = context;
    this.#context = context;
    this.#state = directory.states.get(key);
    this.#head = this.#state.head ?? {
      topic: replica.topic,
      logStartOffset: 0,
      cleanEnd: null,
      cut: null,
    };
    this.#mark = directory.marks.get(key).end;
    this.#markEpoch = directory.marks.get(key).epoch;
  }

  async load(mode: LoadMode): Promise<LoadResult> {
    if (this.#state.damaged) {
      return { type: "damaged", reason: "what the broker remembers of it fails its CRC" };
    }
    await this.#finishSwap();
    await this.#listSegments();
    const [first] = this.#bases;
    if (this.#state.head === undefined && first !== undefined) {
      this.#head = { ...this.#head, logStartOffset: first };
    }
    await this.#finishCut();
    await this.#finishRetention();
    if (mode === "trust") {
      const log = await this.#loadClean();
      if (log !== undefined) {
        return { type: "loaded", log, verified: false, truncated: undefined, lost: false };
      }
    }
    return this.#verify(mode === "whole");
  }

  async #finishSwap(): Promise<void> {
    const { directory, key, path, ports } = this.#context;
    const { swap } = this.#state;
    await recoverSwap(ports.files, path, swap);
    if (swap !== undefined) await directory.states.commit([{ type: "drop-swap", replica: key }]);
  }

  async #listSegments(): Promise<void> {
    const { files } = this.#context.ports;
    for (const name of await files.list(this.#context.path)) {
      const base = segmentBase(name);
      if (base !== undefined) this.#bases.push(base);
      else if (name.endsWith(DELETED_SUFFIX)) await files.remove(`${this.#context.path}/${name}`);
    }
  }

  #segmentPath(base: Offset): string {
    return `${this.#context.path}/${segmentName(base)}`;
  }

  async #finishCut(): Promise<void> {
    const { cut } = this.#head;
    if (cut === null) return;
    await this.#deleteFrom(cut.offset, cut.reset);
    this.#emptied = cut.reset;
    if (cut.offset < this.#mark) this.#markEpoch = -1;
    this.#mark = Math.min(this.#mark, cut.offset);
  }

  /** Deletes what lies at and above `offset`, the end first; with `all`, every segment. */
  async #deleteFrom(offset: Offset, all: boolean): Promise<void> {
    const kept = all ? [] : this.#bases.filter((base) => base < offset);
    for (const base of this.#bases.slice(kept.length).reverse()) {
      await removeDirectory(this.#context, this.#segmentPath(base));
    }
    this.#bases = kept;
    const last = kept.at(-1);
    if (last === undefined) return;
    await this.#context.pool.use(this.#segmentPath(last), { active: true, create: true }, (store) =>
      deleteEntriesFrom(store, offset),
    );
  }

  /** The log start moves before the directories below it go: some may still be there. */
  async #finishRetention(): Promise<void> {
    const { logStartOffset } = this.#head;
    while ((this.#bases[1] ?? Number.POSITIVE_INFINITY) <= logStartOffset) {
      await removeDirectory(this.#context, this.#segmentPath(this.#bases[0] as Offset));
      this.#bases.shift();
    }
  }

  async #loadClean(): Promise<LoadedLog | undefined> {
    const { cleanEnd, cut } = this.#head;
    if (cleanEnd === null || cut !== null || cleanEnd < this.#mark) return undefined;
    const { states } = this.#context.directory;
    const checkpoint = await states.checkpoint(this.#context.key, cleanEnd);
    if (checkpoint === undefined || !this.#covers(checkpoint)) return undefined;
    const last = this.#bases.at(-1);
    if (last !== undefined && last > checkpoint.segment.baseOffset) return undefined;
    const fold = new Fold(this.#context.path, checkpoint, -1);
    return this.#loaded(fold, this.#head);
  }

  /** Whether everything before the checkpoint's segment is accounted for, and that segment is there. */
  #covers(checkpoint: Checkpoint): boolean {
    const { segment } = checkpoint;
    if (segment.sizeBytes > 0 && !this.#bases.includes(segment.baseOffset)) return false;
    let expected: Offset | undefined;
    for (const base of this.#bases) {
      if (base >= segment.baseOffset) break;
      const summary = this.#state.segments.get(base);
      if (summary === undefined || (expected ?? base) !== base) return false;
      expected = summary.endOffset;
    }
    const first = this.#bases[0] ?? segment.baseOffset;
    return (
      (expected ?? segment.baseOffset) === segment.baseOffset && first <= this.#head.logStartOffset
    );
  }

  /**
   * Whether the log still holds the batch just below the checkpoint. In the relaxed profile a
   * checkpoint may survive a power loss that the batches below it did not.
   */
  async #reaches({ offset, segment }: Checkpoint): Promise<boolean> {
    if (offset === segment.baseOffset) return true;
    const path = this.#segmentPath(segment.baseOffset);
    const active = segment.baseOffset === this.#bases.at(-1);
    try {
      const batch = await this.#context.pool.use(path, { active, create: false }, (store) =>
        store.get(batchKey(offset - 1)),
      );
      return batch !== undefined;
    } catch (error) {
      // Let the scan find it: only that weighs a defect against the mark.
      if (toOttlaError(error).code === "DIRECTORY_DAMAGED") return false;
      throw error;
    }
  }

  async #startingPoint(whole: boolean): Promise<Checkpoint> {
    const { states } = this.#context.directory;
    const { key } = this.#context;
    if (!whole) {
      const limit = this.#head.cut?.offset ?? Number.POSITIVE_INFINITY;
      for (const offset of (await states.checkpointOffsets(key)).reverse()) {
        if (offset > limit || this.#emptied) continue;
        const checkpoint = await states.checkpoint(key, offset);
        if (checkpoint === undefined || !this.#covers(checkpoint)) continue;
        if (await this.#reaches(checkpoint)) return checkpoint;
      }
    }
    const { logStartOffset } = this.#head;
    // A first segment above the log start is a hole, found when it is visited.
    const base = Math.min(this.#bases[0] ?? logStartOffset, logStartOffset);
    return emptyCheckpoint(base);
  }

  async #verify(whole: boolean): Promise<LoadResult> {
    const nowMs = this.#context.ports.clock.wallMs();
    let fold = new Fold(this.#context.path, await this.#startingPoint(whole), nowMs);
    const defect = await this.#scan(fold);
    const { logStartOffset } = this.#head;
    const lost = this.#isLost(Math.max(fold.end, logStartOffset));
    const otherEpoch = this.#otherEpoch(fold);
    if (otherEpoch !== undefined) return { type: "damaged", reason: otherEpoch };
    if (lost) {
      const { marks } = this.#context.directory;
      marks.forgetEpoch(this.#context.key);
      await marks.write();
    }
    let truncated: { from: Offset; to: Offset } | undefined;
    if (defect !== undefined) {
      const reason = `at offset ${fold.end}, durable mark ${this.#mark}: ${defect}`;
      if (fold.end < this.#mark || lost) return { type: "damaged", reason };
      truncated = { from: await this.#foundEnd(fold.end), to: fold.end };
      try {
        await this.#deleteFrom(fold.end, false);
      } catch (error) {
        // The database that also holds what lies below the cut cannot be opened.
        if (toOttlaError(error).code === "DIRECTORY_DAMAGED") return { type: "damaged", reason };
        throw error;
      }
      this.#context.ports.logger.warn("log cut at a defect above its durable mark", {
        replica: this.#context.key,
        reason,
      });
    }
    if (fold.end < logStartOffset) {
      // What is left was deleted for every reader; a log start that fell would undelete it.
      await this.#deleteFrom(logStartOffset, true);
      this.#emptied = true;
      fold = new Fold(this.#context.path, emptyCheckpoint(logStartOffset), nowMs);
    }
    const log = await this.#settle(fold);
    return { type: "loaded", log, verified: true, truncated, lost };
  }

  #isLost(end: Offset): boolean {
    return end < this.#mark || (this.#context.directory.marks.damaged && this.#bases.length > 0);
  }

  /** Whether the last batch that was vouched for bears another epoch than it did then. */
  #otherEpoch(fold: Fold): string | undefined {
    const last = this.#mark - 1;
    if (this.#markEpoch < 0 || fold.end <= last || last < this.#head.logStartOffset)
      return undefined;
    const epoch = fold.epochs.epochAt(last);
    if (epoch === this.#markEpoch) return undefined;
    return `offset ${last} bears leader epoch ${epoch}, durable was ${this.#markEpoch}`;
  }

  /** Folds batches until the end or a defect, which it describes. */
  async #scan(fold: Fold): Promise<string | undefined> {
    const last = this.#bases.at(-1);
    const first = fold.segment.baseOffset;
    for (const base of this.#bases) {
      if (base < first) continue;
      if (base !== fold.segment.baseOffset) {
        if (base !== fold.end) return `the next segment starts at ${base}`;
        fold.startSegment(base);
      }
      const path = this.#segmentPath(base);
      try {
        await this.#context.pool.use(
          path,
          { active: base === last, create: base === last },
          (store) =>
            visitEntries(store, fold.end, (entry) => {
              if (isBatchKey(entry.key)) {
                fold.add(parseStoredBatch(entry, this.#context.ports.codecs.crc32c));
              }
              return true;
            }),
        );
      } catch (error) {
        const { code, message } = toOttlaError(error);
        if (code === "CORRUPT_MESSAGE" || code === "DIRECTORY_DAMAGED") return message;
        throw error;
      }
    }
    return undefined;
  }

  /** Where the log seemed to end; for the report only. */
  async #foundEnd(atLeast: Offset): Promise<Offset> {
    const last = this.#bases.at(-1) as Offset;
    try {
      const end = await this.#context.pool.use(
        this.#segmentPath(last),
        { active: true, create: true },
        endOfStore,
      );
      return Math.max(end ?? last, atLeast);
    } catch (error) {
      if (isErrorCode(toOttlaError(error).code)) return Math.max(last, atLeast);
      throw error;
    }
  }

  /**
   * Makes what was verified durable and remembers the log as clean, so that the next open need not
   * read it. The lowered mark goes first: while the intent stands, a crash repeats the deletion;
   * once it is gone, a mark above the cut would look like a lost tail.
   */
  async #settle(fold: Fold): Promise<LoadedLog> {
    const { directory, key, pool } = this.#context;
    const { states, marks } = directory;
    const { segment } = fold;
    if (!segment.isEmpty) {
      const operations = [barrier(fold.end)];
      await pool.use(segment.path, { active: true, create: true }, (store) =>
        store.write(operations, { sync: true }),
      );
    }
    if (this.#head.cut !== null) {
      const end = Math.min(marks.get(key).end, fold.end);
      marks.set(key, { end, epoch: fold.epochs.epochAt(end - 1) });
      await marks.write();
    }
    const end = fold.end;
    const head: ReplicaHead = {
      ...this.#head,
      cleanEnd: end,
      cut: null,
    };
    raiseEpochStart(fold.epochs, head.logStartOffset, end);
    const changes: StateChange[] = [{ type: "head", replica: key, head }];
    for (const offset of await states.checkpointOffsets(key)) {
      if (offset > end || this.#emptied)
        changes.push({ type: "drop-checkpoint", replica: key, offset });
    }
    const checkpoint: Checkpoint = {
      offset: end,
      segment: segment.summary(),
      epochs: fold.epochs.starts,
      producers: fold.producers.entries(),
    };
    changes.push({ type: "checkpoint", replica: key, checkpoint });
    if (states.get(key).highWatermark > end) {
      // Else it would be believed again once other batches have grown past it.
      changes.push({ type: "high-watermark", replica: key, offset: end });
    }
    if ((states.get(key).cleanedOffset ?? 0) > end) {
      // What comes in place of what is gone has not been cleaned, and may be of another history.
      changes.push({ type: "drop-cleaned", replica: key });
    }
    const known = new Set(this.#bases);
    for (const base of this.#state.segments.keys()) {
      if (base >= segment.baseOffset || !known.has(base)) {
        changes.push({ type: "drop-segment", replica: key, baseOffset: base });
      }
    }
    for (const summary of fold.sealed) {
      if (known.has(summary.baseOffset)) {
        changes.push({ type: "segment", replica: key, segment: summary });
      }
    }
    await states.commit(changes);
    return this.#loaded(fold, head);
  }

  async #loaded(fold: Fold, head: ReplicaHead): Promise<LoadedLog> {
    const { key, path, directory } = this.#context;
    const scanned = new Map(fold.sealed.map((summary) => [summary.baseOffset, summary]));
    const segments: Segment[] = [];
    for (const base of this.#bases) {
      if (base >= fold.segment.baseOffset) break;
      const summary = scanned.get(base) ?? this.#state.segments.get(base);
      if (summary !== undefined) segments.push(new Segment(path, summary, true));
    }
    for (const segment of segments) segment.sealed = true;
    fold.segment.onDisk = this.#bases.includes(fold.segment.baseOffset);
    segments.push(fold.segment);
    raiseEpochStart(fold.epochs, head.logStartOffset, fold.end);
    return {
      head,
      highWatermark: Math.min(
        fold.end,
        Math.max(head.logStartOffset, directory.states.get(key).highWatermark),
      ),
      logEndOffset: fold.end,
      segments,
      epochs: fold.epochs,
      producers: fold.producers,
      checkpointOffsets: await directory.states.checkpointOffsets(key),
    };
  }
}
