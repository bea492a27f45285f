/**
 * Unary calls that only a group's coordinator answers: groups go to their coordinators, and those
 * that are refused because the coordinator moved or is still reading, or were not answered, go
 * again until the deadline.
 */
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { BrokerId } from "../model/ids.ts";
import { type ClusterClient, RETRY_LIMITS } from "./cluster-client.ts";
import { retryDelayMs } from "./core/retry-delay.ts";
import { errorFrom } from "./errors.ts";
import type { ErrorMessage } from "./messages.ts";
import type { CallOptions, Connection } from "./transport.ts";

export interface GroupResult {
  readonly groupId: string;
  readonly error: ErrorMessage | null;
}

export interface CoordinatorCall<Result extends GroupResult> {
  readonly groupIds: readonly string[];
  /** Longest wait for one coordinator before another one is looked for. */
  readonly attemptMs: number;
  readonly send: (
    connection: Connection,
    groupIds: readonly string[],
    options: CallOptions,
    coordinator: BrokerId,
  ) => Promise<readonly Result[]>;
  /**
   * What a refusal means that cannot be waited out; `unknown`: an earlier attempt may have been
   * carried out unheard. Undefined: it is what it is, and rejects.
   */
  readonly settle?: (
    groupId: string,
    error: OttlaError,
    earlier: { readonly unknown: boolean },
  ) => Result | undefined;
}

/** A description has all members of a group, and a message its limit. */
const GROUPS_PER_CALL_COUNT = 100;

/**
 * Results in the order of the groups; rejects with the first refusal that waiting cannot change, or
 * with the last error at the deadline.
 */
export async function callCoordinators<Result extends GroupResult>(
  cluster: ClusterClient,
  call: CoordinatorCall<Result>,
  options: CallOptions,
): Promise<Result[]> {
  const { timers } = cluster.environment;
  const startMs = cluster.nowMs();
  const results = new Map<string, Result>();
  const unknown = new Set<string>();
  let lastError: OttlaError | undefined;
  for (let round = 0; ; round++) {
    const missing = [...new Set(call.groupIds)].filter((groupId) => !results.has(groupId));
    if (missing.length === 0) return call.groupIds.map((id) => results.get(id) as Result);
    const spentMs = cluster.nowMs() - startMs;
    if (round > 0) await timers.sleep(retryDelayMs(spentMs, RETRY_LIMITS), options.signal);
    const leftMs = options.timeoutMs - (cluster.nowMs() - startMs);
    if (leftMs <= 0) throw lastError ?? timedOut(missing);
    const refused = (groupId: string, error: OttlaError): void => {
      const settled = error.retriable
        ? undefined
        : call.settle?.(groupId, error, { unknown: unknown.has(groupId) });
      if (settled !== undefined) results.set(groupId, settled);
      else {
        lastError = error;
        if (!error.retriable) throw error;
      }
    };
    if (round > 0) cluster.askAnother();
    const found = await findCoordinators(cluster, missing, refused, {
      ...options,
      timeoutMs: leftMs,
    });
    const attempts = [...found].flatMap(([brokerId, groupIds]) =>
      chunks(groupIds).map(async (some) => {
        const connection = cluster.connection(brokerId);
        if (connection === undefined) return;
        const timeoutMs = Math.min(leftMs, call.attemptMs, cluster.options.requestTimeoutMs);
        try {
          const answers = await call.send(connection, some, { ...options, timeoutMs }, brokerId);
          for (const answer of answers) {
            if (answer.error === null) results.set(answer.groupId, answer);
            else refused(answer.groupId, errorFrom(answer.error));
          }
        } catch (thrown) {
          lastError = toOttlaError(thrown);
          if (!lastError.retriable) throw lastError;
          for (const groupId of some) unknown.add(groupId);
        }
      }),
    );
    await Promise.all(attempts);
  }
}

/** Groups by their coordinator, whose address is then known; without those that have none now. */
async function findCoordinators(
  cluster: ClusterClient,
  groupIds: readonly string[],
  refused: (groupId: string, error: OttlaError) => void,
  options: CallOptions,
): Promise<ReadonlyMap<BrokerId, readonly string[]>> {
  const byBroker = new Map<BrokerId, string[]>();
  const asked = await Promise.all(
    chunks(groupIds).map((some) =>
      cluster.find("FindCoordinator", { groupIds: some }, { ...options, hedge: true }),
    ),
  );
  for (const { coordinator, error, groupId } of asked.flatMap(({ coordinators }) => coordinators)) {
    if (error !== null) refused(groupId, errorFrom(error));
    if (coordinator === null) continue;
    const groups = byBroker.get(coordinator.brokerId) ?? [];
    groups.push(groupId);
    byBroker.set(coordinator.brokerId, groups);
  }
  if ([...byBroker.keys()].some((id) => cluster.connection(id) === undefined)) {
    await cluster.refresh([], { ...options, allowAutoTopicCreation: false });
  }
  return byBroker;
}

function chunks(groupIds: readonly string[]): readonly (readonly string[])[] {
  const out: (readonly string[])[] = [];
  for (let at = 0; at < groupIds.length; at += GROUPS_PER_CALL_COUNT) {
    out.push(groupIds.slice(at, at + GROUPS_PER_CALL_COUNT));
  }
  return out;
}

function timedOut(groupIds: readonly string[]): OttlaError {
  const names = groupIds.slice(0, 10).join(", ");
  return new OttlaError("REQUEST_TIMED_OUT", `the coordinators of ${names} did not answer in time`);
}
