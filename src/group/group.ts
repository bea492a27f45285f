/**
 * One group as the coordinator has it in memory: members, protocols, generation, offsets. It keeps
 * its counts in step with its members; what happens when, `membership.ts` decides.
 *
 *   Empty --join--> PreparingRebalance --all joined--> CompletingRebalance --leader assigned--> Stable
 *                        ^    |  nobody left                  |                                   |
 *                        |    +--> Empty                      |                                   |
 *                        +------------- somebody joined or left ----------------------------------+
 *
 * Dead is final: the group is being deleted.
 */
import { assert } from "../base/assert.ts";
import { EMPTY_BYTES, equalBytes } from "../base/bytes.ts";
import { NONE } from "../model/ids.ts";
import type { GroupError, GroupState, JoinProtocol, Token } from "./calls.ts";
import { CONSUMER_PROTOCOL_TYPE, subscribedTopics } from "./consumer-protocol.ts";
import type { Timed } from "./deadlines.ts";
import { OffsetTable } from "./offset-table.ts";
import type { GroupValue } from "./records.ts";

const FROM: Readonly<Record<GroupState, readonly GroupState[]>> = {
  Empty: ["PreparingRebalance"],
  PreparingRebalance: ["Empty", "CompletingRebalance", "Stable"],
  CompletingRebalance: ["PreparingRebalance"],
  Stable: ["CompletingRebalance"],
  Dead: ["Empty"],
};

export interface MemberOptions {
  readonly id: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocols: readonly JoinProtocol[];
}

/** A member, or one that has been given an id and has not come back with it (KIP-394). */
export interface Session extends Timed {
  readonly kind: "member" | "pending";
  readonly group: Group;
  readonly id: string;
}

export class Member implements Session {
  readonly kind = "member";
  readonly group: Group;
  readonly id: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  protocols: readonly JoinProtocol[];
  assignment: Uint8Array = EMPTY_BYTES;
  joinToken: Token | undefined;
  syncToken: Token | undefined;
  /** Has not been told of a generation yet: it may have given up unseen. */
  isNew = false;
  deadlineMs = Number.POSITIVE_INFINITY;
  queuedMs = Number.POSITIVE_INFINITY;

  constructor(group: Group, options: MemberOptions) {
    this.group = group;
    this.id = options.id;
    this.instanceId = options.instanceId;
    this.clientId = options.clientId;
    this.clientHost = options.clientHost;
    this.sessionTimeoutMs = options.sessionTimeoutMs;
    this.rebalanceTimeoutMs = options.rebalanceTimeoutMs;
    this.protocols = options.protocols;
  }

  /** Null: none is chosen. */
  metadata(protocol: string | null): Uint8Array {
    return this.protocols.find(({ name }) => name === protocol)?.metadata ?? EMPTY_BYTES;
  }

  offers(protocols: readonly JoinProtocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      protocols.every((protocol, index) => {
        const own = this.protocols[index];
        return own?.name === protocol.name && equalBytes(own.metadata, protocol.metadata);
      })
    );
  }
}

export class Group implements Timed {
  readonly kind = "group";
  readonly id: string;
  readonly offsets = new OffsetTable();
  readonly pending = new Map<string, Session>();
  /** Members that have not asked for this generation's assignment. */
  readonly pendingSync = new Set<string>();
  readonly #members = new Map<string, Member>();
  readonly #instances = new Map<string, string>();
  readonly #offers = new Map<string, number>();
  #state: GroupState = "Empty";
  #joiningCount = 0;
  #metadataBytes = 0;
  generation = 0;
  protocolType = "";
  protocolName: string | null = null;
  leaderId: string | null = null;
  stateTimestampMs = NONE;
  /** Of the members' consumer subscriptions; undefined: the group is not one of consumers. */
  subscribedTopics: ReadonlySet<string> | undefined;
  /** A first rebalance waits for more members, for so long at most after the present wait. */
  initialRemainingMs = 0;
  /** The rebalance under way began with an empty group, and its wait is not over. */
  isInitial = false;
  newMemberJoined = false;
  /** Sequence of its last proposed record; what it answers waits for that to be committed. */
  proposedSequence = 0;
  /** Whether the log has, or will have, a record of it beside its offsets. */
  isRecorded = false;
  /** Of the rebalance's present step: joining, or syncing. */
  deadlineMs = Number.POSITIVE_INFINITY;
  queuedMs = Number.POSITIVE_INFINITY;

  constructor(id: string) {
    this.id = id;
  }

  get state(): GroupState {
    return this.#state;
  }
  get members(): ReadonlyMap<string, Member> {
    return this.#members;
  }
  get allJoined(): boolean {
    return this.#joiningCount === this.#members.size && this.pending.size === 0;
  }
  get joiningCount(): number {
    return this.#joiningCount;
  }
  /** Of all that the members offer. */
  get metadataBytes(): number {
    return this.#metadataBytes;
  }
  /** The longest of its members'. */
  get rebalanceTimeoutMs(): number {
    let longest = 0;
    for (const { rebalanceTimeoutMs } of this.#members.values()) {
      longest = Math.max(longest, rebalanceTimeoutMs);
    }
    return longest;
  }

  moveTo(state: GroupState): void {
    assert(
      FROM[state].includes(this.#state),
      `group ${this.id} cannot go from ${this.#state} to ${state}`,
    );
    this.#state = state;
  }

  memberOf(instanceId: string): Member | undefined {
    const id = this.#instances.get(instanceId);
    return id === undefined ? undefined : this.#members.get(id);
  }

  /** The first member leads. */
  add(member: Member): void {
    assert(!this.#members.has(member.id), `member ${member.id} is in the group already`);
    this.#members.set(member.id, member);
    if (member.instanceId !== null) {
      assert(!this.#instances.has(member.instanceId), `instance ${member.instanceId} twice`);
      this.#instances.set(member.instanceId, member.id);
    }
    this.leaderId ??= member.id;
    this.#count(member, 1);
  }

  remove(member: Member): void {
    assert(member.joinToken === undefined && member.syncToken === undefined, "it is still waiting");
    this.#members.delete(member.id);
    this.pendingSync.delete(member.id);
    if (member.instanceId !== null) this.#instances.delete(member.instanceId);
    this.#count(member, -1);
    if (this.leaderId === member.id) this.leaderId = this.#members.keys().next().value ?? null;
  }

  /** A static member has come back under a new id, in the place of the old one (KIP-345). */
  replace(old: Member, id: string): Member {
    assert(old.joinToken === undefined && old.syncToken === undefined, "it is still waiting");
    const member = new Member(this, { ...old, id });
    member.assignment = old.assignment;
    const members = [...this.#members.values()];
    this.#members.clear();
    for (const one of members) {
      const next = one === old ? member : one;
      this.#members.set(next.id, next);
    }
    if (member.instanceId !== null) this.#instances.set(member.instanceId, id);
    if (this.leaderId === old.id) this.leaderId = id;
    this.pendingSync.delete(old.id);
    return member;
  }

  update(
    member: Member,
    change: Pick<MemberOptions, "protocols" | "sessionTimeoutMs" | "rebalanceTimeoutMs">,
  ): void {
    this.#count(member, -1);
    member.protocols = change.protocols;
    this.#count(member, 1);
    member.sessionTimeoutMs = change.sessionTimeoutMs;
    member.rebalanceTimeoutMs = change.rebalanceTimeoutMs;
  }

  setJoinToken(member: Member, token: Token | undefined): void {
    this.#joiningCount += Number(token !== undefined) - Number(member.joinToken !== undefined);
    member.joinToken = token;
  }

  /** Whether somebody who offers these can be in it with all others. */
  supports(protocolType: string, protocols: readonly JoinProtocol[]): boolean {
    if (this.#members.size === 0) return protocolType !== "" && protocols.length > 0;
    if (protocolType !== this.protocolType) return false;
    return protocols.some(({ name }) => this.#offers.get(name) === this.#members.size);
  }

  /** Of those that all offer, the one that most members prefer. */
  selectProtocol(): string {
    const votes = new Map<string, number>();
    for (const { protocols } of this.#members.values()) {
      const vote = protocols.find(({ name }) => this.#offers.get(name) === this.#members.size);
      assert(vote !== undefined, `the members of group ${this.id} have no protocol in common`);
      votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1);
    }
    let best = "";
    for (const [name, count] of votes) if (count > (votes.get(best) ?? 0)) best = name;
    return best;
  }

  /** One that waits for the others to join: it will hear what the leader must do. */
  electLeader(): boolean {
    const leader = this.leaderId === null ? undefined : this.#members.get(this.leaderId);
    if (leader?.joinToken !== undefined) return true;
    for (const { id, joinToken } of this.#members.values()) {
      if (joinToken === undefined) continue;
      this.leaderId = id;
      return true;
    }
    return false;
  }

  /** Called when the protocol is chosen, or the last member gone. */
  noteSubscriptions(): void {
    this.subscribedTopics = this.#subscriptions();
  }

  isSubscribedTo(topic: string): boolean {
    return this.subscribedTopics?.has(topic) ?? this.protocolType === CONSUMER_PROTOCOL_TYPE;
  }

  /** Why a request of this member is refused, as far as who it is goes. */
  refusal(memberId: string, instanceId: string | null): GroupError | undefined {
    if (instanceId !== null) {
      const current = this.#instances.get(instanceId);
      if (current !== undefined && current !== memberId) {
        return {
          code: "FENCED_INSTANCE_ID",
          message: `group ${this.id}: member ${current} has taken the place of instance ${instanceId}`,
          field: "group.instance.id",
        };
      }
      if (current === undefined) return this.#unknown(`instance ${instanceId}`);
    }
    return this.#members.has(memberId) ? undefined : this.#unknown(`member ${memberId || '""'}`);
  }

  toValue(): GroupValue {
    return {
      protocolType: this.protocolType,
      generation: this.generation,
      protocol: this.protocolName,
      leader: this.leaderId,
      stateTimestampMs: this.stateTimestampMs,
      completing: this.#state === "CompletingRebalance",
      members: [...this.#members.values()].map((member) => ({
        memberId: member.id,
        instanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeoutMs: member.rebalanceTimeoutMs,
        sessionTimeoutMs: member.sessionTimeoutMs,
        subscription: member.metadata(this.protocolName),
        assignment: member.assignment,
      })),
    };
  }

  /** Becomes what the record says; only of its chosen protocol a record holds the metadata. */
  replay(value: GroupValue): void {
    this.#members.clear();
    this.#instances.clear();
    this.#offers.clear();
    this.#metadataBytes = 0;
    this.generation = value.generation;
    this.stateTimestampMs = value.stateTimestampMs;
    this.isRecorded = true;
    for (const member of value.members) {
      const protocols = [{ name: value.protocol ?? "", metadata: member.subscription }];
      const joined = new Member(this, {
        ...member,
        id: member.memberId,
        instanceId: member.instanceId,
        protocols,
      });
      joined.assignment = member.assignment;
      this.add(joined);
    }
    this.protocolType = value.protocolType;
    this.protocolName = value.protocol;
    this.leaderId = value.leader;
    if (value.members.length === 0) this.#state = "Empty";
    else this.#state = value.completing ? "CompletingRebalance" : "Stable";
    this.noteSubscriptions();
  }

  /** The group's record was removed; what is left of it are offsets. */
  replayRemoval(): void {
    this.replay({
      protocolType: "",
      generation: 0,
      protocol: null,
      leader: null,
      stateTimestampMs: NONE,
      completing: false,
      members: [],
    });
    this.isRecorded = false;
  }

  /** Nothing of it is worth remembering, here or in the log. */
  get isUnused(): boolean {
    return (
      this.#state === "Empty" &&
      !this.isRecorded &&
      this.#members.size === 0 &&
      this.pending.size === 0 &&
      this.offsets.isEmpty
    );
  }

  #count(member: Member, sign: 1 | -1): void {
    for (const { name, metadata } of member.protocols) {
      this.#offers.set(name, (this.#offers.get(name) ?? 0) + sign);
      this.#metadataBytes += sign * metadata.length;
    }
  }

  #subscriptions(): ReadonlySet<string> | undefined {
    if (this.protocolType !== CONSUMER_PROTOCOL_TYPE) return undefined;
    const topics = new Set<string>();
    for (const member of this.#members.values()) {
      const subscribed = subscribedTopics(member.metadata(this.protocolName));
      if (subscribed === undefined) return undefined;
      for (const topic of subscribed) topics.add(topic);
    }
    return topics;
  }

  #unknown(who: string): GroupError {
    return {
      code: "UNKNOWN_MEMBER_ID",
      message: `group ${this.id} does not know ${who}`,
      field: "member.id",
    };
  }
}
