/** Runs the built command as a user does: another process, its output and its exit code. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { isBrokerVariable } from "../../src/main/environment.ts";
import { PACKAGE_ROOT } from "../../src/main/package-root.ts";

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The command is killed after this time. Default 60,000 ms. */
  readonly timeoutMs?: number;
}

const COMMAND = join(PACKAGE_ROOT, "dist", "cli", "main.js");

export function spawnCommand(
  words: readonly string[],
  options: Pick<CommandOptions, "environment" | "cwd"> = {},
): ChildProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !isBrokerVariable(name));
  return spawn(process.execPath, [COMMAND, ...words], {
    cwd: options.cwd,
    env: { ...Object.fromEntries(inherited), ...options.environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

export async function ottla(
  words: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const child = spawnCommand(words, options);
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  return { code, stdout: stdout(), stderr: stderr() };
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

/** The JSON objects of an output that has one on each line. */
export function jsonLines(text: string): readonly Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
