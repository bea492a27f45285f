/** A broker: the use cases that its doors call, over the machinery that turns inside. */
import { OFFSETS_TOPIC } from "../group/partition-of.ts";
import type { ControllerRequests, QuorumDescription } from "../metadata/commands.ts";
import type { BrokerRegistration, MetadataImage } from "../metadata/image.ts";
import type { BrokerConfig } from "../model/broker-config.ts";
import { OttlaError } from "../model/errors.ts";
import { groupsConfig } from "../model/groups-config.ts";
import { type BrokerId, NONE } from "../model/ids.ts";
import type { PeerAddress } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";
import type { MetadataLogStatus } from "../runtime/metadata-log.ts";
import type {
  AdminRequestName,
  BrokerApi,
  BrokerHealth,
  DeleteRecordsOne,
  DeleteRecordsResult,
  DescribeConfigsOne,
  DescribedConfigs,
  DescribedLogDirectory,
  DescribedProducers,
  DoorApi,
  FetchOnce,
  FetchOnceOptions,
  FetchOne,
  FetchSession,
  FetchSink,
  LeaderEpochOne,
  LeaderEpochResult,
  ListOffsetOne,
  ListOffsetResult,
  ProduceOne,
  ProduceResult,
} from "./broker-api.ts";
import { registerBrokerMetrics } from "./broker-metrics.ts";
import { describeLogDirectories, describeProducersOf } from "./descriptions.ts";
import { OpenFetch } from "./fetch-session.ts";
import type { GroupApi } from "./groups/group-api.ts";
import { GroupCoordinator } from "./groups/group-coordinator.ts";
import { GroupMetrics } from "./groups/group-metrics.ts";
import { LogEnds } from "./groups/log-ends.ts";
import { offsetsTopic } from "./groups/offsets-topic.ts";
import { Machinery } from "./machinery.ts";
import { deleteRecordsOf, leaderEpochEnd, listOffset } from "./offsets.ts";
import { OneFetch } from "./one-fetch.ts";
import { Partitions } from "./partitions.ts";
import { ProducerDesk } from "./produce.ts";
import { ProducerIds } from "./producer-ids.ts";
import { type FoundTopic, Topics } from "./topics.ts";
import { Traffic } from "./traffic.ts";

export interface ShutdownOptions {
  /** Moves leaders away first, up to `controlled.shutdown.max.ms`. Default true. */
  readonly controlled?: boolean;
}

export class Broker implements DoorApi {
  readonly brokerId: BrokerId;
  readonly #ports: Ports;
  readonly #machinery: Machinery;
  readonly #partitions: Partitions;
  readonly #traffic: Traffic;
  readonly #desk: ProducerDesk;
  readonly #topics: Topics;
  readonly #producerIds: ProducerIds;
  readonly #groups: GroupCoordinator;
  readonly #fetches = new Set<OpenFetch>();
  readonly #onceFetches = new Set<OneFetch>();
  #stopping = false;

  private constructor(ports: Ports, machinery: Machinery) {
    const { config, loader, replicas, session } = machinery;
    const { nodeId: self, requestTimeoutMs } = config;
    this.brokerId = self;
    this.#ports = ports;
    this.#machinery = machinery;
    const image = (): MetadataImage => loader.image;
    const groups = groupsConfig(config.properties);
    this.#partitions = new Partitions({ self, image, replicas });
    this.#traffic = new Traffic(ports, { isTopic: (name) => image().topicIds.has(name) });
    this.#desk = new ProducerDesk(ports, { partitions: this.#partitions, traffic: this.#traffic });
    this.#topics = new Topics(ports, {
      image,
      autoCreate: config.autoCreateTopicsEnable,
      internalTopic: (name) => (name === OFFSETS_TOPIC ? offsetsTopic(groups) : undefined),
      timeoutMs: requestTimeoutMs,
      createTopics: (request) => session.request("create-topics", request, requestTimeoutMs),
    });
    this.#producerIds = new ProducerIds(async () => {
      const { brokerEpoch } = session;
      if (brokerEpoch === NONE) {
        throw new OttlaError("BROKER_NOT_AVAILABLE", `broker ${self} is not registered yet`);
      }
      const request = { brokerId: self, brokerEpoch };
      return await session.request("allocate-producer-ids", request, requestTimeoutMs);
    });
    this.#groups = new GroupCoordinator(ports, {
      self,
      image,
      config: groups,
      topics: this.#topics,
    });
    const { interBrokerListenerName } = config;
    const { leaderHere } = machinery;
    const ends = new LogEnds(ports, { self, image, interBrokerListenerName, leaderHere });
    new GroupMetrics(ports, { image, shards: () => this.#groups.shards(), ends }).register();
    machinery.onLeaderStarted = (leader) => this.#groups.onLeaderStarted(leader);
    for (const { leader } of replicas.hosts()) {
      if (leader !== undefined) this.#groups.onLeaderStarted(leader);
    }
    loader.subscribe((delta) => {
      this.#topics.onMetadata();
      this.#groups.onMetadata(delta);
    });
    registerBrokerMetrics(ports, {
      self,
      image,
      health: () => this.health(),
      isStopping: () => this.#stopping,
      produceInFlightBytes: () => this.#desk.inFlightBytes,
      openFetchesCount: () => this.#fetches.size,
      replicas,
      metadataLog: machinery.metadataLog,
      logs: machinery.logs,
    });
  }

  /**
   * Starts a broker; settles once it listens to the other brokers and has begun to register.
   * `health` tells when it is ready. Rejects with PORT_IN_USE, DIRECTORY_LOCKED, DIRECTORY_FOREIGN,
   * DIRECTORY_DAMAGED, DISK_FULL, INCONSISTENT_CLUSTER_ID or KAFKA_STORAGE_ERROR; then nothing is
   * left running.
   */
  static async start(ports: Ports, config: BrokerConfig): Promise<Broker> {
    return new Broker(ports, await Machinery.start(ports, config));
  }

  /** Where the internal listener is bound. */
  get internalAddress(): PeerAddress {
    return this.#machinery.internalAddress;
  }

  /** Hands leadership over, closes what is open, stops. Idempotent. */
  async shutdown(options: ShutdownOptions = {}): Promise<void> {
    this.#stopping = true;
    const stopped = this.#machinery.stop({ controlled: options.controlled ?? true });
    await stopped;
    this.#groups.close();
    for (const fetch of [...this.#fetches]) fetch.close();
    for (const fetch of [...this.#onceFetches]) fetch.cancel();
  }

  image(): MetadataImage {
    return this.#machinery.loader.image;
  }

  controllerId(): BrokerId {
    return this.#machinery.session.activeId;
  }

  liveBrokers(): readonly BrokerRegistration[] {
    return [...this.image().brokers.values()].filter(({ fenced }) => !fenced);
  }

  topics(names: readonly string[], allowAutoCreate: boolean): Promise<readonly FoundTopic[]> {
    return this.#topics.find(names, allowAutoCreate);
  }

  produce(one: ProduceOne): Promise<ProduceResult> {
    return this.#desk.produce(one);
  }

  openFetch(sink: FetchSink): FetchSession {
    if (this.#stopping) throw new OttlaError("SHUTTING_DOWN", "the broker is shutting down");
    const fetch = new OpenFetch(this.#ports, {
      partitions: this.#partitions,
      traffic: this.#traffic,
      sink,
      onClosed: (closed) => this.#fetches.delete(closed),
    });
    this.#fetches.add(fetch);
    return fetch;
  }

  fetchOnce(ones: readonly FetchOne[], options: FetchOnceOptions): FetchOnce {
    const fetch = new OneFetch(this.#ports, ones, {
      ...options,
      // A broker that stops answers at once.
      maxWaitMs: this.#stopping ? 0 : options.maxWaitMs,
      partitions: this.#partitions,
      traffic: this.#traffic,
      onSettled: (settled) => this.#onceFetches.delete(settled),
    });
    if (!fetch.settled) this.#onceFetches.add(fetch);
    return fetch;
  }

  listOffsets(items: readonly ListOffsetOne[]): Promise<readonly ListOffsetResult[]> {
    return Promise.all(items.map((item) => listOffset(this.#partitions, item)));
  }

  leaderEpochEnds(items: readonly LeaderEpochOne[]): readonly LeaderEpochResult[] {
    return items.map((item) => leaderEpochEnd(this.#partitions, item));
  }

  deleteRecords(
    items: readonly DeleteRecordsOne[],
    timeoutMs: number,
  ): Promise<readonly DeleteRecordsResult[]> {
    return Promise.all(
      items.map((item) => deleteRecordsOf(this.#ports, this.#partitions, item, timeoutMs)),
    );
  }

  describeConfigs(resources: readonly DescribeConfigsOne[]): readonly DescribedConfigs[] {
    return this.#machinery.configs.describe(resources);
  }

  describeProducers(
    items: Parameters<BrokerApi["describeProducers"]>[0],
  ): readonly DescribedProducers[] {
    return items.map(({ topic, partition }) =>
      describeProducersOf(this.#partitions, topic, partition),
    );
  }

  describeLogDirectories(): Promise<readonly DescribedLogDirectory[]> {
    const { logs, replicas } = this.#machinery;
    return describeLogDirectories(logs, replicas);
  }

  initProducerId(): Promise<{ readonly producerId: number; readonly producerEpoch: number }> {
    return this.#producerIds.init();
  }

  /** How this broker sees the metadata quorum at this moment; nobody is asked. */
  quorumStatus(): MetadataLogStatus {
    return this.#machinery.metadataLog.status();
  }

  describeQuorum(): Promise<QuorumDescription> {
    const { session, config } = this.#machinery;
    return session.request("describe-quorum", {}, config.requestTimeoutMs);
  }

  controller<Name extends AdminRequestName>(
    name: Name,
    request: ControllerRequests[Name]["request"],
    timeoutMs: number,
  ): Promise<ControllerRequests[Name]["reply"]> {
    return this.#machinery.session.request(name, request, timeoutMs);
  }

  findCoordinator(
    ...call: Parameters<GroupApi["findCoordinator"]>
  ): ReturnType<GroupApi["findCoordinator"]> {
    return this.#groups.findCoordinator(...call);
  }

  joinGroup(...call: Parameters<GroupApi["joinGroup"]>): ReturnType<GroupApi["joinGroup"]> {
    return this.#groups.joinGroup(...call);
  }

  syncGroup(...call: Parameters<GroupApi["syncGroup"]>): ReturnType<GroupApi["syncGroup"]> {
    return this.#groups.syncGroup(...call);
  }

  heartbeat(...call: Parameters<GroupApi["heartbeat"]>): ReturnType<GroupApi["heartbeat"]> {
    return this.#groups.heartbeat(...call);
  }

  leaveGroup(...call: Parameters<GroupApi["leaveGroup"]>): ReturnType<GroupApi["leaveGroup"]> {
    return this.#groups.leaveGroup(...call);
  }

  offsetCommit(
    ...call: Parameters<GroupApi["offsetCommit"]>
  ): ReturnType<GroupApi["offsetCommit"]> {
    return this.#groups.offsetCommit(...call);
  }

  offsetFetch(...call: Parameters<GroupApi["offsetFetch"]>): ReturnType<GroupApi["offsetFetch"]> {
    return this.#groups.offsetFetch(...call);
  }

  describeGroups(
    ...call: Parameters<GroupApi["describeGroups"]>
  ): ReturnType<GroupApi["describeGroups"]> {
    return this.#groups.describeGroups(...call);
  }

  deleteGroups(
    ...call: Parameters<GroupApi["deleteGroups"]>
  ): ReturnType<GroupApi["deleteGroups"]> {
    return this.#groups.deleteGroups(...call);
  }

  deleteOffsets(
    ...call: Parameters<GroupApi["deleteOffsets"]>
  ): ReturnType<GroupApi["deleteOffsets"]> {
    return this.#groups.deleteOffsets(...call);
  }

  listGroups(...call: Parameters<GroupApi["listGroups"]>): ReturnType<GroupApi["listGroups"]> {
    return this.#groups.listGroups(...call);
  }

  watchGroup(...call: Parameters<GroupApi["watchGroup"]>): ReturnType<GroupApi["watchGroup"]> {
    return this.#groups.watchGroup(...call);
  }

  health(): BrokerHealth {
    if (this.#stopping) return { live: true, ready: false, reason: "the broker is shutting down" };
    const reason = this.#machinery.notReadyBecause();
    return { live: true, ready: reason === "", reason };
  }
}
