/** The files of a LevelDB directory, treated as a loss of power may leave them. */
import { cp, open, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";

/** Write-ahead logs, oldest first. */
export async function walNames(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory);
  return names.filter((name) => name.endsWith(".log")).sort();
}

export async function sizeOf(path: string): Promise<number> {
  return (await stat(path)).size;
}

/** Bytes of the newest write-ahead log. */
export async function walBytes(directory: string): Promise<number> {
  return sizeOf(await newestWal(directory));
}

export async function newestWal(directory: string): Promise<string> {
  return `${directory}/${(await walNames(directory)).at(-1)}`;
}

/** As the directory is now, under another name; without the lock of the process that has it. */
export async function copyOf(directory: string, to: string): Promise<string> {
  await rm(to, { recursive: true, force: true });
  await cp(directory, to, { recursive: true });
  await rm(`${to}/LOCK`, { force: true });
  return to;
}

export async function cutWal(directory: string, bytes: number): Promise<void> {
  await truncate(await newestWal(directory), bytes);
}

export async function removeWal(directory: string): Promise<void> {
  await rm(await newestWal(directory));
}

export async function emptyWal(path: string): Promise<void> {
  await writeFile(path, new Uint8Array(0));
}

export async function zeroWal(directory: string, from: number, to: number): Promise<void> {
  const path = await newestWal(directory);
  const end = Math.min(to, await sizeOf(path));
  const file = await open(path, "r+");
  try {
    await file.write(new Uint8Array(end - from), 0, end - from, from);
  } finally {
    await file.close();
  }
}
