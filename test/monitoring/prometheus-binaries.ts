/**
 * Where Prometheus is: in the directory that OTTLA_PROMETHEUS names, on the PATH, or in Debian's
 * package, which is unpacked aside and not installed, so that no service starts.
 */
import { execFile } from "node:child_process";
import { accessSync, constants, mkdirSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

export interface PrometheusBinaries {
  readonly prometheus: string;
  readonly promtool: string;
}

const PACKAGE_TIMEOUT_MS = 180_000;
const run = promisify(execFile);

/** Undefined where it is not to be had; `workDirectory` takes the package. */
export async function findPrometheus(
  workDirectory: string,
): Promise<PrometheusBinaries | undefined> {
  const named = process.env["OTTLA_PROMETHEUS"];
  const places = named === undefined ? (process.env["PATH"] ?? "").split(delimiter) : [named];
  for (const place of places) {
    const found = binariesIn(place);
    if (found !== undefined) return found;
  }
  return named === undefined ? unpack(join(workDirectory, "package")) : undefined;
}

function binariesIn(directory: string): PrometheusBinaries | undefined {
  const prometheus = join(directory, "prometheus");
  const promtool = join(directory, "promtool");
  try {
    accessSync(prometheus, constants.X_OK);
    accessSync(promtool, constants.X_OK);
  } catch {
    return undefined;
  }
  return { prometheus, promtool };
}

async function unpack(directory: string): Promise<PrometheusBinaries | undefined> {
  mkdirSync(directory, { recursive: true });
  const options = { cwd: directory, timeout: PACKAGE_TIMEOUT_MS };
  // Lists may be missing, or too old for the archive.
  for (const before of [undefined, ["update", "-qq"]]) {
    try {
      if (before !== undefined) await run("apt-get", before, options);
      await run("apt-get", ["download", "-qq", "prometheus"], options);
      const file = readdirSync(directory).find((name) => name.endsWith(".deb"));
      if (file === undefined) continue;
      await run("dpkg", ["-x", file, "root"], options);
      return binariesIn(join(directory, "root", "usr", "bin"));
    } catch {
      // No apt, no network, or no right to update: the next attempt, or none.
    }
  }
  return undefined;
}
