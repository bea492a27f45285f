/**
 * The messages of `proto/ottla/v1/ottla.proto` that the client sends and receives, every field
 * present: what the transport makes of generated code, which leaves each field optional.
 */
import type { GroupUnaryCalls } from "./group-messages.ts";

export interface ErrorMessage {
  readonly code: string;
  readonly message: string;
  readonly field: string;
  readonly retriable: boolean;
}

export interface LeaderHintMessage {
  readonly brokerId: number;
  readonly leaderEpoch: number;
  readonly host: string;
  readonly port: number;
}

export interface ProduceRequest {
  readonly correlationId: number;
  readonly acks: -1 | 0 | 1;
  readonly timeoutMs: number;
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly batch: Uint8Array;
  }[];
}

export interface ProducePartitionResult {
  readonly topic: string;
  readonly partition: number;
  readonly error: ErrorMessage | null;
  readonly baseOffset: number;
  readonly logAppendTimeMs: number;
  readonly leader: LeaderHintMessage | null;
}

export interface ProduceResponse {
  readonly correlationId: number;
  readonly partitions: readonly ProducePartitionResult[];
}

export interface FetchStart {
  readonly handle: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly currentLeaderEpoch: number;
  readonly maxBytes: number;
  readonly lastFetchedEpoch: number;
}

export interface FetchRequest {
  readonly start: readonly FetchStart[];
  readonly stop: readonly number[];
  readonly creditBytes: number;
}

export interface FetchedPartition {
  readonly handle: number;
  readonly error: ErrorMessage | null;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly batches: Uint8Array;
  readonly leader: LeaderHintMessage | null;
  readonly divergedAt: number | null;
}

export interface FetchResponse {
  readonly partitions: readonly FetchedPartition[];
}

export interface BrokerMessage {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string;
}

export interface PartitionMessage {
  readonly partition: number;
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly elr: readonly number[];
  readonly lastKnownElr: readonly number[];
  readonly offlineReplicas: readonly number[];
}

export interface TopicMessage {
  readonly name: string;
  readonly id: string;
  readonly error: ErrorMessage | null;
  readonly partitions: readonly PartitionMessage[];
}

export interface MetadataResponse {
  readonly clusterId: string;
  readonly controllerId: number;
  readonly brokers: readonly BrokerMessage[];
  readonly topics: readonly TopicMessage[];
}

export interface QuorumMemberMessage {
  readonly id: number;
  readonly directoryId: string;
  readonly matchIndex: number;
  readonly lastContactMs: number;
}

export interface DescribeClusterResponse {
  readonly clusterId: string;
  readonly controllerId: number;
  readonly brokers: readonly {
    readonly id: number;
    readonly endpoints: readonly {
      readonly name: string;
      readonly host: string;
      readonly port: number;
    }[];
    readonly rack: string;
    readonly fenced: boolean;
    readonly inControlledShutdown: boolean;
    readonly brokerEpoch: number;
  }[];
  readonly quorum: {
    readonly leaderId: number;
    readonly term: number;
    readonly commitIndex: number;
    readonly voters: readonly QuorumMemberMessage[];
    readonly observers: readonly QuorumMemberMessage[];
  } | null;
  readonly metadataVersion: number;
}

export interface ReplicaAssignmentMessage {
  readonly replicas: readonly number[];
}

/** `CONFIG_RESOURCE_TYPE_TOPIC` and `_BROKER`. */
export const CONFIG_RESOURCE_TYPE = { topic: 2, broker: 4 } as const;

export interface ConfigResourceMessage {
  readonly type: number;
  readonly name: string;
}

/** `ConfigOperation.Operation`. */
export const CONFIG_OPERATION = { set: 0, delete: 1, append: 2, subtract: 3 } as const;

export interface ConfigEntryMessage {
  readonly key: string;
  readonly value: string;
  readonly source: string;
  readonly readOnly: boolean;
  readonly type: string;
  readonly documentation: string;
  readonly hasEffect: boolean;
}

/** `ElectLeadersRequest.ElectionType`. */
export const ELECTION_TYPE = { preferred: 0, unclean: 1 } as const;

export interface TopicPartitionMessage {
  readonly topic: string;
  readonly partition: number;
}

export interface ListOffsetResultMessage extends TopicPartitionMessage {
  readonly error: ErrorMessage | null;
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
  readonly leader: LeaderHintMessage | null;
}

export interface DeleteRecordResultMessage extends TopicPartitionMessage {
  readonly error: ErrorMessage | null;
  readonly lowWatermark: number;
  readonly leader: LeaderHintMessage | null;
}

/** All unary methods: request and response by method name. */
export interface UnaryCalls extends GroupUnaryCalls {
  Metadata: {
    request: {
      readonly topics: readonly string[];
      readonly noTopics: boolean;
      readonly allowAutoTopicCreation: boolean;
    };
    response: MetadataResponse;
  };
  DescribeCluster: { request: Record<string, never>; response: DescribeClusterResponse };
  CreateTopics: {
    request: {
      readonly topics: readonly {
        readonly name: string;
        readonly partitions: number;
        readonly replicationFactor: number;
        readonly assignment: readonly ReplicaAssignmentMessage[];
        readonly configs: Readonly<Record<string, string>>;
      }[];
      readonly validateOnly: boolean;
    };
    response: {
      readonly topics: readonly {
        readonly name: string;
        readonly id: string;
        readonly error: ErrorMessage | null;
        readonly partitions: number;
        readonly replicationFactor: number;
      }[];
    };
  };
  DeleteTopics: {
    request: { readonly topics: readonly string[] };
    response: {
      readonly topics: readonly { readonly name: string; readonly error: ErrorMessage | null }[];
    };
  };
  CreatePartitions: {
    request: {
      readonly topic: string;
      readonly partitions: number;
      readonly assignment: readonly ReplicaAssignmentMessage[];
      readonly validateOnly: boolean;
    };
    response: Record<string, never>;
  };
  DescribeConfigs: {
    request: { readonly resources: readonly ConfigResourceMessage[] };
    response: {
      readonly resources: readonly {
        readonly resource: ConfigResourceMessage | null;
        readonly error: ErrorMessage | null;
        readonly entries: readonly ConfigEntryMessage[];
      }[];
    };
  };
  IncrementalAlterConfigs: {
    request: {
      readonly resources: readonly {
        readonly resource: ConfigResourceMessage;
        readonly operations: readonly {
          readonly key: string;
          readonly operation: number;
          readonly value: string;
        }[];
      }[];
      readonly validateOnly: boolean;
    };
    response: {
      readonly resources: readonly {
        readonly resource: ConfigResourceMessage | null;
        readonly error: ErrorMessage | null;
      }[];
    };
  };
  ListOffsets: {
    request: {
      readonly partitions: readonly (TopicPartitionMessage & { readonly timestamp: number })[];
    };
    response: { readonly partitions: readonly ListOffsetResultMessage[] };
  };
  DeleteRecords: {
    request: {
      readonly partitions: readonly (TopicPartitionMessage & { readonly beforeOffset: number })[];
      readonly timeoutMs: number;
    };
    response: { readonly partitions: readonly DeleteRecordResultMessage[] };
  };
  ElectLeaders: {
    request: { readonly type: number; readonly partitions: readonly TopicPartitionMessage[] };
    response: {
      readonly partitions: readonly (TopicPartitionMessage & {
        readonly leader: number;
        readonly error: ErrorMessage | null;
      })[];
    };
  };
  InitProducerId: {
    request: Record<string, never>;
    response: {
      readonly error: ErrorMessage | null;
      readonly producerId: number;
      readonly producerEpoch: number;
    };
  };
}

export type UnaryName = keyof UnaryCalls;
