/** Administration of a cluster: topics, configuration, offsets, leaders, consumer groups. */
import { OttlaError } from "../model/errors.ts";
import type { BrokerId, LeaderEpoch, Offset, PartitionIndex } from "../model/ids.ts";
import { ClusterClient, RETRY_LIMITS } from "./cluster-client.ts";
import type { TopicPartition } from "./consumer-types.ts";
import { retryDelayMs } from "./core/retry-delay.ts";
import { closedError, errorFrom } from "./errors.ts";
import type {
  GroupDescription,
  GroupOffset,
  GroupOffsetChange,
  GroupState,
} from "./group-admin.ts";
import * as groups from "./group-admin.ts";
import {
  type GroupListing,
  type GroupListings,
  listGroups,
  listReachableGroups,
} from "./group-listing.ts";
import { callLeaders, QUICK_ATTEMPT_MS } from "./leader-calls.ts";
import {
  CONFIG_OPERATION,
  CONFIG_RESOURCE_TYPE,
  type ConfigEntryMessage,
  ELECTION_TYPE,
  type ErrorMessage,
  type TopicMessage,
  type UnaryCalls,
  type UnaryName,
} from "./messages.ts";
import type { ClientOptions } from "./options.ts";

export type AdminOptions = ClientOptions;

export interface CallOptions {
  /** In ms. Default: `requestTimeoutMs`. */
  readonly timeoutMs?: number;
  /** Gives the wait up: ABORTED. A change may still be made. */
  readonly signal?: AbortSignal;
}

export interface ChangeOptions extends CallOptions {
  /** Checks and answers as if, and changes nothing. Default false. */
  readonly validateOnly?: boolean;
}

export interface NewTopic {
  readonly name: string;
  /** Default: the broker's `num.partitions`, or what `assignment` says. */
  readonly partitions?: number;
  /** Default: the broker's `default.replication.factor`, or what `assignment` says. */
  readonly replicationFactor?: number;
  /** Brokers by partition, the preferred leader first. Default: the controller places them. */
  readonly assignment?: readonly (readonly BrokerId[])[];
  /** By Kafka's keys. */
  readonly configs?: Readonly<Record<string, string | number | boolean>>;
}

export interface CreatedTopic {
  readonly name: string;
  readonly id: string;
  readonly partitions: number;
  readonly replicationFactor: number;
}

export interface PartitionDescription {
  readonly partition: PartitionIndex;
  /** -1: none. */
  readonly leader: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
  readonly replicas: readonly BrokerId[];
  readonly isr: readonly BrokerId[];
  /** Eligible leader replicas outside the ISR (KIP-966). */
  readonly elr: readonly BrokerId[];
  readonly lastKnownElr: readonly BrokerId[];
  readonly offlineReplicas: readonly BrokerId[];
}

export interface TopicDescription {
  readonly name: string;
  readonly id: string;
  /** By index. */
  readonly partitions: readonly PartitionDescription[];
}

export interface BrokerDescription {
  readonly id: BrokerId;
  readonly endpoints: readonly {
    readonly name: string;
    readonly host: string;
    readonly port: number;
  }[];
  /** "" without one. */
  readonly rack: string;
  readonly fenced: boolean;
  readonly inControlledShutdown: boolean;
  readonly brokerEpoch: number;
}

export interface QuorumMember {
  readonly id: BrokerId;
  readonly directoryId: string;
  /** End of the metadata log that it is known to have. */
  readonly matchIndex: number;
  /** Since the leader last heard of it. */
  readonly lastContactMs: number;
}

export interface ClusterDescription {
  readonly clusterId: string;
  /** -1: none known. */
  readonly controllerId: BrokerId;
  readonly brokers: readonly BrokerDescription[];
  /** Null while there is no active controller. */
  readonly quorum: {
    readonly leaderId: BrokerId;
    readonly term: number;
    readonly commitIndex: number;
    readonly voters: readonly QuorumMember[];
    readonly observers: readonly QuorumMember[];
  } | null;
  readonly metadataVersion: number;
}

export interface ConfigResource {
  readonly type: "topic" | "broker";
  /** A topic's name, a broker's id, or "" for the default of all brokers. */
  readonly name: string;
}

export interface ConfigEntry {
  readonly key: string;
  readonly value: string;
  /** DYNAMIC_TOPIC_CONFIG, DYNAMIC_BROKER_CONFIG, STATIC_BROKER_CONFIG, DEFAULT_CONFIG, ... */
  readonly source: string;
  readonly readOnly: boolean;
  readonly type: string;
  readonly documentation: string;
  /** False: known and stored, but nothing depends on it yet. */
  readonly hasEffect: boolean;
}

export interface ResourceConfig extends ConfigResource {
  readonly entries: readonly ConfigEntry[];
}

export interface ConfigChange {
  readonly key: string;
  readonly operation: "set" | "delete" | "append" | "subtract";
  /** Not for "delete". */
  readonly value?: string | number | boolean;
}

export interface ConfigAlteration extends ConfigResource {
  readonly changes: readonly ConfigChange[];
}

export interface OffsetQuery extends TopicPartition {
  /** "end" is the high watermark, "max-timestamp" the record with the largest timestamp. */
  readonly offset: "beginning" | "end" | "max-timestamp" | { readonly timestampMs: number };
}

export interface ListedOffset extends TopicPartition {
  /** -1: no such record. */
  readonly offset: Offset;
  /** Of the record found, in ms since 1970; -1 if none was looked for. */
  readonly timestamp: number;
  readonly leaderEpoch: LeaderEpoch;
}

export interface RecordDeletion extends TopicPartition {
  /** Records below it go; "high-watermark": all that consumers could read. */
  readonly beforeOffset: Offset | "high-watermark";
}

export interface DeletedRecords extends TopicPartition {
  /** The log start offset now. */
  readonly lowWatermark: Offset;
}

export interface LeaderElection {
  /** "unclean" may lose acknowledged records. */
  readonly type: "preferred" | "unclean";
  /** Default: all that need it. */
  readonly partitions?: readonly TopicPartition[];
}

export interface ElectedLeader extends TopicPartition {
  readonly leader: BrokerId;
}

/** How long a topic that this Admin created may be unknown to the broker that answers. */
const PROPAGATION_MS = 5_000;
/** A failover takes less; a partition without leader for longer may stay so. */
const LIST_PATIENCE_MS = 5_000;

/**
 * Administers a cluster over any of its brokers.
 *
 *     await using admin = new Admin({ bootstrapServers: "127.0.0.1:9192" });
 *     await admin.createTopics([{ name: "orders", partitions: 6, replicationFactor: 3 }]);
 *
 * Where a call takes several items and one is refused, it rejects with the first refusal, which
 * names the item; the others may have been done. Errors: those of the broker, NO_BROKER_REACHABLE,
 * REQUEST_TIMED_OUT, ABORTED, CLOSED.
 */
export class Admin implements AsyncDisposable {
  readonly #cluster: ClusterClient;
  /** Topics made by this instance, and when. */
  readonly #createdMs = new Map<string, number>();

  constructor(options: AdminOptions) {
    this.#cluster = new ClusterClient(options);
  }

  async createTopics(
    topics: readonly NewTopic[],
    options: ChangeOptions = {},
  ): Promise<readonly CreatedTopic[]> {
    const request = {
      topics: topics.map(({ assignment = [], configs = {}, name, ...counts }) => ({
        name,
        partitions: counts.partitions ?? -1,
        replicationFactor: counts.replicationFactor ?? -1,
        assignment: assignment.map((replicas) => ({ replicas })),
        configs: Object.fromEntries(
          Object.entries(configs).map(([key, value]) => [key, String(value)]),
        ),
      })),
      validateOnly: options.validateOnly ?? false,
    };
    const response = await this.#change("CreateTopics", request, options);
    throwFirst(response.topics);
    const nowMs = this.#cluster.nowMs();
    for (const [name, createdMs] of this.#createdMs) {
      if (nowMs - createdMs > PROPAGATION_MS) this.#createdMs.delete(name);
    }
    return response.topics.map(({ id, name, partitions, replicationFactor }) => {
      if (!request.validateOnly) this.#createdMs.set(name, nowMs);
      return { name, id, partitions, replicationFactor };
    });
  }

  async deleteTopics(names: readonly string[], options: CallOptions = {}): Promise<void> {
    const response = await this.#change("DeleteTopics", { topics: names }, options);
    throwFirst(response.topics);
  }

  /** All topics, by name. */
  async listTopics(options: CallOptions = {}): Promise<readonly TopicDescription[]> {
    const request = { topics: [], noTopics: false, allowAutoTopicCreation: false };
    const { topics } = await this.#read("Metadata", request, options);
    throwFirst(topics);
    return topics
      .map(describedTopic)
      .sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0));
  }

  /** In the order of the names. Rejects with UNKNOWN_TOPIC_OR_PARTITION. */
  async describeTopics(
    names: readonly string[],
    options: CallOptions = {},
  ): Promise<readonly TopicDescription[]> {
    if (names.length === 0) return [];
    const { timers } = this.#cluster.environment;
    const startMs = this.#cluster.nowMs();
    for (;;) {
      const request = { topics: names, noTopics: false, allowAutoTopicCreation: false };
      const { topics } = await this.#read("Metadata", request, options);
      const refused = topics.find(({ error }) => error !== null);
      if (refused === undefined) {
        return names
          .flatMap((name) => topics.filter((each) => each.name === name).slice(0, 1))
          .map(describedTopic);
      }
      const nowMs = this.#cluster.nowMs();
      const fresh = nowMs - (this.#createdMs.get(refused.name) ?? -Infinity) < PROPAGATION_MS;
      if (!fresh || refused.error?.code !== "UNKNOWN_TOPIC_OR_PARTITION") throwFirst(topics);
      await timers.sleep(retryDelayMs(nowMs - startMs, RETRY_LIMITS), options.signal);
    }
  }

  /** `partitions` is the new total, which must be larger than now. */
  async createPartitions(
    change: {
      readonly topic: string;
      readonly partitions: number;
      /** Brokers of each new partition. Default: the controller places them. */
      readonly assignment?: readonly (readonly BrokerId[])[];
    },
    options: ChangeOptions = {},
  ): Promise<void> {
    const { assignment = [], partitions, topic } = change;
    const request = {
      topic,
      partitions,
      assignment: assignment.map((replicas) => ({ replicas })),
      validateOnly: options.validateOnly ?? false,
    };
    await this.#change("CreatePartitions", request, options);
  }

  async describeConfigs(
    resources: readonly ConfigResource[],
    options: CallOptions = {},
  ): Promise<readonly ResourceConfig[]> {
    const request = { resources: resources.map(resourceMessage) };
    const response = await this.#read("DescribeConfigs", request, options);
    for (const { error, resource } of response.resources) throwItem(error, resource?.name ?? "");
    return response.resources.map(({ entries, resource }) => ({
      type: resource?.type === CONFIG_RESOURCE_TYPE.broker ? "broker" : "topic",
      name: resource?.name ?? "",
      entries: entries.map(configEntry),
    }));
  }

  /** Changes the keys that are named and leaves all others as they are (KIP-339). */
  async alterConfigs(
    alterations: readonly ConfigAlteration[],
    options: ChangeOptions = {},
  ): Promise<void> {
    const request = {
      resources: alterations.map((each) => ({
        resource: resourceMessage(each),
        operations: each.changes.map(({ key, operation, value }) => ({
          key,
          operation: CONFIG_OPERATION[operation],
          value: value === undefined ? "" : String(value),
        })),
      })),
      validateOnly: options.validateOnly ?? false,
    };
    const response = await this.#change("IncrementalAlterConfigs", request, options);
    for (const { error, resource } of response.resources) throwItem(error, resource?.name ?? "");
  }

  async listOffsets(
    queries: readonly OffsetQuery[],
    options: CallOptions = {},
  ): Promise<readonly ListedOffset[]> {
    const items = queries.map(({ offset, partition, topic }) => ({
      topic,
      partition,
      timestamp: timestampQuery(offset),
    }));
    const results = await callLeaders(
      this.#open(),
      {
        items,
        attemptMs: QUICK_ATTEMPT_MS,
        send: async (connection, partitions, call) =>
          (await connection.call("ListOffsets", { partitions }, call)).partitions,
      },
      this.#complete(options),
    );
    return results.map(({ leaderEpoch, offset, partition, timestamp, topic }) => ({
      topic,
      partition,
      offset,
      timestamp,
      leaderEpoch,
    }));
  }

  async deleteRecords(
    deletions: readonly RecordDeletion[],
    options: CallOptions = {},
  ): Promise<readonly DeletedRecords[]> {
    const items = deletions.map(({ beforeOffset, partition, topic }) => ({
      topic,
      partition,
      beforeOffset: beforeOffset === "high-watermark" ? -1 : beforeOffset,
    }));
    const results = await callLeaders(
      this.#open(),
      {
        items,
        send: async (connection, partitions, call) => {
          const request = { partitions, timeoutMs: Math.ceil(call.timeoutMs) };
          return (await connection.call("DeleteRecords", request, call)).partitions;
        },
      },
      this.#complete(options),
    );
    return results.map(({ lowWatermark, partition, topic }) => ({
      topic,
      partition,
      lowWatermark,
    }));
  }

  /** Partitions that a preferred leader leads already are passed over when none are named. */
  async electLeaders(
    election: LeaderElection,
    options: CallOptions = {},
  ): Promise<readonly ElectedLeader[]> {
    const { partitions = [], type } = election;
    const request = { type: ELECTION_TYPE[type], partitions };
    const response = await this.#change("ElectLeaders", request, options);
    for (const { error, partition, topic } of response.partitions) {
      throwItem(error, `${topic}-${partition}`);
    }
    return response.partitions.map(({ leader, partition, topic }) => ({
      topic,
      partition,
      leader,
    }));
  }

  async describeCluster(options: CallOptions = {}): Promise<ClusterDescription> {
    const response = await this.#read("DescribeCluster", {}, options);
    const { brokers, clusterId, controllerId, metadataVersion, quorum } = response;
    return {
      clusterId,
      controllerId,
      brokers: brokers.map((broker) => ({
        id: broker.id,
        endpoints: broker.endpoints.map(({ host, name, port }) => ({ name, host, port })),
        rack: broker.rack,
        fenced: broker.fenced,
        inControlledShutdown: broker.inControlledShutdown,
        brokerEpoch: broker.brokerEpoch,
      })),
      quorum:
        quorum === null
          ? null
          : {
              leaderId: quorum.leaderId,
              term: quorum.term,
              commitIndex: quorum.commitIndex,
              voters: quorum.voters.map(quorumMember),
              observers: quorum.observers.map(quorumMember),
            },
      metadataVersion,
    };
  }

  /**
   * Of all coordinators, by id. With `states` those in one of them, else all. Rejects where some
   * cannot be listed before the timeout; `listReachableGroups` names them.
   */
  async listGroups(
    options: CallOptions & { readonly states?: readonly GroupState[] } = {},
  ): Promise<readonly GroupListing[]> {
    return await listGroups(this.#open(), options.states ?? [], this.#complete(options));
  }

  /**
   * As `listGroups`, with what is known where a part is missing: partitions of `__consumer_offsets`
   * without a leader, or whose leader does not answer. It is asked again for `patienceMs`, 5,000 by
   * default; a failover takes less.
   */
  async listReachableGroups(
    options: CallOptions & {
      readonly states?: readonly GroupState[];
      readonly patienceMs?: number;
    } = {},
  ): Promise<GroupListings> {
    const complete = this.#complete(options);
    const timeoutMs = Math.min(options.patienceMs ?? LIST_PATIENCE_MS, complete.timeoutMs);
    const { states = [] } = options;
    return await listReachableGroups(this.#open(), states, complete, { timeoutMs });
  }

  /** In the order of the ids. Rejects with GROUP_ID_NOT_FOUND. */
  async describeGroups(
    groupIds: readonly string[],
    options: CallOptions = {},
  ): Promise<readonly GroupDescription[]> {
    if (groupIds.length === 0) return [];
    return await groups.describeGroups(this.#open(), groupIds, this.#complete(options));
  }

  /** Groups and their offsets. Rejects with NON_EMPTY_GROUP where there are members. */
  async deleteGroups(groupIds: readonly string[], options: CallOptions = {}): Promise<void> {
    await groups.deleteGroups(this.#open(), groupIds, this.#complete(options));
  }

  /** All that the group has committed, or with `partitions` those, in their order. */
  async listGroupOffsets(
    groupId: string,
    options: CallOptions & { readonly partitions?: readonly TopicPartition[] } = {},
  ): Promise<readonly GroupOffset[]> {
    const { partitions } = options;
    if (partitions?.length === 0) return [];
    const complete = this.#complete(options);
    return await groups.listGroupOffsets(this.#open(), groupId, partitions ?? [], complete);
  }

  /**
   * Commits from outside; makes the group if there is none. Rejects with NON_EMPTY_GROUP while it
   * has members: they would go on from where they are, and commit over it.
   */
  async alterGroupOffsets(
    groupId: string,
    offsets: readonly GroupOffsetChange[],
    options: CallOptions = {},
  ): Promise<void> {
    await groups.alterGroupOffsets(this.#open(), groupId, offsets, this.#complete(options));
  }

  /** Rejects with GROUP_SUBSCRIBED_TO_TOPIC where members consume the topic (KIP-496). */
  async deleteGroupOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
    options: CallOptions = {},
  ): Promise<void> {
    await groups.deleteGroupOffsets(this.#open(), groupId, partitions, this.#complete(options));
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#cluster.close();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): ClusterClient {
    if (this.#cluster.closed) throw closedError("admin");
    return this.#cluster;
  }

  #complete(options: CallOptions) {
    const { requestTimeoutMs } = this.#cluster.options;
    return { timeoutMs: options.timeoutMs ?? requestTimeoutMs, signal: options.signal };
  }

  async #read<Name extends UnaryName>(
    name: Name,
    request: UnaryCalls[Name]["request"],
    options: CallOptions,
  ): Promise<UnaryCalls[Name]["response"]> {
    return await this.#open().find(name, request, { ...this.#complete(options), hedge: true });
  }

  async #change<Name extends UnaryName>(
    name: Name,
    request: UnaryCalls[Name]["request"],
    options: CallOptions,
  ): Promise<UnaryCalls[Name]["response"]> {
    return await this.#open().find(name, request, { ...this.#complete(options), hedge: false });
  }
}

function throwItem(error: ErrorMessage | null, name: string): void {
  if (error === null) return;
  throw errorFrom(error, error.message.includes(name) ? "" : `${name}: `);
}

function throwFirst(
  items: readonly { readonly name: string; readonly error: ErrorMessage | null }[],
): void {
  for (const { error, name } of items) throwItem(error, name);
}

function describedTopic({ id, name, partitions }: TopicMessage): TopicDescription {
  return {
    name,
    id,
    partitions: partitions
      .map((each) => ({
        partition: each.partition,
        leader: each.leader,
        leaderEpoch: each.leaderEpoch,
        replicas: each.replicas,
        isr: each.isr,
        elr: each.elr,
        lastKnownElr: each.lastKnownElr,
        offlineReplicas: each.offlineReplicas,
      }))
      .sort((left, right) => left.partition - right.partition),
  };
}

function quorumMember(member: QuorumMember): QuorumMember {
  const { directoryId, id, lastContactMs, matchIndex } = member;
  return { id, directoryId, matchIndex, lastContactMs };
}

function configEntry(entry: ConfigEntryMessage): ConfigEntry {
  const { documentation, hasEffect, key, readOnly, source, type, value } = entry;
  return { key, value, source, readOnly, type, documentation, hasEffect };
}

function resourceMessage({ name, type }: ConfigResource) {
  return { type: CONFIG_RESOURCE_TYPE[type], name };
}

function timestampQuery(offset: OffsetQuery["offset"]): number {
  if (offset === "end") return -1;
  if (offset === "beginning") return -2;
  if (offset === "max-timestamp") return -3;
  const { timestampMs } = offset;
  if (Number.isSafeInteger(timestampMs) && timestampMs >= 0) return timestampMs;
  throw new OttlaError(
    "INVALID_ARGUMENT",
    `timestampMs is ${timestampMs}, allowed is an integer of at least 0`,
    { field: "timestampMs" },
  );
}
