/**
 * A consumer's commits: one under way at a time, and what comes meanwhile rides in the next. So an
 * older commit that is sent again can never overtake a newer one.
 */
import { type ErrorCode, OttlaError } from "../../model/errors.ts";
import { type LeaderEpoch, NONE, type Offset, type PartitionIndex } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import { errorFrom } from "../errors.ts";
import type { CommitIdentity } from "./group-member.ts";
import { type RetryLimits, retryDelayMs } from "./retry-delay.ts";
import type { SessionCalls, Settlement } from "./session-calls.ts";

export interface OffsetToCommit {
  readonly topic: string;
  readonly partition: PartitionIndex;
  /** Of the next record to be processed. */
  readonly offset: Offset;
  /** Of the last record processed; -1 not known. */
  readonly leaderEpoch: LeaderEpoch;
  readonly metadata: string;
}

export interface GroupCommitsOptions {
  readonly groupId: string;
  readonly groupInstanceId: string | null;
  readonly requestTimeoutMs: number;
  readonly retry: RetryLimits;
}

/** The group as far as commits depend on it. */
export interface CommitGate {
  identity(): CommitIdentity;
  owns(topic: string, partition: PartitionIndex): boolean;
  onPassed(
    error: OttlaError,
    sent: { readonly memberId: string; readonly generationId: number },
    nowMs: number,
  ): void;
}

interface Job {
  readonly offsets: readonly OffsetToCommit[];
  readonly deadlineMs: number;
  readonly settled: (error: OttlaError | undefined) => void;
}

/** The member's generation is over, or not begun: what is still its own is sent in the next. */
const PASSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "UNKNOWN_MEMBER_ID",
  "ILLEGAL_GENERATION",
  "REBALANCE_IN_PROGRESS",
]);
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["REBALANCE_IN_PROGRESS"]);

export class GroupCommits {
  readonly #options: GroupCommitsOptions;
  readonly #calls: SessionCalls;
  readonly #gate: CommitGate;
  #waiting: Job[] = [];
  #underWay = false;
  #retryAtMs = 0;
  #failingSinceMs: number | undefined;

  constructor(options: GroupCommitsOptions, calls: SessionCalls, gate: CommitGate) {
    this.#options = options;
    this.#calls = calls;
    this.#gate = gate;
  }

  /** At most `LIMITS.offsetsPerRequestCount` offsets, each partition once. */
  commit(job: Job): void {
    this.#waiting.push(job);
  }

  /** Those that are not under way. */
  failAll(error: OttlaError): void {
    for (const { settled } of this.#waiting.splice(0)) settled(error);
  }

  /** When to come again. */
  drain(nowMs: number): number {
    if (this.#underWay || this.#waiting.length === 0) return Number.POSITIVE_INFINITY;
    this.#refuse(nowMs);
    const first = this.#waiting[0];
    if (first === undefined) return Number.POSITIVE_INFINITY;
    const identity = this.#gate.identity();
    if (typeof identity === "string") {
      return Math.min(...this.#waiting.map(({ deadlineMs }) => deadlineMs));
    }
    if (this.#retryAtMs > nowMs) return this.#retryAtMs;
    this.#send(identity, nowMs);
    return Number.POSITIVE_INFINITY;
  }

  /** Those that cannot be made any more. */
  #refuse(nowMs: number): void {
    const gone = this.#gate.identity() === "none";
    const kept: Job[] = [];
    const refused: (readonly [Job, OttlaError])[] = [];
    for (const job of this.#waiting) {
      const foreign = job.offsets.find(
        ({ partition, topic }) => !this.#gate.owns(topic, partition),
      );
      if (foreign !== undefined || gone) refused.push([job, notOwned(foreign ?? job.offsets[0])]);
      else if (job.deadlineMs <= nowMs) refused.push([job, timedOut()]);
      else kept.push(job);
    }
    this.#waiting = kept;
    for (const [job, error] of refused) job.settled(error);
  }

  #send(identity: Exclude<CommitIdentity, string>, nowMs: number): void {
    const jobs: Job[] = [];
    const offsets = new Map<string, OffsetToCommit>();
    let deadlineMs = nowMs;
    for (const job of this.#waiting) {
      if (jobs.length > 0 && offsets.size + job.offsets.length > LIMITS.offsetsPerRequestCount)
        break;
      jobs.push(job);
      deadlineMs = Math.max(deadlineMs, job.deadlineMs);
      for (const each of job.offsets) offsets.set(keyOf(each), each);
    }
    this.#waiting = this.#waiting.slice(jobs.length);
    this.#underWay = true;
    const { groupId, groupInstanceId, requestTimeoutMs: patienceMs } = this.#options;
    const commit = {
      groupId,
      ...identity,
      groupInstanceId: groupInstanceId ?? "",
      offsets: [...offsets.values()],
    };
    const settled = (settlement: Settlement) => this.#onSettled(settlement, jobs, identity);
    this.#calls.send({ commit }, { deadlineMs, patienceMs, refusals: REFUSALS, settled });
  }

  #onSettled(
    { answer, error, nowMs }: Settlement,
    jobs: readonly Job[],
    sent: Exclude<CommitIdentity, string>,
  ): void {
    this.#underWay = false;
    if (error !== undefined && PASSED.has(error.code) && sent.generationId !== NONE) {
      this.#waiting = [...jobs, ...this.#waiting];
      this.#failingSinceMs ??= nowMs;
      this.#retryAtMs = nowMs + retryDelayMs(nowMs - this.#failingSinceMs, this.#options.retry);
      if (error.code !== "REBALANCE_IN_PROGRESS") this.#gate.onPassed(error, sent, nowMs);
      return;
    }
    this.#failingSinceMs = undefined;
    const refused = new Map<string, OttlaError>();
    for (const result of answer?.commit?.partitions ?? []) {
      if (result.error === null) continue;
      refused.set(keyOf(result), errorFrom(result.error, `${result.topic}-${result.partition}: `));
    }
    for (const { offsets, settled } of jobs) {
      const first = offsets
        .map((each) => refused.get(keyOf(each)))
        .find((each) => each !== undefined);
      settled(error ?? first);
    }
  }
}

function keyOf({
  partition,
  topic,
}: {
  readonly topic: string;
  readonly partition: number;
}): string {
  return `${topic}/${partition}`;
}

function notOwned(offset: OffsetToCommit | undefined): OttlaError {
  const what = offset === undefined ? "nothing" : `${offset.topic}-${offset.partition}`;
  const message = `${what} is not assigned to this consumer (any more): its offset was not committed`;
  return new OttlaError("ILLEGAL_GENERATION", message, { field: "partition" });
}

function timedOut(): OttlaError {
  const message = "the group's rebalance did not end in time: the offsets were not committed";
  return new OttlaError("REQUEST_TIMED_OUT", message);
}
