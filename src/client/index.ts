/** The client of an Ottla cluster: what `import ... from "ottla"` gives. */

export { COMPRESSIONS, type Compression } from "../model/compression.ts";
export { type ErrorCode, type ErrorDetails, OttlaError } from "../model/errors.ts";
export type { RecordHeader } from "../record/records.ts";
export {
  Admin,
  type AdminOptions,
  type BrokerDescription,
  type CallOptions,
  type ChangeOptions,
  type ClusterDescription,
  type ConfigAlteration,
  type ConfigChange,
  type ConfigEntry,
  type ConfigResource,
  type CreatedTopic,
  type DeletedRecords,
  type ElectedLeader,
  type LeaderElection,
  type ListedOffset,
  type NewTopic,
  type OffsetQuery,
  type PartitionDescription,
  type QuorumMember,
  type RecordDeletion,
  type ResourceConfig,
  type TopicDescription,
} from "./admin.ts";
export { Consumer } from "./consumer.ts";
export type { ConsumerOptions } from "./consumer-options.ts";
export type {
  Assignment,
  CommittedOffset,
  ConsumerCloseOptions,
  GroupMetadata,
  HandlerFailure,
  IterationOptions,
  OffsetCommit,
  OffsetForTime,
  PartitionOffset,
  RunOptions,
  Subscription,
  TimestampQuery,
  TopicPartition,
} from "./consumer-types.ts";
export type { StartOffset } from "./core/fetch-core.ts";
export type { Message } from "./core/messages.ts";
export type { Partitioner, PartitionerArguments, PartitionerFunction } from "./core/partitioner.ts";
export type { ClientEnvironment } from "./environment.ts";
export type {
  GroupDescription,
  GroupMemberDescription,
  GroupOffset,
  GroupOffsetChange,
  GroupState,
} from "./group-admin.ts";
export type { RebalanceCallback, RebalanceCallbacks } from "./group-driver.ts";
export type { GroupListing, GroupListings, MissingGroups } from "./group-listing.ts";
export type { AssignorName, GroupOptions } from "./group-options.ts";
export type { MessageBatch } from "./message-reader.ts";
export type { ClientOptions } from "./options.ts";
export {
  type CloseOptions,
  type HeadersInput,
  Producer,
  type ProducerRecord,
  type RecordInput,
  type SendOptions,
} from "./producer.ts";
export type { ProducerOptions } from "./producer-options.ts";
export type { RecordMetadata } from "./send-jobs.ts";
export {
  type Bytes,
  type Deserializer,
  deserializers,
  type RecordContext,
  type Serializer,
  serializers,
} from "./serializers.ts";
