/**
 * The segment databases of one broker: opened on first use, closed when idle, their write buffers
 * cut from one budget. A database is never closed under somebody who uses it, nor used once its
 * closing has begun (a native store may crash the process otherwise).
 */
import { assert } from "../base/assert.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { KeyValueStore, KeyValueStores } from "../ports/key-value-store.ts";
import type { Logger } from "../ports/logger.ts";
import type { PendingOperations } from "./pending-operations.ts";

/** All write buffers together; each database may hold two of its own (LevelDB: one more in flight). */
const WRITE_BUFFERS_BYTES = 128 * 1024 * 1024;
const WRITE_BUFFER_BYTES_MAX = 4 * 1024 * 1024;
const WRITE_BUFFER_BYTES_MIN = 256 * 1024;
/** Above this the one unused longest is closed before another is opened. */
const OPEN_STORES_COUNT = 1_000;
const IDLE_ACTIVE_MS = 60_000;
const IDLE_SEALED_MS = 10_000;

export interface StoreUse {
  /** The segment is appended to; a sealed one needs no write buffer and is closed earlier. */
  readonly active: boolean;
  /** Else a missing database is an error: a reader must never make an empty one. */
  readonly create: boolean;
  /**
   * Asked in the turn in which the database would be opened: true if its segment left the log
   * meanwhile. LevelDB makes the directory that it does not find, and that would pass for a segment.
   */
  readonly isGone?: () => boolean;
}

interface PooledStore {
  readonly opening: Promise<KeyValueStore>;
  usersCount: number;
  lastUsedMs: number;
  active: boolean;
  /** Set once closing has begun. */
  closing: Promise<void> | undefined;
  onUnused: () => void;
}

export interface StorePoolPorts {
  readonly stores: KeyValueStores;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class StorePool {
  readonly #ports: StorePoolPorts;
  readonly #pending: PendingOperations;
  /** In order of last use. */
  readonly #stores = new Map<string, PooledStore>();
  /** Nobody uses what lies here until the promise settles. */
  readonly #gates = new Map<string, Promise<void>>();

  constructor(ports: StorePoolPorts, pending: PendingOperations) {
    this.#ports = ports;
    this.#pending = pending;
  }

  get openCount(): number {
    return this.#stores.size;
  }

  /**
   * Runs `work` with the database at `path`, which stays open until it settles. Rejects with CLOSED
   * if the segment is gone.
   */
  async use<Result>(
    path: string,
    use: StoreUse,
    work: (store: KeyValueStore) => Promise<Result>,
  ): Promise<Result> {
    let pooled = this.#stores.get(path);
    for (;;) {
      const busy = this.#gates.get(path) ?? pooled?.closing;
      if (busy === undefined) break;
      await busy;
      pooled = this.#stores.get(path);
    }
    if (use.isGone?.() === true) throw new OttlaError("CLOSED", `${path} is gone`);
    if (pooled === undefined) pooled = this.#open(path, use);
    pooled.usersCount++;
    pooled.active = use.active;
    try {
      const store = await pooled.opening;
      try {
        return await this.#pending.watch(work(store));
      } catch (error) {
        // Whoever was refused, it is this handle that must not be written to again: after a failed
        // write LevelDB takes later ones, synced ones too, and has lost them at the next opening.
        if (toOttlaError(error).code !== "CORRUPT_MESSAGE") {
          pooled.closing ??= this.#finish(path, pooled);
        }
        throw error;
      }
    } finally {
      pooled.usersCount--;
      pooled.lastUsedMs = this.#ports.clock.monotonicMs();
      if (this.#stores.get(path) === pooled && pooled.closing === undefined) {
        this.#stores.delete(path);
        this.#stores.set(path, pooled);
      }
      if (pooled.usersCount === 0) pooled.onUnused();
    }
  }

  /** Closes the database if it is open, once its users are done. Never rejects. */
  async close(path: string): Promise<void> {
    const pooled = this.#stores.get(path);
    if (pooled === undefined) return;
    pooled.closing ??= this.#finish(path, pooled);
    await pooled.closing;
  }

  /** Runs `work` while the databases at `paths` are closed; whoever wants one waits. */
  async withClosed(paths: readonly string[], work: () => Promise<void>): Promise<void> {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    for (const path of paths) {
      assert(!this.#gates.has(path), `${path} is closed for one at a time`);
      this.#gates.set(path, gate);
    }
    try {
      await Promise.all(paths.map((path) => this.close(path)));
      await work();
    } finally {
      for (const path of paths) this.#gates.delete(path);
      open();
    }
  }

  /** Closes what nobody has used for a while. */
  async closeIdle(): Promise<void> {
    const nowMs = this.#ports.clock.monotonicMs();
    const closing: Promise<void>[] = [];
    for (const [path, pooled] of this.#stores) {
      if (pooled.usersCount > 0 || pooled.closing !== undefined) continue;
      const idleMs = pooled.active ? IDLE_ACTIVE_MS : IDLE_SEALED_MS;
      if (nowMs - pooled.lastUsedMs >= idleMs) closing.push(this.close(path));
    }
    await Promise.all(closing);
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#stores.keys()].map((path) => this.close(path)));
  }

  #open(path: string, use: StoreUse): PooledStore {
    this.#makeRoom();
    const share = Math.floor(WRITE_BUFFERS_BYTES / (this.#stores.size + 1));
    const writeBufferBytes = use.active
      ? Math.min(WRITE_BUFFER_BYTES_MAX, Math.max(WRITE_BUFFER_BYTES_MIN, share))
      : WRITE_BUFFER_BYTES_MIN;
    const opening = this.#pending.watch(
      this.#ports.stores.open(path, { writeBufferBytes, createIfMissing: use.create }),
    );
    const pooled: PooledStore = {
      opening,
      usersCount: 0,
      lastUsedMs: this.#ports.clock.monotonicMs(),
      active: use.active,
      closing: undefined,
      onUnused: () => undefined,
    };
    this.#stores.set(path, pooled);
    opening.catch(() => {
      if (this.#stores.get(path) === pooled) this.#stores.delete(path);
    });
    return pooled;
  }

  #makeRoom(): void {
    if (this.#stores.size < OPEN_STORES_COUNT) return;
    for (const [path, pooled] of this.#stores) {
      if (pooled.usersCount > 0 || pooled.closing !== undefined) continue;
      pooled.closing = this.#finish(path, pooled);
      return;
    }
  }

  async #finish(path: string, pooled: PooledStore): Promise<void> {
    if (pooled.usersCount > 0) {
      await new Promise<void>((resolve) => {
        pooled.onUnused = resolve;
      });
    }
    try {
      const store = await pooled.opening;
      await this.#pending.watch(store.close());
    } catch (error) {
      // A store that failed may fail to close, too: reopening it will tell.
      this.#ports.logger.warn("a database did not close", { path, error: String(error) });
    } finally {
      if (this.#stores.get(path) === pooled) this.#stores.delete(path);
    }
  }
}
