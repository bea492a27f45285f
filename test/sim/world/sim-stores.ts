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
import type { StoreState } from "./store-state.ts";

export class SimStores implements KeyValueStores {
  readonly #incarnation: Incarnation;

  constructor(incarnation: Incarnation) {
    this.#incarnation = incarnation;
  }

  open(path: string, options: StoreOptions = {}): Promise<KeyValueStore> {
    const incarnation = this.#incarnation;
    const { disk } = incarnation.node;
    return disk.operation(incarnation, "syncMs", "store open", () => {
      if (!incarnation.alive) throw new OttlaError("CLOSED", "the process has ended");
      disk.refuseIfFull(`open ${path}`);
      if (disk.takeFault("open-error")) {
        throw new OttlaError("KAFKA_STORAGE_ERROR", `open ${path}: input/output error`);
      }
      const state = disk.store(path, options.createIfMissing ?? true);
      if (state.isOpen) throw new OttlaError("DIRECTORY_LOCKED", `${path} is open already`);
      if (state.damaged) throw new OttlaError("DIRECTORY_DAMAGED", `${path}: manifest is damaged`);
      state.isOpen = true;
      return new SimStore(incarnation, disk, state, path);
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
    return this.#incarnation.promise(this.#disk.delayMs("readMs"), "disk", "get", () => {
      this.#checkRead();
      return this.#state.get(copy)?.slice();
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
    this.#state.begin(copies);
    const label = options.sync ? "write sync" : "write";
    return this.#incarnation.promise(settleMs - world.nowMs, "disk", label, () => {
      for (const [index, operation] of operations.entries()) {
        if (!sameOperation(operation, copies[index] as WriteOperation)) {
          world.fail("written bytes stay as they are until the write settles", this.#path);
        }
      }
      try {
        this.#perform(copies, options.sync);
      } catch (thrown) {
        this.#failedInEvent = Math.min(this.#failedInEvent, world.eventsCount);
        throw thrown;
      }
    });
  }

  iterate(range: KeyRange): EntryIterator {
    if (this.#closing !== undefined) throw this.#closed();
    return new SimIterator(this.#incarnation, this.#disk, this.#state.snapshot(range), () =>
      this.#checkRead(),
    );
  }

  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    const { world } = this.#incarnation;
    const delay = Math.max(this.#disk.delayMs("writeMs"), this.#lastSettleMs - world.nowMs);
    this.#closing = this.#incarnation.promise(delay, "disk", "store close", () => {
      this.#state.closed();
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
    if (disk.takeFault("write-error")) {
      state.failed(operations, disk.prng.chance(1, 2));
      state.loseLaterWrites();
      throw this.#storageError("write failed");
    }
    if (sync && disk.takeFault("sync-error")) {
      state.refusesWrites = true;
      state.failed(operations, disk.prng.chance(1, 2));
      throw this.#storageError("sync failed");
    }
    state.perform(operations, sync);
  }

  #checkRead(): void {
    if (this.#closing !== undefined) throw this.#closed();
    if (this.#disk.takeFault("read-error")) throw this.#storageError("read failed");
  }

  #storageError(reason: string): OttlaError {
    return new OttlaError("KAFKA_STORAGE_ERROR", `${this.#path}: ${reason}`);
  }

  #closed(): OttlaError {
    return new OttlaError("CLOSED", `${this.#path} is closed`);
  }
}

class SimIterator implements EntryIterator {
  readonly #incarnation: Incarnation;
  readonly #disk: SimDisk;
  readonly #entries: readonly Entry[];
  readonly #check: () => void;
  #position = 0;
  #closed = false;

  constructor(
    incarnation: Incarnation,
    disk: SimDisk,
    entries: readonly Entry[],
    check: () => void,
  ) {
    this.#incarnation = incarnation;
    this.#disk = disk;
    this.#entries = entries;
    this.#check = check;
  }

  next(limit: number, maxBytes: number): Promise<readonly Entry[]> {
    return this.#incarnation.promise(this.#disk.delayMs("readMs"), "disk", "iterate", () => {
      if (this.#closed) throw new OttlaError("CLOSED", "the iterator is closed");
      this.#check();
      const out: Entry[] = [];
      let bytes = 0;
      while (out.length < limit && bytes < maxBytes) {
        const entry = this.#entries[this.#position];
        if (entry === undefined) break;
        this.#position++;
        bytes += entry.key.length + entry.value.length;
        out.push({ key: entry.key.slice(), value: entry.value.slice() });
      }
      return out;
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#incarnation.promise(0, "disk", "iterator close", () => {});
  }
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
