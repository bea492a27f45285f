/**
 * The coordinator of all groups whose offsets lie in one partition of `__consumer_offsets`. Calls
 * change the state in memory and propose records; whoever runs the shard appends these in order,
 * and tells what is committed. Until then nothing is told that the next coordinator might not know:
 * answers are held back, offsets shown as they were. A leader never takes back what it has appended,
 * so memory is ahead of the log, and never beside it.
 */
import { assert } from "../base/assert.ts";
import { NONE, type Offset, type PartitionIndex, type TopicId } from "../model/ids.ts";
import {
  type Answer,
  type DeleteOffsets,
  type DescribedGroup,
  type FetchedOffset,
  type GroupCall,
  type GroupError,
  type GroupResults,
  type GroupState,
  type Heartbeat,
  type JoinGroup,
  type LeaveGroup,
  type ListedGroup,
  type Now,
  type OffsetCommit,
  type OffsetFetch,
  type OffsetFetchResult,
  type PartitionResult,
  REFUSED,
  type SyncGroup,
  type Token,
} from "./calls.ts";
import { CONSUMER_PROTOCOL_TYPE } from "./consumer-protocol.ts";
import { DeadlineQueue } from "./deadlines.ts";
import { Group, type Session } from "./group.ts";
import { type GroupEffects, Membership, type MembershipConfig } from "./membership.ts";
import {
  decodeGroupValue,
  decodeKey,
  decodeOffsetValue,
  encodeGroupKey,
  encodeGroupValue,
  encodeOffsetKey,
  encodeOffsetValue,
  type GroupRecord,
  type OffsetValue,
} from "./records.ts";

export interface ShardConfig extends MembershipConfig {
  /** `offset.metadata.max.bytes` */
  readonly offsetMetadataMaxBytes: number;
  /** `offsets.retention.minutes`, in ms. */
  readonly offsetsRetentionMs: number;
  /** `offsets.commit.timeout.ms`: an answer that waits for the log longer is given up. */
  readonly commitTimeoutMs: number;
}

/** Records to append, in order; committed together as far as the shard knows. */
export interface Proposal {
  readonly records: readonly GroupRecord[];
  /** For `onCommitted`. */
  readonly sequence: number;
}

interface OpenProposal {
  readonly sequence: number;
  readonly proposedAtMs: number;
  readonly onCommitted: (() => void) | undefined;
  readonly answers: Answer[];
}

interface OffsetChange {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly value: OffsetValue | undefined;
}

export interface MeasuredGroup {
  readonly state: GroupState;
  readonly generation: number;
  readonly membersCount: number;
  /** What is committed. */
  readonly offsets: () => Iterable<MeasuredOffset>;
}

export interface MeasuredOffset {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly offset: Offset;
}

const UTF8_LONGEST = 3;

export class GroupShard {
  readonly #config: ShardConfig;
  readonly #membership: Membership;
  readonly #groups = new Map<string, Group>();
  readonly #deadlines = new DeadlineQueue<Session | Group>();
  readonly #open: OpenProposal[] = [];
  #records: GroupRecord[] = [];
  #waitingBytes = 0;
  #answers: Answer[] = [];
  #rebalancing = new Set<string>();
  #rebalancedCount = 0;
  /** By name, while the log is read: offsets share the text. */
  readonly #topicIds = new Map<string, TopicId>();
  #sequence = 0;
  #committed = 0;
  #nowMs = 0;

  constructor(config: ShardConfig) {
    this.#config = config;
    const effects: GroupEffects = {
      answer: (group, call, token, result) =>
        this.#answer(group.proposedSequence, call, token, result),
      propose: (group) => this.#proposeGroup(group),
      setDeadline: (timed, deadlineMs) => this.#deadlines.set(timed, deadlineMs),
      rebalancing: (group) => this.#rebalancing.add(group.id),
      rebalanced: () => {
        this.#rebalancedCount++;
      },
    };
    this.#membership = new Membership(config, effects);
  }

  get groupsCount(): number {
    return this.#groups.size;
  }

  /** Of records that nobody has taken yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  // What came of it.

  /** Answers that may leave, each once. */
  takeAnswers(): readonly Answer[] {
    if (this.#answers.length === 0) return [];
    const answers = this.#answers;
    this.#answers = [];
    return answers;
  }

  /** What is to be appended since the last call. */
  takeProposal(): Proposal | undefined {
    if (this.#records.length === 0) return undefined;
    const records = this.#records;
    this.#records = [];
    this.#waitingBytes = 0;
    return { records, sequence: this.#sequence };
  }

  /** Groups whose members are to join again, since the last call. */
  takeRebalancing(): readonly string[] {
    if (this.#rebalancing.size === 0) return [];
    const groups = [...this.#rebalancing];
    this.#rebalancing.clear();
    return groups;
  }

  /** Rebalances that ended with an assignment, since the last call. */
  takeRebalancedCount(): number {
    const count = this.#rebalancedCount;
    this.#rebalancedCount = 0;
    return count;
  }

  /** All proposals up to this one are committed. */
  onCommitted(sequence: number): void {
    assert(sequence <= this.#sequence, `proposal ${sequence} was never made`);
    let count = 0;
    for (const proposal of this.#open) {
      if (proposal.sequence > sequence) break;
      count++;
      this.#committed = proposal.sequence;
      proposal.onCommitted?.();
      this.#answers.push(...proposal.answers);
    }
    this.#open.splice(0, count);
  }

  // Time.

  /** When `tick` has something to do; it may turn out to be nothing. */
  get nextDeadlineMs(): number {
    const oldest = this.#open[0];
    const commitMs =
      oldest === undefined
        ? Number.POSITIVE_INFINITY
        : oldest.proposedAtMs + this.#config.commitTimeoutMs;
    return Math.min(this.#deadlines.nextMs, commitMs);
  }

  tick(now: Now): void {
    this.#nowMs = now.monotonicMs;
    for (;;) {
      const due = this.#deadlines.pop(now.monotonicMs);
      if (due === undefined) break;
      if (due.kind === "group") this.#membership.stepExpired(due, now);
      else {
        this.#membership.sessionExpired(due, now);
        this.#forgetUnused(due.group);
      }
    }
    this.#giveUpWaiting(now.monotonicMs);
  }

  // Calls of members.

  join(token: Token, request: JoinGroup, now: Now): void {
    this.#nowMs = now.monotonicMs;
    let group = this.#groups.get(request.groupId);
    if (group === undefined) {
      if (request.memberId !== "") {
        const error = noGroup("UNKNOWN_MEMBER_ID", request.groupId);
        this.#answer(0, "join", token, REFUSED.join(error, request.memberId));
        return;
      }
      group = this.#create(request.groupId);
    }
    this.#membership.join(group, token, request, now);
    this.#forgetUnused(group);
  }

  sync(token: Token, request: SyncGroup, now: Now): void {
    this.#nowMs = now.monotonicMs;
    const group = this.#groups.get(request.groupId);
    if (group === undefined) {
      const error = noGroup("UNKNOWN_MEMBER_ID", request.groupId);
      this.#answer(0, "sync", token, REFUSED.sync(error));
    } else this.#membership.sync(group, token, request, now);
  }

  heartbeat(token: Token, request: Heartbeat, now: Now): void {
    this.#nowMs = now.monotonicMs;
    const group = this.#groups.get(request.groupId);
    if (group === undefined) {
      const error = noGroup("UNKNOWN_MEMBER_ID", request.groupId);
      this.#answer(0, "heartbeat", token, { error });
    } else this.#membership.heartbeat(group, token, request, now);
  }

  leave(token: Token, request: LeaveGroup, now: Now): void {
    this.#nowMs = now.monotonicMs;
    const group = this.#groups.get(request.groupId);
    if (group === undefined) {
      const error = noGroup("UNKNOWN_MEMBER_ID", request.groupId);
      const members = request.members.map((member) => ({ ...member, error }));
      this.#answer(0, "leave", token, { error: undefined, members });
      return;
    }
    this.#membership.leave(group, token, request, now);
    this.#forgetUnused(group);
  }

  // Offsets.

  commit(token: Token, request: OffsetCommit, now: Now): void {
    this.#nowMs = now.monotonicMs;
    let group = this.#groups.get(request.groupId);
    if (group === undefined) {
      if (request.generationId >= 0 || request.memberId !== "") {
        const error = noGroup("ILLEGAL_GENERATION", request.groupId);
        this.#answer(0, "commit", token, REFUSED.commit(error));
        return;
      }
      group = this.#create(request.groupId);
    }
    const refusal =
      group.state === "Dead"
        ? deadGroup(request.groupId)
        : this.#membership.commitRefusal(group, request, now);
    if (refusal !== undefined) {
      this.#answer(group.proposedSequence, "commit", token, REFUSED.commit(refusal));
      return;
    }
    const changes: OffsetChange[] = [];
    const partitions = request.offsets.map((one): PartitionResult => {
      const { topic, partition, offset, leaderEpoch, metadata, retentionMs, topicId } = one;
      const error = this.#metadataRefusal(metadata);
      if (error === undefined) {
        const value: OffsetValue = {
          offset,
          leaderEpoch,
          metadata,
          commitTimestampMs: now.wallMs,
          expireTimestampMs: retentionMs === NONE ? NONE : now.wallMs + retentionMs,
          topicId,
        };
        changes.push({ topic, partition, value });
      }
      return { topic, partition, error };
    });
    const sequence = this.#proposeOffsets(group, changes);
    this.#answer(sequence, "commit", token, { error: undefined, partitions });
    this.#forgetUnused(group);
  }

  /** What is committed; answered at once. */
  fetch(request: OffsetFetch): OffsetFetchResult {
    const group = this.#groups.get(request.groupId);
    const fetched = (topic: string, partition: PartitionIndex): FetchedOffset => {
      const entry = group?.offsets.get(topic, partition);
      const value = entry?.value;
      const unstable = request.requireStable && (entry?.pendingCount ?? 0) > 0;
      if (value === undefined || unstable) {
        const error = unstable ? unstableOffset(topic, partition) : undefined;
        const nothing = { offset: NONE, leaderEpoch: NONE, metadata: "", commitTimestampMs: NONE };
        return { topic, partition, error, ...nothing };
      }
      const { offset, leaderEpoch, metadata, commitTimestampMs } = value;
      return {
        topic,
        partition,
        error: undefined,
        offset,
        leaderEpoch,
        metadata,
        commitTimestampMs,
      };
    };
    const partitions: FetchedOffset[] = [];
    if (request.partitions !== null) {
      for (const { topic, partition } of request.partitions) {
        partitions.push(fetched(topic, partition));
      }
    } else if (group !== undefined) {
      for (const [topic, partition, { value, pendingCount }] of group.offsets.entries()) {
        if (value === undefined && !(request.requireStable && pendingCount > 0)) continue;
        partitions.push(fetched(topic, partition));
      }
    }
    return { error: undefined, partitions };
  }

  /** KIP-496: those of topics that nobody in the group consumes. */
  deleteOffsets(token: Token, request: DeleteOffsets, now: Now): void {
    this.#nowMs = now.monotonicMs;
    const group = this.#groups.get(request.groupId);
    const refusal = deleteOffsetsRefusal(group, request.groupId);
    if (group === undefined || refusal !== undefined) {
      const error = refusal ?? noGroup("GROUP_ID_NOT_FOUND", request.groupId);
      const after = group?.proposedSequence ?? 0;
      this.#answer(after, "delete-offsets", token, REFUSED["delete-offsets"](error));
      return;
    }
    const changes: OffsetChange[] = [];
    const partitions = request.partitions.map(({ topic, partition }): PartitionResult => {
      if (group.members.size > 0 && group.isSubscribedTo(topic)) {
        const message = `group ${group.id} consumes topic ${topic}`;
        const error: GroupError = { code: "GROUP_SUBSCRIBED_TO_TOPIC", message, field: "topic" };
        return { topic, partition, error };
      }
      if (group.offsets.get(topic, partition) !== undefined) {
        changes.push({ topic, partition, value: undefined });
      }
      return { topic, partition, error: undefined };
    });
    const sequence = this.#proposeOffsets(group, changes);
    this.#answer(sequence, "delete-offsets", token, { error: undefined, partitions });
  }

  /** Offsets of a deleted topic mean nothing. */
  onTopicDeleted(topic: string): void {
    for (const group of this.#groups.values()) {
      const changes: OffsetChange[] = [];
      for (const [partition] of group.offsets.entriesOf(topic)) {
        changes.push({ topic, partition, value: undefined });
      }
      this.#proposeOffsets(group, changes);
    }
  }

  /** A group's offsets of topics that are gone; `topicId` undefined: it does not know its topic's. */
  goneOffsets(
    groupId: string,
    isGone: (topic: string, topicId: TopicId | undefined) => boolean,
  ): DeleteOffsets | undefined {
    const partitions: DeleteOffsets["partitions"][number][] = [];
    for (const [topic, partition, { value }] of this.#groups.get(groupId)?.offsets.entries() ??
      []) {
      if (isGone(topic, value?.topicId)) partitions.push({ topic, partition });
    }
    return partitions.length === 0 ? undefined : { groupId, partitions };
  }

  /** As `goneOffsets` found them. */
  dropOffsets({ groupId, partitions }: DeleteOffsets): void {
    const group = this.#groups.get(groupId);
    if (group === undefined) return;
    this.#proposeOffsets(
      group,
      partitions.map(({ partition, topic }) => ({ topic, partition, value: undefined })),
    );
  }

  // Groups.

  /** Kafka deletes a group together with its offsets, and only an empty one. */
  deleteGroup(token: Token, groupId: string, now: Now): void {
    this.#nowMs = now.monotonicMs;
    const group = this.#groups.get(groupId);
    let error: GroupError | undefined;
    if (group === undefined || group.state === "Dead") {
      error = noGroup("GROUP_ID_NOT_FOUND", groupId);
    } else if (group.state !== "Empty") error = nonEmpty(group);
    else this.#kill(group);
    this.#answer(group?.proposedSequence ?? 0, "delete-group", token, { error });
  }

  describe(token: Token, groupId: string): void {
    const group = this.#groups.get(groupId);
    if (group === undefined || group.state === "Dead") {
      const error = noGroup("GROUP_ID_NOT_FOUND", groupId);
      const after = group?.proposedSequence ?? 0;
      this.#answer(after, "describe", token, REFUSED.describe(error, groupId));
    } else this.#answer(group.proposedSequence, "describe", token, describe(group));
  }

  list(): readonly ListedGroup[] {
    return [...this.#groups.values()].map((group) => ({
      groupId: group.id,
      protocolType: group.protocolType,
      state: group.state,
      membersCount: group.members.size,
    }));
  }

  /** What metrics show of a group; undefined if there is none. */
  measure(groupId: string): MeasuredGroup | undefined {
    const group = this.#groups.get(groupId);
    if (group === undefined) return undefined;
    const { generation, members, state } = group;
    return {
      state,
      generation,
      membersCount: members.size,
      offsets: function* () {
        for (const [topic, partition, { value }] of group.offsets.entries()) {
          if (value !== undefined) yield { topic, partition, offset: value.offset };
        }
      },
    };
  }

  groupIds(): readonly string[] {
    return [...this.#groups.keys()];
  }

  /**
   * KIP-211: offsets of an empty group go once it has been empty, and they unchanged, for the
   * retention; a group without any goes too.
   */
  expire(groupId: string, now: Now): void {
    this.#nowMs = now.monotonicMs;
    const group = this.#groups.get(groupId);
    if (group?.state !== "Empty" || group.pending.size > 0) return;
    const changes: OffsetChange[] = [];
    let kept = false;
    for (const [topic, partition, { value, pendingCount }] of group.offsets.entries()) {
      if (pendingCount === 0 && value !== undefined && this.#isExpired(group, value, now.wallMs)) {
        changes.push({ topic, partition, value: undefined });
      } else kept = true;
    }
    if (kept) this.#proposeOffsets(group, changes);
    else this.#kill(group);
  }

  // From the log.

  /** One committed record, in the order of the log. Throws as `decodeKey` and the values do. */
  replay(key: Uint8Array, value: Uint8Array | null): void {
    const decoded = decodeKey(key);
    if (decoded === undefined) return;
    const { groupId } = decoded;
    if (decoded.type === "offset") {
      const { topic, partition } = decoded;
      if (value === null) {
        const group = this.#groups.get(groupId);
        group?.offsets.replay(topic, partition, undefined);
        if (group !== undefined) this.#forgetUnused(group);
      } else {
        const group = this.#groups.get(groupId) ?? this.#create(groupId);
        const offset = decodeOffsetValue(value, this.#topicIds.get(topic));
        if (offset.topicId !== undefined) this.#topicIds.set(topic, offset.topicId);
        group.offsets.replay(topic, partition, offset);
      }
    } else if (value === null) {
      const group = this.#groups.get(groupId);
      group?.replayRemoval();
      if (group !== undefined) this.#forgetUnused(group);
    } else {
      const replayed = decodeGroupValue(value);
      const group = this.#groups.get(groupId) ?? this.#create(groupId);
      group.replay(replayed);
    }
  }

  /** All is replayed: the members' sessions begin. */
  loaded(now: Now): void {
    this.#nowMs = now.monotonicMs;
    this.#topicIds.clear();
    for (const group of [...this.#groups.values()]) {
      this.#forgetUnused(group);
      this.#membership.loaded(group, now);
    }
  }

  // Inside.

  #create(groupId: string): Group {
    const group = new Group(groupId);
    this.#groups.set(groupId, group);
    return group;
  }

  #forgetUnused(group: Group): void {
    if (group.isUnused && this.#groups.get(group.id) === group) this.#groups.delete(group.id);
  }

  #answer<Call extends GroupCall>(
    afterSequence: number,
    call: Call,
    token: Token,
    result: GroupResults[Call],
  ): void {
    const answer = { token, call, result } as unknown as Answer;
    if (afterSequence <= this.#committed) this.#answers.push(answer);
    else this.#openAt(afterSequence).answers.push(answer);
  }

  /** Open proposals are contiguous. */
  #openAt(sequence: number): OpenProposal {
    const first = this.#open[0];
    const proposal = first === undefined ? undefined : this.#open[sequence - first.sequence];
    assert(proposal?.sequence === sequence, `proposal ${sequence} is not open`);
    return proposal;
  }

  #propose(records: readonly GroupRecord[], onCommitted: (() => void) | undefined): number {
    for (const record of records) {
      this.#records.push(record);
      this.#waitingBytes += record.key.length + (record.value?.length ?? 0);
    }
    const sequence = ++this.#sequence;
    this.#open.push({ sequence, proposedAtMs: this.#nowMs, onCommitted, answers: [] });
    return sequence;
  }

  #proposeGroup(group: Group): void {
    const key = encodeGroupKey(group.id);
    const value = encodeGroupValue(group.toValue());
    group.isRecorded = true;
    group.proposedSequence = this.#propose([{ key, value }], undefined);
  }

  /** Returns what an answer has to wait for. */
  #proposeOffsets(group: Group, changes: readonly OffsetChange[]): number {
    if (changes.length === 0) return group.proposedSequence;
    const { id, offsets } = group;
    const records = changes.map(({ topic, partition, value }): GroupRecord => {
      offsets.begin(topic, partition);
      return {
        key: encodeOffsetKey(id, topic, partition),
        value: value === undefined ? null : encodeOffsetValue(value),
      };
    });
    return this.#propose(records, () => {
      for (const { topic, partition, value } of changes) offsets.finish(topic, partition, value);
      this.#forgetUnused(group);
    });
  }

  /** Its record goes last: a group that is half gone in the log is one with fewer offsets. */
  #kill(group: Group): void {
    const { id, offsets } = group;
    const changes = [...offsets.entries()].map(([topic, partition]) => ({ topic, partition }));
    const records: GroupRecord[] = changes.map(({ topic, partition }) => ({
      key: encodeOffsetKey(id, topic, partition),
      value: null,
    }));
    if (group.isRecorded) records.push({ key: encodeGroupKey(id), value: null });
    for (const session of group.pending.values()) {
      this.#deadlines.set(session, Number.POSITIVE_INFINITY);
    }
    group.pending.clear();
    group.moveTo("Dead");
    if (records.length === 0) {
      this.#groups.delete(id);
      return;
    }
    group.proposedSequence = this.#propose(records, () => {
      if (this.#groups.get(id) === group) this.#groups.delete(id);
    });
  }

  #isExpired(group: Group, value: OffsetValue, wallMs: number): boolean {
    if (value.expireTimestampMs !== NONE) return wallMs >= value.expireTimestampMs;
    const sinceMs = Math.max(value.commitTimestampMs, group.stateTimestampMs);
    return wallMs - sinceMs >= this.#config.offsetsRetentionMs;
  }

  #metadataRefusal(metadata: string): GroupError | undefined {
    const most = this.#config.offsetMetadataMaxBytes;
    const size =
      metadata.length * UTF8_LONGEST <= most ? 0 : new TextEncoder().encode(metadata).length;
    if (size <= most) return undefined;
    return {
      code: "OFFSET_METADATA_TOO_LARGE",
      message: `metadata has ${size} bytes; allowed are ${most}`,
      field: "metadata",
    };
  }

  /** Their records may be committed still: the caller knows as little as after a broken connection. */
  #giveUpWaiting(nowMs: number): void {
    for (const { proposedAtMs, answers } of this.#open) {
      if (proposedAtMs + this.#config.commitTimeoutMs > nowMs) return;
      for (const { call, token } of answers.splice(0)) {
        const error: GroupError = {
          code: "COORDINATOR_NOT_AVAILABLE",
          message: `the in-sync replicas of __consumer_offsets have not confirmed within ${this.#config.commitTimeoutMs} ms`,
        };
        this.#answers.push({ token, call, result: REFUSED[call](error) } as Answer);
      }
    }
  }
}

function describe(group: Group): DescribedGroup {
  const chosen = group.state === "Stable" || group.state === "CompletingRebalance";
  return {
    error: undefined,
    groupId: group.id,
    state: group.state,
    generationId: group.generation,
    protocolType: group.protocolType,
    protocolName: group.protocolName ?? "",
    leader: group.leaderId ?? "",
    stateTimestampMs: group.stateTimestampMs,
    members: [...group.members.values()].map((member) => ({
      memberId: member.id,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      sessionTimeoutMs: member.sessionTimeoutMs,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      metadata: member.metadata(chosen ? group.protocolName : null),
      assignment: group.state === "Stable" ? member.assignment : new Uint8Array(0),
      waitsFor: waitsFor(member),
    })),
  };
}

function waitsFor({
  joinToken,
  syncToken,
}: {
  readonly joinToken: Token | undefined;
  readonly syncToken: Token | undefined;
}): "join" | "sync" | undefined {
  if (joinToken !== undefined) return "join";
  return syncToken === undefined ? undefined : "sync";
}

function deleteOffsetsRefusal(group: Group | undefined, groupId: string): GroupError | undefined {
  if (group === undefined || group.state === "Dead") {
    return noGroup("GROUP_ID_NOT_FOUND", groupId);
  }
  const isConsumer = group.protocolType === CONSUMER_PROTOCOL_TYPE;
  return group.state === "Empty" || isConsumer ? undefined : nonEmpty(group);
}

function nonEmpty(group: Group): GroupError {
  return {
    code: "NON_EMPTY_GROUP",
    message: `group ${group.id} is ${group.state} and has members (${group.members.size})`,
    field: "group",
  };
}

function noGroup(
  code: "UNKNOWN_MEMBER_ID" | "ILLEGAL_GENERATION" | "GROUP_ID_NOT_FOUND",
  groupId: string,
): GroupError {
  return { code, message: `there is no group ${groupId}`, field: "group" };
}

function deadGroup(groupId: string): GroupError {
  return { code: "COORDINATOR_NOT_AVAILABLE", message: `group ${groupId} is being deleted` };
}

function unstableOffset(topic: string, partition: PartitionIndex): GroupError {
  return {
    code: "UNSTABLE_OFFSET_COMMIT",
    message: `a commit of ${topic}-${partition} is under way`,
  };
}
