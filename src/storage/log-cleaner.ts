/**
 * The log cleaner of one broker (`log.cleaner.*`): again and again the compacted log with the
 * largest dirty part is cleaned, a few at a time; `log-cleaning.ts` does one. A log that cannot be
 * cleaned is put aside until it is opened or configured anew, and the others go on.
 *
 * Every replica is cleaned by its own broker, by what it knows to be committed. So replicas differ
 * in what they still hold, never in what a reader of the last values finds.
 */
import { AssertionError } from "../base/assert.ts";
import { toOttlaError } from "../model/errors.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { Ports } from "../ports/ports.ts";
import { hasDeleteHorizon } from "../record/batch.ts";
import type { Cleanable } from "./cleanable.ts";
import { CleanerPace, sleep } from "./cleaner-pace.ts";
import type { LevelPartitionLog } from "./level-partition-log.ts";
import { LogCleaning } from "./log-cleaning.ts";
import type { Segment } from "./segment.ts";

/** What is in force now: all of it may change while the broker runs, but `enabled`. */
export interface LogCleanerConfig {
  /** `log.cleaner.enable` */
  readonly enabled: boolean;
  /** `log.cleaner.threads`: cleanings at a time. */
  readonly cleaningsAtOnceCount: number;
  /** `log.cleaner.backoff.ms` */
  readonly backoffMs: number;
  /** `log.cleaner.dedupe.buffer.size`, of all cleanings together. */
  readonly bufferBytes: number;
  /** `log.cleaner.io.buffer.load.factor` */
  readonly loadFactor: number;
  /** `log.cleaner.io.max.bytes.per.second`, read and written bytes together. */
  readonly bytesPerSecond: number;
}

export const DEFAULT_LOG_CLEANER_CONFIG: LogCleanerConfig = {
  enabled: true,
  cleaningsAtOnceCount: 1,
  backoffMs: 15_000,
  bufferBytes: 128 * 1024 * 1024,
  loadFactor: 0.9,
  bytesPerSecond: Number.MAX_VALUE,
};

export interface LogCleanerOptions {
  readonly config: () => LogCleanerConfig;
  readonly logs: () => Iterable<CleanerLog>;
}

export interface CleanerLog {
  readonly key: string;
  readonly topic: string;
  readonly partition: number;
  /** The log directory. */
  readonly directory: string;
  /** Nothing may be written there. */
  readonly isFull: boolean;
  readonly log: LevelPartitionLog;
}

interface Candidate {
  readonly entry: CleanerLog;
  readonly cleanable: Cleanable;
  readonly delaySeconds: number;
}

interface Uncleanable {
  readonly entry: CleanerLog;
  readonly config: TopicConfig;
}

const HASH_KEY_BYTES = 16;
/** A log whose cleaning came to nothing is left alone for so long. */
const PAUSE_MS = 1_000;
/** Below this a cleaning would go over the same bytes again and again. */
const BUFFER_BYTES_MIN = 64 * 1024;

export class LogCleaner {
  readonly #ports: Ports;
  readonly #options: LogCleanerOptions;
  readonly #pace: CleanerPace;
  readonly #abort = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  readonly #uncleanable = new Map<string, Uncleanable>();
  /** Logs that are left alone for a while. */
  readonly #notBeforeMs = new Map<string, number>();
  #loop: Promise<void> | undefined;
  #lastRunMs: number;
  #maxDirtyRatio = 0;
  #maxDelaySeconds = 0;
  #last = { seconds: 0, recopied: 0, utilization: 0 };

  constructor(ports: Ports, options: LogCleanerOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#lastRunMs = ports.clock.monotonicMs();
    this.#pace = new CleanerPace({
      clock: ports.clock,
      timers: ports.timers,
      bytesPerSecond: () => this.#options.config().bytesPerSecond,
    });
    ports.meter.onCollect((set) => {
      set("kafka_log_logcleanermanager_max_dirty_percent", {}, this.#maxDirtyRatio * 100);
      const idleMs = ports.clock.monotonicMs() - this.#lastRunMs;
      set("kafka_log_logcleanermanager_time_since_last_run_ms", {}, idleMs);
      for (const [logDirectory, { count, bytes }] of this.#uncleanableByDirectory()) {
        const labels = { logDirectory };
        set("kafka_log_logcleanermanager_uncleanable_partitions_count", labels, count);
        set("kafka_log_logcleanermanager_uncleanable_bytes", labels, bytes);
      }
      set("kafka_log_logcleaner_cleaner_recopy_percent", {}, this.#last.recopied * 100);
      set("kafka_log_logcleaner_max_clean_time_secs", {}, this.#last.seconds);
      set("kafka_log_logcleaner_max_buffer_utilization_percent", {}, this.#last.utilization * 100);
      set("kafka_log_logcleaner_max_compaction_delay_secs", {}, this.#maxDelaySeconds);
    });
  }

  /** There is a compacted log. Brokers without any have no cleaner that turns. */
  begin(): void {
    if (this.#loop !== undefined || this.#abort.signal.aborted) return;
    if (!this.#options.config().enabled) return;
    this.#loop = this.#turn().catch((error: unknown) => {
      this.#ports.fatal("the log cleaner failed", error);
    });
  }

  /** The cleanings that run are ended by the logs themselves, which are closed next. */
  async close(): Promise<void> {
    this.#abort.abort();
    for (const { log } of this.#options.logs()) log.abortCleaning();
    await this.#loop;
    await Promise.all(this.#running.values());
  }

  async #turn(): Promise<void> {
    const { signal } = this.#abort;
    // One at a time: what a cleaning's end cuts short goes on, and would be one more for each.
    let idle: Promise<void> | undefined;
    while (!signal.aborted) {
      const { cleaningsAtOnceCount, backoffMs } = this.#options.config();
      if (this.#running.size < cleaningsAtOnceCount) {
        const candidate = await this.#pick();
        if (signal.aborted) return;
        if (candidate !== undefined) {
          this.#start(candidate);
          continue;
        }
      }
      idle ??= sleep(this.#ports.timers, Math.max(1, backoffMs), signal).then(() => {
        idle = undefined;
      });
      await Promise.race([idle, ...this.#running.values()]);
    }
  }

  #start(candidate: Candidate): void {
    const { key } = candidate.entry;
    const cleaning = this.#clean(candidate)
      .catch((error: unknown) => this.#ports.fatal("a log could not be cleaned", error))
      .then(() => {
        this.#running.delete(key);
      });
    this.#running.set(key, cleaning);
  }

  /** The log with the largest dirty part, of those that have waited too long or have enough of it. */
  async #pick(): Promise<Candidate | undefined> {
    const nowMs = this.#ports.clock.wallMs();
    this.#lastRunMs = this.#ports.clock.monotonicMs();
    let best: Candidate | undefined;
    let maxDirtyRatio = 0;
    let maxDelaySeconds = 0;
    for (const entry of [...this.#options.logs()]) {
      const { log, key } = entry;
      if (!this.#mayClean(entry)) continue;
      const cleanable = log.cleanable(nowMs);
      if (cleanable === undefined || cleanable.dirty.length === 0) continue;
      const { minCleanableDirtyRatio, maxCompactionLagMs } = log.config;
      maxDirtyRatio = Math.max(maxDirtyRatio, cleanable.dirtyRatio);
      let delaySeconds = 0;
      if (maxCompactionLagMs < Number.MAX_SAFE_INTEGER) {
        try {
          const earliestMs = await this.#earliestMs(entry, cleanable.dirty);
          delaySeconds = Math.max(0, nowMs - earliestMs - maxCompactionLagMs) / 1_000;
        } catch (error) {
          this.#onError(entry, error);
          continue;
        }
        maxDelaySeconds = Math.max(maxDelaySeconds, delaySeconds);
      }
      if (delaySeconds === 0 && cleanable.dirtyRatio <= minCleanableDirtyRatio) continue;
      if (this.#running.has(key) || this.#abort.signal.aborted) continue;
      if (best === undefined || cleanable.dirtyRatio > best.cleanable.dirtyRatio) {
        best = { entry, cleanable, delaySeconds };
      }
    }
    this.#maxDirtyRatio = maxDirtyRatio;
    this.#maxDelaySeconds = maxDelaySeconds;
    return best;
  }

  #mayClean(entry: CleanerLog): boolean {
    const { key, log, isFull } = entry;
    if (isFull || this.#running.has(key)) return false;
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs < (this.#notBeforeMs.get(key) ?? nowMs)) return false;
    this.#notBeforeMs.delete(key);
    const bad = this.#uncleanable.get(key);
    if (bad === undefined) return true;
    if (bad.entry.log === log && bad.config === log.config) return false;
    this.#uncleanable.delete(key);
    return true;
  }

  /** Timestamp of the oldest dirty segment's first record, as Kafka estimates it (KIP-354). */
  async #earliestMs({ log }: CleanerLog, dirty: readonly Segment[]): Promise<number> {
    let earliestMs = Number.MAX_SAFE_INTEGER;
    for (const segment of dirty) {
      if (segment.firstTimestamp === undefined) {
        const header = await log.firstHeader(segment);
        const timestamp =
          header === undefined || hasDeleteHorizon(header)
            ? header?.maxTimestamp
            : header.baseTimestamp;
        segment.firstTimestamp = timestamp ?? -1;
      }
      if (segment.firstTimestamp > 0) earliestMs = Math.min(earliestMs, segment.firstTimestamp);
    }
    return earliestMs;
  }

  /** Never rejects but for a defect of this program. */
  async #clean({ entry, cleanable }: Candidate): Promise<void> {
    const { clock, logger, random } = this.#ports;
    const { log, topic, partition } = entry;
    const { bufferBytes, loadFactor, cleaningsAtOnceCount } = this.#options.config();
    const beganMs = clock.monotonicMs();
    try {
      const report = await log.clean((compactable, signal) =>
        new LogCleaning(compactable, cleanable, {
          pace: this.#pace,
          signal,
          hashKey: random.bytes(HASH_KEY_BYTES),
          bufferBytes: Math.max(BUFFER_BYTES_MIN, bufferBytes / Math.max(1, cleaningsAtOnceCount)),
          loadFactor: Math.min(Math.max(loadFactor, 0.1), 0.95),
        }).run(),
      );
      if (!report.completed) {
        this.#pause(entry);
        return;
      }
      const { from, to, bytesRead, bytesWritten, recordsWithoutKeyCount } = report;
      const seconds = (clock.monotonicMs() - beganMs) / 1_000;
      const recopied = bytesRead === 0 ? 0 : bytesWritten / bytesRead;
      this.#last = { seconds, recopied, utilization: report.bufferUtilization };
      const figures = { from, to, bytesRead, bytesWritten, seconds };
      logger.info("log cleaned", { topic, partition, ...figures });
      if (recordsWithoutKeyCount > 0) {
        const records = recordsWithoutKeyCount;
        logger.warn("records without key were removed by compaction", {
          topic,
          partition,
          records,
        });
      }
    } catch (error) {
      this.#onError(entry, error);
    }
  }

  #onError(entry: CleanerLog, thrown: unknown): void {
    if (thrown instanceof AssertionError) throw thrown;
    const { key, log, topic, partition } = entry;
    const { code, message } = toOttlaError(thrown);
    // The log is offline or closed, or retention took what was being read.
    if (log.failure !== undefined || code === "CLOSED" || code === "OFFSET_OUT_OF_RANGE") {
      this.#pause(entry);
      return;
    }
    const fields = { topic, partition, code, message };
    if (code === "CORRUPT_MESSAGE" || code === "LIMIT_EXCEEDED" || code === "INVALID_CONFIG") {
      this.#uncleanable.set(key, { entry, config: log.config });
      this.#ports.logger.error("a log cannot be cleaned and is left as it is", fields);
      return;
    }
    this.#pause(entry);
    this.#ports.logger.warn("a cleaning was given up", fields);
  }

  /** What stood in the way has to pass first. */
  #pause({ key }: CleanerLog): void {
    this.#notBeforeMs.set(key, this.#ports.clock.monotonicMs() + PAUSE_MS);
  }

  #uncleanableByDirectory(): Map<string, { count: number; bytes: number }> {
    const sums = new Map<string, { count: number; bytes: number }>();
    for (const { directory } of this.#options.logs()) sums.set(directory, { count: 0, bytes: 0 });
    for (const { key, directory, log } of this.#options.logs()) {
      if (this.#uncleanable.get(key)?.entry.log !== log) continue;
      const sum = sums.get(directory) as { count: number; bytes: number };
      sum.count++;
      sum.bytes += log.sizeBytes;
    }
    return sums;
  }
}
