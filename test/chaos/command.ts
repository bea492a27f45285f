/** Runs programs of the host: docker, compose, iptables. Each with a deadline, none through a shell. */
import { execFile, execFileSync } from "node:child_process";

export interface CommandOptions {
  /** Default 60,000 ms; then the program is killed. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export class CommandError extends Error {
  readonly stderr: string;

  constructor(words: readonly string[], stderr: string, reason: string) {
    super(`${words.join(" ")}: ${stderr.trim() === "" ? reason : stderr.trim()}`);
    this.stderr = stderr;
  }
}

const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES = 256 * 1024 * 1024;

/** What it wrote to its standard output. Rejects with `CommandError` if it ended with another code. */
export function run(words: readonly string[], options: CommandOptions = {}): Promise<string> {
  const [program = "", ...rest] = words;
  return new Promise((resolve, reject) => {
    execFile(
      program,
      rest,
      {
        encoding: "utf8",
        timeout: options.timeoutMs ?? TIMEOUT_MS,
        maxBuffer: OUTPUT_BYTES,
        env: { ...process.env, ...options.env },
      },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new CommandError(words, stderr, error.message));
      },
    );
  });
}

/** The reason why it cannot be run; undefined if it ended well. */
export function refusalOf(words: readonly string[]): string | undefined {
  const [program = "", ...rest] = words;
  try {
    execFileSync(program, rest, { stdio: ["ignore", "ignore", "pipe"], timeout: TIMEOUT_MS });
    return undefined;
  } catch (thrown) {
    const { stderr } = thrown as { readonly stderr?: Buffer };
    const said = stderr === undefined || stderr === null ? "" : String(stderr).trim();
    const [line = ""] = said.split("\n");
    return line === "" ? (thrown as Error).message : line;
  }
}
