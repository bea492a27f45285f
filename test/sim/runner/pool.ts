/** Child processes that play runs, each one at a time; a child that hangs or dies is replaced. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { SimulationResult } from "../run-world.ts";
import type { Job } from "./job.ts";
import type { WorkerReply, WorkerRequest } from "./worker.ts";

export interface Played {
  readonly result: SimulationResult;
  readonly coreSeconds: number;
}

export interface PoolOptions {
  readonly workersCount: number;
  readonly verbose: boolean;
  /** A run that has given no result after so many seconds of real time has none. */
  readonly limitSeconds: number;
}

interface Worker {
  readonly child: ChildProcess;
  busy: boolean;
}

const HEAP_MIB = 2_048;

export class Pool {
  readonly #options: PoolOptions;
  readonly #workers = new Set<Worker>();
  readonly #waiting: (() => void)[] = [];
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Waits for a free child. A run that ends without a result is `unknown`. */
  async run(job: Job): Promise<Played> {
    const worker = await this.#take();
    try {
      return await this.#play(worker, job);
    } finally {
      worker.busy = false;
      this.#waiting.shift()?.();
    }
  }

  close(): void {
    this.#closed = true;
    for (const { child } of this.#workers) child.kill("SIGKILL");
    this.#workers.clear();
  }

  async #take(): Promise<Worker> {
    for (;;) {
      const free = [...this.#workers].find(({ busy }) => !busy);
      if (free !== undefined) {
        free.busy = true;
        return free;
      }
      if (this.#workers.size < this.#options.workersCount) {
        const worker = this.#start();
        worker.busy = true;
        return worker;
      }
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  #start(): Worker {
    const child = fork(fileURLToPath(new URL("./worker.js", import.meta.url)), {
      // Helper threads would take from the other children what they give to this one.
      execArgv: [...process.execArgv, "--single-threaded-gc", `--max-old-space-size=${HEAP_MIB}`],
      serialization: "advanced",
    });
    const worker: Worker = { child, busy: false };
    this.#workers.add(worker);
    child.on("exit", () => this.#workers.delete(worker));
    return worker;
  }

  #play({ child }: Worker, job: Job): Promise<Played> {
    const { limitSeconds, verbose } = this.#options;
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        this.#discard(child);
        end({ type: "unknown", why: `no result within ${limitSeconds} s of real time` });
      }, limitSeconds * 1000);
      const onMessage = (reply: WorkerReply): void => end(reply);
      const onExit = (code: number | null, signal: string | null): void => {
        if (this.#closed) end({ type: "error", message: "the campaign was ended" });
        else end({ type: "unknown", why: `its process ended (${signal ?? `code ${code}`})` });
      };
      const end = (
        reply: WorkerReply | { readonly type: "unknown"; readonly why: string },
      ): void => {
        clearTimeout(limit);
        child.off("message", onMessage);
        child.off("exit", onExit);
        if (reply.type === "result") resolve(reply);
        else if (reply.type === "error") reject(new Error(reply.message));
        else resolve({ result: unknownResult(job, reply.why), coreSeconds: 0 });
      };
      child.on("message", onMessage);
      child.on("exit", onExit);
      const request: WorkerRequest = { job, verbose };
      child.send(request);
    });
  }

  #discard(child: ChildProcess): void {
    for (const worker of this.#workers) if (worker.child === child) this.#workers.delete(worker);
    child.kill("SIGKILL");
  }
}

function unknownResult(job: Job, why: string): SimulationResult {
  return {
    seed: job.kind === "scenario" ? 0 : job.seed,
    traceHash: "",
    virtualMs: 0,
    eventsCount: 0,
    acknowledgedCount: 0,
    faultsCount: 0,
    failure: undefined,
    unknown: why,
    timeline: [],
  };
}
