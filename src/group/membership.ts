/**
 * Who is in a group, and how it divides its work: join, sync, heartbeat, leave, and what time does.
 * Kafka's classic protocol: KIP-62 (sessions apart from rebalances), 134 (initial delay), 266, 345
 * (static members), 394 (ids before joining), 814 (a static leader comes back).
 *
 * One thing is stricter than in Kafka: a generation is recorded before anybody hears of it, so that
 * it never falls when the coordinator moves, and a rebalance goes on under the next coordinator.
 */
import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { LIMITS } from "../model/limits.ts";
import { compareText } from "./assignors/assignor.ts";
import {
  type GroupCall,
  type GroupError,
  type GroupResults,
  type Heartbeat,
  type JoinGroup,
  type JoinGroupResult,
  type LeaveGroup,
  type LeavingMember,
  type Now,
  REFUSED,
  type SyncGroup,
  type Token,
} from "./calls.ts";
import { CONSUMER_PROTOCOL_TYPE, subscribedTopics } from "./consumer-protocol.ts";
import { type Group, Member, type Session } from "./group.ts";

export interface MembershipConfig {
  /** `group.initial.rebalance.delay.ms` */
  readonly initialRebalanceDelayMs: number;
  /** `group.min.session.timeout.ms` and max */
  readonly minSessionTimeoutMs: number;
  readonly maxSessionTimeoutMs: number;
  /** `group.max.size` */
  readonly maxSize: number;
}

/** What the coordinator does for the group. */
export interface GroupEffects {
  /** Leaves once all that the group has proposed is committed. */
  answer<Call extends GroupCall>(
    group: Group,
    call: Call,
    token: Token,
    result: GroupResults[Call],
  ): void;
  /** Proposes the group's record as it is now. */
  propose(group: Group): void;
  setDeadline(timed: Session | Group, deadlineMs: number): void;
  /** Members are to join again; who can be told need not wait for its next heartbeat. */
  rebalancing(group: Group): void;
  /** The leader has assigned. */
  rebalanced(): void;
}

/** A new member's join may be parked for so long: it has no id to send heartbeats with (Kafka). */
const NEW_MEMBER_JOIN_MS = 300_000;
const NEVER = Number.POSITIVE_INFINITY;

export class Membership {
  readonly #config: MembershipConfig;
  readonly #effects: GroupEffects;

  constructor(config: MembershipConfig, effects: GroupEffects) {
    this.#config = config;
    this.#effects = effects;
  }

  /** The group may be new; then nobody else is in it. */
  join(group: Group, token: Token, request: JoinGroup, now: Now): void {
    const refusal = this.#joinRefusal(group, request);
    if (refusal !== undefined) {
      this.#refuseJoin(group, token, refusal, request.memberId);
      // It is not coming: the others need not wait for it.
      if (refusal.code === "GROUP_MAX_SIZE_REACHED") this.#turnAway(group, request.memberId, now);
      return;
    }
    const { memberId, groupInstanceId } = request;
    if (memberId === "") {
      if (groupInstanceId === null) this.#joinWithoutId(group, token, request, now);
      else this.#joinStatic(group, token, request, now);
      return;
    }
    const pending = group.pending.get(memberId);
    if (pending !== undefined) {
      if (groupInstanceId !== null) {
        const code = "INVALID_REQUEST";
        const message = `member ${memberId} was given its id as a dynamic member; it came back as instance ${groupInstanceId}`;
        this.#refuseJoin(group, token, { code, message, field: "group.instance.id" }, memberId);
        return;
      }
      this.#forgetPending(group, pending);
      this.#addAndRebalance(group, token, memberId, request, now);
      return;
    }
    this.#rejoin(group, token, request, now);
  }

  sync(group: Group, token: Token, request: SyncGroup, now: Now): void {
    const error = this.#memberRefusal(group, request) ?? protocolRefusal(group, request);
    if (error !== undefined) {
      this.#effects.answer(group, "sync", token, REFUSED.sync(error));
      return;
    }
    const member = group.members.get(request.memberId) as Member;
    switch (group.state) {
      case "CompletingRebalance":
        this.#abandonSync(group, member);
        member.syncToken = token;
        this.#synced(group, member);
        if (group.leaderId === member.id) this.#assign(group, request, now);
        return;
      case "Stable":
        this.#synced(group, member);
        this.#touch(member, now);
        this.#answerSync(group, member, token);
        return;
      default:
        this.#effects.answer(group, "sync", token, REFUSED.sync(rebalanceInProgress(group)));
    }
  }

  heartbeat(group: Group, token: Token, request: Heartbeat, now: Now): void {
    let error = this.#memberRefusal(group, request);
    if (error === undefined) {
      this.#touch(group.members.get(request.memberId) as Member, now);
      if (group.state === "PreparingRebalance") error = rebalanceInProgress(group);
    }
    this.#effects.answer(group, "heartbeat", token, { error });
  }

  leave(group: Group, token: Token, request: LeaveGroup, now: Now): void {
    const before = group.members.size;
    const members = request.members.map((leaving) => ({
      ...leaving,
      error: this.#leaveOne(group, leaving),
    }));
    if (group.members.size < before) this.#afterRemoval(group, now);
    else this.#maybeCompleteJoin(group, now);
    this.#effects.answer(group, "leave", token, { error: undefined, members });
  }

  /** A commit's right to be, and a sign of life (KIP-62: a commit is as good as a heartbeat). */
  commitRefusal(
    group: Group,
    request: {
      readonly memberId: string;
      readonly groupInstanceId: string | null;
      readonly generationId: number;
    },
    now: Now,
  ): GroupError | undefined {
    const { generationId, memberId, groupInstanceId } = request;
    if (generationId < 0 && group.state === "Empty") return undefined;
    if (generationId < 0 && memberId === "" && groupInstanceId === null) {
      const code = "UNKNOWN_MEMBER_ID";
      const message = `group ${group.id} is ${group.state}; from outside its offsets are committed only while it is Empty`;
      return { code, message, field: "member.id" };
    }
    const error = this.#memberRefusal(group, request);
    if (error !== undefined) return error;
    // The member has heard of the generation, and not yet of its part in it.
    if (group.state === "CompletingRebalance") return rebalanceInProgress(group);
    this.#touch(group.members.get(memberId) as Member, now);
    return undefined;
  }

  /** The deadline of the group's present step is met. */
  stepExpired(group: Group, now: Now): void {
    if (group.state === "PreparingRebalance") {
      if (group.isInitial && group.newMemberJoined && group.initialRemainingMs > 0) {
        this.#extendInitialDelay(group, now);
      } else this.#completeJoin(group, now);
      return;
    }
    if (group.pendingSync.size === 0) return;
    // They joined and never asked for their part: they are gone, or cannot go on.
    for (const id of [...group.pendingSync]) {
      const member = group.members.get(id);
      if (member !== undefined) this.#remove(group, member);
    }
    this.#prepareRebalance(group, now);
  }

  sessionExpired(session: Session, now: Now): void {
    const { group } = session;
    if (session.kind === "pending") {
      group.pending.delete(session.id);
      this.#maybeCompleteJoin(group, now);
      return;
    }
    const member = group.members.get(session.id);
    if (member !== session) return;
    // Who waits for the others is alive as far as anybody can tell; its time begins with the answer.
    const waits = member.joinToken !== undefined || member.syncToken !== undefined;
    if (waits && !member.isNew) return;
    this.#remove(group, member);
    this.#afterRemoval(group, now);
  }

  /** The group was read from the log: its members have a session from now on. */
  loaded(group: Group, now: Now): void {
    if (group.members.size === 0) return;
    for (const member of group.members.values()) {
      this.#touch(member, now);
      if (group.state === "CompletingRebalance") group.pendingSync.add(member.id);
    }
    if (group.members.size > this.#config.maxSize) this.#prepareRebalance(group, now);
    else if (group.state === "CompletingRebalance") this.#startStep(group, now);
  }

  #joinRefusal(group: Group, request: JoinGroup): GroupError | undefined {
    const { minSessionTimeoutMs: least, maxSessionTimeoutMs: most, maxSize } = this.#config;
    const { sessionTimeoutMs } = request;
    if (sessionTimeoutMs < least || sessionTimeoutMs > most) {
      return {
        code: "INVALID_SESSION_TIMEOUT",
        message: `session.timeout.ms is ${sessionTimeoutMs}; this broker allows ${least} to ${most}`,
        field: "session.timeout.ms",
      };
    }
    if (group.state === "Dead") return dead(group);
    if (!this.#hasRoom(group, request.memberId)) {
      const code = "GROUP_MAX_SIZE_REACHED";
      return { code, message: `group ${group.id} is full: group.max.size is ${maxSize}` };
    }
    let bytes = group.metadataBytes;
    for (const { metadata } of request.protocols) bytes += metadata.length;
    if (bytes > LIMITS.groupMetadataBytes && !group.members.has(request.memberId)) {
      const code = "LIMIT_EXCEEDED";
      const message = `the subscriptions of group ${group.id} would have ${bytes} bytes in sum; allowed are ${LIMITS.groupMetadataBytes}`;
      return { code, message, field: "protocols" };
    }
    if (group.supports(request.protocolType, request.protocols)) return undefined;
    return {
      code: "INCONSISTENT_GROUP_PROTOCOL",
      message:
        group.members.size === 0
          ? "protocol type and protocols must not be empty"
          : `group ${group.id} is of type ${group.protocolType}, and its members have none of the protocols ${request.protocols.map(({ name }) => name).join(", ")} of type ${request.protocolType} in common`,
      field: "protocols",
    };
  }

  /** Of members that are over the size by a lowered limit, those that rejoin last are turned away. */
  #hasRoom(group: Group, memberId: string): boolean {
    const { maxSize } = this.#config;
    const member = group.members.get(memberId);
    switch (group.state) {
      case "PreparingRebalance":
        return member?.joinToken !== undefined || group.joiningCount < maxSize;
      case "CompletingRebalance":
      case "Stable":
        return member !== undefined || group.members.size < maxSize;
      default:
        return true;
    }
  }

  #turnAway(group: Group, memberId: string, now: Now): void {
    const pending = group.pending.get(memberId);
    const member = group.members.get(memberId);
    if (pending !== undefined) this.#forgetPending(group, pending);
    if (member !== undefined) this.#remove(group, member);
    if (pending !== undefined || member !== undefined) this.#maybeCompleteJoin(group, now);
  }

  #joinWithoutId(group: Group, token: Token, request: JoinGroup, now: Now): void {
    const id = `${request.clientId}-${request.unique}`;
    if (!request.requireKnownMemberId) {
      this.#addAndRebalance(group, token, id, request, now);
      return;
    }
    const pending: Session = {
      kind: "pending",
      group,
      id,
      deadlineMs: NEVER,
      queuedMs: NEVER,
    };
    group.pending.set(id, pending);
    this.#effects.setDeadline(pending, now.monotonicMs + request.sessionTimeoutMs);
    const code = "MEMBER_ID_REQUIRED";
    const message = `the member's id is ${id}: join again with it`;
    this.#refuseJoin(group, token, { code, message }, id);
  }

  #joinStatic(group: Group, token: Token, request: JoinGroup, now: Now): void {
    const instanceId = request.groupInstanceId as string;
    const id = `${instanceId}-${request.unique}`;
    const old = group.memberOf(instanceId);
    if (old === undefined) {
      this.#addAndRebalance(group, token, id, request, now);
      return;
    }
    this.#fence(group, old);
    const member = group.replace(old, id);
    this.#effects.setDeadline(old, NEVER);
    const topicsBefore = topicsOf(group, member);
    group.update(member, request);
    switch (group.state) {
      case "Stable":
        this.#touch(member, now);
        // Kafka lets a member that comes back with other topics wait for the next rebalance, which
        // may never come: what it consumes now would be nobody's.
        if (
          group.selectProtocol() === group.protocolName &&
          topicsOf(group, member) === topicsBefore
        ) {
          this.#answerStaticInPlace(group, member, token, request);
        } else {
          group.setJoinToken(member, token);
          this.#prepareRebalance(group, now);
        }
        return;
      case "CompletingRebalance":
        // The leader may be assigning to the old id at this moment.
        group.setJoinToken(member, token);
        this.#prepareRebalance(group, now);
        return;
      default:
        group.setJoinToken(member, token);
        this.#touch(member, now);
        this.#maybeCompleteJoin(group, now);
    }
  }

  /** A restarted static member takes its old part up, and nobody else notices (KIP-345). */
  #answerStaticInPlace(group: Group, member: Member, token: Token, request: JoinGroup): void {
    this.#effects.propose(group);
    const leads = group.leaderId === member.id;
    const skips = leads && request.canSkipAssignment;
    this.#effects.answer(group, "join", token, {
      ...this.#joined(group, member),
      members: skips ? members(group) : [],
      // A leader that could not skip the assignment must not take itself for the leader.
      leader: leads && !skips ? "" : (group.leaderId ?? ""),
      skipAssignment: skips,
    });
  }

  #rejoin(group: Group, token: Token, request: JoinGroup, now: Now): void {
    const { memberId, groupInstanceId } = request;
    const refusal = group.refusal(memberId, groupInstanceId);
    if (refusal !== undefined) {
      this.#refuseJoin(group, token, refusal, memberId);
      return;
    }
    const member = group.members.get(memberId) as Member;
    const unchanged = member.offers(request.protocols);
    const leads = group.leaderId === memberId;
    // Nothing new: it may have missed the answer. But a leader that joins again asks for a rebalance.
    if (
      (group.state === "CompletingRebalance" && unchanged) ||
      (group.state === "Stable" && unchanged && !leads)
    ) {
      this.#touch(member, now);
      this.#effects.answer(group, "join", token, this.#joined(group, member));
      return;
    }
    group.update(member, request);
    this.#abandonJoin(group, member);
    group.setJoinToken(member, token);
    this.#touch(member, now);
    if (group.state === "PreparingRebalance") this.#maybeCompleteJoin(group, now);
    else this.#prepareRebalance(group, now);
  }

  #addAndRebalance(group: Group, token: Token, id: string, request: JoinGroup, now: Now): void {
    if (group.members.size === 0) group.protocolType = request.protocolType;
    const member = new Member(group, {
      id,
      instanceId: request.groupInstanceId,
      clientId: request.clientId,
      clientHost: request.clientHost,
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      protocols: request.protocols,
    });
    member.isNew = true;
    group.newMemberJoined = group.isInitial;
    group.add(member);
    group.setJoinToken(member, token);
    this.#effects.setDeadline(member, now.monotonicMs + NEW_MEMBER_JOIN_MS);
    if (group.state === "PreparingRebalance") this.#maybeCompleteJoin(group, now);
    else this.#prepareRebalance(group, now);
  }

  #prepareRebalance(group: Group, now: Now): void {
    if (group.state === "CompletingRebalance") {
      for (const member of group.members.values()) {
        member.assignment = EMPTY_BYTES;
        this.#abandonSync(group, member);
        this.#touch(member, now);
      }
    }
    group.pendingSync.clear();
    group.isInitial = group.state === "Empty";
    group.moveTo("PreparingRebalance");
    group.stateTimestampMs = now.wallMs;
    this.#effects.rebalancing(group);
    if (group.isInitial) {
      const delayMs = Math.min(this.#config.initialRebalanceDelayMs, group.rebalanceTimeoutMs);
      group.initialRemainingMs = group.rebalanceTimeoutMs - delayMs;
      group.newMemberJoined = false;
      if (delayMs === 0) this.#completeJoin(group, now);
      else this.#effects.setDeadline(group, now.monotonicMs + delayMs);
      return;
    }
    this.#startStep(group, now);
    this.#maybeCompleteJoin(group, now);
  }

  #extendInitialDelay(group: Group, now: Now): void {
    const delayMs = Math.min(this.#config.initialRebalanceDelayMs, group.initialRemainingMs);
    group.initialRemainingMs -= delayMs;
    group.newMemberJoined = false;
    this.#effects.setDeadline(group, now.monotonicMs + delayMs);
  }

  #maybeCompleteJoin(group: Group, now: Now): void {
    // A first rebalance takes its time, however many are there.
    if (group.state !== "PreparingRebalance" || group.isInitial || !group.allJoined) return;
    this.#completeJoin(group, now);
  }

  /** Who has not joined by now is out, but for static members, whose session decides. */
  #completeJoin(group: Group, now: Now): void {
    for (const member of [...group.members.values()]) {
      if (member.joinToken === undefined && member.instanceId === null) this.#remove(group, member);
    }
    group.isInitial = false;
    if (group.members.size > 0 && !group.electLeader()) {
      // Only silent static members: their sessions run.
      this.#startStep(group, now);
      return;
    }
    group.generation++;
    group.stateTimestampMs = now.wallMs;
    if (group.members.size === 0) {
      group.protocolName = null;
      group.leaderId = null;
      group.moveTo("Empty");
      group.noteSubscriptions();
      this.#effects.setDeadline(group, NEVER);
      this.#effects.propose(group);
      return;
    }
    group.protocolName = group.selectProtocol();
    group.moveTo("CompletingRebalance");
    group.noteSubscriptions();
    for (const member of group.members.values()) {
      member.assignment = EMPTY_BYTES;
      group.pendingSync.add(member.id);
    }
    this.#effects.propose(group);
    for (const member of group.members.values()) {
      const token = member.joinToken;
      if (token === undefined) continue;
      group.setJoinToken(member, undefined);
      member.isNew = false;
      this.#touch(member, now);
      this.#effects.answer(group, "join", token, this.#joined(group, member));
    }
    this.#startStep(group, now);
  }

  /** The leader has divided the work. */
  #assign(group: Group, request: SyncGroup, now: Now): void {
    let bytes = group.metadataBytes;
    for (const { assignment } of request.assignments) bytes += assignment.length;
    const leader = group.members.get(request.memberId) as Member;
    if (bytes > 2 * LIMITS.groupMetadataBytes) {
      const code = "LIMIT_EXCEEDED";
      const message = `subscriptions and assignments of group ${group.id} have ${bytes} bytes; allowed are ${2 * LIMITS.groupMetadataBytes}`;
      const token = leader.syncToken as Token;
      leader.syncToken = undefined;
      group.pendingSync.add(leader.id);
      this.#effects.answer(group, "sync", token, REFUSED.sync({ code, message }));
      return;
    }
    const assignments = new Map(
      request.assignments.map(({ memberId, assignment }) => [memberId, assignment] as const),
    );
    for (const member of group.members.values()) {
      member.assignment = assignments.get(member.id) ?? EMPTY_BYTES;
    }
    group.moveTo("Stable");
    group.stateTimestampMs = now.wallMs;
    this.#effects.propose(group);
    this.#effects.rebalanced();
    for (const member of group.members.values()) {
      const token = member.syncToken;
      if (token === undefined) continue;
      member.syncToken = undefined;
      this.#touch(member, now);
      this.#answerSync(group, member, token);
    }
    if (group.pendingSync.size === 0) this.#effects.setDeadline(group, NEVER);
  }

  #synced(group: Group, member: Member): void {
    group.pendingSync.delete(member.id);
    if (group.state === "Stable" && group.pendingSync.size === 0) {
      this.#effects.setDeadline(group, NEVER);
    }
  }

  #leaveOne(group: Group, leaving: LeavingMember): GroupError | undefined {
    const { memberId, groupInstanceId } = leaving;
    if (group.state === "Dead") return dead(group);
    if (memberId === "") {
      const member = groupInstanceId === null ? undefined : group.memberOf(groupInstanceId);
      if (member === undefined) return group.refusal(memberId, groupInstanceId);
      this.#remove(group, member);
      return undefined;
    }
    const pending = group.pending.get(memberId);
    if (pending !== undefined) {
      this.#forgetPending(group, pending);
      return undefined;
    }
    const error = group.refusal(memberId, groupInstanceId);
    if (error === undefined) this.#remove(group, group.members.get(memberId) as Member);
    return error;
  }

  #afterRemoval(group: Group, now: Now): void {
    if (group.state === "Stable" || group.state === "CompletingRebalance") {
      this.#prepareRebalance(group, now);
    } else this.#maybeCompleteJoin(group, now);
  }

  /** If its client lives after all, it hears that it must join anew. */
  #remove(group: Group, member: Member): void {
    const error: GroupError = {
      code: "UNKNOWN_MEMBER_ID",
      message: `member ${member.id} was removed from group ${group.id}`,
      field: "member.id",
    };
    this.#endWaiting(group, member, error);
    this.#effects.setDeadline(member, NEVER);
    group.remove(member);
  }

  #fence(group: Group, old: Member): void {
    this.#endWaiting(group, old, {
      code: "FENCED_INSTANCE_ID",
      message: `group ${group.id}: another member has taken the place of instance ${old.instanceId}`,
      field: "group.instance.id",
    });
  }

  #endWaiting(group: Group, member: Member, error: GroupError): void {
    const { joinToken, syncToken } = member;
    if (joinToken !== undefined) {
      group.setJoinToken(member, undefined);
      this.#refuseJoin(group, joinToken, error, "");
    }
    if (syncToken !== undefined) {
      member.syncToken = undefined;
      this.#effects.answer(group, "sync", syncToken, REFUSED.sync(error));
    }
  }

  /** The same member has asked again: who asked before has given up, or will hear the same later. */
  #abandonJoin(group: Group, member: Member): void {
    const token = member.joinToken;
    if (token === undefined) return;
    group.setJoinToken(member, undefined);
    this.#refuseJoin(group, token, rebalanceInProgress(group), member.id);
  }

  #abandonSync(group: Group, member: Member): void {
    const token = member.syncToken;
    if (token === undefined) return;
    member.syncToken = undefined;
    this.#effects.answer(group, "sync", token, REFUSED.sync(rebalanceInProgress(group)));
  }

  #forgetPending(group: Group, pending: Session): void {
    group.pending.delete(pending.id);
    this.#effects.setDeadline(pending, NEVER);
  }

  #refuseJoin(group: Group, token: Token, error: GroupError, memberId: string): void {
    this.#effects.answer(group, "join", token, REFUSED.join(error, memberId));
  }

  #answerSync(group: Group, member: Member, token: Token): void {
    this.#effects.answer(group, "sync", token, {
      error: undefined,
      protocolType: group.protocolType,
      protocolName: group.protocolName,
      assignment: member.assignment,
    });
  }

  #joined(group: Group, member: Member): JoinGroupResult {
    return {
      error: undefined,
      memberId: member.id,
      generationId: group.generation,
      protocolType: group.protocolType,
      protocolName: group.protocolName,
      leader: group.leaderId ?? "",
      members: group.leaderId === member.id ? members(group) : [],
      skipAssignment: false,
    };
  }

  #memberRefusal(
    group: Group,
    request: {
      readonly memberId: string;
      readonly groupInstanceId: string | null;
      readonly generationId: number;
    },
  ): GroupError | undefined {
    if (group.state === "Dead") return dead(group);
    const error = group.refusal(request.memberId, request.groupInstanceId);
    if (error !== undefined || request.generationId === group.generation) return error;
    return {
      code: "ILLEGAL_GENERATION",
      message: `group ${group.id} is in generation ${group.generation}, the request is of ${request.generationId}`,
      field: "generation.id",
    };
  }

  /** A sign of life. A new member's parked join keeps its own, longer time. */
  #touch(member: Member, now: Now): void {
    if (member.isNew) return;
    this.#effects.setDeadline(member, now.monotonicMs + member.sessionTimeoutMs);
  }

  /** The rebalance's present step may take as long as its slowest member asked for. */
  #startStep(group: Group, now: Now): void {
    this.#effects.setDeadline(group, now.monotonicMs + group.rebalanceTimeoutMs);
  }
}

/** What a member of a group of consumers subscribes to, comparable. */
function topicsOf(group: Group, member: Member): string {
  if (group.protocolType !== CONSUMER_PROTOCOL_TYPE) return "";
  const topics = subscribedTopics(member.metadata(group.protocolName)) ?? [];
  return [...topics].sort(compareText).join();
}

function members(group: Group): JoinGroupResult["members"] {
  assert(group.protocolName !== null, `group ${group.id} has chosen no protocol`);
  return [...group.members.values()].map((member) => ({
    memberId: member.id,
    groupInstanceId: member.instanceId,
    metadata: member.metadata(group.protocolName),
  }));
}

function protocolRefusal(group: Group, request: SyncGroup): GroupError | undefined {
  const { protocolType, protocolName } = request;
  if (
    (protocolType === null || protocolType === group.protocolType) &&
    (protocolName === null || group.protocolName === null || protocolName === group.protocolName)
  ) {
    return undefined;
  }
  return {
    code: "INCONSISTENT_GROUP_PROTOCOL",
    message: `group ${group.id} uses ${group.protocolType}/${group.protocolName}, the request is of ${protocolType}/${protocolName}`,
    field: "protocol",
  };
}

function rebalanceInProgress(group: Group): GroupError {
  return { code: "REBALANCE_IN_PROGRESS", message: `group ${group.id} is rebalancing` };
}

function dead(group: Group): GroupError {
  return { code: "COORDINATOR_NOT_AVAILABLE", message: `group ${group.id} is being deleted` };
}
