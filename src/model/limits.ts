/**
 * THE limits that no configuration key governs. The unit stands last in the name. What a Kafka key
 * governs stands in the configuration table instead.
 */
import { assert } from "../base/assert.ts";

export const LIMITS = {
  /** Kafka's own (Topic.java): longer names do not fit a file name with partition and suffix. */
  topicNameCharacters: 249,
  /** One topic's partitions; a request for more is a slip of the keyboard. */
  partitionsPerTopicCount: 10_000,
  /** All partitions of one cluster, so that the metadata image fits its snapshot. */
  partitionsPerClusterCount: 200_000,
  topicsPerRequestCount: 2_000,
  /** Largest gRPC message at either door: a fetch frame, or a produce request. */
  grpcMessageBytes: 16 * 1024 * 1024,
  /**
   * List elements of one Kafka frame, nested ones too: bounds what a frame of tiny ones becomes in
   * memory. 200,000 partitions, each with a few lists, fit.
   */
  frameElementsCount: 2_000_000,
  /** Records of one batch: bounds the walk over record lengths. */
  recordsPerBatchCount: 1_000_000,
  /** Uncompressed size of one compressed batch: a bomb is refused before it is opened further. */
  decompressedBatchBytes: 64 * 1024 * 1024,
  /** Payload of one replication frame; partitions take turns at this grain. */
  replicationFrameBytes: 256 * 1024,
  /** Bytes a leader may have under way to one follower: its credit window. */
  replicationWindowBytes: 8 * 1024 * 1024,
  /** Recent batches kept in memory per partition, and of all partitions of a broker in sum. */
  tailCachePartitionBytes: 4 * 1024 * 1024,
  tailCacheTotalBytes: 64 * 1024 * 1024,
  /** Bytes that may wait for one partition's disk before its leader refuses more. */
  appendQueueBytes: 32 * 1024 * 1024,
  /** Produce requests that wait for acknowledgement in one broker, in bytes of their batches. */
  produceInFlightBytes: 256 * 1024 * 1024,
  /** Batches of one producer that a leader remembers for retries (Kafka: 5). */
  producerBatchesCount: 5,
  /** Producer states of one partition; the one idle longest makes room. */
  producersPerPartitionCount: 20_000,
  /** One chunk of a Raft snapshot, and entries of one append. */
  snapshotChunkBytes: 1024 * 1024,
  raftAppendBytes: 1024 * 1024,
  raftInflightAppendsCount: 64,
  raftInflightBytes: 16 * 1024 * 1024,
  /** One entry of the metadata log; must fit a message together with its envelope. */
  raftEntryBytes: 8 * 1024 * 1024,
  /** Entries that a leader has appended and no majority holds yet. */
  raftUncommittedBytes: 64 * 1024 * 1024,
  /** Committed entries handed to the state machine in one turn. */
  raftApplyBytes: 1024 * 1024,
  /** A follower collects a snapshot in memory before it installs it. */
  raftSnapshotBytes: 512 * 1024 * 1024,
  /** Brokers that are not voters and follow the metadata log. */
  raftObserversCount: 1_000,
  /** Entries kept behind a snapshot, so that a follower a little behind needs no snapshot. */
  raftTrailingEntriesCount: 1_000,
  /** Proposals that wait for commit in the active controller. */
  controllerPendingCount: 10_000,
  /** Streams of one kind that one peer may hold open, and streams of one client connection. */
  streamsPerConnectionCount: 256,
  /**
   * Of one connection of Kafka's protocol: Produce requests that wait for their acknowledgements,
   * their bytes (one may always run), and unread answers above which nothing more is begun.
   */
  kafkaRequestsPerConnectionCount: 128,
  kafkaBytesPerConnection: 16 * 1024 * 1024,
  kafkaUnreadBytes: 1024 * 1024,
  /**
   * Bytes of requests of all connections of Kafka's protocol in one broker. Beyond it, those are not
   * read that hold more than an equal share.
   */
  kafkaRequestsBytes: 192 * 1024 * 1024,
  /** Unread answers of all connections, above which a Fetch brings less than it may. */
  kafkaAnswersBytes: 256 * 1024 * 1024,
  /** How long an administrator of Kafka's protocol may have a request wait for the controller. */
  kafkaAdminWaitMs: 300_000,
  /** The same for changes of configuration, which name no time. */
  kafkaConfigWaitMs: 30_000,
  /** A stream's peer must take what is written within this time, or it is cut off. */
  slowReaderMs: 30_000,
  /** A client connection that says nothing for this long is closed (Kafka: connections.max.idle.ms). */
  connectionIdleMs: 600_000,
  configValueCharacters: 32_768,
  /** Ids of groups, members and clients; a record's key holds them. */
  groupIdCharacters: 1_024,
  /** Protocols that one member offers its group, and their metadata in sum (its subscription). */
  groupProtocolsCount: 32,
  groupSubscriptionBytes: 1024 * 1024,
  /** One group's record: subscriptions and assignments of all members, which must fit a message. */
  groupMetadataBytes: 4 * 1024 * 1024,
  /** Records that wait for the disk of one coordinator before it takes no more calls. */
  groupPendingBytes: 16 * 1024 * 1024,
  /** Calls of one client's stream that wait for their answers, and groups that it is told about. */
  groupCallsPerStreamCount: 4_096,
  /** Offsets that one call may commit, fetch or delete by name. */
  offsetsPerRequestCount: 10_000,
  /**
   * Partitions and offsets in one question of a coordinator to a leader: answers come in pieces of
   * this size, and those in time count. And questions that may wait on one stream.
   */
  offsetsAskedCount: 500,
  offsetsQuestionsCount: 1_000,
  /**
   * Series about groups that one broker shows, over all groups that it coordinates: a scrape takes
   * memory and time for each. Beyond it groups come late or not at all, and that is counted.
   */
  groupSeriesCount: 20_000,
  /** The same for series about partitions: 4 of each replica, 14 of one that leads two. */
  partitionSeriesCount: 100_000,
} as const;

assert(
  LIMITS.replicationFrameBytes < LIMITS.replicationWindowBytes,
  "a window must hold several frames, or the stream would stop and go",
);
assert(
  LIMITS.snapshotChunkBytes < LIMITS.grpcMessageBytes &&
    LIMITS.raftAppendBytes < LIMITS.grpcMessageBytes,
  "what Raft sends must fit a message",
);
assert(
  LIMITS.raftAppendBytes + LIMITS.raftEntryBytes < LIMITS.grpcMessageBytes,
  "an append takes entries until it passes its limit, and the last may be the largest there is",
);
assert(
  LIMITS.groupSubscriptionBytes < LIMITS.groupMetadataBytes &&
    2 * LIMITS.groupMetadataBytes < LIMITS.grpcMessageBytes,
  "the leader's members and assignments, and the group's record, must fit a message",
);
assert(
  LIMITS.raftAppendBytes < LIMITS.raftInflightBytes,
  "a window must hold several appends, or replication would stop and go",
);
