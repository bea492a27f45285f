/**
 * The one way from an image to the next: replays records, and remembers what they changed. What is
 * untouched is shared with the base image. A record that does not fit the image is a defect of
 * whoever wrote it, and an assertion: images would differ from node to node if it were skipped.
 */
import { assert, unreachable } from "../base/assert.ts";
import {
  type BrokerId,
  type LogIndex,
  NONE,
  type PartitionIndex,
  type Term,
  type TopicId,
} from "../model/ids.ts";
import {
  type BrokerRegistration,
  EMPTY_IMAGE,
  type MetadataImage,
  type TopicImage,
} from "./image.ts";
import { configResource } from "./image-configs.ts";
import type {
  BrokerChangeRecord,
  ConfigRecord,
  MetadataRecord,
  PartitionChangeRecord,
  PartitionRecord,
  PartitionState,
  RegisterBrokerRecord,
} from "./records.ts";

/** A map that is copied at its first change. */
class CopyOnWrite<Key, Value> {
  #map: ReadonlyMap<Key, Value>;
  #copy: Map<Key, Value> | undefined;

  constructor(base: ReadonlyMap<Key, Value>) {
    this.#map = base;
  }

  get current(): ReadonlyMap<Key, Value> {
    return this.#map;
  }

  change(): Map<Key, Value> {
    if (this.#copy === undefined) {
      this.#copy = new Map(this.#map);
      this.#map = this.#copy;
    }
    return this.#copy;
  }
}

export class MetadataDelta {
  readonly base: MetadataImage;
  readonly #brokers: CopyOnWrite<BrokerId, BrokerRegistration>;
  readonly #topics: CopyOnWrite<TopicId, TopicImage>;
  readonly #topicIds: CopyOnWrite<string, TopicId>;
  readonly #configs: CopyOnWrite<string, ReadonlyMap<string, string>>;
  /** Partition arrays that this delta made and may change in place. */
  readonly #ownPartitions = new Map<TopicId, PartitionState[]>();
  readonly #changedPartitions = new Map<TopicId, Set<PartitionIndex>>();
  readonly #deletedTopics = new Set<TopicId>();
  readonly #changedBrokers = new Set<BrokerId>();
  readonly #changedConfigs = new Set<string>();
  #metadataVersion: number;
  #clusterId: MetadataImage["clusterId"];
  #lastBrokerEpoch: number;
  #nextProducerId: number;
  #uncleanElectionsCount: number;
  #recordsCount = 0;

  constructor(base: MetadataImage) {
    this.base = base;
    this.#brokers = new CopyOnWrite(base.brokers);
    this.#topics = new CopyOnWrite(base.topics);
    this.#topicIds = new CopyOnWrite(base.topicIds);
    this.#configs = new CopyOnWrite(base.configs);
    this.#metadataVersion = base.metadataVersion;
    this.#clusterId = base.clusterId;
    this.#lastBrokerEpoch = base.lastBrokerEpoch;
    this.#nextProducerId = base.nextProducerId;
    this.#uncleanElectionsCount = base.uncleanElectionsCount;
  }

  /** From one whole image to another, as a snapshot brings it: everything that differs changed. */
  static between(base: MetadataImage, next: MetadataImage): MetadataDelta {
    const delta = new MetadataDelta(base);
    for (const id of base.topics.keys()) if (!next.topics.has(id)) delta.#deletedTopics.add(id);
    for (const topic of next.topics.values()) {
      const old = base.topics.get(topic.id)?.partitions ?? [];
      topic.partitions.forEach((state, partition) => {
        if (state.partitionEpoch !== old[partition]?.partitionEpoch) {
          delta.#touchPartition(topic.id, partition);
        }
      });
      if (topic.partitions.length === 0) delta.#changedPartitions.set(topic.id, new Set());
    }
    for (const id of new Set([...base.brokers.keys(), ...next.brokers.keys()])) {
      const [left, right] = [base.brokers.get(id), next.brokers.get(id)];
      if (JSON.stringify(left) !== JSON.stringify(right)) delta.#changedBrokers.add(id);
    }
    for (const resource of new Set([...base.configs.keys(), ...next.configs.keys()])) {
      const [left, right] = [base.configs.get(resource), next.configs.get(resource)];
      if (!sameConfigs(left, right)) delta.#changedConfigs.add(resource);
    }
    return delta;
  }

  /** New topics and those with changed partitions; which ones. */
  get changedPartitions(): ReadonlyMap<TopicId, ReadonlySet<PartitionIndex>> {
    return this.#changedPartitions;
  }

  get deletedTopics(): ReadonlySet<TopicId> {
    return this.#deletedTopics;
  }

  /** Registered, changed or unregistered. */
  get changedBrokers(): ReadonlySet<BrokerId> {
    return this.#changedBrokers;
  }

  /** Keys as in an image's `configs`. */
  get changedConfigs(): ReadonlySet<string> {
    return this.#changedConfigs;
  }

  get recordsCount(): number {
    return this.#recordsCount;
  }

  replayAll(records: readonly MetadataRecord[]): void {
    for (const record of records) this.replay(record);
  }

  replay(record: MetadataRecord): void {
    this.#recordsCount++;
    assert(
      this.#metadataVersion > 0 || record.type === "feature-level",
      `the first record of a cluster is its metadata.version, not ${record.type}`,
    );
    switch (record.type) {
      case "feature-level":
        assert(
          record.level >= this.#metadataVersion,
          `metadata.version falls from ${this.#metadataVersion} to ${record.level}`,
        );
        this.#metadataVersion = record.level;
        return;
      case "cluster":
        assert(this.#clusterId === undefined, `the cluster ${this.#clusterId} is founded twice`);
        this.#clusterId = record.clusterId;
        return;
      case "register-broker":
        this.#registerBroker(record);
        return;
      case "broker-change":
        this.#changeBroker(record);
        return;
      case "unregister-broker":
        assert(
          this.#brokers.change().delete(record.brokerId),
          `broker ${record.brokerId} is unregistered twice`,
        );
        this.#changedBrokers.add(record.brokerId);
        return;
      case "topic":
        assert(!this.#topics.current.has(record.topicId), `topic id ${record.topicId} twice`);
        assert(!this.#topicIds.current.has(record.name), `topic ${record.name} is created twice`);
        this.#setTopic(record.topicId, record.name, []);
        this.#topicIds.change().set(record.name, record.topicId);
        this.#changedPartitions.set(record.topicId, new Set());
        return;
      case "remove-topic":
        this.#removeTopic(record.topicId);
        return;
      case "partition":
        this.#addPartition(record);
        return;
      case "partition-change":
        this.#changePartition(record);
        return;
      case "config":
        this.#setConfig(record);
        return;
      case "producer-ids":
        assert(
          record.nextProducerId >= this.#nextProducerId,
          `producer ids fall from ${this.#nextProducerId} to ${record.nextProducerId}`,
        );
        this.#nextProducerId = record.nextProducerId;
        return;
      case "counters":
        this.#lastBrokerEpoch = Math.max(this.#lastBrokerEpoch, record.lastBrokerEpoch);
        this.#uncleanElectionsCount = record.uncleanElectionsCount;
        return;
      default:
        unreachable(record);
    }
  }

  /** The image after the entry at `index`. The delta must not be changed any more. */
  apply(index: LogIndex, term: Term): MetadataImage {
    return {
      index,
      term,
      metadataVersion: this.#metadataVersion,
      clusterId: this.#clusterId,
      brokers: this.#brokers.current,
      lastBrokerEpoch: this.#lastBrokerEpoch,
      topics: this.#topics.current,
      topicIds: this.#topicIds.current,
      configs: this.#configs.current,
      nextProducerId: this.#nextProducerId,
      uncleanElectionsCount: this.#uncleanElectionsCount,
    };
  }

  #registerBroker(record: RegisterBrokerRecord): void {
    const { type: _type, brokerId, brokerEpoch, ...rest } = record;
    assert(
      brokerEpoch > (this.#brokers.current.get(brokerId)?.epoch ?? 0),
      `broker ${brokerId} registers with an old epoch ${brokerEpoch}`,
    );
    this.#lastBrokerEpoch = Math.max(this.#lastBrokerEpoch, brokerEpoch);
    this.#brokers.change().set(brokerId, {
      id: brokerId,
      epoch: brokerEpoch,
      ...rest,
      fenced: true,
      inControlledShutdown: false,
    });
    this.#changedBrokers.add(brokerId);
  }

  #changeBroker(record: BrokerChangeRecord): void {
    const broker = this.#brokers.current.get(record.brokerId);
    assert(
      broker?.epoch === record.brokerEpoch,
      `broker ${record.brokerId} has epoch ${broker?.epoch}, not ${record.brokerEpoch}`,
    );
    this.#brokers.change().set(broker.id, {
      ...broker,
      fenced: record.fenced ?? broker.fenced,
      inControlledShutdown: record.inControlledShutdown ?? broker.inControlledShutdown,
    });
    this.#changedBrokers.add(broker.id);
  }

  #removeTopic(topicId: TopicId): void {
    const topic = this.#topics.current.get(topicId);
    assert(topic !== undefined, `topic ${topicId} is removed twice`);
    this.#topics.change().delete(topicId);
    this.#topicIds.change().delete(topic.name);
    this.#changedPartitions.delete(topicId);
    this.#deletedTopics.add(topicId);
    const resource = configResource("topic", topic.name);
    if (this.#configs.current.has(resource)) {
      this.#configs.change().delete(resource);
      this.#changedConfigs.add(resource);
    }
  }

  #addPartition(record: PartitionRecord): void {
    const { type: _type, topicId, partition, ...state } = record;
    const partitions = this.#partitionsOf(topicId);
    assert(partition === partitions.length, `${topicId}-${partition} does not follow its topic`);
    partitions.push(state);
    this.#touchPartition(topicId, partition);
  }

  #changePartition(record: PartitionChangeRecord): void {
    const { topicId, partition } = record;
    const partitions = this.#partitionsOf(topicId);
    const old = partitions[partition];
    assert(old !== undefined, `partition ${topicId}-${partition} does not exist`);
    const { lastKnownLeaderLost: wasLost, ...kept } = old;
    const lost = record.lastKnownLeaderLost ?? wasLost ?? false;
    partitions[partition] = {
      ...kept,
      replicas: record.replicas ?? old.replicas,
      directories: record.directories ?? old.directories,
      isr: record.isr ?? old.isr,
      elr: record.elr ?? old.elr,
      lastKnownLeader: record.lastKnownLeader ?? old.lastKnownLeader,
      adding: record.adding ?? old.adding,
      removing: record.removing ?? old.removing,
      leader: record.leader ?? old.leader,
      leaderEpoch: old.leaderEpoch + (record.leader === undefined ? 0 : 1),
      partitionEpoch: old.partitionEpoch + 1,
      ...(lost ? { lastKnownLeaderLost: true } : {}),
    };
    if (record.unclean === true) this.#uncleanElectionsCount++;
    this.#touchPartition(topicId, partition);
  }

  #setConfig({ resource, name, key, value }: ConfigRecord): void {
    const id = configResource(resource, name);
    const values = new Map(this.#configs.current.get(id));
    if (value === null) values.delete(key);
    else values.set(key, value);
    if (values.size === 0) this.#configs.change().delete(id);
    else this.#configs.change().set(id, values);
    this.#changedConfigs.add(id);
  }

  #partitionsOf(topicId: TopicId): PartitionState[] {
    const own = this.#ownPartitions.get(topicId);
    if (own !== undefined) return own;
    const topic = this.#topics.current.get(topicId);
    assert(topic !== undefined, `topic ${topicId} does not exist`);
    return this.#setTopic(topicId, topic.name, [...topic.partitions]);
  }

  #setTopic(id: TopicId, name: string, partitions: PartitionState[]): PartitionState[] {
    this.#topics.change().set(id, { id, name, partitions });
    this.#ownPartitions.set(id, partitions);
    return partitions;
  }

  #touchPartition(topicId: TopicId, partition: PartitionIndex): void {
    const touched = this.#changedPartitions.get(topicId);
    if (touched === undefined) this.#changedPartitions.set(topicId, new Set([partition]));
    else touched.add(partition);
  }
}

function sameConfigs(
  left: ReadonlyMap<string, string> | undefined,
  right: ReadonlyMap<string, string> | undefined,
): boolean {
  if (left?.size !== right?.size) return false;
  return [...(left ?? [])].every(([key, value]) => right?.get(key) === value);
}

/** The image that the records of a whole log, or of a snapshot, add up to. */
export function recordsToImage(
  records: readonly MetadataRecord[],
  index: LogIndex,
  term: Term,
): MetadataImage {
  const delta = new MetadataDelta(EMPTY_IMAGE);
  delta.replayAll(records);
  return delta.apply(index, term);
}

function byCodeUnits(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** A whole image as records, in one order for equal images: what a snapshot holds. */
export function imageToRecords(image: MetadataImage): readonly MetadataRecord[] {
  if (image.metadataVersion === 0) return [];
  const records: MetadataRecord[] = [
    { type: "feature-level", name: "metadata.version", level: image.metadataVersion },
  ];
  if (image.clusterId !== undefined) records.push({ type: "cluster", clusterId: image.clusterId });
  for (const broker of [...image.brokers.values()].sort((left, right) => left.id - right.id)) {
    const { id: brokerId, epoch: brokerEpoch, fenced, inControlledShutdown, ...rest } = broker;
    records.push({ type: "register-broker", brokerId, brokerEpoch, ...rest });
    if (!fenced || inControlledShutdown) {
      records.push({ type: "broker-change", brokerId, brokerEpoch, fenced, inControlledShutdown });
    }
  }
  for (const topicId of [...image.topics.keys()].sort(byCodeUnits)) {
    const topic = image.topics.get(topicId) as TopicImage;
    records.push({ type: "topic", topicId, name: topic.name });
    topic.partitions.forEach((state, partition) => {
      records.push({ type: "partition", topicId, partition, ...state });
    });
  }
  for (const resourceId of [...image.configs.keys()].sort(byCodeUnits)) {
    const values = image.configs.get(resourceId) as ReadonlyMap<string, string>;
    const cut = resourceId.indexOf(":");
    const resource = resourceId.slice(0, cut) as ConfigRecord["resource"];
    for (const key of [...values.keys()].sort(byCodeUnits)) {
      const value = values.get(key) as string;
      records.push({ type: "config", resource, name: resourceId.slice(cut + 1), key, value });
    }
  }
  const { nextProducerId, lastBrokerEpoch, uncleanElectionsCount } = image;
  records.push(
    { type: "producer-ids", brokerId: NONE, brokerEpoch: NONE, nextProducerId },
    { type: "counters", lastBrokerEpoch, uncleanElectionsCount },
  );
  return records;
}
