/** What the invariants of one run look at, and how they are told of what happened. */

import type {
  DeleteRecordsOne,
  DeleteRecordsResult,
  FetchedOne,
  FetchStartOne,
  ListOffsetOne,
  ListOffsetResult,
  ProduceOne,
  ProduceResult,
} from "../../../src/broker/broker-api.ts";
import type { ControllerRequestName, ItemError } from "../../../src/metadata/commands.ts";
import type { MetadataImage, PartitionImage } from "../../../src/metadata/image.ts";
import type { MetadataRecord } from "../../../src/metadata/records.ts";
import type { LogIndex, Offset, PartitionIndex, Term, TopicId } from "../../../src/model/ids.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import type { RaftMessage } from "../../../src/raft/messages.ts";
import type { BatchHeader } from "../../../src/record/batch.ts";
import type {
  FetchedPartition,
  FetchProgress,
  FetchRefusal,
  FetchStart,
} from "../../../src/replica/messages.ts";
import type { MetadataLogStatus } from "../../../src/runtime/metadata-log.ts";
import type { SimDisk } from "../world/sim-disk.ts";
import type { SentMessage, SimNetwork, StreamOfProcess } from "../world/sim-network.ts";
import type { Incarnation } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";
import type { GroupAnswered, GroupCalled } from "./observed-groups.ts";
import type { LogObserver, ObservedBatch, ObservedLogs } from "./observed-logs.ts";
import type { CommittedEntry, ObservedQuorum, QuorumObserver } from "./observed-quorum.ts";
import type { ObservedStates, StateObserver } from "./observed-states.ts";

/** A produce request was answered with success, as the answer left the broker. */
export interface Acknowledged {
  readonly node: string;
  readonly key: string;
  readonly baseOffset: Offset;
  readonly recordsCount: number;
  readonly crc: number;
  readonly acks: -1 | 1;
  /** Of the partition: min(min.insync.replicas, replicas). */
  readonly minIsr: number;
}

/** A leader showed a high watermark to somebody: a follower or a consumer. */
export interface HighWatermarkShown {
  readonly node: string;
  /** Which life of the process on the node. */
  readonly life: number;
  readonly key: string;
  readonly leaderEpoch: number;
  readonly highWatermark: Offset;
}

export interface Served {
  readonly node: string;
  readonly key: string;
  readonly fetched: FetchedOne;
}

export interface ImageChange {
  readonly node: string;
  readonly before: MetadataImage | undefined;
  readonly after: MetadataImage;
}

export interface PartitionChange {
  readonly key: string;
  readonly before: PartitionImage | undefined;
  readonly after: PartitionImage;
}

/** Where something happened: a process is one life of its machine. */
export interface Where {
  readonly node: string;
  readonly life: number;
}

/** A node's view of the metadata quorum changed, or was seen for the first time in its life. */
export interface QuorumChange extends Where {
  readonly before: MetadataLogStatus | undefined;
  readonly after: MetadataLogStatus;
}

export interface RaftTold extends Where {
  readonly message: RaftMessage;
}

/** One committed entry of the metadata log, in order, replayed by the simulator itself. */
export interface MetadataStep {
  readonly index: LogIndex;
  readonly term: Term;
  readonly records: readonly MetadataRecord[];
  readonly before: MetadataImage;
  readonly after: MetadataImage;
}

export interface ControllerRequest {
  /** The broker that asks. */
  readonly from: Where;
  /** The voter that is asked. */
  readonly to: string;
  readonly name: ControllerRequestName;
  readonly body: unknown;
  /** The newest metadata as the request left. */
  readonly image: MetadataImage;
}

export interface ControllerReply {
  readonly request: ControllerRequest;
  /** The voter that answers. */
  readonly from: Where;
  readonly body: unknown;
  readonly error: ItemError | null;
}

/** A follower's fetch of one partition, as both sides speak of it on one stream. */
export interface Fetching {
  readonly follower: Where;
  readonly followerId: number;
  readonly brokerEpoch: number;
  /** Name of the machine that is asked. */
  readonly leader: string;
  readonly key: string;
  readonly start: FetchStart;
  readonly stream: object;
}

export interface FetchingFrame {
  readonly from: Where;
  readonly fetching: Fetching;
  readonly fetched: FetchedPartition;
}

export interface ProduceCall {
  readonly where: Where;
  /** Undefined if the broker does not know the topic. */
  readonly key: string | undefined;
  readonly one: Omit<ProduceOne, "batch">;
  /** As it came, before the broker places it; undefined if it cannot be read. */
  readonly header: BatchHeader | undefined;
  /** The metadata that the broker had applied. */
  readonly image: MetadataImage;
}

export interface FetchStarted {
  readonly where: Where;
  readonly key: string | undefined;
  readonly start: FetchStartOne;
  /** As in `ProduceCall`. */
  readonly image: MetadataImage;
}

export interface ListCall {
  readonly where: Where;
  readonly key: string | undefined;
  readonly item: ListOffsetOne;
}

export interface Invariant extends LogObserver, QuorumObserver, StateObserver {
  /** A process starts on the machine; its disk is as the last life left it. */
  onLife?(incarnation: Incarnation): void;
  onSent?(sent: SentMessage): void;
  /** A process learns that a stream is over, or ends it. */
  onStreamEnd?(ended: StreamOfProcess): void;
  onRaftSent?(sent: RaftTold): void;
  /** Before the node acts on it. */
  onRaftDelivered?(delivered: RaftTold): void;
  onQuorum?(change: QuorumChange): void;
  /** Once for each index, in order: some node applied it. */
  onCommitted?(entry: CommittedEntry): void;
  /** As `onCommitted`, for entries that are metadata. */
  onMetadata?(step: MetadataStep): void;
  onControllerRequest?(request: ControllerRequest): void;
  onControllerReply?(reply: ControllerReply): void;
  onFetchStart?(fetching: Fetching): void;
  onFetchStop?(fetching: Fetching): void;
  onProgress?(fetching: Fetching, progress: FetchProgress): void;
  onFrame?(frame: FetchingFrame): void;
  onRefusal?(fetching: Fetching, refusal: FetchRefusal): void;
  onProduceCall?(call: ProduceCall): void;
  onProduced?(call: ProduceCall, result: ProduceResult): void;
  onAcknowledged?(acknowledged: Acknowledged): void;
  onHighWatermark?(shown: HighWatermarkShown): void;
  onServed?(served: Served): void;
  /** What a consumer's fetch was told, errors too. */
  onFetched?(started: FetchStarted, fetched: FetchedOne): void;
  onListCall?(call: ListCall): void;
  onListed?(call: ListCall, result: ListOffsetResult): void;
  onRecordsDeleted?(
    where: Where & { readonly key: string | undefined },
    one: DeleteRecordsOne,
    result: DeleteRecordsResult,
  ): void;
  onProducerId?(
    where: Where,
    given: { readonly producerId: number; readonly producerEpoch: number },
  ): void;
  onGroupCall?(call: GroupCalled): void;
  onGroupAnswer?(answered: GroupAnswered): void;
  /** A write was handed to a store after it had refused one. */
  onWriteAfterFailure?(node: string, path: string): void;
  /** A broker applied metadata. */
  onImage?(change: ImageChange): void;
  /** The newest metadata of the cluster changed this partition. */
  onPartition?(change: PartitionChange): void;
  /** After each event, once everything above was told. */
  afterEvent?(): void;
  /** Everybody is up and in sync: when the cluster has formed, and again when it has healed. */
  onRest?(): void;
  /** Once, at the end, when everything has healed and come to rest. */
  atEnd?(): void;
}

export interface RunContext {
  readonly world: World;
  readonly network: SimNetwork;
  readonly logs: ObservedLogs;
  readonly quorum: ObservedQuorum;
  readonly states: ObservedStates;
  /** The newest metadata that any broker has applied. */
  newestImage(): MetadataImage;
  /** What the broker on the machine has applied by now; undefined while it is down or starts. */
  imageOf(node: string): MetadataImage | undefined;
  /** How the node sees the metadata quorum at this moment; undefined as above. */
  quorumOf(node: string): MetadataLogStatus | undefined;
  /** As every broker is configured. */
  readonly electionTimeoutMs: number;
  /** Names of all machines. */
  readonly nodes: readonly string[];
  /** Name of the machine on which a broker runs. */
  nodeOf(brokerId: number): string;
  brokerIdOf(node: string): number;
  diskOf(node: string): SimDisk;
  /** The process that runs on the machine. */
  lifeOf(node: string): Incarnation | undefined;
  /** Whether the process on the machine has said that it is up. */
  isRunning(node: string): boolean;
  /** Whether the machine was given an empty disk: what it vouched for it cannot hold any more. */
  wasWiped(node: string): boolean;
  readonly anyWiped: boolean;
  fail(invariant: string, detail: string): void;
}

export function partitionOf(
  image: MetadataImage,
  topicId: TopicId,
  partition: PartitionIndex,
): PartitionImage | undefined {
  return image.topics.get(topicId)?.partitions[partition];
}

/** By key `<topicId>-<partition>`. */
export function partitionByKey(image: MetadataImage, key: string): PartitionImage | undefined {
  const dash = key.lastIndexOf("-");
  return partitionOf(image, key.slice(0, dash), Number(key.slice(dash + 1)));
}

/** Of the topic that has the partition; undefined once it is deleted. */
export function topicOfKey(image: MetadataImage, key: string): string | undefined {
  return image.topics.get(key.slice(0, key.lastIndexOf("-")))?.name;
}

/** Whether the topic has a `cleanup.policy` with `compact`. */
export function isCompacted(image: MetadataImage, topicId: TopicId): boolean {
  const topic = image.topics.get(topicId);
  const configs = topic === undefined ? undefined : image.configs.get(`topic:${topic.name}`);
  return configs?.get("cleanup.policy")?.includes("compact") === true;
}

export function* partitionsOf(
  image: MetadataImage,
): IterableIterator<readonly [string, PartitionImage]> {
  for (const topic of image.topics.values()) {
    for (const [index, partition] of topic.partitions.entries()) {
      yield [partitionKey(topic.id, index), partition];
    }
  }
}

export function describeBatch(batch: ObservedBatch): string {
  const { baseOffset, endOffset, leaderEpoch, crc } = batch;
  return `[${baseOffset},${endOffset}) epoch ${leaderEpoch} crc ${crc.toString(16)}`;
}

/** Where the replica's log begins as it says itself: what lies below was deleted, and may be gone. */
export function logStart(context: RunContext, node: string, key: string): Offset {
  return context.states.head(node, key)?.logStartOffset ?? 0;
}

/** One past the last offset on the replica's disk; its log's start when everything was deleted. */
export function logEnd(context: RunContext, node: string, key: string): Offset {
  return Math.max(context.logs.log(node, key)?.endOffset ?? 0, logStart(context, node, key));
}
