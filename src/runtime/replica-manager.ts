/**
 * All replicas of one broker: created, led, followed and removed as metadata says. Nothing begins
 * before the metadata shows this life's own registration: what was decided before it was decided
 * for an earlier life.
 */
import type { ControllerRequestName, ControllerRequests } from "../metadata/commands.ts";
import type { MetadataImage, TopicImage } from "../metadata/image.ts";
import { type OttlaError, toOttlaError } from "../model/errors.ts";
import {
  type BrokerEpoch,
  type BrokerId,
  type IncarnationId,
  type LogIndex,
  NONE,
  type PartitionIndex,
  partitionKey,
  type TopicId,
  type TopicPartition,
} from "../model/ids.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { Timer } from "../ports/clock.ts";
import type { PeerStream } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";
import type { ReplicationDown, ReplicationUp } from "../replica/messages.ts";
import type { Logs, ReplicaName } from "../storage/log.ts";
import type { FollowerReplica } from "./follower-replica.ts";
import type { Lookup } from "./follower-stream.ts";
import { IsrProposals } from "./isr-proposals.ts";
import type { LeaderReplica } from "./leader-replica.ts";
import { type Assignment, ReplicaHost, type ReplicaOwner } from "./replica-host.ts";
import { ReplicaReports } from "./replica-reports.ts";
import { ReplicationFetchers } from "./replication-fetchers.ts";
import { ReplicationServer } from "./replication-server.ts";

export interface ReplicaManagerOptions {
  readonly self: BrokerId;
  readonly incarnationId: IncarnationId;
  readonly logs: Logs;
  readonly interBrokerListenerName: string;
  readonly lagTimeMaxMs: number;
  readonly retentionCheckIntervalMs: number;
  readonly producerIdExpirationMs: number;
  readonly brokerEpoch: () => BrokerEpoch;
  readonly topicConfig: (image: MetadataImage, topic: string) => TopicConfig;
  readonly request: <Name extends ControllerRequestName>(
    name: Name,
    body: ControllerRequests[Name]["request"],
  ) => Promise<ControllerRequests[Name]["reply"]>;
  /** The replicas that were there when this life began have been opened, or have failed to. */
  readonly onStarted: () => void;
  /** A replica here has begun to lead; what ends that, its listeners hear. */
  readonly onLeaderStarted?: (leader: LeaderReplica) => void;
}

const ISR_CHECK_MS = 500;

export class ReplicaManager implements ReplicaOwner {
  readonly self: BrokerId;
  readonly logs: Logs;
  readonly lagTimeMaxMs: number;
  readonly #ports: Ports;
  readonly #options: ReplicaManagerOptions;
  readonly #hosts = new Map<TopicId, Map<PartitionIndex, ReplicaHost>>();
  readonly #removals = new Map<string, Promise<void>>();
  readonly #fetchers: ReplicationFetchers;
  readonly #server: ReplicationServer;
  readonly #proposals: IsrProposals;
  readonly #reports: ReplicaReports;
  readonly #timers: Timer[] = [];
  #image: MetadataImage | undefined;
  #lastCheckMs = 0;
  #retaining = false;
  #closed = false;

  constructor(ports: Ports, options: ReplicaManagerOptions) {
    this.#ports = ports;
    this.#options = options;
    this.self = options.self;
    this.logs = options.logs;
    this.lagTimeMaxMs = options.lagTimeMaxMs;
    const { self, interBrokerListenerName, brokerEpoch, request } = options;
    this.#fetchers = new ReplicationFetchers(ports, { self, interBrokerListenerName });
    this.#server = new ReplicationServer(ports, {
      image: () => this.#image,
      lookup: (partition) => this.#lookup(partition),
    });
    this.#proposals = new IsrProposals(ports, {
      self,
      brokerEpoch,
      epochOf: (id) => this.#isrEpochOf(id),
      send: (body) => request("alter-partition", body),
    });
    this.#reports = new ReplicaReports(ports, {
      self,
      brokerEpoch,
      request,
      onLossTold: ({ topicId, partition }, index) => this.get(topicId, partition)?.lossTold(index),
    });
  }

  get(topicId: TopicId, partition: PartitionIndex): ReplicaHost | undefined {
    return this.#hosts.get(topicId)?.get(partition);
  }

  *hosts(): IterableIterator<ReplicaHost> {
    for (const partitions of this.#hosts.values()) yield* partitions.values();
  }

  /** A replication stream of a follower. */
  accept(stream: PeerStream<ReplicationDown, ReplicationUp>): void {
    this.#server.accept(stream);
  }

  onMetadata(image: MetadataImage): void {
    if (this.#closed) return;
    const before = this.#image;
    if (before === undefined) {
      if (image.brokers.get(this.self)?.incarnationId !== this.#options.incarnationId) return;
      this.#begin(image);
      return;
    }
    this.#image = image;
    if (image.topics !== before.topics) {
      for (const topicId of [...this.#hosts.keys()]) {
        const topic = image.topics.get(topicId);
        if (topic !== before.topics.get(topicId)) this.#removeUnassigned(topicId, topic);
      }
    }
    // Unchanged topics are the same objects from image to image.
    const all = image.configs !== before.configs;
    if (all || image.topics !== before.topics) {
      for (const topic of image.topics.values()) {
        if (all || before.topics.get(topic.id) !== topic) this.#sync(topic, NONE);
      }
    }
    this.#fetchers.onMetadata(image);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#proposals.close();
    this.#reports.close();
    this.#server.close();
    const hosts = [...this.hosts()];
    this.#hosts.clear();
    await Promise.all(
      hosts.map((host) => host.close({ remove: false, error: "NOT_LEADER_OR_FOLLOWER" })),
    );
    this.#fetchers.close();
    await Promise.all(this.#removals.values());
  }

  // What replicas tell.

  follow(replica: FollowerReplica): void {
    this.#fetchers.add(replica);
  }

  unfollow(replica: FollowerReplica): void {
    this.#fetchers.remove(replica);
  }

  onFollowerDurable(replica: FollowerReplica): void {
    this.#fetchers.onDurable(replica);
  }

  onLeaderStarted(replica: LeaderReplica): void {
    this.#server.onLeaderStarted(replica.name);
    this.#options.onLeaderStarted?.(replica);
  }

  onIsrDue(replica: LeaderReplica): void {
    this.#proposals.check(replica);
  }

  onOnline(host: ReplicaHost): void {
    this.#reportDirectory(host);
  }

  onOffline(host: ReplicaHost, error: OttlaError): void {
    const { topic, partition } = host.name;
    this.#ports.meter.count("ottla_storage_errors_total", {}, 1);
    this.#ports.logger.error("a storage error took a replica offline", {
      topic,
      partition,
      code: error.code,
      cause: error.message,
    });
    this.#reports.failed(host.name);
  }

  onDiskFull(host: ReplicaHost): void {
    const { topic, partition } = host.name;
    this.#ports.logger.warn("a replica leaves the ISR because its disk is full", {
      topic,
      partition,
    });
    this.#reports.failed(host.name);
  }

  mayLoseCommitted(host: ReplicaHost): boolean {
    const { config } = host.assignment;
    const unclean = (this.#image?.uncleanElectionsCount ?? 0) > 0;
    return unclean || config.uncleanLeaderElectionEnable || config.flushMessages !== 1;
  }

  /** The first metadata of this life. */
  #begin(image: MetadataImage): void {
    this.#image = image;
    this.#fetchers.onMetadata(image);
    for (const topic of image.topics.values()) this.#sync(topic, undefined);
    for (const name of this.logs.replicas) {
      if (this.get(name.topicId, name.partition) === undefined) this.#removeStray(name);
    }
    const { retentionCheckIntervalMs } = this.#options;
    this.#lastCheckMs = this.#ports.clock.monotonicMs();
    this.#timers.push(
      this.#ports.timers.every(ISR_CHECK_MS, () => this.#checkIsrs()),
      this.#ports.timers.every(retentionCheckIntervalMs, () => this.#startRetention()),
    );
    Promise.all([...this.hosts()].map((host) => host.firstOpened))
      .then(() => this.#options.onStarted())
      .catch((error: unknown) => this.#ports.fatal("replicas could not be started", error));
  }

  /**
   * Brings the hosts of a topic to its image. `inherited` undefined: the epochs that the image
   * names are of an earlier life. The controller elects a broker only after its heartbeats have
   * shown that it applied its own registration, so no epoch meant for this life is passed over.
   */
  #sync(topic: TopicImage, inherited: typeof NONE | undefined): void {
    let config: TopicConfig | undefined;
    for (const [partition, state] of topic.partitions.entries()) {
      if (!state.replicas.includes(this.self)) continue;
      config ??= this.#options.topicConfig(this.#image as MetadataImage, topic.name);
      const assignment: Assignment = { state, config };
      const host = this.get(topic.id, partition);
      if (host !== undefined) {
        host.assign(assignment);
        this.#reportDirectory(host);
        continue;
      }
      const name: ReplicaName = { topicId: topic.id, topic: topic.name, partition };
      const after = this.#removals.get(partitionKey(topic.id, partition)) ?? Promise.resolve();
      const inheritedEpoch = inherited ?? state.leaderEpoch;
      const created = new ReplicaHost(this.#ports, this, {
        name,
        assignment,
        inheritedEpoch,
        after,
      });
      const partitions = this.#hosts.get(topic.id) ?? new Map<PartitionIndex, ReplicaHost>();
      partitions.set(partition, created);
      this.#hosts.set(topic.id, partitions);
    }
  }

  get metadataIndex(): LogIndex {
    return this.#image?.index ?? 0;
  }

  /** The controller forgets the directory of a replica that failed, until it hears of it again. */
  #reportDirectory({ log, name, assignment, lossUntold: lost }: ReplicaHost): void {
    if (log === undefined) return;
    const directoryId = this.logs.directoryOf(name);
    const { replicas, directories } = assignment.state;
    const known = directories[replicas.indexOf(this.self)];
    if (directoryId !== undefined && (directoryId !== known || lost)) {
      this.#reports.assigned(name, { directoryId, lost });
    }
  }

  #removeUnassigned(topicId: TopicId, topic: TopicImage | undefined): void {
    const partitions = this.#hosts.get(topicId);
    for (const [partition, host] of partitions ?? []) {
      if (topic?.partitions[partition]?.replicas.includes(this.self) === true) continue;
      partitions?.delete(partition);
      const error = topic === undefined ? "UNKNOWN_TOPIC_OR_PARTITION" : "NOT_LEADER_OR_FOLLOWER";
      this.#remove(host.name, host.close({ remove: true, error }));
    }
    if (partitions?.size === 0) this.#hosts.delete(topicId);
  }

  #removeStray(name: ReplicaName): void {
    const { topic, partition, topicId } = name;
    this.#ports.logger.info("a replica that is not assigned here is removed", {
      topic,
      partition,
      topicId,
    });
    this.#remove(name, this.logs.delete(name));
  }

  #remove({ topicId, partition }: TopicPartition, removal: Promise<void>): void {
    const key = partitionKey(topicId, partition);
    const settled = removal
      .catch((thrown: unknown) => {
        // It is a stray at the next start and removed then.
        const { code, message } = toOttlaError(thrown);
        this.#ports.logger.warn("a replica could not be removed", { key, code, message });
      })
      .then(() => {
        if (this.#removals.get(key) === settled) this.#removals.delete(key);
      });
    this.#removals.set(key, settled);
  }

  #lookup({ topicId, partition }: TopicPartition): Lookup {
    const host = this.get(topicId, partition);
    const state = this.#image?.topics.get(topicId)?.partitions[partition];
    return {
      leader: host?.leader,
      leaderEpoch: state?.leaderEpoch ?? NONE,
      isReplica: (id) => state?.replicas.includes(id) === true,
    };
  }

  #isrEpochOf(id: BrokerId): BrokerEpoch | undefined {
    const broker = this.#image?.brokers.get(id);
    if (broker === undefined || broker.fenced || broker.inControlledShutdown) return undefined;
    return broker.epoch;
  }

  #checkIsrs(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    // After a stall of this process timers run before followers' progress is read: nobody is
    // accused of a lag that is our own.
    const stalled = nowMs - this.#lastCheckMs > 2 * ISR_CHECK_MS;
    this.#lastCheckMs = nowMs;
    if (stalled) return;
    for (const { leader, assignment } of this.hosts()) {
      if (leader !== undefined && assignment.state.replicas.length > 1) {
        this.#proposals.check(leader);
      }
    }
  }

  #startRetention(): void {
    if (this.#retaining) return;
    this.#retaining = true;
    this.#retain()
      .finally(() => {
        this.#retaining = false;
      })
      .catch((error: unknown) => this.#ports.fatal("retention failed", error));
  }

  async #retain(): Promise<void> {
    for (const host of [...this.hosts()]) {
      if (this.#closed) return;
      const nowMs = this.#ports.clock.wallMs();
      try {
        await host.applyRetention(nowMs, nowMs - this.#options.producerIdExpirationMs);
      } catch (thrown) {
        const { code, message } = toOttlaError(thrown);
        const { topic, partition } = host.name;
        this.#ports.logger.warn("retention was not applied", { topic, partition, code, message });
      }
    }
  }
}
