/** Child processes with a deadline, none of which outlives the run. */
import { type ChildProcess, spawn } from "node:child_process";

export const STEP_MS = 180_000;
const STOP_MS = 60_000;
const TAIL_CHARACTERS = 3_000;

export interface ProgramOptions {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  /** Default `STEP_MS`. */
  readonly timeoutMs?: number;
}

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

const living = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of living) kill(child, "SIGKILL");
});

/**
 * Each has a process group of its own: a script in front of a program would otherwise take the
 * signal, and the program live on.
 */
function start(command: readonly string[], options: ProgramOptions): ChildProcess {
  const [file, ...rest] = command;
  const child = spawn(file as string, rest, {
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.environment },
    ...(options.directory === undefined ? {} : { cwd: options.directory }),
  });
  living.add(child);
  child.on("close", () => living.delete(child));
  // A program that ends without reading its input is judged by what it says, not by the broken pipe.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");
  return child;
}

function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Runs it to its end. Rejects with the end of what it said, unless it ends well and in time. */
export function run(command: readonly string[], options: ProgramOptions = {}): Promise<Output> {
  const timeoutMs = options.timeoutMs ?? STEP_MS;
  return new Promise((resolve, reject) => {
    const child = start(command, options);
    let stdout = "";
    let stderr = "";
    let late = false;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const timer = setTimeout(() => {
      late = true;
      kill(child, "SIGKILL");
    }, timeoutMs);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve({ stdout, stderr });
      const how = late ? `not done after ${timeoutMs} ms` : `ended with ${code ?? signal}`;
      const said = `${stdout.slice(-TAIL_CHARACTERS)}\n${stderr.slice(-TAIL_CHARACTERS)}`.trim();
      reject(new Error(`${command.slice(0, 3).join(" ")}: ${how}\n${said}`));
    });
  });
}

/** A program that goes on until it is told to end. */
export class LongRun {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #stderr = "";

  /** `onLine` is called with every whole line of its output. */
  constructor(
    command: readonly string[],
    onLine: (line: string) => void,
    options: ProgramOptions = {},
  ) {
    this.#child = start(command, options);
    let rest = "";
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() as string;
      for (const line of lines) onLine(line);
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-TAIL_CHARACTERS);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.on("error", (error) => {
        this.#stderr += String(error);
        resolve();
      });
      this.#child.on("close", () => resolve());
    });
  }

  get stderr(): string {
    return this.#stderr;
  }

  async kill(): Promise<void> {
    kill(this.#child, "SIGKILL");
    await this.#ended;
  }

  /** SIGTERM, and after a while SIGKILL. */
  async stop(): Promise<void> {
    kill(this.#child, "SIGTERM");
    const timer = setTimeout(() => kill(this.#child, "SIGKILL"), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}
