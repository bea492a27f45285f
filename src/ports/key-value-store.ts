/**
 * An ordered store of bytes: LevelDB, or the simulator's model of it. Keys are compared as
 * unsigned bytes.
 *
 * What an implementation promises, and its conformance suite checks:
 * - a `write` is atomic: after a crash all of it is there or none;
 * - `sync: true` settles only when this write and all earlier ones of this store survive power loss;
 * - `sync: false` survives the death of the process, not of the machine;
 * - a rejected write means *unknown*: it may be there after reopening. The caller must close and
 *   reopen (LevelDB loses later writes silently after a full disk);
 * - what is handed to `write` is not touched by the store after it settles, and must not be
 *   changed by the caller before;
 * - after `close` has begun every call rejects with CLOSED.
 */
export type WriteOperation =
  | { readonly type: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: "delete"; readonly key: Uint8Array };

export interface KeyRange {
  /** First key of the range, inclusive; absent: from the first key. */
  readonly gte?: Uint8Array;
  /** End of the range, exclusive; absent: to the last key. */
  readonly lt?: Uint8Array;
  /** Default false: ascending. */
  readonly reverse?: boolean;
  /** Most entries to return; default: no bound. */
  readonly limit?: number;
}

export interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A frozen view; must be closed before its store. */
export interface EntryIterator {
  /** Up to `limit` next entries whose sizes sum to about `maxBytes`; empty at the end. */
  next(limit: number, maxBytes: number): Promise<readonly Entry[]>;
  close(): Promise<void>;
}

export interface KeyValueStore {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  write(operations: readonly WriteOperation[], options: { readonly sync: boolean }): Promise<void>;
  iterate(range: KeyRange): EntryIterator;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** Bytes of writes held in memory before they become a table. Default 4 MiB. */
  readonly writeBufferBytes?: number;
  /** Default true. */
  readonly createIfMissing?: boolean;
}

export interface KeyValueStores {
  /**
   * Opens the store in directory `path`. Rejects with DIRECTORY_LOCKED if another process has it,
   * DIRECTORY_DAMAGED if the store says that it is corrupt, DISK_FULL, or KAFKA_STORAGE_ERROR.
   */
  open(path: string, options?: StoreOptions): Promise<KeyValueStore>;
}
