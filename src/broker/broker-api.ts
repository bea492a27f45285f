/**
 * A broker's use cases as its doors see them: no wire, no streams. Everything that goes wrong is an
 * `OttlaError`; where a result carries many items, each has its own error.
 */
import type { ControllerRequests, ItemError, QuorumDescription } from "../metadata/commands.ts";
import type { BrokerRegistration, MetadataImage, TopicImage } from "../metadata/image.ts";
import type { ConfigResourceType } from "../metadata/records.ts";
import type { ConfigFallback, ConfigSource } from "../model/config-values.ts";
import type {
  BrokerId,
  LeaderEpoch,
  Offset,
  PartitionIndex,
  ProducerEpoch,
  ProducerId,
} from "../model/ids.ts";
import type { Batch } from "../record/batch.ts";
import type { EpochEnd } from "../replica/leader-epochs.ts";
import type { GroupApi } from "./groups/group-api.ts";

export interface LeaderHint {
  readonly brokerId: BrokerId;
  readonly leaderEpoch: LeaderEpoch;
}

export interface ProduceOne {
  readonly topic: string;
  readonly partition: PartitionIndex;
  /** One RecordBatch v2; the broker keeps and patches these bytes. */
  readonly batch: Uint8Array;
  readonly acks: -1 | 0 | 1;
  /** How long to wait for the ISR, in ms. */
  readonly timeoutMs: number;
}

export interface ProduceResult {
  readonly error: ItemError | undefined;
  /** -1 with an error. */
  readonly baseOffset: Offset;
  /** -1 unless LogAppendTime. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: Offset;
  /** With NOT_LEADER_OR_FOLLOWER: who leads, as far as known. */
  readonly leader: LeaderHint | undefined;
}

export interface FetchStartOne {
  readonly handle: number;
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly offset: Offset;
  /** -1: not known. */
  readonly currentLeaderEpoch: LeaderEpoch;
  /** Of the record before `offset`, as the client has read it (KIP-320). Default -1: not known. */
  readonly lastFetchedEpoch?: LeaderEpoch;
  readonly maxBytes: number;
}

export interface FetchedOne {
  readonly handle: number;
  readonly error: ItemError | undefined;
  readonly highWatermark: Offset;
  readonly lastStableOffset: Offset;
  readonly logStartOffset: Offset;
  readonly batches: readonly Batch[];
  readonly leader: LeaderHint | undefined;
  /** With OFFSET_OUT_OF_RANGE: from here on the log is another one than the client has read. */
  readonly divergedAt?: Offset;
}

/** A consumer's open fetch: partitions in turn, within its credit, woken by the high watermark. */
export interface FetchSession {
  start(partition: FetchStartOne): void;
  stop(handle: number): void;
  /** More bytes may be sent. */
  credit(bytes: number): void;
  close(): void;
}

/** Called with each response; the session waits for the returned promise before it sends on. */
export type FetchSink = (fetched: readonly FetchedOne[]) => void | Promise<void>;

/** One partition of a fetch that is answered once. */
export interface FetchOne {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly offset: Offset;
  /** -1: not known. */
  readonly currentLeaderEpoch: LeaderEpoch;
  /** Epoch of the record before `offset`, as the client has it (KIP-595); -1: not known. */
  readonly lastFetchedEpoch: LeaderEpoch;
  /** As `maxBytes` below, of this partition. */
  readonly maxBytes: number;
}

export interface FetchOnceOptions {
  /** Answered when so many bytes are there. */
  readonly minBytes: number;
  /** About as many are returned at most, but one batch whatever its size (KIP-74). */
  readonly maxBytes: number;
  /** Answered after so many ms in any case; 5 min at most. */
  readonly maxWaitMs: number;
}

/** A fetch under way. */
export interface FetchOnce {
  /** One result each, in the order asked. Never rejects. */
  readonly done: Promise<readonly FetchOneResult[]>;
  /** Answers at once, with what is there. */
  cancel(): void;
}

export interface FetchOneResult {
  readonly error: ItemError | undefined;
  /** -1 with an error. */
  readonly highWatermark: Offset;
  readonly lastStableOffset: Offset;
  readonly logStartOffset: Offset;
  /** Whole; the first may begin before the offset that was asked for. */
  readonly batches: readonly Batch[];
  readonly leader: LeaderHint | undefined;
  /** Where the log of the client, by its `lastFetchedEpoch`, and this one part. */
  readonly diverging: EpochEnd | undefined;
}

export interface ListOffsetOne {
  readonly topic: string;
  readonly partition: PartitionIndex;
  /** ms since 1970; -1 latest, -2 earliest, -3 largest timestamp. */
  readonly timestamp: number;
  /** Refused if it is not the leader's; -1, the default: not known. */
  readonly currentLeaderEpoch?: LeaderEpoch;
}

export interface ListOffsetResult extends Omit<ListOffsetOne, "currentLeaderEpoch"> {
  readonly error: ItemError | undefined;
  readonly offset: Offset;
  readonly leaderEpoch: LeaderEpoch;
  readonly leader: LeaderHint | undefined;
}

export interface LeaderEpochOne {
  readonly topic: string;
  readonly partition: PartitionIndex;
  /** Refused if it is not the leader's; -1: not known. */
  readonly currentLeaderEpoch: LeaderEpoch;
  readonly leaderEpoch: LeaderEpoch;
}

export interface LeaderEpochResult {
  readonly error: ItemError | undefined;
  /** The largest epoch of the log that is <= the one asked for, and where it ends; -1: none. */
  readonly leaderEpoch: LeaderEpoch;
  readonly endOffset: Offset;
}

export interface DeleteRecordsOne {
  readonly topic: string;
  readonly partition: PartitionIndex;
  /** -1: the high watermark. */
  readonly beforeOffset: Offset;
}

export interface DeleteRecordsResult {
  readonly topic: string;
  readonly partition: PartitionIndex;
  readonly error: ItemError | undefined;
  readonly lowWatermark: Offset;
  readonly leader: LeaderHint | undefined;
}

export interface ConfigResourceName {
  readonly resource: ConfigResourceType;
  readonly name: string;
}

export interface DescribeConfigsOne extends ConfigResourceName {
  /**
   * Of a topic that may be too new to be known here: described as having these, whether it exists or
   * not. Default: those that it has, and it must exist.
   */
  readonly overrides?: ReadonlyMap<string, string>;
}

export interface DescribedProducers {
  readonly error: ItemError | undefined;
  /** That the leader's log remembers, in order of last use. */
  readonly producers: readonly {
    readonly producerId: ProducerId;
    readonly producerEpoch: ProducerEpoch;
    readonly lastSequence: number;
    readonly lastTimestamp: number;
  }[];
}

export interface DescribedLogDirectory {
  readonly path: string;
  readonly replicas: readonly {
    readonly topic: string;
    readonly partition: PartitionIndex;
    readonly sizeBytes: number;
    /** Records that a follower lacks of what it knows to be committed. */
    readonly offsetLag: number;
  }[];
  /** Of the file system that it is on; -1: not known. */
  readonly totalBytes: number;
  readonly usableBytes: number;
}

export interface DescribedConfigEntry {
  readonly key: string;
  readonly value: string;
  /** False: there is no value, and no default. */
  readonly isSet: boolean;
  readonly source: ConfigSource;
  /** All values that there are, the one in force first; passwords have none. */
  readonly fallbacks: readonly ConfigFallback[];
  readonly readOnly: boolean;
  readonly type: string;
  readonly documentation: string;
  readonly hasEffect: boolean;
}

export interface DescribedConfigs extends ConfigResourceName {
  readonly error: ItemError | undefined;
  readonly entries: readonly DescribedConfigEntry[];
}

export interface BrokerHealth {
  /** The event loop turns and nothing is fatal. */
  readonly live: boolean;
  /** Registered, unfenced, metadata caught up. */
  readonly ready: boolean;
  readonly reason: string;
}

/** All that a broker offers to its doors. */
export type DoorApi = BrokerApi & GroupApi;

export interface BrokerApi {
  readonly brokerId: BrokerId;
  /** The metadata that this broker has applied. */
  image(): MetadataImage;
  /** -1 unknown. */
  controllerId(): BrokerId;
  liveBrokers(): readonly BrokerRegistration[];
  /**
   * Finds topics; creates missing ones if asked and `auto.create.topics.enable` allows it.
   * An unknown name comes as its error.
   */
  topics(
    names: readonly string[],
    allowAutoCreate: boolean,
  ): Promise<readonly (TopicImage | (ItemError & { readonly name: string }))[]>;
  /** Never rejects: what is wrong is in the result. */
  produce(one: ProduceOne): Promise<ProduceResult>;
  openFetch(sink: FetchSink): FetchSession;
  fetchOnce(ones: readonly FetchOne[], options: FetchOnceOptions): FetchOnce;
  listOffsets(items: readonly ListOffsetOne[]): Promise<readonly ListOffsetResult[]>;
  /** KIP-101, 320: by what a consumer finds out that its records were truncated. */
  leaderEpochEnds(items: readonly LeaderEpochOne[]): readonly LeaderEpochResult[];
  deleteRecords(
    items: readonly DeleteRecordsOne[],
    timeoutMs: number,
  ): Promise<readonly DeleteRecordsResult[]>;
  describeConfigs(resources: readonly DescribeConfigsOne[]): readonly DescribedConfigs[];
  /** Of partitions that this broker leads. */
  describeProducers(
    items: readonly { readonly topic: string; readonly partition: PartitionIndex }[],
  ): readonly DescribedProducers[];
  /** What lies in each of `log.dirs`. */
  describeLogDirectories(): Promise<readonly DescribedLogDirectory[]>;
  initProducerId(): Promise<{ readonly producerId: number; readonly producerEpoch: number }>;
  describeQuorum(): Promise<QuorumDescription>;
  /** Forwards to the active controller, waiting out an election within `timeoutMs`; may reject. */
  controller<Name extends AdminRequestName>(
    name: Name,
    request: ControllerRequests[Name]["request"],
    timeoutMs: number,
  ): Promise<ControllerRequests[Name]["reply"]>;
  health(): BrokerHealth;
}

export type AdminRequestName =
  | "create-topics"
  | "delete-topics"
  | "create-partitions"
  | "alter-configs"
  | "reassign-partitions"
  | "elect-leaders"
  | "unregister-broker";
