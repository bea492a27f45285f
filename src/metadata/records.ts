/**
 * The alphabet of the metadata log, persisted for ever: a type and a version never change their
 * meaning, fields are only added in a new version. An entry of the log holds the records of one
 * change; they apply together or not at all. Encoding: see `record-codec.ts`.
 */
import type {
  BrokerEpoch,
  BrokerId,
  ClusterId,
  DirectoryId,
  IncarnationId,
  LeaderEpoch,
  PartitionEpoch,
  PartitionIndex,
  TopicId,
} from "../model/ids.ts";

/** Always the first record of a cluster: which alphabet it speaks. */
export interface FeatureLevelRecord {
  readonly type: "feature-level";
  readonly name: "metadata.version";
  readonly level: number;
}

export interface ClusterRecord {
  readonly type: "cluster";
  readonly clusterId: ClusterId;
}

/** A named endpoint, as in `advertised.listeners`. */
export interface Endpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface RegisterBrokerRecord {
  readonly type: "register-broker";
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
  readonly incarnationId: IncarnationId;
  readonly endpoints: readonly Endpoint[];
  readonly rack: string | null;
  readonly directories: readonly DirectoryId[];
  /** Lowest and highest metadata.version that the broker's code understands. */
  readonly features: readonly [number, number];
}

export interface BrokerChangeRecord {
  readonly type: "broker-change";
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
  readonly fenced?: boolean;
  readonly inControlledShutdown?: boolean;
}

export interface UnregisterBrokerRecord {
  readonly type: "unregister-broker";
  readonly brokerId: BrokerId;
}

export interface TopicRecord {
  readonly type: "topic";
  readonly topicId: TopicId;
  readonly name: string;
}

export interface RemoveTopicRecord {
  readonly type: "remove-topic";
  readonly topicId: TopicId;
}

/** The whole state of a partition. */
export interface PartitionState {
  /** In order of preference: the first is the preferred leader. */
  readonly replicas: readonly BrokerId[];
  /** Beside each replica the directory that holds it; "" until the broker assigned one. */
  readonly directories: readonly DirectoryId[];
  readonly isr: readonly BrokerId[];
  /** Eligible leader replicas (KIP-966): hold everything below the high watermark, not in the ISR. */
  readonly elr: readonly BrokerId[];
  /**
   * While nobody leads: the last leader, if it is in the ELR no more because its storage failed, or
   * the last member when ISR and ELR ran empty; -1 otherwise.
   */
  readonly lastKnownLeader: BrokerId;
  /**
   * There only if true: the last known leader said that its log lost its tail. It may then lead
   * again by an unclean election alone; otherwise its return is a clean one.
   */
  readonly lastKnownLeaderLost?: boolean;
  /** While it is reassigned (KIP-455): replicas that were not there before, and those that will go. */
  readonly adding: readonly BrokerId[];
  readonly removing: readonly BrokerId[];
  /** -1: none. */
  readonly leader: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
  readonly partitionEpoch: PartitionEpoch;
}

export interface PartitionRecord extends PartitionState {
  readonly type: "partition";
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
}

/**
 * Fields that are there replace the old ones; `leader` there: the leader epoch rises by one, even
 * if the leader stays. The partition epoch rises by one each time.
 */
export interface PartitionChangeRecord {
  readonly type: "partition-change";
  readonly topicId: TopicId;
  readonly partition: PartitionIndex;
  readonly replicas?: readonly BrokerId[];
  readonly directories?: readonly DirectoryId[];
  readonly isr?: readonly BrokerId[];
  readonly elr?: readonly BrokerId[];
  readonly lastKnownLeader?: BrokerId;
  readonly lastKnownLeaderLost?: boolean;
  readonly adding?: readonly BrokerId[];
  readonly removing?: readonly BrokerId[];
  readonly leader?: BrokerId;
  /** The leader was elected from outside ISR and ELR: data may be lost; counted and logged. */
  readonly unclean?: true;
}

/** `name` is a topic's name, a broker's id in digits, or "" for all brokers. */
export interface ConfigRecord {
  readonly type: "config";
  readonly resource: ConfigResourceType;
  readonly name: string;
  readonly key: string;
  /** Null: back to the default. */
  readonly value: string | null;
}
export type ConfigResourceType = "topic" | "broker";

/** Producer ids below `nextProducerId` are given out. */
export interface ProducerIdsRecord {
  readonly type: "producer-ids";
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
  readonly nextProducerId: number;
}

/** Only in snapshots: what no other record of the same image can tell. */
export interface CountersRecord {
  readonly type: "counters";
  readonly lastBrokerEpoch: BrokerEpoch;
  readonly uncleanElectionsCount: number;
}

export type MetadataRecord =
  | FeatureLevelRecord
  | ClusterRecord
  | RegisterBrokerRecord
  | BrokerChangeRecord
  | UnregisterBrokerRecord
  | TopicRecord
  | RemoveTopicRecord
  | PartitionRecord
  | PartitionChangeRecord
  | ConfigRecord
  | ProducerIdsRecord
  | CountersRecord;
