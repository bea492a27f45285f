/**
 * A group's client: member, commits and offsets over one way to the coordinator. It decides; the
 * driver does what comes out of `drain`, and says what became of it. No clock, no promise.
 */
import type { PartitionCounts } from "../../group/assignors/assignor.ts";
import type { OttlaError } from "../../model/errors.ts";
import { type BrokerId, NONE } from "../../model/ids.ts";
import type { FetchedOffsetMessage, GroupAnswer } from "../group-messages.ts";
import type { TopicPartitionMessage } from "../messages.ts";
import { GroupCommits, type OffsetToCommit } from "./group-commits.ts";
import { GroupMember, type GroupMemberOptions, type GroupStep } from "./group-member.ts";
import {
  type CallsEffects,
  type Coordinator,
  SessionCalls,
  type SessionCallsOptions,
} from "./session-calls.ts";

export interface GroupCoreOptions extends GroupMemberOptions, SessionCallsOptions {}

export interface GroupCoreEffects extends CallsEffects {
  /** To be done in order, each told by `member.onStepDone`. */
  readonly steps: readonly GroupStep[];
  /** How many partitions these topics have now; then `member.onTopics` with the number. */
  readonly topics: { readonly request: number; readonly names: readonly string[] } | undefined;
}

export class GroupCore {
  readonly member: GroupMember;
  readonly #options: GroupCoreOptions;
  readonly #calls: SessionCalls;
  readonly #commits: GroupCommits;

  constructor(options: GroupCoreOptions) {
    this.#options = options;
    this.#calls = new SessionCalls(options);
    this.member = new GroupMember(options, this.#calls);
    this.#commits = new GroupCommits(options, this.#calls, {
      identity: () =>
        this.#isOutside ? { memberId: "", generationId: NONE } : this.member.commitIdentity(),
      owns: (topic, partition) => this.#isOutside || this.member.owns(topic, partition),
      onPassed: (error, sent, nowMs) => this.member.onCommitPassed(error, sent, nowMs),
    });
  }

  get coordinator(): BrokerId | undefined {
    return this.#calls.coordinator;
  }

  /**
   * `settled` is called once, with the error of the whole or of the first partition refused. At most
   * `LIMITS.offsetsPerRequestCount` offsets, each partition once.
   */
  commit(
    offsets: readonly OffsetToCommit[],
    nowMs: number,
    settled: (error: OttlaError | undefined) => void,
  ): void {
    const deadlineMs = nowMs + this.#options.requestTimeoutMs;
    this.#commits.commit({ offsets, deadlineMs, settled });
  }

  /** What the group has committed; each partition may be refused by itself. */
  fetchOffsets(
    partitions: readonly TopicPartitionMessage[],
    nowMs: number,
    settled: (error: OttlaError | undefined, offsets: readonly FetchedOffsetMessage[]) => void,
  ): void {
    const { groupId, requestTimeoutMs } = this.#options;
    // An offset that a commit under way may replace is waited for.
    const fetch = { groupId, partitions, requireStable: true };
    this.#calls.send(
      { fetch },
      {
        deadlineMs: nowMs + requestTimeoutMs,
        patienceMs: requestTimeoutMs,
        settled: ({ answer, error }) => settled(error, answer?.fetch?.partitions ?? []),
      },
    );
  }

  onCoordinator(found: Coordinator, nowMs: number): void {
    this.#calls.onCoordinator(found, nowMs);
  }

  onLookupFailed(error: OttlaError, how: { readonly final: boolean }, nowMs: number): void {
    this.#calls.onLookupFailed(error, how, nowMs);
  }

  onLinkLost(brokerId: BrokerId, error: OttlaError, nowMs: number): void {
    this.#calls.onLinkLost(brokerId, error, nowMs);
    // Who has a stream to the next coordinator is told of rebalances by it, and does not hear of one
    // with its next heartbeat only.
    this.member.onRebalancing(nowMs);
  }

  onAnswers(brokerId: BrokerId, answers: readonly GroupAnswer[], nowMs: number): void {
    for (const answer of answers) {
      if (answer.correlationId !== 0) this.#calls.onAnswer(brokerId, answer, nowMs);
      else if (answer.rebalancing?.groupId === this.#options.groupId) {
        this.member.onRebalancing(nowMs);
      }
    }
  }

  onTopics(counts: PartitionCounts, request: number | undefined, nowMs: number): void {
    this.member.onTopics(counts, request, nowMs);
  }

  /** Whoever waits for a commit or an offset is told; nothing is drained after it. */
  failAll(error: OttlaError, nowMs: number): void {
    this.#calls.failAll(error, nowMs);
    this.#commits.failAll(error);
  }

  drain(nowMs: number): GroupCoreEffects {
    this.#calls.expire(nowMs);
    const member = this.member.drain(nowMs);
    const commitsWakeAtMs = this.#commits.drain(nowMs);
    const calls = this.#calls.drain(nowMs);
    return {
      ...calls,
      steps: member.steps,
      topics: member.topics,
      wakeAtMs: Math.min(calls.wakeAtMs, member.wakeAtMs, commitsWakeAtMs),
    };
  }

  /** Offsets are committed from outside the group's protocol: partitions were assigned by hand. */
  get #isOutside(): boolean {
    return this.member.isOut && !this.member.isSubscribed;
  }
}
