/**
 * What a client knows of the cluster: brokers, topics, leaders. Filled by metadata answers of any
 * broker and by the leader hints in refusals; brokers lag behind each other, so an answer with an
 * older leader epoch than the one known never overwrites it.
 */
import type { BrokerId, LeaderEpoch, PartitionIndex } from "../../model/ids.ts";
import { NONE } from "../../model/ids.ts";

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

export interface KnownBroker extends BrokerAddress {
  readonly id: BrokerId;
}

export interface PartitionMetadata {
  readonly partition: PartitionIndex;
  /** -1: none known. */
  readonly leader: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
}

export interface TopicMetadata {
  readonly name: string;
  /** "" until the first answer. */
  readonly id: string;
  /** By index. */
  readonly partitions: readonly PartitionMetadata[];
}

export interface LeaderChange {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly leader: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
}

export class MetadataCache {
  readonly #brokers = new Map<BrokerId, KnownBroker>();
  readonly #topics = new Map<string, TopicMetadata>();

  brokers(): readonly KnownBroker[] {
    return [...this.#brokers.values()];
  }

  broker(id: BrokerId): KnownBroker | undefined {
    return this.#brokers.get(id);
  }

  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name);
  }

  leader(topic: string, partition: PartitionIndex): PartitionMetadata | undefined {
    return this.#topics.get(topic)?.partitions[partition];
  }

  /**
   * Takes the brokers of a metadata answer; an answer without any (a broker that has just
   * started) changes nothing.
   */
  updateBrokers(brokers: readonly KnownBroker[]): void {
    if (brokers.length === 0) return;
    this.#brokers.clear();
    for (const broker of brokers) this.#brokers.set(broker.id, broker);
  }

  /** Takes a topic of a metadata answer and returns what is now known. */
  updateTopic(topic: TopicMetadata): TopicMetadata {
    const known = this.#topics.get(topic.name);
    // Another id is another topic: it was deleted and created again, and epochs begin anew.
    const sameTopic = known !== undefined && (known.id === topic.id || known.id === "");
    const partitions = topic.partitions.map((fresh) => {
      const old = sameTopic ? known.partitions[fresh.partition] : undefined;
      return old !== undefined && old.leaderEpoch > fresh.leaderEpoch ? old : fresh;
    });
    // Partitions are only ever added: a shorter list comes from a broker that lags.
    if (sameTopic) partitions.push(...known.partitions.slice(partitions.length));
    const merged: TopicMetadata = { name: topic.name, id: topic.id, partitions };
    this.#topics.set(topic.name, merged);
    return merged;
  }

  removeTopic(name: string): void {
    this.#topics.delete(name);
  }

  /** Takes a refusal's hint. False if it says nothing new. */
  applyHint(change: LeaderChange, address: BrokerAddress | undefined): boolean {
    const topic = this.#topics.get(change.topic);
    const known = topic?.partitions[change.partition];
    if (topic === undefined || known === undefined || change.leader === NONE) return false;
    if (change.leaderEpoch <= known.leaderEpoch && known.leader !== NONE) return false;
    if (address !== undefined && address.host !== "") {
      this.#brokers.set(change.leader, { id: change.leader, ...address });
    } else if (!this.#brokers.has(change.leader)) return false;
    const partitions = topic.partitions.slice();
    partitions[change.partition] = {
      partition: change.partition,
      leader: change.leader,
      leaderEpoch: change.leaderEpoch,
    };
    this.#topics.set(change.topic, { ...topic, partitions });
    return true;
  }
}
