/** What a power loss must not undo about directories. */
import { mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type ErrorCode, OttlaError } from "../model/errors.ts";

/** Makes the entries of a directory durable: new files, renames, removals. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a directory and those above it; each is durable in its parent once this settles. */
export async function makeDurableDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  const above = dirname(first);
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    await syncDirectory(directory);
    if (directory === above || directory === dirname(directory)) return;
  }
}

/** The nearest directory at or above `path` that exists. */
export async function existingAncestor(path: string): Promise<string> {
  for (let directory = path; ; directory = dirname(directory)) {
    if (directory === dirname(directory)) return directory;
    try {
      await stat(directory);
      return directory;
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
    }
  }
}

export function isMissing(thrown: unknown): boolean {
  return (thrown as { readonly code?: unknown }).code === "ENOENT";
}

/** DISK_FULL or KAFKA_STORAGE_ERROR. */
export function storageError(thrown: unknown, what: string): OttlaError {
  if (thrown instanceof OttlaError) return thrown;
  const { code } = thrown as { readonly code?: unknown };
  const full: ErrorCode =
    code === "ENOSPC" || code === "EDQUOT" ? "DISK_FULL" : "KAFKA_STORAGE_ERROR";
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new OttlaError(full, `${what}: ${message}`, { cause: thrown });
}
