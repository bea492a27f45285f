/**
 * One consumer as a member of its group: Kafka's classic protocol from the client's side (KIP-62,
 * 345 static members, 394, 429 cooperative rebalances, 814). It decides when to join, what to give
 * up before or after, when it is lost; what only the program can do goes out as steps, and comes
 * back by `onStepDone`.
 *
 *     out -> joining -> (assigning ->) syncing -> stable -> joining ...
 *              ^                                    |
 *              +-- giving-up (all, eager or lost) --+
 *              +-- revoking (some, cooperative) ----+
 */
import type { Assignor, AssignorMember, PartitionCounts } from "../../group/assignors/assignor.ts";
import {
  CONSUMER_PROTOCOL_TYPE,
  type ConsumerAssignment,
  type ConsumerSubscription,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from "../../group/consumer-protocol.ts";
import { type ErrorCode, OttlaError, toOttlaError } from "../../model/errors.ts";
import { NONE, type PartitionIndex } from "../../model/ids.ts";
import type { JoinGroupResponse } from "../group-messages.ts";
import { decodeNotes, encodeNotes } from "./leader-notes.ts";
import {
  contains,
  NO_PARTITIONS,
  type PartitionLists,
  together,
  without,
} from "./partition-lists.ts";
import type { SessionCalls, Settlement } from "./session-calls.ts";

export interface GroupMemberOptions {
  readonly groupId: string;
  /** Null: a dynamic member. */
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** Also how long the group waits for this member in a rebalance, as in Kafka. */
  readonly maxPollIntervalMs: number;
  /** In order of preference. */
  readonly assignors: readonly Assignor[];
  readonly requestTimeoutMs: number;
}

/** What the program does for the member. Steps are done one after the other, in order. */
export interface GroupStep {
  readonly id: number;
  /**
   * `revoke`: finish what is being processed, commit, tell, stop reading. `lost`: stop reading at
   * once, another member may have them already. `assign`: read from where the group is.
   */
  readonly kind: "revoke" | "lost" | "assign";
  readonly partitions: PartitionLists;
}

/** As whom a commit is sent; `wait`: until a rebalance has gone on; `none`: it is nobody. */
export type CommitIdentity =
  | { readonly memberId: string; readonly generationId: number }
  | "wait"
  | "none";

type Phase =
  | "out"
  | "giving-up"
  | "joining"
  | "assigning"
  | "syncing"
  | "stable"
  | "revoking"
  | "leaving";

const JOIN_REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["MEMBER_ID_REQUIRED"]);
const REBALANCE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["REBALANCE_IN_PROGRESS"]);
/** The group has gone on without the member. */
const PASSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "UNKNOWN_MEMBER_ID",
  "ILLEGAL_GENERATION",
]);
/** A parked join or sync is answered at the latest so long after the rebalance's own timeout. */
const PARKED_SLACK_MS = 5_000;
const NEVER = Number.POSITIVE_INFINITY;

export class GroupMember {
  readonly #options: GroupMemberOptions;
  readonly #calls: SessionCalls;
  readonly #cooperative: boolean;
  readonly #steps: GroupStep[] = [];
  #phase: Phase = "out";
  /** What follows when everything has been given up. */
  #after: "join" | "leave" | "out" = "out";
  /** Undefined: not subscribed. */
  #topics: readonly string[] | undefined;
  #failure: OttlaError | undefined;
  #memberId = "";
  #generationId: number = NONE;
  #owned: PartitionLists = NO_PARTITIONS;
  /** What the last assignment gave, and when: a sticky assignor is told, given up or not. */
  #last: { readonly generationId: number; readonly partitions: PartitionLists } = NOTHING;
  /** Something has changed that the group does not know: it joins again when it can. */
  #rejoin = false;
  /** Rises whenever what was asked before interests no more. */
  #attempt = 0;
  #callId = 0;
  #lastStepId = 0;
  /** Of the step that is waited for. */
  #stepId = 0;
  #revoked: PartitionLists = NO_PARTITIONS;
  /** Commits in the old generation have become impossible before the new one is known. */
  #holdsCommits = false;
  #heartbeatId = 0;
  #heartbeatAtMs = NEVER;
  #polledMs = 0;
  #pulls = -1;
  #waiting = true;
  /** Of the leader: what the group's members subscribe to, and how many partitions it divided. */
  #watched: readonly string[] = [];
  /** What is subscribed to and what is watched, put together when one of them changes. */
  #allTopics: readonly string[] = [];
  #divided: ReadonlyMap<string, number> | undefined;
  #joined: JoinGroupResponse | undefined;
  /** It came without a member id, and has had no assignment since. */
  #isNew = true;
  #topicsRequest = 0;

  constructor(options: GroupMemberOptions, calls: SessionCalls) {
    this.#options = options;
    this.#calls = calls;
    // As in Kafka: cooperative only if every assignor is, since any of them may be chosen.
    this.#cooperative = options.assignors.every(({ protocol }) => protocol === "cooperative");
  }

  get owned(): PartitionLists {
    return this.#owned;
  }

  get memberId(): string {
    return this.#memberId;
  }

  get generationId(): number {
    return this.#generationId;
  }

  get isStable(): boolean {
    return this.#phase === "stable";
  }

  /** In no group, and nothing under way. */
  get isOut(): boolean {
    return this.#phase === "out";
  }

  get isSubscribed(): boolean {
    return this.#topics !== undefined;
  }

  get subscribedTopics(): readonly string[] {
    return this.#topics ?? [];
  }

  /** Topics of which this member must know how many partitions they have; the same list until it changes. */
  get watchedTopics(): readonly string[] {
    return this.#allTopics;
  }

  owns(topic: string, partition: PartitionIndex): boolean {
    return contains(this.#owned, topic, partition);
  }

  /** Why it is in no group. One that waiting may cure is gone with that: the next pull joins again. */
  takeFailure(): OttlaError | undefined {
    const failure = this.#failure;
    if (failure?.retriable === true) this.#failure = undefined;
    return failure;
  }

  get failure(): OttlaError | undefined {
    return this.#failure;
  }

  /** Wants to be in the group with these topics, or with these instead of others. */
  subscribe(topics: readonly string[], nowMs: number): void {
    const sorted = [...new Set(topics)].sort();
    const known = this.#topics;
    this.#topics = sorted;
    this.#gatherTopics();
    if (known === undefined || this.#failure !== undefined || this.#phase === "out") {
      this.#polledMs = nowMs;
      this.#failure = undefined;
      if (this.#phase === "out") this.#join(nowMs);
      else if (this.#phase === "giving-up") this.#after = "join";
    } else if (known.length !== sorted.length || known.some((each, at) => each !== sorted[at])) {
      this.#wantRejoin(nowMs);
    }
  }

  /** Gives everything up and leaves; `isOut` once that is done. */
  leave(nowMs: number): void {
    this.#topics = undefined;
    this.#gatherTopics();
    this.#rejoin = false;
    if (this.#phase === "out" || this.#phase === "leaving") return;
    if (this.#phase === "giving-up") this.#after = "leave";
    else this.#giveUp("revoke", "leave", nowMs);
  }

  /**
   * How often messages were asked for so far, and whether somebody waits for one now. Who does not
   * ask for `maxPollIntervalMs` is not alive as far as the group goes (KIP-62).
   */
  onProgress(pulls: number, waiting: boolean, nowMs: number): void {
    const moved = waiting || pulls !== this.#pulls;
    this.#pulls = pulls;
    this.#waiting = waiting;
    if (moved) this.#polledMs = nowMs;
    if (moved && this.#phase === "out" && this.#topics !== undefined && !this.#failure) {
      this.#join(nowMs);
    }
  }

  /** The group begins to rebalance, says the coordinator: perhaps old news, so it is asked. */
  onRebalancing(nowMs: number): void {
    if (this.#phase === "stable") this.#heartbeatAtMs = nowMs;
  }

  /** By topic; one that does not exist is absent. `request`: of `drain`, whose answer this is. */
  onTopics(counts: PartitionCounts, request: number | undefined, nowMs: number): void {
    if (this.#phase === "assigning" && request === this.#topicsRequest) {
      this.#divide(counts, nowMs);
      return;
    }
    if (this.#watched.length === 0) return;
    const divided = this.#divided;
    const present = countsOf(this.#watched, counts);
    if (divided === undefined) this.#divided = present;
    else if (this.#watched.some((topic) => divided.get(topic) !== present.get(topic))) {
      this.#wantRejoin(nowMs);
    }
  }

  onStepDone(id: number, nowMs: number): void {
    if (id !== this.#stepId) return;
    this.#stepId = 0;
    if (this.#phase === "giving-up") {
      this.#owned = NO_PARTITIONS;
      this.#proceed(nowMs);
    } else if (this.#phase === "revoking") {
      this.#owned = without(this.#owned, this.#revoked);
      // Only now may somebody else have them: this join says that nobody does (KIP-429).
      this.#join(nowMs);
    }
  }

  commitIdentity(): CommitIdentity {
    switch (this.#phase) {
      case "assigning":
      case "syncing":
        // The group is in the next generation, and this member has no part in it yet.
        return "wait";
      case "joining":
        if (this.#holdsCommits) return "wait";
        break;
      case "out":
      case "leaving":
        return "none";
    }
    const { memberId, generationId } = this.#identity();
    return generationId === NONE ? "none" : { memberId, generationId };
  }

  /** A commit was refused because the group has gone on. */
  onCommitPassed(
    error: OttlaError,
    sent: { readonly memberId: string; readonly generationId: number },
    nowMs: number,
  ): void {
    if (this.#phase === "joining") this.#holdsCommits = true;
    else this.#onPassed(error, sent, nowMs);
  }

  drain(nowMs: number): {
    readonly steps: readonly GroupStep[];
    /** How many partitions these have now; then `onTopics` with the number. */
    readonly topics: { readonly request: number; readonly names: readonly string[] } | undefined;
    readonly wakeAtMs: number;
  } {
    const { heartbeatIntervalMs, maxPollIntervalMs } = this.#options;
    let wakeAtMs = NEVER;
    if (this.#isMember) {
      const expiresMs = this.#waiting ? NEVER : this.#polledMs + maxPollIntervalMs;
      if (expiresMs <= nowMs) this.#expire(nowMs);
      else wakeAtMs = expiresMs;
    }
    if (this.#beats) {
      if (this.#heartbeatAtMs <= nowMs && this.#heartbeatId === 0) {
        this.#heartbeatAtMs = nowMs + heartbeatIntervalMs;
        this.#heartbeat();
      }
      if (this.#heartbeatAtMs > nowMs) wakeAtMs = Math.min(wakeAtMs, this.#heartbeatAtMs);
    }
    const topics =
      this.#phase === "assigning"
        ? { request: this.#topicsRequest, names: this.watchedTopics }
        : undefined;
    return { steps: this.#steps.splice(0), topics, wakeAtMs };
  }

  get #isMember(): boolean {
    return this.#phase !== "out" && this.#phase !== "leaving" && this.#topics !== undefined;
  }

  /** While it waits for the others its session does not run. */
  get #beats(): boolean {
    if (this.#generationId === NONE) return false;
    const phase = this.#phase;
    return (
      phase === "stable" || phase === "revoking" || phase === "giving-up" || phase === "assigning"
    );
  }

  #identity() {
    const { groupId, groupInstanceId } = this.#options;
    return {
      groupId,
      memberId: this.#memberId,
      groupInstanceId: groupInstanceId ?? "",
      generationId: this.#generationId,
    };
  }

  #wantRejoin(nowMs: number): void {
    this.#rejoin = true;
    if (this.#phase === "stable") this.#prepareJoin(nowMs);
  }

  #prepareJoin(nowMs: number): void {
    if (this.#cooperative) this.#join(nowMs);
    else this.#giveUp("revoke", "join", nowMs);
  }

  #giveUp(kind: "revoke" | "lost", after: "join" | "leave" | "out", nowMs: number): void {
    this.#forgetCalls();
    const partitions = this.#owned;
    if (kind === "lost") {
      this.#owned = NO_PARTITIONS;
      this.#generationId = NONE;
      this.#last = NOTHING;
    }
    this.#phase = "giving-up";
    this.#after = after;
    if (partitions.length === 0) this.#proceed(nowMs);
    else this.#step(kind, partitions);
  }

  #step(kind: GroupStep["kind"], partitions: PartitionLists): void {
    this.#steps.push({ id: ++this.#lastStepId, kind, partitions });
    if (kind !== "assign") this.#stepId = this.#lastStepId;
  }

  #proceed(nowMs: number): void {
    if (this.#after === "join") this.#join(nowMs);
    else if (this.#after === "leave") this.#sendLeave(nowMs);
    else this.#phase = "out";
  }

  #gatherTopics(): void {
    this.#allTopics = [...new Set([...(this.#topics ?? []), ...this.#watched])];
  }

  #forgetCalls(): void {
    this.#attempt++;
    this.#calls.cancel(this.#callId);
    this.#calls.cancel(this.#heartbeatId);
    this.#heartbeatId = 0;
    this.#watched = [];
    this.#gatherTopics();
    this.#divided = undefined;
    this.#joined = undefined;
  }

  #join(nowMs: number): void {
    this.#forgetCalls();
    this.#phase = "joining";
    this.#rejoin = false;
    const { assignors } = this.#options;
    const { generationId, partitions } = this.#last;
    const subscription = {
      topics: this.#topics ?? [],
      ownedPartitions: this.#cooperative ? this.#owned : NO_PARTITIONS,
      generationId,
      rackId: null,
    };
    const protocols = assignors.map((assignor) => ({
      name: assignor.name,
      metadata: encodeSubscription({
        ...subscription,
        userData: assignor.userData({ generationId, partitions }),
      }),
    }));
    this.#heartbeatAtMs = nowMs + this.#options.heartbeatIntervalMs;
    this.#sendJoin(protocols);
  }

  #sendJoin(protocols: readonly { readonly name: string; readonly metadata: Uint8Array }[]): void {
    const { clientId, maxPollIntervalMs, sessionTimeoutMs } = this.#options;
    const { groupId, groupInstanceId, memberId } = this.#identity();
    const attempt = this.#attempt;
    const join = {
      groupId,
      memberId,
      groupInstanceId,
      clientId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: maxPollIntervalMs,
      protocolType: CONSUMER_PROTOCOL_TYPE,
      protocols,
    };
    this.#callId = this.#calls.send(
      { join },
      {
        patienceMs: maxPollIntervalMs + PARKED_SLACK_MS,
        refusals: JOIN_REFUSALS,
        settled: (settlement) => {
          if (attempt !== this.#attempt) return;
          this.#callId = 0;
          const { answer, error, nowMs } = settlement;
          if (error?.code === "MEMBER_ID_REQUIRED") {
            this.#memberId = answer?.join?.memberId ?? "";
            this.#sendJoin(protocols);
          } else if (error !== undefined) this.#onRefused(error, this.#identity(), nowMs);
          else this.#onJoined(answer?.join ?? undefined, nowMs);
        },
      },
    );
  }

  #onJoined(joined: JoinGroupResponse | undefined, nowMs: number): void {
    if (joined === undefined) {
      this.#fail(new OttlaError("UNKNOWN_SERVER_ERROR", "the join's answer is empty"), nowMs);
      return;
    }
    this.#memberId = joined.memberId;
    this.#generationId = joined.generationId;
    this.#joined = joined;
    this.#holdsCommits = false;
    if (joined.leader !== joined.memberId) {
      this.#sync([]);
      return;
    }
    const topics = new Set<string>();
    for (const { metadata } of joined.members) {
      for (const topic of subscriptionOf(metadata).topics) topics.add(topic);
    }
    this.#watched = [...topics].sort();
    this.#gatherTopics();
    // The assignment stands; how many partitions it divided is not known (KIP-814).
    if (joined.skipAssignment) this.#sync([]);
    else {
      this.#phase = "assigning";
      this.#topicsRequest++;
    }
  }

  #divide(counts: PartitionCounts, nowMs: number): void {
    const { members, protocolName } = this.#joined as JoinGroupResponse;
    const assignor = this.#options.assignors.find(({ name }) => name === protocolName);
    if (assignor === undefined) {
      const message = `the group uses ${protocolName}, which this member did not offer`;
      this.#fail(new OttlaError("INCONSISTENT_GROUP_PROTOCOL", message), nowMs);
      return;
    }
    this.#divided = countsOf(this.#watched, counts);
    const list = members.map(
      ({ groupInstanceId, memberId, metadata }): AssignorMember => ({
        memberId,
        groupInstanceId: groupInstanceId === "" ? null : groupInstanceId,
        subscription: subscriptionOf(metadata),
      }),
    );
    const divided = [...assignor.assign(counts, list)];
    const partial = sizeOf(divided.flatMap(([, each]) => each)) < sum(this.#divided.values());
    const ownNotes = { partial, counts: this.#divided };
    const notes = partial ? encodeNotes({ partial, counts: new Map() }) : null;
    this.#sync(
      divided.map(([memberId, partitions]) => {
        const userData = memberId === this.#memberId ? encodeNotes(ownNotes) : notes;
        return { memberId, assignment: encodeAssignment({ partitions, userData }) };
      }),
    );
  }

  #sync(
    assignments: readonly { readonly memberId: string; readonly assignment: Uint8Array }[],
  ): void {
    this.#phase = "syncing";
    const attempt = this.#attempt;
    const sent = this.#identity();
    const { protocolName, protocolType } = this.#joined as JoinGroupResponse;
    const settled = ({ answer, error, nowMs }: Settlement) => {
      if (attempt !== this.#attempt) return;
      this.#callId = 0;
      if (error?.code === "REBALANCE_IN_PROGRESS") this.#prepareJoin(nowMs);
      else if (error !== undefined) this.#onRefused(error, sent, nowMs);
      else this.#onAssigned(answer?.sync?.assignment ?? new Uint8Array(0), nowMs);
    };
    this.#callId = this.#calls.send(
      { sync: { ...sent, protocolType, protocolName, assignments } },
      {
        patienceMs: this.#options.maxPollIntervalMs + PARKED_SLACK_MS,
        refusals: REBALANCE,
        settled,
      },
    );
  }

  #onAssigned(bytes: Uint8Array, nowMs: number): void {
    let assignment: ConsumerAssignment;
    try {
      assignment = decodeAssignment(bytes);
    } catch (thrown) {
      this.#fail(toOttlaError(thrown), nowMs);
      return;
    }
    const target = assignment.partitions;
    if (this.#isNew && this.#options.groupInstanceId !== null) {
      const { counts, partial } = decodeNotes(assignment.userData);
      // The one before it died before it said that it gave up what others wait for.
      if (partial) this.#rejoin = true;
      if (this.#joined?.skipAssignment === true && counts.size > 0) this.#divided = counts;
    }
    this.#isNew = false;
    this.#joined = undefined;
    this.#last = { generationId: this.#generationId, partitions: target };
    this.#heartbeatAtMs = nowMs + this.#options.heartbeatIntervalMs;
    const revoked = without(this.#owned, target);
    const added = without(target, this.#owned);
    this.#owned = together(this.#owned, added);
    if (revoked.length > 0) {
      this.#phase = "revoking";
      this.#revoked = revoked;
      this.#step("revoke", revoked);
    } else this.#phase = "stable";
    // Told even if it is nothing: the program learns that the group has a part for it, or none.
    this.#step("assign", added);
    if (this.#phase === "stable" && this.#rejoin) this.#prepareJoin(nowMs);
  }

  #heartbeat(): void {
    const sent = this.#identity();
    const attempt = this.#attempt;
    const { requestTimeoutMs, sessionTimeoutMs } = this.#options;
    this.#heartbeatId = this.#calls.send(
      { heartbeat: sent },
      {
        patienceMs: Math.min(requestTimeoutMs, sessionTimeoutMs),
        refusals: REBALANCE,
        settled: ({ error, nowMs }) => {
          if (attempt !== this.#attempt) return;
          this.#heartbeatId = 0;
          if (error === undefined) return;
          if (error.code !== "REBALANCE_IN_PROGRESS") this.#onRefused(error, sent, nowMs);
          // While it gives something up it will join in any case.
          else if (this.#phase === "stable" || this.#phase === "assigning") {
            this.#prepareJoin(nowMs);
          }
        },
      },
    );
  }

  #onRefused(
    error: OttlaError,
    sent: { readonly memberId: string; readonly generationId: number },
    nowMs: number,
  ): void {
    if (PASSED.has(error.code)) this.#onPassed(error, sent, nowMs);
    else this.#fail(error, nowMs);
  }

  /** The group has gone on without this member: what it had may be another's by now. */
  #onPassed(
    error: OttlaError,
    sent: { readonly memberId: string; readonly generationId: number },
    nowMs: number,
  ): void {
    // About who this member was, not about who it is.
    if (sent.memberId !== this.#memberId || sent.generationId !== this.#generationId) return;
    if (error.code === "UNKNOWN_MEMBER_ID") this.#forgetId();
    const leaves = this.#phase === "giving-up" && this.#after === "leave";
    this.#giveUp("lost", leaves ? "leave" : "join", nowMs);
  }

  #fail(error: OttlaError, nowMs: number): void {
    this.#failure = error;
    this.#forgetId();
    this.#giveUp("lost", "out", nowMs);
  }

  /** The program has not asked for messages for too long. It joins again when it does. */
  #expire(nowMs: number): void {
    this.#sendLeaveCall(() => undefined);
    this.#forgetId();
    this.#giveUp("lost", "out", nowMs);
  }

  #forgetId(): void {
    this.#memberId = "";
    this.#isNew = true;
  }

  #sendLeave(nowMs: number): void {
    this.#phase = "leaving";
    const done = (leftMs: number) => {
      this.#phase = "out";
      this.#forgetId();
      this.#generationId = NONE;
      // It was wanted again while it left.
      if (this.#topics !== undefined) this.#join(leftMs);
    };
    if (!this.#sendLeaveCall((settlement) => done(settlement.nowMs))) done(nowMs);
  }

  /** A static member's place waits for it as long as its session lasts (KIP-345): it says nothing. */
  #sendLeaveCall(settled: (settlement: Settlement) => void): boolean {
    const { groupId, groupInstanceId, requestTimeoutMs } = this.#options;
    if (this.#memberId === "" || groupInstanceId !== null) return false;
    const members = [{ memberId: this.#memberId, groupInstanceId: "" }];
    this.#calls.send({ leave: { groupId, members } }, { patienceMs: requestTimeoutMs, settled });
    return true;
  }
}

const NOTHING = { generationId: NONE, partitions: NO_PARTITIONS };

function countsOf(topics: readonly string[], counts: PartitionCounts): ReadonlyMap<string, number> {
  return new Map(topics.map((topic) => [topic, counts.get(topic) ?? 0]));
}

function sizeOf(lists: PartitionLists): number {
  return sum(lists.map(({ partitions }) => partitions.length));
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const each of numbers) total += each;
  return total;
}

/** A member whose bytes are something else gets nothing, and the others their part. */
function subscriptionOf(metadata: Uint8Array): ConsumerSubscription {
  try {
    return decodeSubscription(metadata);
  } catch {
    return {
      topics: [],
      userData: null,
      ownedPartitions: [],
      generationId: NONE,
      rackId: null,
    };
  }
}
