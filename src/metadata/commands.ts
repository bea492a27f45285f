/**
 * What the active controller is asked, and what it answers. Plain data that JSON carries whole.
 * Each request is decided by a function of `decide/`; what needs a live broker's authority names
 * its broker epoch and is refused with STALE_BROKER_EPOCH once a newer life registered (KIP-903).
 */
import type { ErrorCode } from "../model/errors.ts";
import type {
  BrokerEpoch,
  BrokerId,
  ClusterId,
  DirectoryId,
  IncarnationId,
  LeaderEpoch,
  LogIndex,
  PartitionEpoch,
  PartitionIndex,
  Term,
  TopicId,
  TopicPartition,
} from "../model/ids.ts";
import type { ConfigResourceType, Endpoint } from "./records.ts";

export interface RegisterBroker {
  readonly brokerId: BrokerId;
  readonly incarnationId: IncarnationId;
  /** Undefined: the broker has not belonged to a cluster yet. */
  readonly clusterId: ClusterId | undefined;
  readonly endpoints: readonly Endpoint[];
  readonly rack: string | null;
  readonly directories: readonly DirectoryId[];
  readonly features: readonly [number, number];
  /** The broker epoch that its last life wrote down as it stopped cleanly; -1 otherwise (KIP-966). */
  readonly cleanShutdownEpoch: BrokerEpoch;
  /**
   * Replicas whose log ends below its durable mark, or that were quarantined: they leave ISR and
   * ELR before the broker is unfenced. What is not listed is vouched for by fsync and mark.
   */
  readonly lostReplicas: readonly TopicPartition[];
}

export interface AlterPartitionItem extends TopicPartition {
  readonly leaderEpoch: LeaderEpoch;
  readonly partitionEpoch: PartitionEpoch;
  readonly newIsr: readonly { readonly brokerId: BrokerId; readonly brokerEpoch: BrokerEpoch }[];
  /** Replicas whose durable end fell: they leave the ISR, and must not be kept in the ELR. */
  readonly lost?: readonly BrokerId[];
}

export interface AlterPartition {
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
  readonly partitions: readonly AlterPartitionItem[];
}

/** Of one item in a request that carries many: its own error, or none. */
export interface ItemError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field?: string;
}

export interface AlterPartitionResult extends TopicPartition {
  readonly error: ItemError | null;
}

export interface NewTopic {
  readonly name: string;
  /** -1: `num.partitions` (also with `assignment`). */
  readonly partitionsCount: number;
  /** -1: `default.replication.factor`, but never more than the registered brokers. */
  readonly replicationFactor: number;
  /**
   * Take fewer replicas if fewer brokers are registered, and place them on fenced brokers too, as
   * with -1. Default false: what was asked for, or an error.
   */
  readonly clampReplicationFactor?: boolean | undefined;
  /** Replicas by partition; empty: the controller places them. */
  readonly assignment: readonly (readonly BrokerId[])[];
  readonly configs: Readonly<Record<string, string>>;
}

export interface CreateTopics {
  readonly topics: readonly NewTopic[];
  /** Decide and answer, but change nothing. */
  readonly validateOnly: boolean;
}

export interface CreateTopicResult {
  readonly name: string;
  readonly error: ItemError | null;
  readonly topicId: TopicId;
  readonly partitionsCount: number;
  readonly replicationFactor: number;
}

export interface DeleteTopics {
  /** Each by name or by id. */
  readonly topics: readonly { readonly name?: string; readonly topicId?: TopicId }[];
}

export interface DeleteTopicResult {
  readonly name: string;
  readonly topicId: TopicId;
  readonly error: ItemError | null;
}

export interface CreatePartitions {
  readonly topic: string;
  /** The new total. */
  readonly partitionsCount: number;
  /** Replicas of the new partitions; empty: the controller places them. */
  readonly assignment: readonly (readonly BrokerId[])[];
  readonly validateOnly: boolean;
}

export interface ConfigOperation {
  readonly key: string;
  readonly operation: "set" | "delete" | "append" | "subtract";
  readonly value: string | null;
}

export interface AlterConfigs {
  readonly resources: readonly {
    readonly resource: ConfigResourceType;
    readonly name: string;
    readonly operations: readonly ConfigOperation[];
    /** Every key that no operation names goes back to its default. Default false. */
    readonly replace?: boolean | undefined;
  }[];
  readonly validateOnly: boolean;
}

export interface AlterConfigResult {
  readonly resource: ConfigResourceType;
  readonly name: string;
  readonly error: ItemError | null;
}

export interface ReassignPartition {
  readonly topic: string;
  readonly partition: PartitionIndex;
  /** In order of preference; null: what is under way is given up. */
  readonly replicas: readonly BrokerId[] | null;
}

export interface ReassignPartitions {
  readonly partitions: readonly ReassignPartition[];
  /** KIP-860: false: as many replicas as before, or an error. */
  readonly allowReplicationFactorChange: boolean;
}

export interface ReassignPartitionResult {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly error: ItemError | null;
}

export interface ElectLeaders {
  readonly type: "preferred" | "unclean";
  /** Null: every partition that needs it. */
  readonly partitions:
    | readonly { readonly topic: string; readonly partition: PartitionIndex }[]
    | null;
}

export interface ElectLeaderResult {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly leader: BrokerId;
  readonly error: ItemError | null;
}

export interface AllocateProducerIds {
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
}

/** A broker's storage took replicas offline; they leave the ISR and hand leadership on. */
export interface ReplicasFailed {
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
  readonly partitions: readonly TopicPartition[];
}

/** Which directory of the broker holds each replica (KIP-858), and whether it holds all it should. */
export interface AssignDirectories {
  readonly brokerId: BrokerId;
  readonly brokerEpoch: BrokerEpoch;
  readonly partitions: readonly (TopicPartition & {
    readonly directoryId: DirectoryId;
    /** The log ends below its durable mark: it lost records that it had vouched for. */
    readonly lost: boolean;
  })[];
}

export interface QuorumDescription {
  readonly leaderId: BrokerId;
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly voters: readonly QuorumMember[];
  readonly observers: readonly QuorumMember[];
}

export interface QuorumMember {
  readonly id: BrokerId;
  readonly directoryId: DirectoryId;
  readonly matchIndex: LogIndex;
  /** Milliseconds since the leader last heard from it; 0 for the leader itself. */
  readonly lastContactMs: number;
}

/** Request and reply by name. */
export interface ControllerRequests {
  readonly "register-broker": {
    readonly request: RegisterBroker;
    readonly reply: { readonly brokerEpoch: BrokerEpoch; readonly index: LogIndex };
  };
  readonly "unregister-broker": {
    readonly request: { readonly brokerId: BrokerId };
    readonly reply: Record<string, never>;
  };
  readonly "alter-partition": {
    readonly request: AlterPartition;
    readonly reply: { readonly partitions: readonly AlterPartitionResult[] };
  };
  readonly "create-topics": {
    readonly request: CreateTopics;
    readonly reply: { readonly topics: readonly CreateTopicResult[] };
  };
  readonly "delete-topics": {
    readonly request: DeleteTopics;
    readonly reply: { readonly topics: readonly DeleteTopicResult[] };
  };
  readonly "create-partitions": {
    readonly request: CreatePartitions;
    readonly reply: Record<string, never>;
  };
  readonly "alter-configs": {
    readonly request: AlterConfigs;
    readonly reply: { readonly resources: readonly AlterConfigResult[] };
  };
  readonly "reassign-partitions": {
    readonly request: ReassignPartitions;
    readonly reply: { readonly partitions: readonly ReassignPartitionResult[] };
  };
  readonly "elect-leaders": {
    readonly request: ElectLeaders;
    readonly reply: { readonly partitions: readonly ElectLeaderResult[] };
  };
  readonly "allocate-producer-ids": {
    readonly request: AllocateProducerIds;
    readonly reply: { readonly start: number; readonly count: number };
  };
  readonly "replicas-failed": {
    readonly request: ReplicasFailed;
    readonly reply: Record<string, never>;
  };
  readonly "assign-directories": {
    readonly request: AssignDirectories;
    /** Where the metadata log stood when the controller knew. */
    readonly reply: { readonly index: LogIndex };
  };
  readonly "describe-quorum": {
    readonly request: Record<string, never>;
    readonly reply: QuorumDescription;
  };
}
export type ControllerRequestName = keyof ControllerRequests;
