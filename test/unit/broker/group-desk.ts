/** Three brokers' group coordinators over logs in memory; the test is the controller. */
import type { GroupApi } from "../../../src/broker/groups/group-api.ts";
import { GroupCoordinator } from "../../../src/broker/groups/group-coordinator.ts";
import type { JoinGroup, JoinGroupResult } from "../../../src/group/calls.ts";
import { OFFSETS_TOPIC } from "../../../src/group/partition-of.ts";
import { MetadataDelta } from "../../../src/metadata/delta.ts";
import type { MetadataImage, TopicImage } from "../../../src/metadata/image.ts";
import type { PartitionState } from "../../../src/metadata/records.ts";
import { type GroupsConfig, groupsConfig } from "../../../src/model/groups-config.ts";
import { image, partition, TOPIC, TOPIC_ID } from "../runtime/cluster-image.ts";
import { ReplicaCluster } from "../runtime/replica-cluster.ts";

export const OFFSETS_ID = "offsets-id";

/** The offsets topic with one partition, and a topic to commit for with two. */
export function groupImage(
  state: Partial<PartitionState> = {},
  change: Partial<MetadataImage> = {},
): MetadataImage {
  const base = image([partition(), partition()]);
  const offsets: TopicImage = {
    id: OFFSETS_ID,
    name: OFFSETS_TOPIC,
    partitions: [partition(state)],
  };
  return {
    ...base,
    topics: new Map<string, TopicImage>([...base.topics, [OFFSETS_ID, offsets]]),
    topicIds: new Map([...base.topicIds, [OFFSETS_TOPIC, OFFSETS_ID]]),
    ...change,
  };
}

export class GroupDesk {
  readonly cluster: ReplicaCluster;
  readonly coordinators: readonly GroupCoordinator[];
  readonly #images: MetadataImage[];

  private constructor(cluster: ReplicaCluster, config: GroupsConfig, first: MetadataImage) {
    this.cluster = cluster;
    this.#images = cluster.members.map(() => first);
    this.coordinators = cluster.members.map(({ id, memory }) => {
      const topics = {
        ensure: () => {
          const topic = this.imageOf(id).topics.get(OFFSETS_ID);
          return topic === undefined
            ? Promise.reject(new Error("this cluster makes no topics"))
            : Promise.resolve(topic);
        },
      };
      const own = { self: id, image: () => this.imageOf(id), config, topics };
      return new GroupCoordinator(memory.ports, own);
    });
    cluster.onLeader = (id, leader) => this.coordinatorOf(id).onLeaderStarted(leader);
  }

  static async start(
    properties: Readonly<Record<string, string>> = {},
    first = groupImage(),
  ): Promise<GroupDesk> {
    const cluster = await ReplicaCluster.start();
    const given = { "group.initial.rebalance.delay.ms": "0", ...properties };
    const config = groupsConfig(new Map(Object.entries(given)));
    const desk = new GroupDesk(cluster, config, first);
    await cluster.begin(first);
    return desk;
  }

  imageOf(id: number): MetadataImage {
    return this.#images[id - 1] as MetadataImage;
  }

  coordinatorOf(id: number): GroupCoordinator {
    return this.coordinators[id - 1] as GroupCoordinator;
  }

  /** To those brokers, or to all. */
  publish(next: MetadataImage, ...ids: readonly number[]): void {
    for (const { id } of this.cluster.members) {
      if (ids.length > 0 && !ids.includes(id)) continue;
      const delta = MetadataDelta.between(this.imageOf(id), next);
      this.#images[id - 1] = next;
      this.cluster.publish(next, id);
      this.coordinatorOf(id).onMetadata(delta);
    }
  }

  settle<Value>(promise: Promise<Value>): Promise<Value> {
    return this.cluster.member(1).memory.world.settle(promise);
  }

  join(id: number, change: Partial<JoinGroup> = {}): Promise<JoinGroupResult> {
    return this.settle(this.coordinatorOf(id).joinGroup(joinOf(change)));
  }

  /** A lone member of group "g": joined, assigned. */
  async member(id: number, change: Partial<JoinGroup> = {}): Promise<Member> {
    const given = await this.join(id, change);
    const joined = await this.join(id, { ...change, memberId: given.memberId });
    if (joined.error !== undefined) throw new Error(joined.error.message);
    const member = new Member(joined, change.groupId ?? "g");
    await this.settle(this.coordinatorOf(id).syncGroup(member.sync("all")));
    return member;
  }
}

export function joinOf(change: Partial<JoinGroup> = {}): Omit<JoinGroup, "unique"> {
  return {
    groupId: "g",
    memberId: "",
    groupInstanceId: null,
    clientId: "client",
    clientHost: "host",
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: Uint8Array.of(0, 0, 0, 0, 0, 0) }],
    requireKnownMemberId: true,
    canSkipAssignment: true,
    ...change,
  };
}

export class Member {
  readonly groupId: string;
  readonly memberId: string;
  readonly generationId: number;

  constructor({ memberId, generationId }: JoinGroupResult, groupId: string) {
    this.groupId = groupId;
    this.memberId = memberId;
    this.generationId = generationId;
  }

  get identity(): Parameters<GroupApi["heartbeat"]>[0] {
    const { groupId, memberId, generationId } = this;
    return { groupId, memberId, generationId, groupInstanceId: null };
  }

  sync(assignment: string): Parameters<GroupApi["syncGroup"]>[0] {
    const bytes = new TextEncoder().encode(assignment);
    const assignments = [{ memberId: this.memberId, assignment: bytes }];
    return { ...this.identity, protocolType: null, protocolName: null, assignments };
  }

  commit(
    ...offsets: readonly (readonly [partition: number, offset: number])[]
  ): Parameters<GroupApi["offsetCommit"]>[0] {
    return {
      ...this.identity,
      offsets: offsets.map(([index, offset]) => ({
        topic: TOPIC,
        partition: index,
        offset,
        leaderEpoch: -1,
        metadata: "",
        retentionMs: -1,
      })),
    };
  }
}

export const COMMITTED = {
  groupId: "g",
  partitions: [{ topic: TOPIC, partition: 0 }],
  requireStable: false,
} as const;

export { TOPIC, TOPIC_ID };
