/**
 * What a broker needs of its machine, asked before it opens anything: the message then names what a
 * person can change, and not the first file that could not be written.
 */
import { constants } from "node:fs";
import { access, readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { existingAncestor, isMissing } from "../adapters/durable-directory.ts";
import { type ErrorCode, OttlaError } from "../model/errors.ts";
import { FREE_SPACE_RESERVE_BYTES } from "../storage/data-directory.ts";

const MIB = 1024 * 1024;
/**
 * With less a broker starts, and is killed by the kernel under load: one of 256 MiB that took 20 MB/s
 * from a producer died of a consumer that read all of it back, where one of 512 MiB used 361.
 */
export const MEMORY_LEAST_BYTES = 384 * MIB;
/** Every LevelDB that is opened writes a little; with data on it a broker starts to read and delete. */
const FREE_LEAST_BYTES = 16 * MIB;

export interface Machine {
  /** What the broker may use: the limit of its container, or what the machine has. */
  readonly memoryBytes: number;
  readonly userId: number | undefined;
  freeBytes(path: string): Promise<number>;
}

export const thisMachine: Machine = {
  get memoryBytes(): number {
    return process.constrainedMemory() || Number.POSITIVE_INFINITY;
  },
  userId: process.getuid?.(),
  async freeBytes(path) {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

/**
 * Rejects with NOT_ENOUGH_MEMORY, DIRECTORY_READ_ONLY, DIRECTORY_DENIED or DISK_FULL; what it cannot
 * tell apart is left to whoever opens the directory.
 */
export async function checkMachine(
  config: { readonly logDirs: readonly string[] },
  machine: Machine = thisMachine,
): Promise<void> {
  const { memoryBytes } = machine;
  if (memoryBytes < MEMORY_LEAST_BYTES) {
    throw new OttlaError(
      "NOT_ENOUGH_MEMORY",
      `this broker may use ${mebibytes(memoryBytes)} of memory; it needs ${mebibytes(MEMORY_LEAST_BYTES)}`,
    );
  }
  for (const directory of config.logDirs) await checkDirectory(directory, machine);
}

async function checkDirectory(directory: string, machine: Machine): Promise<void> {
  const place = await existingAncestor(directory);
  await checkWritable(directory, place, machine);
  let used = false;
  for (const name of place === directory ? await readdir(place) : []) {
    // Data that another user's broker wrote, in a directory that is ours.
    await checkWritable(directory, join(place, name), machine);
    used ||= name === "meta.json";
  }
  const freeBytes = await machine.freeBytes(place);
  const leastBytes = used ? FREE_LEAST_BYTES : FREE_SPACE_RESERVE_BYTES;
  if (freeBytes >= leastBytes) return;
  throw new OttlaError(
    "DISK_FULL",
    `log.dirs: ${directory} has ${mebibytes(freeBytes)} free; a broker ${used ? "" : "without data "}starts with at least ${mebibytes(leastBytes)}`,
    { field: "log.dirs" },
  );
}

async function checkWritable(directory: string, path: string, machine: Machine): Promise<void> {
  try {
    const about = await stat(path);
    const { R_OK, W_OK, X_OK } = constants;
    await access(path, about.isDirectory() ? R_OK | W_OK | X_OK : R_OK | W_OK);
  } catch (thrown) {
    if (isMissing(thrown)) return;
    throw await refusal(directory, path, { thrown, machine });
  }
}

async function refusal(
  directory: string,
  path: string,
  { thrown, machine }: { readonly thrown: unknown; readonly machine: Machine },
): Promise<OttlaError> {
  const { code: errno } = thrown as { readonly code?: unknown };
  const readOnly = errno === "EROFS";
  const code: ErrorCode = readOnly ? "DIRECTORY_READ_ONLY" : "DIRECTORY_DENIED";
  const owner = await stat(path).then(
    ({ uid }) => `, which belongs to user ${uid}`,
    () => "",
  );
  const what = readOnly
    ? `${path} is on a read-only file system`
    : `user ${machine.userId ?? "?"} may not write to ${path}${owner}`;
  const message = path === directory ? what : `${directory}: ${what}`;
  return new OttlaError(code, `log.dirs: ${message}`, { cause: thrown, field: "log.dirs" });
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MiB`;
}
