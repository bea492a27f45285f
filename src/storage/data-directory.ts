/**
 * One entry of `log.dirs`: whose it is (`meta.json`), the lock that keeps other processes out, the
 * replicas' remembered states, the durable marks, and whether there is room left.
 */
import { text, utf8 } from "../base/bytes.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { type BrokerId, type ClusterId, type DirectoryId, uuidFrom } from "../model/ids.ts";
import type { FileLock } from "../ports/files.ts";
import type { Ports } from "../ports/ports.ts";
import { DurableMarks } from "./durable-marks.ts";
import type { LogDirectory } from "./log-context.ts";
import type { PendingOperations } from "./pending-operations.ts";
import { ReplicaStates } from "./replica-states.ts";
import { storageError } from "./storage-error.ts";

const FORMAT_VERSION = 1;
/**
 * Appends stop below this much free space. It must hold what is under way and what LevelDB writes
 * for it: queues are bounded, but every byte is written twice, and a full disk costs a reopening of
 * every database that met it.
 */
export const FREE_SPACE_RESERVE_BYTES = 256 * 1024 * 1024;
/** Free space is measured again after this much was written, and now and then. */
const MEASURE_AFTER_BYTES = 32 * 1024 * 1024;
/** A stopping process may still hold the lock for a moment. */
const LOCK_PATIENCE_MS = 2_000;
const LOCK_RETRY_MS = 100;

interface DirectoryMeta {
  readonly version: number;
  readonly brokerId: BrokerId;
  readonly directoryId: DirectoryId;
  readonly clusterId: ClusterId | null;
}

export interface DataDirectoryOptions {
  readonly path: string;
  readonly brokerId: BrokerId;
  readonly pending: PendingOperations;
  readonly reserveBytes: number;
}

export class DataDirectory implements LogDirectory {
  readonly path: string;
  readonly marks: DurableMarks;
  readonly #ports: Ports;
  readonly #options: DataDirectoryOptions;
  readonly #lock: FileLock;
  #meta: DirectoryMeta;
  #states: ReplicaStates;
  #full = false;
  #unmeasuredBytes = 0;
  #measuring = false;

  private constructor(
    ports: Ports,
    options: DataDirectoryOptions,
    parts: {
      readonly lock: FileLock;
      readonly meta: DirectoryMeta;
      readonly states: ReplicaStates;
      readonly marks: DurableMarks;
    },
  ) {
    this.#ports = ports;
    this.#options = options;
    this.path = options.path;
    this.#lock = parts.lock;
    this.#meta = parts.meta;
    this.#states = parts.states;
    this.marks = parts.marks;
  }

  /**
   * Takes the directory, making it if it is not there. Rejects with DIRECTORY_LOCKED,
   * DIRECTORY_FOREIGN, DIRECTORY_DAMAGED, DISK_FULL or KAFKA_STORAGE_ERROR.
   */
  static async open(ports: Ports, options: DataDirectoryOptions): Promise<DataDirectory> {
    const { path } = options;
    await ports.files.makeDirectory(path);
    const lock = await takeLock(ports, path);
    try {
      const meta = await readOrMakeMeta(ports, options);
      await ports.files.makeDirectory(`${path}/logs`);
      const { crc32c } = ports.codecs;
      const marks = await DurableMarks.open({ files: ports.files, crc32c, path: `${path}/marks` });
      if (marks.damaged) {
        ports.logger.error("durable marks are damaged: logs not closed in order count as lost", {
          directory: path,
        });
      }
      const states = await openStates(ports, options);
      const directory = new DataDirectory(ports, options, { lock, meta, states, marks });
      await directory.measure();
      return directory;
    } catch (error) {
      await lock.release();
      throw storageErrorOrRefusal(error, path);
    }
  }

  get id(): DirectoryId {
    return this.#meta.directoryId;
  }

  get clusterId(): ClusterId | undefined {
    return this.#meta.clusterId ?? undefined;
  }

  get states(): ReplicaStates {
    return this.#states;
  }

  get full(): boolean {
    return this.#full;
  }

  async adoptCluster(clusterId: ClusterId): Promise<void> {
    const known = this.clusterId;
    if (known === clusterId) return;
    if (known !== undefined) {
      throw new OttlaError(
        "INCONSISTENT_CLUSTER_ID",
        `${this.path} belongs to cluster ${known}, not to ${clusterId}`,
      );
    }
    const meta = { ...this.#meta, clusterId };
    await writeMeta(this.#ports, this.path, meta);
    this.#meta = meta;
  }

  noteWritten(bytes: number): void {
    this.#unmeasuredBytes += bytes;
    if (this.#unmeasuredBytes < MEASURE_AFTER_BYTES || this.#measuring) return;
    this.measure().catch((error: unknown) => this.#unmeasurable(error));
  }

  /** Compares the free space with the reserve. A quarter more is wanted before appends go on. */
  async measure(): Promise<void> {
    this.#unmeasuredBytes = 0;
    this.#measuring = true;
    try {
      const freeBytes = await this.#ports.files.freeBytes(this.path);
      const { reserveBytes } = this.#options;
      const full = freeBytes < (this.#full ? reserveBytes * 1.25 : reserveBytes);
      if (full !== this.#full) {
        const report = { directory: this.path, freeBytes, reserveBytes };
        if (full) this.#ports.logger.warn("disk is full: nothing is appended", report);
        else this.#ports.logger.info("disk has room again", report);
      }
      this.#full = full;
    } finally {
      this.#measuring = false;
    }
  }

  /** The remembered states failed: opens them anew, from what is on disk. */
  async reopenStates(): Promise<void> {
    await this.#states.close().catch(() => undefined);
    this.#states = await openStates(this.#ports, this.#options);
  }

  async close(): Promise<void> {
    try {
      await this.#states.close();
    } finally {
      await this.#lock.release();
    }
  }

  #unmeasurable(error: unknown): void {
    const { message } = toOttlaError(error);
    this.#ports.logger.warn("free space is unknown", { directory: this.path, reason: message });
  }
}

async function takeLock(ports: Ports, path: string): Promise<FileLock> {
  const { clock, files, timers } = ports;
  const deadlineMs = clock.monotonicMs() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      return await files.lock(path);
    } catch (error) {
      const locked = toOttlaError(error).code === "DIRECTORY_LOCKED";
      if (!locked || clock.monotonicMs() >= deadlineMs) throw error;
      await timers.sleep(LOCK_RETRY_MS);
    }
  }
}

async function openStates(ports: Ports, options: DataDirectoryOptions): Promise<ReplicaStates> {
  return ReplicaStates.open({
    stores: ports.stores,
    crc32c: ports.codecs.crc32c,
    pending: options.pending,
    path: `${options.path}/broker`,
    createIfMissing: true,
  });
}

async function readOrMakeMeta(ports: Ports, options: DataDirectoryOptions): Promise<DirectoryMeta> {
  const { path, brokerId } = options;
  const content = await ports.files.read(`${path}/meta.json`);
  if (content === undefined) {
    for (const part of ["logs", "broker", "raft"]) {
      if ((await ports.files.list(`${path}/${part}`)).length === 0) continue;
      throw new OttlaError("DIRECTORY_DAMAGED", `${path} holds ${part} but no meta.json`);
    }
    const directoryId = uuidFrom(ports.random.bytes(16));
    const meta = { version: FORMAT_VERSION, brokerId, directoryId, clusterId: null };
    await writeMeta(ports, path, meta);
    return meta;
  }
  const meta = parseMeta(content);
  if (meta === undefined) {
    throw new OttlaError("DIRECTORY_DAMAGED", `${path}/meta.json is not what Ottla writes`);
  }
  if (meta.version !== FORMAT_VERSION) {
    throw new OttlaError(
      "DIRECTORY_DAMAGED",
      `${path}/meta.json: format version is ${meta.version}, this release reads ${FORMAT_VERSION}`,
    );
  }
  if (meta.brokerId !== brokerId) {
    throw new OttlaError(
      "DIRECTORY_FOREIGN",
      `${path} belongs to broker ${meta.brokerId}, this is broker ${brokerId}`,
      { field: "log.dirs" },
    );
  }
  return meta;
}

function parseMeta(content: Uint8Array): DirectoryMeta | undefined {
  try {
    const value = JSON.parse(text(content)) as Partial<DirectoryMeta> | null;
    const { version, brokerId, directoryId, clusterId } = value ?? {};
    if (typeof version !== "number" || typeof brokerId !== "number") return undefined;
    if (typeof directoryId !== "string" || directoryId === "") return undefined;
    if (clusterId !== null && typeof clusterId !== "string") return undefined;
    return { version, brokerId, directoryId, clusterId };
  } catch {
    return undefined;
  }
}

async function writeMeta(ports: Ports, path: string, meta: DirectoryMeta): Promise<void> {
  await ports.files.replace(`${path}/meta.json`, utf8(`${JSON.stringify(meta, undefined, 2)}\n`));
}

function storageErrorOrRefusal(error: unknown, path: string): OttlaError {
  return error instanceof OttlaError ? error : storageError(error, path);
}
