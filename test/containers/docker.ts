/** Docker as a person uses it: the command, never through a shell, each call with a deadline. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { PACKAGE_ROOT } from "../../src/main/package-root.ts";
import { eventually } from "../support/eventually.ts";

export const IMAGE = process.env["OTTLA_IMAGE"] ?? "ottla:latest";
export const COMPOSE_FILE = join(PACKAGE_ROOT, "deploy", "compose.yaml");
/** Everything that these tests start is named after it. */
export const PREFIX = process.env["OTTLA_TEST_PREFIX"] ?? `ottla-test-${process.pid}`;

const DEADLINE_MS = 180_000;
/** Docker asks every five seconds, and a machine that is full of brokers answers late. */
const HEALTHY_MS = 120_000;
const OUTPUT_BYTES = 64 * 1024 * 1024;

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: 180,000 ms. */
  readonly deadlineMs?: number;
}

/** Never rejects because of what the command says; a deadline is exit code -1. */
export function run(
  command: string,
  words: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const { deadlineMs = DEADLINE_MS, environment } = options;
  return new Promise((resolve) => {
    execFile(
      command,
      [...words],
      {
        timeout: deadlineMs,
        killSignal: "SIGKILL",
        maxBuffer: OUTPUT_BYTES,
        env: { ...process.env, ...environment },
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** Rejects with what it said if it fails. */
export async function docker(...words: readonly string[]): Promise<string> {
  const { code, stderr, stdout } = await run("docker", words);
  if (code !== 0) throw new Error(`docker ${words.join(" ")} ended with ${code}: ${stderr}`);
  return stdout.trim();
}

const execute = promisify(execFile);

/** The plugin of newer Dockers, or the program that came before it. */
async function composeCommand(): Promise<readonly [string, ...string[]]> {
  try {
    await execute("docker", ["compose", "version"]);
    return ["docker", "compose"];
  } catch {
    return ["docker-compose"];
  }
}

export async function compose(
  project: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const [command, ...first] = await composeCommand();
  const all = [...first, "-p", project, "-f", COMPOSE_FILE, ...words];
  const { code, stderr, stdout } = await run(command, all, { environment });
  if (code !== 0) throw new Error(`${command} ${all.join(" ")} ended with ${code}: ${stderr}`);
  return stdout.trim();
}

export async function healthy(container: string): Promise<void> {
  const isHealthy = async (): Promise<boolean> => {
    const state = await docker("inspect", "-f", "{{.State.Health.Status}}", container);
    return state === "healthy";
  };
  await eventually(`${container} is healthy`, isHealthy, HEALTHY_MS);
}

/** What a broker in a container says that does not start: its whole output, and its exit code. */
export async function refused(options: {
  readonly environment?: Readonly<Record<string, string>>;
  /** Of `docker run`. */
  readonly flags?: readonly string[];
}): Promise<Ended> {
  const { environment = {}, flags = [] } = options;
  const name = `${PREFIX}-refused`;
  const sets = Object.entries(environment).flatMap(([key, value]) => ["-e", `${key}=${value}`]);
  try {
    return await run("docker", ["run", "--rm", "--name", name, ...flags, ...sets, IMAGE], {
      deadlineMs: 60_000,
    });
  } finally {
    await run("docker", ["rm", "-f", "-v", name]);
  }
}
