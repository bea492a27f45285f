/**
 * LevelDB behind the key-value port. What it does on damage and full disks was measured, and is why
 * callers close a store after any error: it opens without complaint after losing writes.
 */
import { ClassicLevel } from "classic-level";
import { type ErrorCode, OttlaError } from "../model/errors.ts";
import type {
  Entry,
  EntryIterator,
  KeyRange,
  KeyValueStore,
  KeyValueStores,
  StoreOptions,
  WriteOperation,
} from "../ports/key-value-store.ts";

const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Fewer, larger tables: the default of 2 MiB makes a thousand files of a few gigabytes. */
const TABLE_FILE_BYTES = 64 * 1024 * 1024;
/** Batches are large and the tail cache holds the recent ones: blocks need little cache. */
const BLOCK_CACHE_BYTES = 1024 * 1024;
const OPEN_FILES_COUNT = 200;
/** One hand-over to the thread pool reads about this much: a hand-over costs as much as a batch. */
const READ_AHEAD_BYTES = 256 * 1024;
const READ_ENTRIES_COUNT = 1_000;

type Database = ClassicLevel<Uint8Array, Uint8Array>;

export const levelStores: KeyValueStores = {
  async open(path: string, options: StoreOptions = {}): Promise<KeyValueStore> {
    const database: Database = new ClassicLevel(path, {
      keyEncoding: "view",
      valueEncoding: "view",
      createIfMissing: options.createIfMissing ?? true,
      compression: false,
      writeBufferSize: options.writeBufferBytes ?? WRITE_BUFFER_BYTES,
      maxFileSize: TABLE_FILE_BYTES,
      cacheSize: BLOCK_CACHE_BYTES,
      maxOpenFiles: OPEN_FILES_COUNT,
    });
    try {
      await database.open();
    } catch (error) {
      throw storageError(error, `open ${path}`);
    }
    return new LevelStore(database, path);
  },
};

class LevelStore implements KeyValueStore {
  readonly #database: Database;
  readonly #path: string;
  readonly #iterators = new Set<LevelIterator>();
  /** Calls under way: native code must not see its database closed beneath it. */
  #pending = 0;
  #idle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(database: Database, path: string) {
    this.#database = database;
    this.#path = path;
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.run("get", async () => {
      const value = await this.#database.get(key);
      return value === undefined ? undefined : plainBytes(value);
    });
  }

  write(operations: readonly WriteOperation[], options: { readonly sync: boolean }): Promise<void> {
    return this.run("write", () => {
      const only = operations.length === 1 ? operations[0] : undefined;
      if (only?.type === "put")
        return this.#database.put(only.key, only.value, { sync: options.sync });
      return this.#database.batch(
        operations.map((operation) =>
          operation.type === "put"
            ? { type: "put", key: operation.key, value: operation.value }
            : { type: "del", key: operation.key },
        ),
        { sync: options.sync },
      );
    });
  }

  iterate(range: KeyRange): EntryIterator {
    this.#assertOpen();
    const iterator = new LevelIterator(this, this.#database, range, () => {
      this.#iterators.delete(iterator);
    });
    this.#iterators.add(iterator);
    return iterator;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async run<Result>(what: string, call: () => Promise<Result>): Promise<Result> {
    this.#assertOpen();
    this.#pending++;
    try {
      return await call();
    } catch (error) {
      throw storageError(error, `${what} in ${this.#path}`);
    } finally {
      this.#pending--;
      if (this.#pending === 0) this.#idle?.();
    }
  }

  async #close(): Promise<void> {
    if (this.#pending > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    for (const iterator of [...this.#iterators]) await iterator.close();
    try {
      await this.#database.close();
    } catch (error) {
      throw storageError(error, `close ${this.#path}`);
    }
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new OttlaError("CLOSED", `${this.#path} is closed`);
  }
}

class LevelIterator implements EntryIterator {
  readonly #store: LevelStore;
  readonly #iterator: ReturnType<typeof iteratorOf>;
  readonly #onClose: () => void;
  /** Read from LevelDB, not yet asked for. */
  #ahead: [Uint8Array, Uint8Array][] = [];
  #left: number;
  #closing: Promise<void> | undefined;

  constructor(store: LevelStore, database: Database, range: KeyRange, onClose: () => void) {
    this.#store = store;
    this.#onClose = onClose;
    this.#left = range.limit ?? Number.POSITIVE_INFINITY;
    this.#iterator = iteratorOf(database, range);
  }

  async next(limit: number, maxBytes: number): Promise<readonly Entry[]> {
    if (this.#closing !== undefined) throw new OttlaError("CLOSED", "the iterator is closed");
    return this.#store.run("iterate", async () => {
      const entries: Entry[] = [];
      let bytes = 0;
      while (entries.length < limit && this.#left > 0 && bytes < maxBytes) {
        if (this.#ahead.length === 0) {
          const wanted = Math.min(this.#left, limit - entries.length, READ_ENTRIES_COUNT);
          this.#ahead = (await this.#iterator.nextv(wanted)).reverse();
        }
        const entry = this.#ahead.pop();
        if (entry === undefined) break;
        const [key, value] = entry;
        entries.push({ key: plainBytes(key), value: plainBytes(value) });
        bytes += key.length + value.length;
        this.#left--;
      }
      return entries;
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#iterator.close().finally(this.#onClose);
    return this.#closing;
  }
}

function iteratorOf(database: Database, range: KeyRange) {
  return database.iterator<Uint8Array, Uint8Array>({
    ...(range.gte === undefined ? {} : { gte: range.gte }),
    ...(range.lt === undefined ? {} : { lt: range.lt }),
    reverse: range.reverse ?? false,
    fillCache: false,
    highWaterMarkBytes: READ_AHEAD_BYTES,
  });
}

/** LevelDB gives Buffers, whose `slice` is a view where that of a Uint8Array is a copy. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === "string") codes.push(code);
  }
  return codes;
}

function storageError(error: unknown, what: string): OttlaError {
  if (error instanceof OttlaError) return error;
  const codes = codesOf(error);
  const text = deepestMessage(error);
  let code: ErrorCode = "KAFKA_STORAGE_ERROR";
  if (codes.includes("LEVEL_LOCKED")) code = "DIRECTORY_LOCKED";
  else if (codes.includes("LEVEL_CORRUPTION")) code = "DIRECTORY_DAMAGED";
  else if (/no space left|disk quota/i.test(text)) code = "DISK_FULL";
  return new OttlaError(code, `cannot ${what}: ${text}`, { cause: error });
}

function deepestMessage(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  return at instanceof Error ? at.message : String(at);
}
