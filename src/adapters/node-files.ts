import { open, readdir, readFile, rename as renameFile, rm, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { FileLock, Files, SlotFile } from "../ports/files.ts";
import { LOCK_NAME, lockDirectory } from "./directory-lock.ts";
import {
  existingAncestor,
  isMissing,
  makeDurableDirectory,
  storageError,
  syncDirectory,
} from "./durable-directory.ts";
import { openSlotFile } from "./slot-file.ts";

/** A replacement that was not finished; the next one of the same file writes over it. */
const DRAFT_SUFFIX = ".draft~";

/** The operating system's files. What may be lost by a power loss is synced before it is reported. */
class NodeFiles implements Files {
  /** Replacements of one file run one after the other: they share its draft. */
  readonly #replacing = new Map<string, Promise<void>>();

  async read(path: string): Promise<Uint8Array | undefined> {
    try {
      const content = await readFile(path);
      return new Uint8Array(content.buffer, content.byteOffset, content.length);
    } catch (thrown) {
      if (isMissing(thrown)) return undefined;
      throw storageError(thrown, `cannot read ${path}`);
    }
  }

  async replace(path: string, content: Uint8Array): Promise<void> {
    const before = this.#replacing.get(path) ?? Promise.resolve();
    const replacement = before.then(() => replaceFile(path, content));
    const settled = replacement.catch(() => undefined);
    this.#replacing.set(path, settled);
    try {
      await replacement;
    } finally {
      if (this.#replacing.get(path) === settled) this.#replacing.delete(path);
    }
  }

  async list(path: string): Promise<readonly string[]> {
    try {
      const names = await readdir(path);
      return names.filter((name) => name !== LOCK_NAME && !name.endsWith(DRAFT_SUFFIX)).sort();
    } catch (thrown) {
      if (isMissing(thrown)) return [];
      throw storageError(thrown, `cannot list ${path}`);
    }
  }

  async makeDirectory(path: string): Promise<void> {
    try {
      await makeDurableDirectory(path);
    } catch (thrown) {
      throw storageError(thrown, `cannot make the directory ${path}`);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    try {
      await renameFile(from, to);
      await syncDirectory(dirname(to));
      if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
    } catch (thrown) {
      throw storageError(thrown, `cannot rename ${from} to ${to}`);
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await rm(path, { recursive: true, force: true });
    } catch (thrown) {
      throw storageError(thrown, `cannot remove ${path}`);
    }
  }

  async sizeBytes(path: string): Promise<number> {
    try {
      return await sizeOf(path);
    } catch (thrown) {
      throw storageError(thrown, `cannot read the size of ${path}`);
    }
  }

  async freeBytes(path: string): Promise<number> {
    try {
      const { bavail, bsize } = await statfs(await existingAncestor(path));
      return bavail * bsize;
    } catch (thrown) {
      throw storageError(thrown, `cannot read the free space of ${path}`);
    }
  }

  async totalBytes(path: string): Promise<number> {
    try {
      const { blocks, bsize } = await statfs(await existingAncestor(path));
      return blocks * bsize;
    } catch (thrown) {
      throw storageError(thrown, `cannot read the size of the file system of ${path}`);
    }
  }

  lock(path: string): Promise<FileLock> {
    return lockDirectory(path);
  }

  openSlotFile(path: string): Promise<SlotFile> {
    return openSlotFile(path);
  }
}

export const nodeFiles: Files = new NodeFiles();

async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const draft = path + DRAFT_SUFFIX;
  try {
    const handle = await open(draft, "w");
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await renameFile(draft, path);
    await syncDirectory(dirname(path));
  } catch (thrown) {
    throw storageError(thrown, `cannot replace ${path}`);
  }
}

/** What disappears meanwhile counts nothing: LevelDB removes files on its own. */
async function sizeOf(path: string): Promise<number> {
  try {
    const about = await stat(path);
    if (!about.isDirectory()) return about.size;
    let sum = 0;
    for (const name of await readdir(path)) sum += await sizeOf(`${path}/${name}`);
    return sum;
  } catch (thrown) {
    if (isMissing(thrown)) return 0;
    throw thrown;
  }
}
