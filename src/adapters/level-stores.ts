/**
 * LevelDB behind the key-value port. What LevelDB leaves open is closed here: overlapping writes
 * run on several threads in any order, so each waits for the one before; after a failed write the
 * log may lose later ones without a word, so none is let through; nothing reaches the native side
 * once closing has begun, because using a closed database there ends the process; a sync covers
 * only the newest log of a database, so that older ones with writes not synced are synced here.
 */
import { access, open, readdir } from "node:fs/promises";
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
import { isMissing, makeDurableDirectory, syncDirectory } from "./durable-directory.ts";

const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Fewer, larger tables: batches come in key order, so that tables are moved, never merged. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** Of one database; a broker has hundreds. */
const OPEN_FILES = 64;
/** Tables are mapped into memory, where this cache is not used; it serves those beyond the limit. */
const CACHE_BYTES = 512 * 1024;
/** What an iterator reads ahead at most, beside one entry. */
const ITERATOR_BYTES = 256 * 1024;

type Level = ClassicLevel<Uint8Array, Uint8Array>;
type LevelIterator = ReturnType<typeof iterate>;

export const levelStores: KeyValueStores = {
  async open(path: string, options: StoreOptions = {}): Promise<KeyValueStore> {
    const createIfMissing = options.createIfMissing ?? true;
    try {
      const isNew = createIfMissing && !(await exists(`${path}/CURRENT`));
      if (isNew) await makeDurableDirectory(path);
      const level: Level = new ClassicLevel<Uint8Array, Uint8Array>(path, {
        keyEncoding: "view",
        valueEncoding: "view",
        compression: false,
        cacheSize: CACHE_BYTES,
        maxFileSize: MAX_FILE_BYTES,
        maxOpenFiles: OPEN_FILES,
        writeBufferSize: options.writeBufferBytes ?? WRITE_BUFFER_BYTES,
        createIfMissing,
      });
      await level.open();
      // LevelDB syncs its files, and the directory only with each new manifest.
      if (isNew) await syncDirectory(path);
      return new LevelStore(level, path);
    } catch (thrown) {
      throw levelError(thrown, `cannot open ${path}`);
    }
  },
};

/**
 * When its memory is full LevelDB begins a new log and closes the old one without syncing it; until
 * a table of those writes is durable, in the background, the old log is all that holds them, and
 * syncing the new one does nothing for them. A log that is gone was removed after its table.
 */
async function syncOlderLogs(path: string): Promise<void> {
  const logs = (await readdir(path)).filter((name) => LOG_NAME.test(name)).sort(byNumber);
  for (const name of logs.slice(0, -1)) {
    try {
      const handle = await open(`${path}/${name}`, "r+");
      try {
        await handle.datasync();
      } finally {
        await handle.close();
      }
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
    }
  }
}

const LOG_NAME = /^\d+\.log$/;

function byNumber(left: string, right: string): number {
  return Number.parseInt(left, 10) - Number.parseInt(right, 10);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

class LevelStore implements KeyValueStore {
  readonly #level: Level;
  readonly #path: string;
  readonly #iterators = new Set<LevelEntryIterator>();
  /** Calls on the native side; `close` waits for them. */
  readonly #running = new Set<Promise<unknown>>();
  #lastWrite: Promise<void> = Promise.resolve();
  #failure: OttlaError | undefined;
  /** Writes have settled that no sync has covered. */
  #hasUnsynced = false;
  #closing: Promise<void> | undefined;

  constructor(level: Level, path: string) {
    this.#level = level;
    this.#path = path;
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    try {
      const value = await this.#run(this.#level.get(key));
      return value === undefined ? undefined : plain(value);
    } catch (thrown) {
      throw levelError(thrown, `cannot read ${this.#path}`);
    }
  }

  write(operations: readonly WriteOperation[], options: { readonly sync: boolean }): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(this.#closed());
    const before = this.#lastWrite;
    const write = this.#run(this.#write(before, operations, options.sync));
    this.#lastWrite = write.catch(() => undefined);
    return write;
  }

  iterate(range: KeyRange): EntryIterator {
    this.#checkOpen();
    const iterator = new LevelEntryIterator(iterate(this.#level, range), this.#path, () =>
      this.#iterators.delete(iterator),
    );
    this.#iterators.add(iterator);
    return iterator;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #write(
    before: Promise<void>,
    operations: readonly WriteOperation[],
    sync: boolean,
  ): Promise<void> {
    await before;
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const [first] = operations;
      if (operations.length === 1 && first?.type === "put") {
        await this.#level.put(first.key, first.value, { sync });
      } else {
        await this.#level.batch(operations.map(levelOperation), { sync });
      }
      if (sync && this.#hasUnsynced) await syncOlderLogs(this.#path);
      this.#hasUnsynced = !sync;
    } catch (thrown) {
      this.#failure = levelError(thrown, `cannot write ${this.#path}`);
      throw this.#failure;
    }
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#running);
    await Promise.allSettled([...this.#iterators].map((iterator) => iterator.close()));
    try {
      await this.#level.close();
    } catch (thrown) {
      throw levelError(thrown, `cannot close ${this.#path}`);
    }
  }

  async #run<Value>(call: Promise<Value>): Promise<Value> {
    this.#running.add(call);
    try {
      return await call;
    } finally {
      this.#running.delete(call);
    }
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw this.#closed();
  }

  #closed(): OttlaError {
    return new OttlaError("CLOSED", `${this.#path} is closed`);
  }
}

class LevelEntryIterator implements EntryIterator {
  readonly #iterator: LevelIterator;
  readonly #path: string;
  readonly #onClose: () => void;
  /** Read from LevelDB and not yet handed out, from `#from` on. */
  #ahead: readonly [Uint8Array, Uint8Array][] = [];
  #from = 0;
  #running: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(iterator: LevelIterator, path: string, onClose: () => void) {
    this.#iterator = iterator;
    this.#path = path;
    this.#onClose = onClose;
  }

  async next(limit: number, maxBytes: number): Promise<readonly Entry[]> {
    if (this.#closing !== undefined) {
      throw new OttlaError("CLOSED", `an iterator of ${this.#path} is closed`);
    }
    // One at a time: LevelDB's iterator is busy until it has answered.
    const call = this.#running.then(() => this.#next(limit, maxBytes));
    this.#running = call.catch(() => undefined);
    return await call;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #next(limit: number, maxBytes: number): Promise<readonly Entry[]> {
    const out: Entry[] = [];
    let bytes = 0;
    while (out.length < limit && bytes < maxBytes) {
      if (this.#from === this.#ahead.length) {
        if ((await this.#readAhead(limit - out.length)) === 0) break;
        continue;
      }
      const [key, value] = this.#ahead[this.#from++] as [Uint8Array, Uint8Array];
      bytes += key.length + value.length;
      out.push({ key: plain(key), value: plain(value) });
    }
    return out;
  }

  async #readAhead(count: number): Promise<number> {
    try {
      this.#ahead = await this.#iterator.nextv(Math.min(count, READ_AHEAD_COUNT));
    } catch (thrown) {
      throw levelError(thrown, `cannot read ${this.#path}`);
    }
    this.#from = 0;
    return this.#ahead.length;
  }

  async #close(): Promise<void> {
    await this.#running;
    this.#onClose();
    this.#ahead = [];
    this.#from = 0;
    await this.#iterator.close();
  }
}

function iterate(level: Level, { gte, lt, reverse, limit }: KeyRange) {
  return level.iterator<Uint8Array, Uint8Array>({
    ...(gte === undefined ? {} : { gte }),
    ...(lt === undefined ? {} : { lt }),
    reverse: reverse ?? false,
    limit: limit ?? -1,
    fillCache: false,
    highWaterMarkBytes: ITERATOR_BYTES,
  });
}

function levelOperation(operation: WriteOperation) {
  return operation.type === "put" ? operation : { type: "del" as const, key: operation.key };
}

/** Small entries: how many come from LevelDB in one call. */
const READ_AHEAD_COUNT = 1_000;

/** The `slice` of a `Buffer` shares its bytes, where everybody expects a copy. */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** LevelDB's errors have a code, or only a text from the operating system; the cause says which. */
function levelError(thrown: unknown, what: string): OttlaError {
  if (thrown instanceof OttlaError) return thrown;
  const cause = (thrown as { readonly cause?: unknown }).cause ?? thrown;
  const { code } = cause as { readonly code?: unknown };
  const message = cause instanceof Error ? cause.message : String(cause);
  return new OttlaError(errorCode(code, message), `${what}: ${message}`, { cause: thrown });
}

function errorCode(code: unknown, message: string): ErrorCode {
  if (/no space left on device|disk quota exceeded/i.test(message)) return "DISK_FULL";
  if (code === "ENOSPC" || code === "EDQUOT") return "DISK_FULL";
  if (code === "LEVEL_LOCKED") return "DIRECTORY_LOCKED";
  if (code === "LEVEL_CORRUPTION") return "DIRECTORY_DAMAGED";
  return "KAFKA_STORAGE_ERROR";
}
