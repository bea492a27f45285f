/**
 * One process per data directory. The lock is LevelDB's, on a database that holds nothing: a lock
 * of the kernel, which ends with the process however it dies, and which holds between containers
 * that share a volume. A file with a process id would do neither: after kill -9 the id may belong
 * to somebody else, and in a container every broker may be process 1.
 */
import { rm } from "node:fs/promises";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { FileLock } from "../ports/files.ts";
import type { KeyValueStore } from "../ports/key-value-store.ts";
import { levelStores } from "./level-stores.ts";

/** Beside the data, and not shown by `list`. */
export const LOCK_NAME = ".lock";
const WRITE_BUFFER_BYTES = 64 * 1024;

/** Rejects with DIRECTORY_LOCKED. */
export async function lockDirectory(path: string): Promise<FileLock> {
  const place = `${path}/${LOCK_NAME}`;
  const store = await openLock(path, place);
  return { release: () => store.close() };
}

async function openLock(path: string, place: string): Promise<KeyValueStore> {
  const options = { writeBufferBytes: WRITE_BUFFER_BYTES };
  try {
    return await levelStores.open(place, options);
  } catch (thrown) {
    const error = toOttlaError(thrown);
    if (error.code === "DIRECTORY_LOCKED") {
      throw new OttlaError("DIRECTORY_LOCKED", `log.dirs: ${path} is in use by another process`, {
        cause: thrown,
        field: "log.dirs",
      });
    }
    // A power loss may have damaged it; it holds nothing, so it is made anew.
    if (error.code !== "DIRECTORY_DAMAGED") throw thrown;
    await rm(place, { recursive: true, force: true });
    return levelStores.open(place, options);
  }
}
