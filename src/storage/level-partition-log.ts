/**
 * One replica's log on LevelDB. The order of ends, always:
 *
 *   logStartOffset <= flushedEnd <= writtenEnd <= logEndOffset, durableEndOffset <= writtenEnd
 *
 * One piece of work on the disk at a time (`#serial`): a write, a truncation, a move of the log
 * start, closing. What is appended meanwhile rides in the next write. Only the log cleaner works
 * beside it, on sealed segments (`#layout`); a truncation and closing end its work first.
 */
import { AssertionError, assert } from "../base/assert.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { Offset, PartitionIndex, TopicId } from "../model/ids.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { Timer } from "../ports/clock.ts";
import { type Batch, type BatchHeader, lastOffset } from "../record/batch.ts";
import type { LeaderEpochs } from "../replica/leader-epochs.ts";
import type { ProducerStates } from "../replica/producer-states.ts";
import { AppendQueue, assertRoom, type QueuedBatch, writeOf } from "./append-queue.ts";
import { type Checkpoint, emptySegmentSummary } from "./checkpoint.ts";
import { CheckpointSchedule } from "./checkpoint-schedule.ts";
import { type Cleanable, cleanableOf, rollAfterMs } from "./cleanable.ts";
import { CleaningSlot } from "./cleaning-slot.ts";
import { FlushWaiters } from "./flush-waiters.ts";
import type { PartitionLog, ReadLimits, TimestampedOffset } from "./log.ts";
import type { CompactableLog } from "./log-cleaning.ts";
import type { LogContext, SharedResources } from "./log-context.ts";
import { type LoadedLog, loadLog, raiseEpochStart, removeDirectory } from "./log-loading.ts";
import type { ReplicaHead, StateChange } from "./replica-states.ts";
import { expiredCount } from "./retention.ts";
import { barrier, Segment } from "./segment.ts";
import { batchKey } from "./segment-keys.ts";
import { SegmentLayout } from "./segment-layout.ts";
import { SegmentReads } from "./segment-reads.ts";
import { Serial } from "./serial.ts";
import { isRefusal, outOfRange, storageError } from "./storage-error.ts";
import { TailCache, unpinned } from "./tail-cache.ts";
import { TimeLookup } from "./time-lookup.ts";

/** Largest single write; a LevelDB batch is copied whole, so that a larger one only costs memory. */
const WRITE_BYTES = 2 * 1024 * 1024;
/** A log that nobody appended to for this long is marked clean and its cache is given back. */
const IDLE_MS = 60_000;
/** A write that takes longer waited for more than its own bytes: LevelDB tells nobody that it stalls. */
const STALL_SECONDS = 0.1;
const TIMER_MS_MAX = 0x7fff_ffff;

export class LevelPartitionLog implements PartitionLog {
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  readonly epochs: LeaderEpochs;
  readonly producers: ProducerStates;
  onDurable: () => void = () => undefined;
  onFailure: (error: OttlaError) => void = () => undefined;

  readonly #context: LogContext;
  readonly #shared: SharedResources;
  readonly #cache: TailCache;
  readonly #layout: SegmentLayout;
  readonly #reads: SegmentReads;
  readonly #times: TimeLookup;
  readonly #queue = new AppendQueue();
  readonly #serial = new Serial();
  readonly #flushWaiters = new FlushWaiters();
  readonly #cleaning = new CleaningSlot();
  /** Directory removals and checkpoint writes that nobody waits for; `close` does. */
  readonly #background = new Set<Promise<void>>();
  #config: TopicConfig;
  #head: ReplicaHead;
  #checkpoints: CheckpointSchedule;
  #logEndOffset: Offset;
  #writtenEnd: Offset;
  #flushedEnd: Offset;
  #durableEndOffset: Offset;
  #savedHighWatermark: Offset;
  #failure: OttlaError | undefined;
  #wholeSuspect = false;
  #closed = false;
  /** A truncation is under way: nothing is appended, stored reads wait. */
  #cutting = false;
  #cutsCount = 0;
  /** Settles when the writer has nothing left to do; undefined while it rests. */
  #draining: Promise<void> | undefined;
  #flushTarget: Offset = 0;
  #flushTimer: Timer | undefined;
  #unflushedMessages = 0;
  #lastAppendMs: number;

  constructor(
    context: LogContext,
    loaded: LoadedLog,
    config: TopicConfig,
    shared: SharedResources,
  ) {
    this.#context = context;
    this.topicId = context.replica.topicId;
    this.partition = context.replica.partition;
    this.epochs = loaded.epochs;
    this.producers = loaded.producers;
    this.#shared = shared;
    this.#cache = new TailCache(shared.tailBudget);
    this.#layout = new SegmentLayout(context, loaded.segments);
    this.#reads = new SegmentReads({
      context,
      segments: () => this.#layout.segments,
      assertUsable: () => this.#assertUsable(),
      assertInRange: (offset) => this.#assertInRange(offset),
      onFailed: (error) => this.#readFailed(error),
      epochAt: (offset) => (offset < this.logStartOffset ? -1 : this.epochs.epochAt(offset)),
      cutsCount: () => this.#cutsCount,
    });
    this.#times = new TimeLookup({
      codecs: context.ports.codecs,
      search: (segment, work) => this.#reads.search(segment, work),
      segments: () => this.#layout.segments,
      logStartOffset: () => this.logStartOffset,
      read: (from, limits) => this.read(from, limits),
    });
    this.#config = config;
    this.#head = loaded.head;
    this.#checkpoints = this.#scheduleOf(loaded);
    this.#logEndOffset = loaded.logEndOffset;
    this.#writtenEnd = loaded.logEndOffset;
    this.#flushedEnd = loaded.logEndOffset;
    this.#durableEndOffset = loaded.logEndOffset;
    this.#savedHighWatermark = loaded.highWatermark;
    this.#lastAppendMs = context.ports.clock.monotonicMs();
    this.#cache.writtenUpTo(loaded.logEndOffset);
    this.#raiseMark();
  }

  get logStartOffset(): Offset {
    return this.#head.logStartOffset;
  }

  get logEndOffset(): Offset {
    return this.#logEndOffset;
  }

  get durableEndOffset(): Offset {
    return this.#durableEndOffset;
  }

  get savedHighWatermark(): Offset {
    return this.#savedHighWatermark;
  }

  get sizeBytes(): number {
    return this.#layout.sizeBytes;
  }

  get segmentsCount(): number {
    return this.#layout.segments.length;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  get failure(): OttlaError | undefined {
    return this.#failure;
  }

  /** A read failed: every batch is to be verified before the log is believed again. */
  get isWholeSuspect(): boolean {
    return this.#wholeSuspect;
  }

  get isCompacted(): boolean {
    return this.#config.cleanupPolicy.includes("compact");
  }

  get config(): TopicConfig {
    return this.#config;
  }

  get #active(): Segment {
    return this.#layout.active;
  }

  /** `flush.messages=1`: only what is fsynced counts. */
  get #strict(): boolean {
    return this.#config.flushMessages === 1;
  }

  append(batches: readonly Batch[]): void {
    this.#assertUsable();
    assert(!this.#cutting, "nothing is appended during a truncation");
    assertRoom(this.#context, this.#queue, batches);
    const { clock } = this.#context.ports;
    for (const batch of unpinned(batches)) this.#take(batch, clock.wallMs());
    this.#lastAppendMs = clock.monotonicMs();
    this.#kick();
  }

  read(from: Offset, limits: ReadLimits): readonly Batch[] | Promise<readonly Batch[]> {
    this.#assertUsable();
    this.#assertInRange(from);
    if (from >= limits.upTo || from === this.#logEndOffset) return [];
    return this.#cache.read(from, limits.maxBytes, limits.upTo) ?? this.#readStored(from, limits);
  }

  async truncateTo(offset: Offset): Promise<void> {
    this.#assertUsable();
    if (offset >= this.#logEndOffset) return;
    // Below the start nothing is left to keep, and an empty log has to begin where it ends.
    if (offset <= this.logStartOffset) return this.resetTo(offset);
    await this.#cut(async () => {
      const limits = { maxBytes: 1, upTo: Number.MAX_SAFE_INTEGER };
      const cached = this.#cache.read(offset, limits.maxBytes, limits.upTo);
      const [holder] = cached ?? (await this.#reads.read(offset, limits));
      assert(holder !== undefined, `no batch holds offset ${offset} below the log end`);
      return { ...this.#head, cut: { offset: holder.header.baseOffset, reset: false } };
    });
  }

  async resetTo(offset: Offset): Promise<void> {
    this.#assertUsable();
    await this.#cut(() =>
      Promise.resolve({ ...this.#head, logStartOffset: offset, cut: { offset, reset: true } }),
    );
  }

  async raiseLogStart(offset: Offset): Promise<void> {
    this.#assertUsable();
    if (offset <= this.logStartOffset) return;
    this.#assertInRange(offset);
    // A log must never come back from a crash ending below its start.
    if (offset > this.#flushedEnd) await this.flush();
    await this.#exclusively(async () => {
      if (offset <= this.logStartOffset) return;
      this.#assertInRange(offset);
      await this.#raiseLogStart(offset);
    });
  }

  async offsetForTimestamp(
    timestamp: number,
    upTo: Offset,
  ): Promise<TimestampedOffset | undefined> {
    this.#assertUsable();
    return await this.#reads.retrying(() => this.#times.first(timestamp, upTo));
  }

  async offsetOfMaxTimestamp(upTo: Offset): Promise<TimestampedOffset | undefined> {
    this.#assertUsable();
    return await this.#reads.retrying(() => this.#times.max(upTo));
  }

  saveHighWatermark(highWatermark: Offset): void {
    if (this.#failure !== undefined || this.#closed || this.#cutting) return;
    this.#savedHighWatermark = Math.min(highWatermark, this.#durableEndOffset);
    const { states } = this.#context.directory;
    states.saveHighWatermark(this.#context.key, this.#savedHighWatermark);
  }

  async applyRetention(nowMs: number, highWatermark: Offset): Promise<void> {
    this.#assertUsable();
    if (this.#cutting) return;
    const active = this.#active;
    const deletes = this.#config.cleanupPolicy.includes("delete");
    const expired =
      deletes &&
      active.endOffset <= highWatermark &&
      expiredCount([active], this.#config, { nowMs, logBytes: 0 }) === 1;
    if (this.#rollIfDue(nowMs, expired)) await this.#drained();
    if (!deletes) return;
    await this.#exclusively(async () => {
      const droppable = this.#layout.segments.filter(
        (segment) => segment.sealed && segment.endOffset <= highWatermark,
      );
      const count = expiredCount(droppable, this.#config, {
        nowMs,
        logBytes: this.sizeBytes,
      });
      const last = droppable[count - 1];
      if (last !== undefined && last.endOffset > this.logStartOffset) {
        await this.#raiseLogStart(last.endOffset);
      }
    });
  }

  /** What of it could be cleaned, after rolling an active segment that is old enough. */
  cleanable(nowMs: number): Cleanable | undefined {
    const usable = this.#failure === undefined && !this.#closed && !this.#cutting;
    if (!usable || !this.isCompacted) return undefined;
    this.#rollIfDue(nowMs, false);
    return cleanableOf(
      {
        config: this.#config,
        segments: this.#layout.segments,
        logStartOffset: this.logStartOffset,
        highWatermark: this.#savedHighWatermark,
        cleanedOffset: this.#context.directory.states.get(this.#context.key).cleanedOffset,
      },
      nowMs,
    );
  }

  /**
   * Runs a cleaning, one at a time. A truncation, an error and closing abort its signal and wait
   * for it. Rejects as `work` does, with CLOSED if the log takes none now.
   */
  async clean<Result>(
    work: (log: CompactableLog, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    this.#assertUsable();
    const isBusy = this.#cutting || this.#cleaning.isTaken;
    if (isBusy) throw new OttlaError("CLOSED", `${this.#context.key} is being changed`);
    return this.#cleaning.run((signal) => work(this.#compactable(), signal));
  }

  abortCleaning(): void {
    this.#cleaning.abort();
  }

  /** Of the segment's first batch. */
  async firstHeader(segment: Segment): Promise<BatchHeader | undefined> {
    return (await this.#reads.batches(segment, segment.baseOffset, 1))[0]?.header;
  }

  configure(config: TopicConfig): void {
    this.#config = config;
    if (this.isCompacted) this.#shared.onCompacted();
    else this.#cleaning.abort();
    // What was acknowledged as written must be fsynced before the strict promise may be made.
    if (this.#strict) this.#requestFlush();
  }

  async flush(): Promise<void> {
    this.#assertUsable();
    const target = this.#logEndOffset;
    if (this.#flushedEnd >= target) return;
    const flushed = this.#flushWaiters.until(target);
    this.#requestFlush();
    await flushed;
  }

  /** Marks a log that nobody appends to as clean, so that a crash need not verify it. */
  async settleIfIdle(): Promise<void> {
    const idleMs = this.#context.ports.clock.monotonicMs() - this.#lastAppendMs;
    if (this.#failure !== undefined || this.#closed || this.#draining || idleMs < IDLE_MS) return;
    this.#cache.clear();
    if (this.#head.cleanEnd !== null) return;
    await this.#exclusively(() => this.#becomeClean());
  }

  /** Writes and fsyncs everything, marks the log clean and closes its databases. */
  async close(): Promise<void> {
    await this.#cleaning.stop();
    if (this.#failure === undefined && !this.#closed) {
      await this.flush();
      await this.#drained();
      await this.#exclusively(() => this.#becomeClean());
    }
    await this.abandon();
  }

  /** Closes the databases without writing anything: the log failed, or is to be deleted. */
  async abandon(): Promise<void> {
    this.#closed = true;
    this.#flushTimer?.cancel();
    this.#queue.clear();
    this.#cache.clear();
    this.#flushWaiters.rejectAll(
      new OttlaError("CLOSED", `${this.#context.key}: the log was closed`),
    );
    await this.#cleaning.stop();
    await this.#draining;
    await this.#serial.run(() => Promise.resolve());
    await this.#layout.settled();
    await Promise.all(this.#background);
    for (const { path } of this.#layout.segments) await this.#context.pool.close(path);
  }

  /** Takes the log offline for an error of its own or of its directory. Only the first counts. */
  fail(thrown: unknown): void {
    if (this.#failure !== undefined || this.#closed) return;
    const { ports, key, pool } = this.#context;
    const error = storageError(thrown, key);
    this.#failure = error;
    this.#cleaning.abort();
    this.#flushTimer?.cancel();
    this.#queue.clear();
    this.#cache.clear();
    ports.logger.error("replica went offline by a storage error", {
      replica: key,
      code: error.code,
      reason: error.message,
    });
    // A store that failed says nothing reliable any more; it is opened and verified anew.
    for (const { path } of this.#layout.segments) void pool.close(path);
    this.#flushWaiters.rejectAll(this.#offline());
    this.onFailure(error);
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#offline();
    if (this.#closed) throw new OttlaError("CLOSED", `${this.#context.key}: the log is closed`);
  }

  #offline(): OttlaError {
    return new OttlaError("KAFKA_STORAGE_ERROR", `${this.#context.key} is offline`, {
      cause: this.#failure,
    });
  }

  #assertInRange(offset: Offset): void {
    if (offset >= this.logStartOffset && offset <= this.#logEndOffset) return;
    throw outOfRange(offset, this.logStartOffset, this.#logEndOffset);
  }

  #take(batch: Batch, nowMs: number): void {
    const { header, bytes } = batch;
    assert(
      header.baseOffset === this.#logEndOffset,
      `batch at ${header.baseOffset} does not continue the log at ${this.#logEndOffset}`,
    );
    const room = this.#config.segmentBytes - this.#active.sizeBytes;
    if (!this.#active.isEmpty && bytes.length > room) this.#roll();
    const active = this.#active;
    if (this.#checkpoints.isDue(active)) {
      this.#checkpoints.taken(active);
      this.#queue.push({ type: "checkpoint", checkpoint: this.#checkpoint() });
    }
    this.epochs.assign(header.leaderEpoch, header.baseOffset);
    this.producers.update(header);
    const timeIndex = active.add(batch, nowMs);
    this.#layout.grow(bytes.length);
    this.#logEndOffset = active.endOffset;
    this.#queue.push({ type: "batch", batch, segment: active, timeIndex });
    this.#cache.push(batch);
  }

  /** Begins a new segment; the old one is sealed once it is written. */
  #roll(): void {
    const old = this.#active;
    const summary = emptySegmentSummary(this.#logEndOffset);
    this.#layout.push(new Segment(this.#context.path, summary, false));
    this.#checkpoints.taken(this.#active);
    this.#queue.push({ type: "seal", segment: old, checkpoint: this.#checkpoint() });
  }

  #rollIfDue(nowMs: number, now: boolean): boolean {
    const { isEmpty, createdMs } = this.#active;
    if (isEmpty || (!now && nowMs - createdMs < rollAfterMs(this.#config))) return false;
    this.#roll();
    this.#kick();
    return true;
  }

  /** As of the log end now. */
  #checkpoint(): Checkpoint {
    return {
      offset: this.#logEndOffset,
      segment: this.#active.summary(),
      epochs: [...this.epochs.starts],
      producers: this.producers.entries(),
    };
  }

  #scheduleOf({ checkpointOffsets }: LoadedLog): CheckpointSchedule {
    return new CheckpointSchedule(this.#context.key, checkpointOffsets, this.#active);
  }

  #kick(): void {
    if (this.#draining !== undefined || this.#failure !== undefined || this.#closed) return;
    const draining = this.#drain();
    this.#draining = draining;
    draining.catch((error: unknown) => {
      // Storage errors end in `fail`; what arrives here is a bug in a listener or in this file.
      this.#context.ports.fatal(`log writer of ${this.#context.key} failed`, error);
    });
  }

  async #drain(): Promise<void> {
    while (!this.#queue.isEmpty || this.#flushTarget > this.#flushedEnd) {
      if (this.#failure !== undefined || this.#closed) break;
      const waitMs = this.#shared.pacer.waitMs(this.#queue.bytes);
      try {
        if (waitMs > 0) await this.#context.ports.timers.sleep(waitMs);
        await this.#serial.run(() => this.#writeNext());
      } catch (error) {
        if (error instanceof AssertionError) throw error;
        this.fail(error);
      }
    }
    this.#draining = undefined;
  }

  /** Settles when the writer rests; it may have failed. */
  async #drained(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  /** Does the next piece of queued work. */
  async #writeNext(): Promise<void> {
    if (this.#failure !== undefined || this.#closed) return;
    const next = this.#queue.peek();
    if (next === undefined) return this.#writeBarrier();
    if (next.type === "checkpoint") {
      this.#queue.shift();
      const { states } = this.#context.directory;
      this.#inBackground(states.commit(this.#checkpoints.storing(next.checkpoint)));
      return;
    }
    if (next.type === "seal") {
      this.#queue.shift();
      return this.#seal(next.segment, next.checkpoint);
    }
    return this.#writeRun();
  }

  async #writeRun(): Promise<void> {
    if (this.#head.cleanEnd !== null) await this.#becomeDirty();
    if (this.#failure !== undefined || this.#closed) return;
    const { ports, pool, directory } = this.#context;
    const run = this.#queue.takeRun(WRITE_BYTES);
    const { segment, batch } = run.at(-1) as QueuedBatch;
    if (!segment.onDisk) {
      await ports.files.makeDirectory(segment.path);
      segment.onDisk = true;
    }
    const { operations, bytes, messages } = writeOf(run);
    const sync = this.#strict || this.#flushTarget > this.#flushedEnd;
    const startedMs = ports.clock.monotonicMs();
    await pool.use(segment.path, { active: true, create: true }, (store) =>
      store.write(operations, { sync }),
    );
    if (this.#failure !== undefined) return;
    this.#observeWrite(startedMs, sync);
    directory.noteWritten(bytes);
    this.#queue.settled(bytes);
    this.#unflushedMessages += messages;
    this.#advance(lastOffset(batch.header) + 1, sync);
  }

  /** Fsyncs what was written, in the relaxed profile. */
  async #writeBarrier(): Promise<void> {
    if (this.#flushedEnd >= this.#writtenEnd) return;
    const end = this.#writtenEnd;
    const segment = this.#layout.before(end);
    assert(segment !== undefined, "what was written lies in a segment");
    await this.#writeBarrierAt(segment, end);
    this.#advance(end, true);
  }

  async #writeBarrierAt(segment: Segment, end: Offset): Promise<void> {
    const startedMs = this.#context.ports.clock.monotonicMs();
    await this.#context.pool.use(segment.path, { active: true, create: false }, (store) =>
      store.write([barrier(end)], { sync: true }),
    );
    this.#observeWrite(startedMs, true);
  }

  #observeWrite(startedMs: number, synced: boolean): void {
    const { clock, meter } = this.#context.ports;
    const seconds = (clock.monotonicMs() - startedMs) / 1_000;
    meter.observe("ottla_log_write_duration_seconds", {}, seconds);
    if (synced) meter.observe("ottla_log_flush_duration_seconds", {}, seconds);
    if (seconds <= STALL_SECONDS) return;
    meter.count("ottla_storage_write_stall_seconds_total", {}, seconds - STALL_SECONDS);
  }

  async #seal(segment: Segment, checkpoint: Checkpoint): Promise<void> {
    if (this.#flushedEnd < segment.endOffset) {
      await this.#writeBarrierAt(segment, segment.endOffset);
      this.#advance(segment.endOffset, true);
    }
    const { states } = this.#context.directory;
    const summary = segment.summary();
    await states.commit([
      { type: "segment", replica: this.#context.key, segment: summary },
      ...this.#checkpoints.storing(checkpoint),
    ]);
    segment.sealed = true;
    // Its write buffers go back now, not when it has been idle; who reads it opens it with small ones.
    void this.#context.pool.close(segment.path);
  }

  /** The disk has everything below `writtenEnd`. */
  #advance(writtenEnd: Offset, synced: boolean): void {
    this.#writtenEnd = writtenEnd;
    this.#cache.writtenUpTo(writtenEnd);
    if (synced) {
      this.#flushedEnd = writtenEnd;
      this.#unflushedMessages = 0;
      this.#flushTimer?.cancel();
      this.#flushTimer = undefined;
      this.#raiseMark();
    } else {
      this.#scheduleFlush();
    }
    const durableEnd = this.#strict ? this.#flushedEnd : writtenEnd;
    if (durableEnd > this.#durableEndOffset) {
      this.#durableEndOffset = durableEnd;
      this.#tellDurable();
    }
    if (synced) this.#flushWaiters.flushedUpTo(this.#flushedEnd);
  }

  #tellDurable(): void {
    try {
      this.onDurable();
    } catch (error) {
      // Not the disk's fault: it must not pass for a storage error.
      this.#context.ports.fatal(`listener of ${this.#context.key} failed`, error);
    }
  }

  /** A replica that lost its tail keeps the old mark until it has refetched past it. */
  #raiseMark(): void {
    const { marks } = this.#context.directory;
    const end = this.#flushedEnd;
    if (end === 0 || end < marks.get(this.#context.key).end) return;
    marks.set(this.#context.key, { end, epoch: this.epochs.epochAt(end - 1) });
  }

  /** `flush.messages` and `flush.ms` of the relaxed profile. */
  #scheduleFlush(): void {
    const { flushMessages, flushMs } = this.#config;
    if (this.#unflushedMessages >= flushMessages) {
      // Never lower: somebody may wait for a flush of what is still queued.
      this.#flushTarget = Math.max(this.#flushTarget, this.#writtenEnd);
      return;
    }
    if (this.#flushTimer !== undefined || flushMs > TIMER_MS_MAX) return;
    this.#flushTimer = this.#context.ports.timers.after(flushMs, () => {
      this.#flushTimer = undefined;
      this.#requestFlush();
    });
  }

  #requestFlush(): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#flushTarget = this.#logEndOffset;
    if (this.#flushTarget > this.#flushedEnd) this.#kick();
  }

  /**
   * The first write after a clean stop: the clean flag goes first, durably. And the store must
   * still end where the flag says; appending above a hole would hide it.
   */
  async #becomeDirty(): Promise<void> {
    const { directory, key, pool } = this.#context;
    const end = this.#writtenEnd;
    const segment = this.#layout.before(end);
    if (segment !== undefined && !segment.sealed) {
      const use = { active: true, create: false };
      const last = await pool.use(segment.path, use, (store) => store.get(batchKey(end - 1)));
      if (last === undefined) {
        const message = `the log closed at offset ${end} lost its last batch`;
        throw new OttlaError("KAFKA_STORAGE_ERROR", message);
      }
    }
    this.#head = { ...this.#head, cleanEnd: null };
    await directory.states.commit([{ type: "head", replica: key, head: this.#head }]);
  }

  async #becomeClean(): Promise<void> {
    if (this.#head.cleanEnd !== null || !this.#queue.isEmpty) return;
    await this.#writeBarrier();
    // Taken in the turn in which the queue is empty and everything written is fsynced.
    if (!this.#queue.isEmpty || this.#flushedEnd !== this.#logEndOffset) return;
    const { directory, key } = this.#context;
    const head: ReplicaHead = { ...this.#head, cleanEnd: this.#logEndOffset };
    const changes = this.#checkpoints.storing(this.#checkpoint());
    this.#head = head;
    this.#checkpoints.taken(this.#active);
    await directory.states.commit([...changes, { type: "head", replica: key, head }]);
  }

  async #raiseLogStart(offset: Offset): Promise<void> {
    const head: ReplicaHead = { ...this.#head, logStartOffset: offset };
    const change: StateChange = { type: "head", replica: this.#context.key, head };
    // Nobody hears of the new start before it is on disk: a deletion is acknowledged once all
    // replicas tell it, and must not be undone by a crash.
    const dropped = await this.#layout.dropBelow(offset, change, () => {
      this.#head = head;
    });
    raiseEpochStart(this.epochs, offset, this.#logEndOffset);
    for (const { path } of dropped) this.#inBackground(removeDirectory(this.#context, path));
  }

  /** Writes the intent, then lets loading carry it out, as it would after a crash. */
  async #cut(plan: () => Promise<ReplicaHead>): Promise<void> {
    await this.flush();
    await this.#drained();
    this.#assertUsable();
    assert(!this.#cutting, "one truncation at a time");
    this.#cutting = true;
    this.#cutsCount++;
    try {
      await this.#cleaning.stop();
      await this.#exclusively(async () => {
        const { directory, key } = this.#context;
        const intended: ReplicaHead = { ...(await plan()), cleanEnd: null };
        const end = intended.cut?.offset ?? this.#logEndOffset;
        this.#savedHighWatermark = Math.min(this.#savedHighWatermark, end);
        directory.states.saveHighWatermark(key, this.#savedHighWatermark);
        const changes: StateChange[] = [{ type: "head", replica: key, head: intended }];
        // What is appended in place of what was cleaned is dirty again.
        if ((directory.states.get(key).cleanedOffset ?? 0) > end) {
          changes.push({ type: "drop-cleaned", replica: key });
        }
        await directory.states.commit(changes);
        await Promise.all(this.#background);
        const result = await loadLog(this.#context, "tail");
        if (result.type === "damaged") throw new OttlaError("CORRUPT_MESSAGE", result.reason);
        this.#adopt(result.log);
      });
    } finally {
      this.#cutting = false;
    }
  }

  #compactable(): CompactableLog {
    const { directory, key } = this.#context;
    return {
      context: this.#context,
      config: this.#config,
      producers: this.producers,
      storedBatches: (segment, from, maxBytes) => this.#reads.batches(segment, from, maxBytes),
      swapIn: async (replaced, cleaned, signal) => {
        const { baseOffset: base, endOffset } = cleaned;
        const changes = () => this.#checkpoints.forgetting(base, endOffset);
        const isOver = () => signal.aborted || this.#failure !== undefined;
        const swap = this.#layout.swap(replaced, cleaned, { changes, isOver });
        const swapped = await this.#guarded(swap);
        if (swapped) this.#cache.evictBelow(endOffset);
        return swapped;
      },
      cleanedState: () => this.#guarded(directory.states.cleaned(key)),
      saveCleaned: (cleaned) =>
        this.#guarded(directory.states.commit([{ type: "cleaned", replica: key, cleaned }])),
    };
  }

  #adopt(loaded: LoadedLog): void {
    this.#head = loaded.head;
    this.#layout.replaceAll(loaded.segments);
    this.#checkpoints = this.#scheduleOf(loaded);
    this.epochs.clear();
    for (const { epoch, startOffset } of loaded.epochs.starts) {
      this.epochs.assign(epoch, startOffset);
    }
    this.producers.restore(loaded.producers.entries());
    const end = loaded.logEndOffset;
    this.#cache.truncateTo(end);
    this.#cache.writtenUpTo(end);
    this.#logEndOffset = end;
    this.#writtenEnd = end;
    this.#flushedEnd = end;
    this.#durableEndOffset = end;
    this.#flushTarget = 0;
    this.#savedHighWatermark = loaded.highWatermark;
  }

  async #readStored(from: Offset, limits: ReadLimits): Promise<readonly Batch[]> {
    if (!this.#cutting) return this.#reads.read(from, limits);
    await this.#serial.run(() => Promise.resolve());
    return this.read(from, limits);
  }

  #readFailed(error: unknown): unknown {
    // A read may fail anywhere, also far below the last checkpoint.
    this.#wholeSuspect = true;
    this.fail(error);
    // What LevelDB says of its files is this broker's own concern: who reads goes to another
    // replica, which a code that is not retriable would forbid.
    return toOttlaError(error).code === "CORRUPT_MESSAGE" ? error : this.#offline();
  }

  async #exclusively(work: () => Promise<void>): Promise<void> {
    await this.#guarded(
      this.#serial.run(() => {
        this.#assertUsable();
        return work();
      }),
    );
  }

  /** Takes the log offline if the disk is at fault; refusals pass through. */
  async #guarded<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      if (isRefusal(error)) throw error;
      this.fail(error);
      throw error;
    }
  }

  #inBackground(work: Promise<void>): void {
    const handled = work
      .catch((error: unknown) => this.fail(error))
      .finally(() => this.#background.delete(handled));
    this.#background.add(handled);
  }
}
