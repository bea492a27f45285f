/** The few things that Ottla does with files beside LevelDB. Paths are absolute, `/`-separated. */
export interface Files {
  /** Undefined if there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>;
  /**
   * Replaces the file's whole content so that after a crash or power loss either the old or the
   * new is there: temporary file, fsync, rename, fsync of the directory.
   */
  replace(path: string, content: Uint8Array): Promise<void>;
  /** Names in a directory, sorted; empty if there is no such directory. */
  list(path: string): Promise<readonly string[]>;
  makeDirectory(path: string): Promise<void>;
  /** Durable once settled. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a whole directory; nothing happens if it is missing. */
  remove(path: string): Promise<void>;
  /** Sizes of all files below, in sum; 0 if missing. */
  sizeBytes(path: string): Promise<number>;
  /** Bytes that can still be written in the file system of `path`. */
  freeBytes(path: string): Promise<number>;
  /** Size of the file system of `path`. */
  totalBytes(path: string): Promise<number>;
  /** Takes the directory for this process alone; rejects with DIRECTORY_LOCKED. */
  lock(path: string): Promise<FileLock>;
  openSlotFile(path: string): Promise<SlotFile>;
}

export interface FileLock {
  release(): Promise<void>;
}

/**
 * A small value that is rewritten in place, often: two slots in turn, each with sequence and
 * CRC-32C, one fdatasync a write. After a crash during `write` the older value is read.
 */
export interface SlotFile {
  /** The newest whole value; undefined if none was ever written. At most 4,000 bytes. */
  read(): Uint8Array | undefined;
  /** Settles when `value` survives power loss. Calls must not overlap. */
  write(value: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
