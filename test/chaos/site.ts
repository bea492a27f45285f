/**
 * What this machine lets a test do: whoever cannot enter a container's network as root cannot cut it,
 * and without a compiler there is no shim. A fault that cannot be made is reported as `unknown`.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { refusalOf } from "./command.ts";

/** Each: why not; undefined if it can be done. */
export interface Site {
  readonly noDocker: string | undefined;
  /** iptables in a container's network namespace. */
  readonly noFirewall: string | undefined;
  /** A file system of its own for a broker's data, whose size can be changed. */
  readonly noMount: string | undefined;
  /** The library that is preloaded into brokers. */
  readonly noShim: string | undefined;
}

const SHIM_SOURCE = fileURLToPath(new URL("../../../test/chaos/shim/chaos.c", import.meta.url));
export const SHIM_FILE = "chaos.so";

/** Looks, and compiles the shim into `directory`. */
export function surveySite(directory: string): Site {
  mkdirSync(directory, { recursive: true });
  const root = process.getuid?.() === 0 ? undefined : "needs root on the host";
  return {
    noDocker: refusalOf(["docker", "info"]) ?? refusalOf(["docker-compose", "version"]),
    noFirewall: root ?? refusalOf(["nsenter", "--version"]) ?? refusalOf(["iptables", "--version"]),
    noMount: root ?? refusalOf(["mount", "--version"]),
    noShim: compileShim(join(directory, SHIM_FILE)),
  };
}

function compileShim(output: string): string | undefined {
  return refusalOf(["cc", "-O2", "-shared", "-fPIC", "-o", output, SHIM_SOURCE, "-ldl"]);
}
