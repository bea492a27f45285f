/** All partition logs of one broker's life, over one or more log directories. */
import { assert } from "../base/assert.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import {
  type BrokerEpoch,
  type BrokerId,
  type ClusterId,
  type DirectoryId,
  partitionKey,
  type TopicPartition,
} from "../model/ids.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { Timer } from "../ports/clock.ts";
import type { Ports } from "../ports/ports.ts";
import { CommitPacer } from "./commit-pacer.ts";
import { DataDirectory, FREE_SPACE_RESERVE_BYTES } from "./data-directory.ts";
import { LevelPartitionLog } from "./level-partition-log.ts";
import type {
  DirectorySpace,
  LocalReplica,
  Logs,
  PartitionLog,
  RecoveryReport,
  ReplicaName,
} from "./log.ts";
import {
  type CleanerLog,
  DEFAULT_LOG_CLEANER_CONFIG,
  LogCleaner,
  type LogCleanerConfig,
} from "./log-cleaner.ts";
import type { LogContext, SharedResources } from "./log-context.ts";
import { type LoadMode, loadLog } from "./log-loading.ts";
import { PendingOperations } from "./pending-operations.ts";
import { DELETED_SUFFIX, directoryName, parseDirectoryName } from "./replica-names.ts";
import { Serial } from "./serial.ts";
import { StorePool } from "./store-pool.ts";
import { TailBudget } from "./tail-cache.ts";

const TICK_MS = 1_000;
/** Every so many ticks: what is idle. */
const SLOW_TICKS_COUNT = 5;
const RECOVERIES_AT_ONCE_COUNT = 4;
const CLOSES_AT_ONCE_COUNT = 32;
/** A replica whose verification meets a storage error this often in a row is taken for damaged. */
const FAILED_VERIFICATIONS_COUNT = 3;

export interface LevelLogsOptions {
  readonly brokerId: BrokerId;
  /** Absolute paths; the first also holds the metadata log. */
  readonly logDirs: readonly string[];
  /** Appends are refused with DISK_FULL below this much free space. Default 256 MiB. */
  readonly freeSpaceReserveBytes?: number;
  /** Asked again and again; default: Kafka's defaults. */
  readonly cleanerConfig?: () => LogCleanerConfig;
}

/** One replica as this broker knows it, open or not. */
interface ReplicaSlot {
  readonly key: string;
  readonly name: ReplicaName;
  readonly directory: DataDirectory;
  readonly path: string;
  /** Opening, failing over and deleting take turns. */
  readonly serial: Serial;
  log: LevelPartitionLog | undefined;
  /** Set while the log is not to be trusted, whatever its clean flag says. */
  suspicion: "tail" | "whole" | undefined;
  failedVerificationsCount: number;
}

interface LoadReport {
  readonly truncated: RecoveryReport["truncated"][number] | undefined;
  readonly quarantined: RecoveryReport["quarantined"][number] | undefined;
}

export class LevelLogs implements Logs {
  readonly cleanShutdownEpoch: BrokerEpoch;
  readonly #ports: Ports;
  readonly #directories: readonly DataDirectory[];
  readonly #pool: StorePool;
  readonly #pending: PendingOperations;
  readonly #shared: SharedResources;
  readonly #slots = new Map<string, ReplicaSlot>();
  readonly #cleaner: LogCleaner;
  readonly #lost = new Map<string, TopicPartition>();
  #tickTimer: Timer | undefined;
  #ticking: Promise<void> = Promise.resolve();
  #ticksCount = 0;
  #tickUnderWay = false;
  #closed = false;

  private constructor(
    ports: Ports,
    directories: readonly DataDirectory[],
    pending: PendingOperations,
    cleanShutdownEpoch: BrokerEpoch,
    cleanerConfig: () => LogCleanerConfig,
  ) {
    this.#ports = ports;
    this.#directories = directories;
    this.#pending = pending;
    this.cleanShutdownEpoch = cleanShutdownEpoch;
    this.#pool = new StorePool(ports, pending);
    this.#cleaner = new LogCleaner(ports, {
      config: cleanerConfig,
      logs: () => this.#cleanerLogs(),
    });
    this.#shared = {
      tailBudget: new TailBudget(),
      pacer: new CommitPacer(ports.clock),
      onCompacted: () => this.#cleaner.begin(),
    };
  }

  /**
   * Takes the directories for this process. Rejects with DIRECTORY_LOCKED, DIRECTORY_FOREIGN,
   * DIRECTORY_DAMAGED, INCONSISTENT_CLUSTER_ID, DISK_FULL or KAFKA_STORAGE_ERROR; then none is kept.
   */
  static async open(ports: Ports, options: LevelLogsOptions): Promise<LevelLogs> {
    assert(options.logDirs.length > 0, "log.dirs names at least one directory");
    const pending = new PendingOperations(ports.clock);
    const directories: DataDirectory[] = [];
    try {
      for (const path of options.logDirs) {
        const reserveBytes = options.freeSpaceReserveBytes ?? FREE_SPACE_RESERVE_BYTES;
        const { brokerId } = options;
        directories.push(
          await DataDirectory.open(ports, { path, brokerId, pending, reserveBytes }),
        );
      }
      await agreeOnIdentity(directories);
      const epochs: BrokerEpoch[] = [];
      for (const directory of directories) epochs.push(await directory.states.takeCleanShutdown());
      const [first] = epochs;
      const epoch = first !== undefined && epochs.every((one) => one === first) ? first : -1;
      const logs = new LevelLogs(
        ports,
        directories,
        pending,
        epoch,
        options.cleanerConfig ?? (() => DEFAULT_LOG_CLEANER_CONFIG),
      );
      await logs.#listReplicas();
      logs.#tickTimer = ports.timers.every(TICK_MS, () => logs.#tick());
      return logs;
    } catch (error) {
      for (const directory of directories) await directory.close().catch(() => undefined);
      throw error;
    }
  }

  get directories(): readonly DirectoryId[] {
    return this.#directories.map(({ id }) => id);
  }

  get clusterId(): ClusterId | undefined {
    return this.#directories[0]?.clusterId;
  }

  get lostReplicas(): readonly TopicPartition[] {
    return [...this.#lost.values()];
  }

  get replicas(): readonly LocalReplica[] {
    return [...this.#slots.values()].map(({ name, directory }) => ({
      ...name,
      directoryId: directory.id,
    }));
  }

  async recover(): Promise<RecoveryReport> {
    const unclean = [...this.#slots.values()].filter((slot) => !this.#isClean(slot));
    const reports: LoadReport[] = [];
    await inParallel(unclean, RECOVERIES_AT_ONCE_COUNT, async (slot) => {
      try {
        reports.push(await slot.serial.run(() => this.#verify(slot)));
      } catch (error) {
        // Not known to be lost: `open` tries again, and until it succeeds the replica is offline.
        slot.suspicion = "tail";
        this.#ports.logger.error("a log could not be verified", {
          replica: slot.key,
          reason: toOttlaError(error).message,
        });
      }
    });
    await this.#pool.closeAll();
    const report: RecoveryReport = {
      verified: reports.length,
      truncated: reports.flatMap(({ truncated }) => truncated ?? []),
      quarantined: reports.flatMap(({ quarantined }) => quarantined ?? []),
    };
    this.#ports.logger.info("logs recovered", {
      verified: report.verified,
      truncated: report.truncated.length,
      quarantined: report.quarantined.length,
      lost: this.#lost.size,
    });
    return report;
  }

  async adoptCluster(clusterId: ClusterId): Promise<void> {
    for (const directory of this.#directories) await directory.adoptCluster(clusterId);
  }

  isLost({ topicId, partition }: TopicPartition): boolean {
    return this.#lost.has(partitionKey(topicId, partition));
  }

  async open(
    replica: ReplicaName,
    config: TopicConfig,
    options = { rebuildable: false },
  ): Promise<PartitionLog> {
    this.#assertOpen();
    const slot = await this.#slotOf(replica);
    return slot.serial.run(async () => {
      this.#assertOpen();
      const existing = slot.log;
      if (existing !== undefined && existing.failure === undefined) {
        existing.configure(config);
        return existing;
      }
      return this.#openSlot(slot, config, options.rebuildable);
    });
  }

  async delete(replica: TopicPartition): Promise<void> {
    const key = partitionKey(replica.topicId, replica.partition);
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    await slot.serial.run(async () => {
      if (this.#slots.get(key) !== slot) return;
      await slot.log?.abandon();
      slot.log = undefined;
      const { directory, path } = slot;
      // The mark first: one that outlived its log would be taken for a lost log at the next start.
      directory.marks.delete(key);
      await directory.marks.write();
      const { files } = this.#ports;
      await files.remove(path + DELETED_SUFFIX);
      await files.rename(path, path + DELETED_SUFFIX);
      await directory.states.forget(key);
      this.#slots.delete(key);
      this.#lost.delete(key);
      await files.remove(path + DELETED_SUFFIX);
    });
  }

  directoryOf(replica: TopicPartition): DirectoryId | undefined {
    return this.#slots.get(partitionKey(replica.topicId, replica.partition))?.directory.id;
  }

  oldestPendingMs(): number {
    return this.#pending.oldestMs();
  }

  openDatabasesCount(): number {
    return this.#pool.openCount + this.#directories.length;
  }

  async spaces(): Promise<readonly DirectorySpace[]> {
    const { files } = this.#ports;
    const out: DirectorySpace[] = [];
    for (const { path: directory } of this.#directories) {
      const freeBytes = await files.freeBytes(directory);
      out.push({ directory, freeBytes, totalBytes: await files.totalBytes(directory) });
    }
    return out;
  }

  async close(options: { readonly cleanShutdownEpoch: BrokerEpoch | undefined }): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#tickTimer?.cancel();
    await this.#ticking;
    await this.#cleaner.close();
    let clean = true;
    await inParallel([...this.#slots.values()], CLOSES_AT_ONCE_COUNT, async (slot) => {
      try {
        await slot.serial.run(async () => slot.log?.close());
      } catch (error) {
        clean = false;
        this.#ports.logger.warn("a log was not closed in order", {
          replica: slot.key,
          reason: toOttlaError(error).message,
        });
      }
    });
    await this.#pool.closeAll();
    const { cleanShutdownEpoch: epoch } = options;
    for (const directory of this.#directories) {
      try {
        await directory.states.flushHighWatermarks();
        await directory.marks.write();
        if (clean && epoch !== undefined) await directory.states.putCleanShutdown(epoch);
      } catch (error) {
        this.#ports.logger.warn("a log directory was not closed in order", {
          directory: directory.path,
          reason: toOttlaError(error).message,
        });
      }
      await directory.close().catch(() => undefined);
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new OttlaError("CLOSED", "the logs are closed");
  }

  async #listReplicas(): Promise<void> {
    for (const directory of this.#directories) {
      const root = `${directory.path}/logs`;
      for (const name of await this.#ports.files.list(root)) {
        if (name.endsWith(DELETED_SUFFIX)) await this.#ports.files.remove(`${root}/${name}`);
        const replica = parseDirectoryName(name);
        if (replica !== undefined) this.#addSlot(replica, directory, `${root}/${name}`);
      }
    }
    for (const directory of this.#directories) {
      for (const key of directory.marks.replicas()) {
        if (this.#slots.has(key)) continue;
        // Vouched for, and its directory is gone: whoever creates it anew must not count on it.
        const at = key.lastIndexOf("-");
        const topicId = key.slice(0, at);
        this.#lost.set(key, { topicId, partition: Number(key.slice(at + 1)) });
      }
    }
  }

  *#cleanerLogs(): Generator<CleanerLog, void, undefined> {
    for (const { key, name, directory, log } of this.#slots.values()) {
      if (log === undefined) continue;
      const { topic, partition } = name;
      yield { key, topic, partition, directory: directory.path, isFull: directory.full, log };
    }
  }

  #addSlot(replica: ReplicaName, directory: DataDirectory, path: string): ReplicaSlot {
    const key = partitionKey(replica.topicId, replica.partition);
    const twin = this.#slots.get(key);
    if (twin !== undefined) {
      throw new OttlaError(
        "DIRECTORY_DAMAGED",
        `replica ${key} lies twice, in ${twin.path} and ${path}`,
        { field: "log.dirs" },
      );
    }
    const topic = directory.states.get(key).head?.topic ?? replica.topic;
    const slot: ReplicaSlot = {
      key,
      name: { ...replica, topic },
      directory,
      path,
      serial: new Serial(),
      log: undefined,
      suspicion: undefined,
      failedVerificationsCount: 0,
    };
    this.#slots.set(key, slot);
    return slot;
  }

  async #slotOf(replica: ReplicaName): Promise<ReplicaSlot> {
    const key = partitionKey(replica.topicId, replica.partition);
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const directory = this.#leastLoadedDirectory();
    const path = `${directory.path}/logs/${directoryName(replica)}`;
    // In the map before any await, so that two openings of one replica meet in one slot.
    const slot = this.#addSlot(replica, directory, path);
    try {
      await slot.serial.run(() => this.#ports.files.makeDirectory(path));
    } catch (error) {
      if (this.#slots.get(key) === slot) this.#slots.delete(key);
      throw error;
    }
    return slot;
  }

  #leastLoadedDirectory(): DataDirectory {
    const counts = new Map<DataDirectory, number>();
    for (const directory of this.#directories) counts.set(directory, 0);
    for (const { directory } of this.#slots.values()) {
      counts.set(directory, (counts.get(directory) ?? 0) + 1);
    }
    const healthy = this.#directories.filter(
      ({ full, states }) => !full && states.failure === undefined,
    );
    const choice = healthy.length > 0 ? healthy : this.#directories;
    return choice.reduce((best, one) =>
      (counts.get(one) as number) < (counts.get(best) as number) ? one : best,
    );
  }

  #isClean({ key, directory }: ReplicaSlot): boolean {
    const { head, damaged } = directory.states.get(key);
    const cleanEnd = head?.cleanEnd ?? undefined;
    if (damaged || head?.cut || cleanEnd === undefined) return false;
    return cleanEnd >= directory.marks.get(key).end;
  }

  #context({ key, name, directory, path }: ReplicaSlot): LogContext {
    return {
      ports: this.#ports,
      pool: this.#pool,
      pending: this.#pending,
      directory,
      replica: name,
      key,
      path,
    };
  }

  async #openSlot(
    slot: ReplicaSlot,
    config: TopicConfig,
    rebuildable: boolean,
  ): Promise<PartitionLog> {
    const failed = slot.log;
    if (failed !== undefined) {
      slot.suspicion = failed.isWholeSuspect || slot.suspicion === "whole" ? "whole" : "tail";
      await failed.abandon();
      slot.log = undefined;
      // What this life vouched for counts, also where the mark on disk is a second behind.
      const { marks } = slot.directory;
      const end = failed.durableEndOffset;
      if (end > marks.get(slot.key).end) {
        marks.set(slot.key, { end, epoch: failed.epochs.epochAt(end - 1) });
      }
    }
    if (slot.directory.states.failure !== undefined) await slot.directory.reopenStates();
    if (slot.suspicion !== undefined) await this.#verify(slot, slot.suspicion, rebuildable);
    const result = await loadLog(this.#context(slot), "trust");
    if (result.type === "damaged") {
      await this.#quarantine(slot, result.reason);
      return this.#openSlot(slot, config, rebuildable);
    }
    this.#noteLost(slot, result.lost);
    const log = new LevelPartitionLog(this.#context(slot), result.log, config, this.#shared);
    slot.log = log;
    if (log.isCompacted) this.#cleaner.begin();
    return log;
  }

  /** What was lost once may have been fetched again: the last look counts. */
  #noteLost({ key, name }: ReplicaSlot, lost: boolean): void {
    if (lost) this.#lost.set(key, name);
    else this.#lost.delete(key);
  }

  async #verify(
    slot: ReplicaSlot,
    mode: LoadMode = "tail",
    rebuildable = false,
  ): Promise<LoadReport> {
    const outcome = await this.#tryLoad(slot, mode, rebuildable);
    slot.suspicion = undefined;
    const { meter } = this.#ports;
    if (outcome.type === "damaged") {
      meter.count("ottla_storage_recoveries_total", { result: "quarantined" }, 1);
      await this.#quarantine(slot, outcome.reason);
      const quarantined = { replica: slot.name, reason: outcome.reason };
      return { truncated: undefined, quarantined };
    }
    this.#noteLost(slot, outcome.lost);
    const { truncated } = outcome;
    const found = outcome.lost ? "lost" : truncated === undefined ? "sound" : "truncated";
    meter.count("ottla_storage_recoveries_total", { result: found }, 1);
    return {
      truncated: truncated === undefined ? undefined : { replica: slot.name, ...truncated },
      quarantined: undefined,
    };
  }

  /** An error of the disk may pass: without another leader this may be the only copy, and is kept. */
  async #tryLoad(
    slot: ReplicaSlot,
    mode: LoadMode,
    rebuildable: boolean,
  ): ReturnType<typeof loadLog> {
    try {
      const result = await loadLog(this.#context(slot), mode);
      slot.failedVerificationsCount = 0;
      return result;
    } catch (error) {
      const { code, message } = toOttlaError(error);
      if (code === "KAFKA_STORAGE_ERROR") slot.failedVerificationsCount++;
      const often = slot.failedVerificationsCount >= FAILED_VERIFICATIONS_COUNT;
      if (!often || !rebuildable) throw error;
      slot.failedVerificationsCount = 0;
      return { type: "damaged", reason: message };
    }
  }

  /** Moves the replica's directory aside, for people to look at; an empty one takes its place. */
  async #quarantine(slot: ReplicaSlot, reason: string): Promise<void> {
    const { files, logger } = this.#ports;
    const { directory, path, key } = slot;
    for (const name of await files.list(path)) await this.#pool.close(`${path}/${name}`);
    const siblings = new Set(await files.list(`${directory.path}/logs`));
    const name = path.slice(path.lastIndexOf("/") + 1);
    let number = 1;
    while (siblings.has(`${name}.quarantined-${number}`)) number++;
    const aside = `${path}.quarantined-${number}`;
    // The mark stays: until the replica holds as much again, every start must call it lost.
    this.#lost.set(key, slot.name);
    directory.marks.forgetEpoch(key);
    await directory.marks.write();
    await files.rename(path, aside);
    await directory.states.forget(key);
    await files.makeDirectory(path);
    logger.error("replica quarantined: it must be rebuilt from its peers", {
      replica: key,
      reason,
      directory: aside,
    });
  }

  #tick(): void {
    if (this.#tickUnderWay || this.#closed) return;
    this.#tickUnderWay = true;
    this.#ticking = this.#work().finally(() => {
      this.#tickUnderWay = false;
    });
  }

  async #work(): Promise<void> {
    const slow = this.#ticksCount++ % SLOW_TICKS_COUNT === 0;
    for (const directory of this.#directories) {
      try {
        if (directory.states.failure !== undefined) throw directory.states.failure;
        await this.#pending.watch(directory.measure());
        // On a full disk nothing is appended that they could tell of, and each failed write of the
        // states would cost a reopening.
        if (directory.full) continue;
        await this.#pending.watch(directory.marks.write());
        await directory.states.flushHighWatermarks();
      } catch (error) {
        this.#failDirectory(directory, error);
      }
    }
    if (!slow) return;
    for (const { log } of this.#slots.values()) {
      // A failure has taken the log offline by itself.
      await log?.settleIfIdle().catch(() => undefined);
    }
    await this.#pool.closeIdle();
  }

  /** States or marks cannot be written: no log of this directory can keep its promises. */
  #failDirectory(directory: DataDirectory, error: unknown): void {
    for (const slot of this.#slots.values()) {
      if (slot.directory === directory) slot.log?.fail(error);
    }
  }
}

async function agreeOnIdentity(directories: readonly DataDirectory[]): Promise<void> {
  const ids = new Set(directories.map(({ id }) => id));
  if (ids.size < directories.length) {
    throw new OttlaError("DIRECTORY_DAMAGED", "two entries of log.dirs have one directory id", {
      field: "log.dirs",
    });
  }
  const known = directories.find(({ clusterId }) => clusterId !== undefined)?.clusterId;
  if (known === undefined) return;
  // A directory that was added to `log.dirs` later joins the cluster of the others.
  for (const directory of directories) await directory.adoptCluster(known);
}

async function inParallel<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
