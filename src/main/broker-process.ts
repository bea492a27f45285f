/**
 * One broker as a child process of this one: what `ottla dev` supervises and `ottla/testing` kills.
 * The child leads its own process group, so that Ctrl-C on the terminal reaches the supervisor
 * alone; it ends when the IPC channel to its parent breaks, so that none outlives a killed parent.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { isErrorCode, OttlaError } from "../model/errors.ts";
import type { BrokerId } from "../model/ids.ts";
import { isBrokerVariable } from "./environment.ts";
import { formatProperties } from "./local-cluster.ts";
import { NODE_FLAGS } from "./node-flags.ts";
import { PACKAGE_ROOT } from "./package-root.ts";
import { THREAD_POOL_SIZE } from "./thread-pool.ts";

/** Brokers always run the built code: Node 20 cannot run the sources. */
const COMMAND_FILE = join(PACKAGE_ROOT, "dist", "cli", "main.js");
const LOG_FILE_BYTES = 16 * 1024 * 1024;

/** What a broker tells its parent. */
export type BrokerMessage =
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly code: string; readonly message: string };

export interface BrokerProcessOptions {
  readonly id: BrokerId;
  /** Takes `broker.properties` and `broker.log`; made if missing. */
  readonly directory: string;
  readonly properties: ReadonlyMap<string, string>;
  /** For `node` itself, before the script. Default: none. */
  readonly nodeArguments?: readonly string[];
}

export interface BrokerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class BrokerProcess {
  readonly id: BrokerId;
  readonly pid: number;
  /** Everything that this broker and its earlier lives wrote. */
  readonly logFile: string;
  /** Settles when the broker is registered and unfenced; rejects if it ends before. */
  readonly ready: Promise<void>;
  /** Never rejects. */
  readonly exited: Promise<BrokerExit>;
  readonly #child: ChildProcess;
  #exit: BrokerExit | undefined;
  #refusal: OttlaError | undefined;

  private constructor(options: BrokerProcessOptions, child: ChildProcess, logFile: string) {
    this.id = options.id;
    this.#child = child;
    this.pid = child.pid as number;
    this.logFile = logFile;
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    this.ready = new Promise((resolve, reject) => {
      child.on("message", (message: BrokerMessage) => {
        if (message.type === "ready") resolve();
        else this.#refusal = refusalOf(options.id, message);
      });
      this.exited.then((exit) => reject(this.#refusal ?? this.#ended(exit)), reject);
    });
    // Whoever waits for readiness hears of a failure; nobody has to wait.
    this.ready.catch(() => undefined);
  }

  /** Throws if the operating system refuses a process. */
  static start(options: BrokerProcessOptions): BrokerProcess {
    mkdirSync(options.directory, { recursive: true });
    const configFile = join(options.directory, "broker.properties");
    writeFileSync(configFile, formatProperties(options.properties));
    const logFile = join(options.directory, "broker.log");
    setLargeLogAside(logFile);
    const log = openSync(logFile, "a");
    try {
      const child = spawn(
        process.execPath,
        [
          ...NODE_FLAGS,
          ...(options.nodeArguments ?? []),
          COMMAND_FILE,
          "broker",
          "--config",
          configFile,
          "--exit-with-parent",
        ],
        {
          detached: true,
          stdio: ["ignore", log, log, "ipc"],
          env: childEnvironment(process.env),
        },
      );
      child.on("error", () => undefined);
      if (child.pid === undefined) {
        throw new OttlaError("UNKNOWN_SERVER_ERROR", `broker ${options.id} could not be started`);
      }
      return new BrokerProcess(options, child, logFile);
    } finally {
      closeSync(log);
    }
  }

  /** Why the broker refused to start, once it said so. */
  get refusal(): OttlaError | undefined {
    return this.#refusal;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** Sends a signal to this process, if it still runs. */
  kill(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /** Asks for a controlled shutdown; after `timeoutMs` the broker is killed. */
  async stop(timeoutMs: number): Promise<BrokerExit> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), timeoutMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The end of the log file, for people. */
  logTail(linesCount: number): string {
    return readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-linesCount).join("\n");
  }

  #ended(exit: BrokerExit): OttlaError {
    const how = exit.signal === null ? `with exit code ${exit.code}` : `by ${exit.signal}`;
    return new OttlaError(
      "BROKER_NOT_AVAILABLE",
      `broker ${this.id} ended ${how} before it was ready; the end of ${this.logFile}:\n${this.logTail(10)}`,
    );
  }
}

function refusalOf(
  id: BrokerId,
  message: Extract<BrokerMessage, { readonly type: "failed" }>,
): OttlaError {
  const code = isErrorCode(message.code) ? message.code : "UNKNOWN_SERVER_ERROR";
  return new OttlaError(code, `broker ${id}: ${message.message}`);
}

/** A log of earlier lives that has grown large becomes `broker.log.1`, in place of an older one. */
function setLargeLogAside(logFile: string): void {
  if (existsSync(logFile) && statSync(logFile).size > LOG_FILE_BYTES) {
    renameSync(logFile, `${logFile}.1`);
  }
}

/** The parent's own broker settings are not its children's: their configuration is complete. */
function childEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.entries(environment).filter(([name]) => !isBrokerVariable(name));
  return { UV_THREADPOOL_SIZE: THREAD_POOL_SIZE, ...Object.fromEntries(own) };
}
