/** The key-value stores of one incarnation, on its machine's disk. */
import { equalBytes } from "../../../src/base/bytes.ts";
import { OttlaError } from "../../../src/model/errors.ts";
import type {
  Entry,
  EntryIterator,
  KeyRange,
  KeyValueStore,
  KeyValueStores,
  StoreOptions,
  WriteOperation,
} from "../../../src/ports/key-value-store.ts";
import type { SimDisk } from "./sim-disk.ts";
import type { Incarnation } from "./sim-node.ts";
import { type StoreState, withFlippedBit } from "./store-state.ts";

export class SimStores implements KeyValueStores {
  readonly #incarnation: Incarnation;

  constructor(incarnation: Incarnation) {
    this.#incarnation = incarnation;
  }

  open(path: string, options: StoreOptions = {}): Promise<KeyValueStore> {
    const incarnation = this.#incarnation;
    const { disk } = incarnation.node;
    const apply = (): SimStore => {
      if (!incarnation.alive) throw new OttlaError("CLOSED", "the process has ended");
      disk.refuseIfFull(`open ${path}`);
      if (disk.takeFault("open-error", path) !== undefined) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `open ${path}: input/output error`);
      }
      if (disk.takeFault("open-locked", path) !== undefined) {
        throw new OttlaError("DIRECTORY_LOCKED", `${path} is held by another process`);
      }
      const state = disk.store(path, options.createIfMissing ?? true);
      if (state.isOpen) throw new OttlaError("DIRECTORY_LOCKED", `${path} is open already`);
      if (state.damaged || disk.takeFault("open-damaged", path) !== undefined) {
        throw new OttlaError("DIRECTORY_DAMAGED", `${path}: manifest is damaged`);
      }
      state.opened();
      return new SimStore(incarnation, disk, state, path);
    };
    const point = "store-open";
    return disk.operation(incarnation, {
      latency: "syncMs",
      label: "store open",
      path,
      point,
      apply,
    });
  }
}

class SimStore implements KeyValueStore {
  readonly #incarnation: Incarnation;
  readonly #disk: SimDisk;
  readonly #state: StoreState;
  readonly #path: string;
  #closing: Promise<void> | undefined;
  /** When the last write handed over will settle: writes settle in order. */
  #lastSettleMs = 0;
  /** The event in which a write was first refused. */
  #failedInEvent = Number.POSITIVE_INFINITY;

  constructor(incarnation: Incarnation, disk: SimDisk, state: StoreState, path: string) {
    this.#incarnation = incarnation;
    this.#disk = disk;
    this.#state = state;
    this.#path = path;
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#closing !== undefined) return Promise.reject(this.#closed());
    const copy = key.slice();
    return this.#disk.read(this.#incarnation, "get", () => {
      this.#checkRead();
      const known =
        this.#disk.takeFault("stale-read", this.#path) && this.#state.versionBefore(copy);
      const value = known === undefined ? this.#state.get(copy) : known.value;
      if (value === undefined) return undefined;
      const flips = value.length > 0 && this.#disk.takeFault("flipped-read", this.#path);
      return flips ? withFlippedBit(value, this.#disk.prng) : value.slice();
    });
  }

  write(operations: readonly WriteOperation[], options: { readonly sync: boolean }): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(this.#closed());
    if (!this.#incarnation.alive) return new Promise(() => {});
    const copies = operations.map(copyOf);
    const { world } = this.#incarnation;
    // Within that event others may hand over what they had begun before they could know.
    if (world.eventsCount > this.#failedInEvent) this.#disk.onWriteAfterFailure(this.#path);
    const delay = this.#disk.delayMs(options.sync ? "syncMs" : "writeMs");
    const settleMs = Math.max(this.#lastSettleMs, world.nowMs + delay);
    this.#lastSettleMs = settleMs;
    const incarnation = this.#incarnation;
    const { node } = incarnation;
    const kind = options.sync ? "sync" : "write";
    const sizeBytes = bytesOf(copies);
    this.#state.begin(copies);
    incarnation.queueToDisk(sizeBytes);
    node.reach(kind, "issued", this.#path);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        incarnation.queueToDisk(-sizeBytes);
        for (const [index, operation] of operations.entries()) {
          if (!sameOperation(operation, copies[index] as WriteOperation)) {
            world.fail("written bytes stay as they are until the write settles", this.#path);
          }
        }
        try {
          this.#perform(copies, options.sync);
        } catch (thrown) {
          this.#failedInEvent = Math.min(this.#failedInEvent, world.eventsCount);
          reject(thrown);
          return;
        }
        node.reach(kind, "completed", this.#path);
        if (incarnation.alive) resolve();
      };
      const label = options.sync ? "write sync" : "write";
      incarnation.later(settleMs - world.nowMs, "disk", label, () =>
        this.#disk.complete(incarnation, true, settle),
      );
    });
  }

  iterate(range: KeyRange): EntryIterator {
    if (this.#closing !== undefined) throw this.#closed();
    return new SimIterator({
      incarnation: this.#incarnation,
      disk: this.#disk,
      path: this.#path,
      entries: this.#state.snapshot(range),
      check: () => this.#checkRead(),
    });
  }

  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    const incarnation = this.#incarnation;
    const { world, node } = incarnation;
    const delay = Math.max(this.#disk.delayMs("writeMs"), this.#lastSettleMs - world.nowMs);
    node.reach("store-close", "issued", this.#path);
    this.#closing = new Promise((resolve) => {
      const settle = (): void => {
        this.#state.closed();
        node.reach("store-close", "completed", this.#path);
        if (incarnation.alive) resolve();
      };
      incarnation.later(delay, "disk", "store close", () =>
        this.#disk.complete(incarnation, true, settle),
      );
    });
    return this.#closing;
  }

  #perform(operations: readonly WriteOperation[], sync: boolean): void {
    const state = this.#state;
    const disk = this.#disk;
    if (state.refusesWrites) {
      state.failed(operations, false);
      throw this.#storageError("an earlier sync failed");
    }
    if (disk.full) {
      disk.faultsCount++;
      state.failed(operations, false);
      state.loseLaterWrites();
      throw new OttlaError("DISK_FULL", `${this.#path}: no space left on the simulated disk`);
    }
    const writeError = disk.takeFault("write-error", this.#path);
    if (writeError !== undefined) {
      state.failed(operations, writeError.visible ?? disk.prng.chance(1, 2));
      state.loseLaterWrites();
      throw this.#storageError("write failed");
    }
    const syncError = sync ? disk.takeFault("sync-error", this.#path) : undefined;
    if (syncError !== undefined) {
      state.refusesWrites = true;
      state.failed(operations, syncError.visible ?? disk.prng.chance(1, 2));
      throw this.#storageError("sync failed");
    }
    state.perform(operations, sync);
  }

  #checkRead(): void {
    if (this.#closing !== undefined) throw this.#closed();
    if (this.#disk.takeFault("read-error", this.#path) !== undefined) {
      throw this.#storageError("read failed");
    }
  }

  #storageError(reason: string): OttlaError {
    return new OttlaError("KAFKA_STORAGE_ERROR", `${this.#path}: ${reason}`);
  }

  #closed(): OttlaError {
    return new OttlaError("CLOSED", `${this.#path} is closed`);
  }
}

interface SimIteratorOptions {
  readonly incarnation: Incarnation;
  readonly disk: SimDisk;
  readonly path: string;
  readonly entries: readonly Entry[];
  readonly check: () => void;
}

class SimIterator implements EntryIterator {
  readonly #options: SimIteratorOptions;
  #position = 0;
  #closed = false;

  constructor(options: SimIteratorOptions) {
    this.#options = options;
  }

  next(limit: number, maxBytes: number): Promise<readonly Entry[]> {
    const { incarnation, disk, path, entries, check } = this.#options;
    return disk.read(incarnation, "iterate", () => {
      if (this.#closed) throw new OttlaError("CLOSED", "the iterator is closed");
      check();
      const hasMore = this.#position < entries.length;
      if (hasMore && disk.takeFault("short-iterator", path)) this.#position = entries.length;
      const out: Entry[] = [];
      let bytes = 0;
      while (out.length < limit && bytes < maxBytes) {
        const entry = entries[this.#position];
        if (entry === undefined) break;
        this.#position++;
        bytes += entry.key.length + entry.value.length;
        const damaged = entry.value.length > 0 && disk.takeFault("damaged-iterator", path);
        const value = damaged ? withFlippedBit(entry.value, disk.prng) : entry.value.slice();
        out.push({ key: entry.key.slice(), value });
      }
      return out;
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#options.incarnation.promise(0, "disk", "iterator close", () => {});
  }
}

function bytesOf(operations: readonly WriteOperation[]): number {
  let bytes = 0;
  for (const operation of operations) {
    bytes += operation.key.length + (operation.type === "put" ? operation.value.length : 0);
  }
  return bytes;
}

function copyOf(operation: WriteOperation): WriteOperation {
  return operation.type === "put"
    ? { type: "put", key: operation.key.slice(), value: operation.value.slice() }
    : { type: "delete", key: operation.key.slice() };
}

function sameOperation(left: WriteOperation, right: WriteOperation): boolean {
  if (left.type !== right.type || !equalBytes(left.key, right.key)) return false;
  return left.type === "delete" || equalBytes(left.value, (right as typeof left).value);
}
