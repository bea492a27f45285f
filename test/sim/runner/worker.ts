/**
 * A child process that plays runs one after another. Runs are played in children so that one that
 * never comes back, or eats all memory, is a result like any other and not the end of a campaign.
 */
import type { SimulationResult } from "../run-world.ts";
import type { TimelineLine } from "../world/world.ts";
import { type Job, type PlayOptions, playJob } from "./job.ts";
import { noteLine } from "./timeline.ts";

export interface WorkerRequest {
  readonly job: Job;
  /** Prints what happens as it happens. */
  readonly verbose: boolean;
}

export type WorkerReply =
  | {
      readonly type: "result";
      readonly result: SimulationResult;
      /** Processor time of the run, user and system. */
      readonly coreSeconds: number;
    }
  | { readonly type: "error"; readonly message: string };

async function serve({ job, verbose }: WorkerRequest): Promise<WorkerReply> {
  const before = process.cpuUsage();
  try {
    const onNote = (line: TimelineLine): void => console.log(noteLine(line));
    const options = { verbose, ...(verbose ? { onNote } : {}) };
    const result = verbose ? await playJob(job, options) : await playWithoutStacks(job, options);
    const { user, system } = process.cpuUsage(before);
    const told = result.failure !== undefined || result.unknown !== undefined || verbose;
    return {
      type: "result",
      result: told ? result : withoutDetails(result),
      coreSeconds: (user + system) / 1_000_000,
    };
  } catch (thrown) {
    const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    return { type: "error", message };
  }
}

/**
 * Errors are news of faults here, made by the thousand, and to find out where costs a tenth of the
 * time. Only of a run that fails anybody wants to know: it is played again, which by its seed fails
 * in the same way.
 */
async function playWithoutStacks(job: Job, options: PlayOptions): Promise<SimulationResult> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const result = await playJob(job, options);
    if (result.failure === undefined) return result;
    Error.stackTraceLimit = stackTraceLimit;
    const again = await playJob(job, options);
    // Else its hash is to be told, for the difference is a failure of its own.
    return again.traceHash === result.traceHash ? again : result;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** What nobody reads of a run that held is not sent: a campaign has many of them. */
function withoutDetails({ plan: _, history: __, ...result }: SimulationResult): SimulationResult {
  return { ...result, timeline: [] };
}

process.on("message", (request: WorkerRequest) => {
  serve(request).then(
    (reply) => process.send?.(reply),
    (thrown: unknown) => {
      throw thrown;
    },
  );
});
// With a reader that goes away goes the parent.
process.stdout.on("error", () => process.exit(0));
// The parent is gone: nobody wants the rest.
process.on("disconnect", () => process.exit(0));
