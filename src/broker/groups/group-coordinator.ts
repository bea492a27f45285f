/**
 * The group coordinator of one broker: a shard for each partition of `__consumer_offsets` that it
 * leads; finds the one for a group, checks what is asked, and says who coordinates where it does not.
 */
import {
  type CommitOffset,
  type DeleteOffsets,
  type DescribedGroup,
  type GroupError,
  type GroupState,
  type Heartbeat,
  type HeartbeatResult,
  type JoinGroup,
  type JoinGroupResult,
  type LeaveGroup,
  type LeaveGroupResult,
  type ListedGroup,
  type Now,
  type OffsetCommit,
  type OffsetFetch,
  type OffsetFetchResult,
  type PartitionResult,
  type PartitionsResult,
  REFUSED,
  type SyncGroup,
  type SyncGroupResult,
} from "../../group/calls.ts";
import { OFFSETS_TOPIC, partitionOfGroup } from "../../group/partition-of.ts";
import type { GroupShard } from "../../group/shard.ts";
import type { MetadataDelta } from "../../metadata/delta.ts";
import { type MetadataImage, topicByName } from "../../metadata/image.ts";
import { toOttlaError } from "../../model/errors.ts";
import type { GroupsConfig } from "../../model/groups-config.ts";
import { type BrokerId, NONE, type PartitionIndex, uuidFrom } from "../../model/ids.ts";
import type { Timer } from "../../ports/clock.ts";
import type { Ports } from "../../ports/ports.ts";
import type { LeaderReplica } from "../../runtime/leader-replica.ts";
import type { Topics } from "../topics.ts";
import { CoordinatorShard } from "./coordinator-shard.ts";
import type {
  DeletedGroup,
  FoundCoordinator,
  GroupApi,
  ListedGroups,
  ListGroups,
} from "./group-api.ts";
import {
  checkCommit,
  checkFetch,
  checkGroupId,
  checkIdentity,
  checkJoin,
  checkLeave,
  checkSync,
} from "./group-checks.ts";
import { GroupClock } from "./group-clock.ts";
import { offsetsTopic } from "./offsets-topic.ts";

export interface GroupCoordinatorOptions {
  readonly self: BrokerId;
  readonly image: () => MetadataImage;
  readonly config: GroupsConfig;
  readonly topics: Pick<Topics, "ensure">;
}

const TIMER_LONGEST_MS = 0x7fff_ffff;

export class GroupCoordinator implements GroupApi {
  readonly #ports: Ports;
  readonly #options: GroupCoordinatorOptions;
  readonly #shards = new Map<PartitionIndex, CoordinatorShard>();
  readonly #watchers = new Map<string, Set<() => void>>();
  readonly #clock: GroupClock;
  readonly #expiry: Timer;
  #closed = false;

  constructor(ports: Ports, options: GroupCoordinatorOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#clock = new GroupClock(ports, (now) => this.#tick(now));
    const periodMs = Math.min(options.config.offsetsRetentionCheckIntervalMs, TIMER_LONGEST_MS);
    this.#expiry = ports.timers.every(periodMs, () => this.#expireOffsets());
  }

  /** A replica of any topic has begun to lead. */
  onLeaderStarted(leader: LeaderReplica): void {
    if (leader.name.topic !== OFFSETS_TOPIC || this.#closed || leader.closed) return;
    const { partition } = leader.name;
    this.#shards.get(partition)?.close();
    const shard = new CoordinatorShard(this.#ports, {
      leader,
      config: this.#options.config,
      now: () => this.#clock.now(),
      onDeadline: (atMs) => this.#clock.need(atMs),
      onRebalancing: (groupId) => this.#tellWatchers(groupId),
      topicIdOf: (topic) => this.#options.image().topicIds.get(topic),
      onClosed: (closed) => {
        if (this.#shards.get(partition) === closed) this.#shards.delete(partition);
      },
    });
    this.#shards.set(partition, shard);
  }

  onMetadata(delta: MetadataDelta): void {
    for (const topicId of delta.deletedTopics) {
      const name = delta.base.topics.get(topicId)?.name;
      if (name === undefined) continue;
      for (const shard of [...this.#shards.values()]) shard.onTopicDeleted(name);
    }
  }

  /** Of the partitions whose groups may be looked at now. */
  *shards(): IterableIterator<GroupShard> {
    for (const shard of this.#shards.values()) if (shard.active) yield shard.groups;
  }

  /** Whoever waits is told NOT_COORDINATOR. */
  close(): void {
    this.#closed = true;
    this.#expiry.cancel();
    this.#clock.close();
    for (const shard of [...this.#shards.values()]) shard.close();
    this.#watchers.clear();
  }

  async findCoordinator(groupId: string): Promise<FoundCoordinator> {
    const error = checkGroupId(groupId);
    if (error !== undefined) return { error, coordinator: undefined };
    const { config, topics } = this.#options;
    try {
      const topic = await topics.ensure(offsetsTopic(config));
      const state = topic.partitions[partitionOfGroup(groupId, topic.partitions.length)];
      if (state !== undefined && state.leader !== NONE) {
        const { leader, leaderEpoch } = state;
        return { error: undefined, coordinator: { brokerId: leader, leaderEpoch } };
      }
      return { error: noLeader(groupId), coordinator: undefined };
    } catch (thrown) {
      const { code, message } = toOttlaError(thrown);
      const text = `${OFFSETS_TOPIC} could not be created (${code}): ${message}`;
      const refusal: GroupError = { code: "COORDINATOR_NOT_AVAILABLE", message: text };
      return { error: refusal, coordinator: undefined };
    }
  }

  async joinGroup(request: Omit<JoinGroup, "unique">): Promise<JoinGroupResult> {
    const shard = this.#shardFor(request.groupId);
    const error = checkJoin(request) ?? writeRefusal(shard);
    if (error !== undefined || "code" in shard) {
      return REFUSED.join(error as GroupError, request.memberId);
    }
    const unique = uuidFrom(this.#ports.random.bytes(16));
    return await shard.call("join", (groups, token, now) =>
      groups.join(token, { ...request, unique }, now),
    );
  }

  async syncGroup(request: SyncGroup): Promise<SyncGroupResult> {
    const shard = this.#shardFor(request.groupId);
    const error = checkSync(request) ?? writeRefusal(shard);
    if (error !== undefined || "code" in shard) return REFUSED.sync(error as GroupError);
    return await shard.call("sync", (groups, token, now) => groups.sync(token, request, now));
  }

  async heartbeat(request: Heartbeat): Promise<HeartbeatResult> {
    const shard = this.#shardFor(request.groupId);
    const error = checkIdentity(request) ?? readRefusal(shard);
    if (error !== undefined || "code" in shard) return { error };
    return await shard.call("heartbeat", (groups, token, now) =>
      groups.heartbeat(token, request, now),
    );
  }

  async leaveGroup(request: LeaveGroup): Promise<LeaveGroupResult> {
    const shard = this.#shardFor(request.groupId);
    const error = checkLeave(request) ?? writeRefusal(shard);
    if (error !== undefined || "code" in shard) return REFUSED.leave(error as GroupError);
    return await shard.call("leave", (groups, token, now) => groups.leave(token, request, now));
  }

  async offsetCommit(request: OffsetCommit): Promise<PartitionsResult> {
    const shard = this.#shardFor(request.groupId);
    const error = checkCommit(request) ?? writeRefusal(shard);
    if (error !== undefined || "code" in shard) return REFUSED.commit(error as GroupError);
    const unknown = this.#unknownPartitions(request.offsets);
    const { topicIds } = this.#options.image();
    const offsets: CommitOffset[] = [];
    for (const one of request.offsets) {
      if (!unknown?.has(one)) offsets.push({ ...one, topicId: topicIds.get(one.topic) });
    }
    const result = await shard.call("commit", (groups, token, now) =>
      groups.commit(token, { ...request, offsets }, now),
    );
    if (unknown === undefined || result.error !== undefined) return result;
    let next = 0;
    const partitions = request.offsets.map(
      (one): PartitionResult => unknown.get(one) ?? (result.partitions[next++] as PartitionResult),
    );
    return { error: undefined, partitions };
  }

  async offsetFetch(request: OffsetFetch): Promise<OffsetFetchResult> {
    const shard = this.#shardFor(request.groupId);
    const error = checkFetch(request) ?? readRefusal(shard);
    if (error !== undefined || "code" in shard) {
      return { error: error as GroupError, partitions: [] };
    }
    return shard.groups.fetch(request);
  }

  listGroups({ states }: ListGroups): ListedGroups {
    const groups: ListedGroup[] = [];
    let error: GroupError | undefined;
    const wanted: ReadonlySet<GroupState> = new Set(states);
    const { image, self } = this.#options;
    topicByName(image(), OFFSETS_TOPIC)?.partitions.forEach(({ leader }, partition) => {
      if (leader === self && !this.#shards.has(partition)) error ??= opening(partition);
    });
    for (const shard of this.#shards.values()) {
      error ??= shard.refusal;
      if (!shard.active) continue;
      for (const group of shard.groups.list()) {
        if (wanted.size === 0 || wanted.has(group.state)) groups.push(group);
      }
    }
    return { error, groups };
  }

  describeGroups(groupIds: readonly string[]): Promise<readonly DescribedGroup[]> {
    return Promise.all(
      groupIds.map((groupId) => {
        const shard = this.#shardFor(groupId);
        const error = readRefusal(shard);
        if (error !== undefined || "code" in shard) {
          return REFUSED.describe(error as GroupError, groupId);
        }
        return shard.call("describe", (groups, token) => groups.describe(token, groupId));
      }),
    );
  }

  deleteGroups(groupIds: readonly string[]): Promise<readonly DeletedGroup[]> {
    return Promise.all(
      groupIds.map(async (groupId): Promise<DeletedGroup> => {
        const shard = this.#shardFor(groupId);
        const error = writeRefusal(shard);
        if (error !== undefined || "code" in shard) return { groupId, error };
        const result = await shard.call("delete-group", (groups, token, now) =>
          groups.deleteGroup(token, groupId, now),
        );
        return { groupId, ...result };
      }),
    );
  }

  async deleteOffsets(request: DeleteOffsets): Promise<PartitionsResult> {
    const shard = this.#shardFor(request.groupId);
    const error = checkFetch(request) ?? writeRefusal(shard);
    if (error !== undefined || "code" in shard) {
      return REFUSED["delete-offsets"](error as GroupError);
    }
    return await shard.call("delete-offsets", (groups, token, now) =>
      groups.deleteOffsets(token, request, now),
    );
  }

  watchGroup(groupId: string, listener: () => void): () => void {
    const watchers = this.#watchers.get(groupId) ?? new Set();
    watchers.add(listener);
    this.#watchers.set(groupId, watchers);
    return () => {
      watchers.delete(listener);
      if (watchers.size === 0 && this.#watchers.get(groupId) === watchers) {
        this.#watchers.delete(groupId);
      }
    };
  }

  /** The shard, or why there is none here. */
  #shardFor(groupId: string): CoordinatorShard | GroupError {
    const { image: imageOf, self } = this.#options;
    const error = checkGroupId(groupId);
    if (error !== undefined) return error;
    const topic = topicByName(imageOf(), OFFSETS_TOPIC);
    if (topic === undefined) return notCoordinator(groupId, self);
    const partition = partitionOfGroup(groupId, topic.partitions.length);
    const leader = topic.partitions[partition]?.leader;
    if (leader !== self) return notCoordinator(groupId, self);
    return this.#shards.get(partition) ?? opening(partition);
  }

  /** Each with its refusal; undefined: there are none. */
  #unknownPartitions(
    offsets: readonly CommitOffset[],
  ): ReadonlyMap<CommitOffset, PartitionResult> | undefined {
    const image = this.#options.image();
    let unknown: Map<CommitOffset, PartitionResult> | undefined;
    for (const one of offsets) {
      const { topic, partition } = one;
      const count = topicByName(image, topic)?.partitions.length;
      if (count !== undefined && partition < count) continue;
      const message =
        count === undefined
          ? `topic ${topic} is not known`
          : `topic ${topic} has no partition ${partition}, allowed are 0 to ${count - 1}`;
      const error: GroupError = { code: "UNKNOWN_TOPIC_OR_PARTITION", message, field: "topic" };
      unknown ??= new Map();
      unknown.set(one, { topic, partition, error });
    }
    return unknown;
  }

  #tick(now: Now): void {
    for (const shard of [...this.#shards.values()]) shard.tick(now);
    for (const shard of this.#shards.values()) {
      if (shard.active) this.#clock.need(shard.groups.nextDeadlineMs);
    }
  }

  #expireOffsets(): void {
    for (const shard of this.#shards.values()) {
      shard
        .expireOffsets()
        .catch((error: unknown) => this.#ports.fatal("expiring offsets failed", error));
    }
  }

  #tellWatchers(groupId: string): void {
    for (const listener of [...(this.#watchers.get(groupId) ?? [])]) listener();
  }
}

function readRefusal(shard: CoordinatorShard | GroupError): GroupError | undefined {
  return "code" in shard ? shard : shard.refusal;
}

function writeRefusal(shard: CoordinatorShard | GroupError): GroupError | undefined {
  return "code" in shard ? shard : shard.writeRefusal;
}

/** It leads, as metadata says, and its replica has not begun to. */
function opening(partition: PartitionIndex): GroupError {
  const message = `partition ${partition} of ${OFFSETS_TOPIC} is being opened`;
  return { code: "COORDINATOR_LOAD_IN_PROGRESS", message };
}

function notCoordinator(groupId: string, self: BrokerId): GroupError {
  const message = `broker ${self} does not coordinate group ${groupId}`;
  return { code: "NOT_COORDINATOR", message };
}

function noLeader(groupId: string): GroupError {
  const message = `the partition of ${OFFSETS_TOPIC} that keeps group ${groupId} has no leader at the moment`;
  return { code: "COORDINATOR_NOT_AVAILABLE", message };
}
