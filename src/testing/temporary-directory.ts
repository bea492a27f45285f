/**
 * Temporary directories that are gone in the end, whatever happens: removed by `stop`, else as the
 * process exits, else (it was killed) by the next process that makes one.
 */
import { readdirSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";

/** The host stands in the name because containers that share a directory do not share pids. */
const PREFIX = `ottla-${hostname().replaceAll(/[^A-Za-z0-9]/g, "")}-`;

export async function makeTemporaryDirectory(): Promise<string> {
  removeAbandoned();
  return mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX)
      ? /^(\d+)-/.exec(name.slice(PREFIX.length))?.[1]
      : undefined;
    if (pid === undefined || isAlive(Number(pid))) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another user's, or its brokers are just ending: whoever comes next tries again.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
