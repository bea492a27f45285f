/** Files behind the port: what must survive power loss is fsynced, and so is its directory. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  unlink,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { crc32c } from "@node-rs/crc32";
import { type ErrorCode, OttlaError } from "../model/errors.ts";
import type { FileLock, Files, SlotFile } from "../ports/files.ts";

/** One slot is one block of every disk in use: a torn write damages one slot, never both. */
const SLOT_BYTES = 4096;
const SLOT_HEADER_BYTES = 16;
export const SLOT_VALUE_BYTES_MAX = 4000;

export const nodeFiles: Files = {
  async read(path) {
    try {
      // A Buffer's `slice` would be a view where that of a Uint8Array is a copy.
      return new Uint8Array(await readFile(path));
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw fileError(error, `read ${path}`);
    }
  },

  async replace(path, content) {
    const temporary = `${path}.tmp`;
    try {
      const file = await open(temporary, "w");
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      await syncDirectory(dirname(path));
    } catch (error) {
      throw fileError(error, `write ${path}`);
    }
  },

  async list(path) {
    try {
      return (await readdir(path)).sort();
    } catch (error) {
      if (codeOf(error) === "ENOENT") return [];
      throw fileError(error, `list ${path}`);
    }
  },

  async makeDirectory(path) {
    try {
      const first = await mkdir(path, { recursive: true });
      if (first !== undefined) await syncDirectory(dirname(first));
    } catch (error) {
      throw fileError(error, `make ${path}`);
    }
  },

  async rename(from, to) {
    try {
      await rename(from, to);
      await syncDirectory(dirname(to));
      if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
    } catch (error) {
      throw fileError(error, `rename ${from} to ${to}`);
    }
  },

  async remove(path) {
    try {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      throw fileError(error, `remove ${path}`);
    }
  },

  async sizeBytes(path) {
    return sizeOf(path);
  },

  async freeBytes(path) {
    try {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    } catch (error) {
      throw fileError(error, `ask the free space of ${path}`);
    }
  },

  lock: (path) => lockDirectory(path),

  openSlotFile: (path) => NodeSlotFile.open(path),
};

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Files come and go while their sizes are added up: what is gone counts nothing. */
async function sizeOf(path: string): Promise<number> {
  try {
    const status = await stat(path);
    if (!status.isDirectory()) return status.size;
    const sizes = await Promise.all((await readdir(path)).map((name) => sizeOf(join(path, name))));
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return 0;
    throw fileError(error, `measure ${path}`);
  }
}

/**
 * A lock file that names its owner by process id and start time: Node has no `flock`, and a lock
 * must not outlive a killed broker, nor be mistaken for one when its process id is used again.
 */
async function lockDirectory(path: string): Promise<FileLock> {
  const file = join(path, ".lock");
  const owner = `${process.pid} ${startTimeOf(process.pid)}`;
  await nodeFiles.makeDirectory(path);
  for (let tries = 0; tries < 3; tries++) {
    try {
      const handle = await open(file, "wx");
      await handle.writeFile(owner);
      await handle.close();
      return { release: () => unlink(file).catch(() => undefined) };
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw fileError(error, `lock ${path}`);
    }
    const holder = await nodeFiles.read(file);
    const [pid = "", started = ""] = new TextDecoder()
      .decode(holder ?? new Uint8Array())
      .split(" ");
    if (holder !== undefined && started !== "" && startTimeOf(Number(pid)) === started) {
      throw new OttlaError("DIRECTORY_LOCKED", `${path} is in use by process ${pid}`, {
        field: "log.dirs",
      });
    }
    // Its owner is dead: taken away under a name of its own, so that of two that find it, one does.
    const aside = `${file}.${createHash("sha1").update(owner).digest("hex").slice(0, 12)}`;
    await rename(file, aside)
      .then(() => unlink(aside))
      .catch(() => undefined);
  }
  throw new OttlaError("DIRECTORY_LOCKED", `${path} could not be locked`, { field: "log.dirs" });
}

/** When a process began, in the kernel's ticks since boot; "" if there is no such process. */
function startTimeOf(pid: number): string {
  if (!Number.isInteger(pid) || pid <= 0) return "";
  if (existsSync("/proc/self/stat")) {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The command name stands in parentheses and may hold anything; field 22 is the start time.
      const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
      return fields[0] === "Z" ? "" : (fields[19] ?? "");
    } catch {
      return "";
    }
  }
  try {
    process.kill(pid, 0);
    return "alive";
  } catch (error) {
    return codeOf(error) === "EPERM" ? "alive" : "";
  }
}

class NodeSlotFile implements SlotFile {
  readonly #path: string;
  readonly #file: FileHandle;
  #value: Uint8Array | undefined;
  #sequence: number;

  private constructor(path: string, file: FileHandle, newest: Slot | undefined) {
    this.#path = path;
    this.#file = file;
    this.#value = newest?.value;
    this.#sequence = newest?.sequence ?? 0;
  }

  static async open(path: string): Promise<NodeSlotFile> {
    try {
      const existed = existsSync(path);
      const file = await open(path, existed ? "r+" : "w+");
      if (!existed) await syncDirectory(dirname(path));
      const content = new Uint8Array(2 * SLOT_BYTES);
      await file.read(content, 0, content.length, 0);
      const slots = [0, 1]
        .map((index) => parseSlot(content.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES)))
        .filter((slot) => slot !== undefined)
        .sort((left, right) => right.sequence - left.sequence);
      return new NodeSlotFile(path, file, slots[0]);
    } catch (error) {
      throw fileError(error, `open ${path}`);
    }
  }

  read(): Uint8Array | undefined {
    return this.#value;
  }

  async write(value: Uint8Array): Promise<void> {
    if (value.length > SLOT_VALUE_BYTES_MAX) {
      throw new OttlaError(
        "LIMIT_EXCEEDED",
        `value of ${value.length} bytes in ${this.#path}, allowed are ${SLOT_VALUE_BYTES_MAX}`,
      );
    }
    const sequence = this.#sequence + 1;
    const slot = formatSlot(sequence, value);
    try {
      await this.#file.write(slot, 0, slot.length, (sequence % 2) * SLOT_BYTES);
      await this.#file.datasync();
    } catch (error) {
      throw fileError(error, `write ${this.#path}`);
    }
    this.#sequence = sequence;
    this.#value = value.slice();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

interface Slot {
  readonly sequence: number;
  readonly value: Uint8Array;
}

/** crc32c u32 · length u32 · sequence u64 · value; the checksum covers all that follows it. */
function formatSlot(sequence: number, value: Uint8Array): Uint8Array {
  const slot = new Uint8Array(SLOT_BYTES);
  const view = new DataView(slot.buffer);
  view.setUint32(4, value.length);
  view.setBigUint64(8, BigInt(sequence));
  slot.set(value, SLOT_HEADER_BYTES);
  view.setUint32(0, crc32c(slot.subarray(4)));
  return slot;
}

function parseSlot(slot: Uint8Array): Slot | undefined {
  const view = new DataView(slot.buffer, slot.byteOffset, slot.length);
  const length = view.getUint32(4);
  const sequence = Number(view.getBigUint64(8));
  if (sequence === 0 || length > SLOT_VALUE_BYTES_MAX) return undefined;
  if (view.getUint32(0) !== crc32c(slot.subarray(4))) return undefined;
  return { sequence, value: slot.slice(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + length) };
}

function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code;
}

function fileError(error: unknown, what: string): OttlaError {
  if (error instanceof OttlaError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const full = codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT";
  const code: ErrorCode = full ? "DISK_FULL" : "KAFKA_STORAGE_ERROR";
  return new OttlaError(code, `cannot ${what}: ${reason}`, { cause: error });
}
