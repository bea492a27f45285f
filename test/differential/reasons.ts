/** Why Ottla may answer otherwise than Kafka. The first reason that fits is the one that is told. */
import type { Reason } from "./table.ts";

export const REASONS: readonly Reason[] = [
  {
    api: "ApiVersions",
    path: /^apiKeys\[\d+\]$/,
    ottla: /^absent$/,
    because:
      "What is not there is not advertised: transactions, ACLs, quotas, tokens, telemetry, moves between directories, the groups of KIP-848, 932 and 1071",
  },
  {
    api: "ApiVersions",
    path: /^(supported|finalized)Features/,
    because:
      "Ottla has no features to switch: metadata.version is not Kafka's, and the others are not built",
  },
  {
    api: "any",
    path: /message$/i,
    ottla: /^<text>$/,
    kafka: /^(null|"")$/,
    because: "Ottla says in words what is wrong where Kafka gives the number alone",
  },
  {
    api: "any",
    path: /message$/i,
    ottla: /^null$/,
    kafka: /^""$/,
    because: "No text is null here and empty there: clients print neither",
  },
  {
    api: "Metadata",
    label: /a list of -2/,
    path: /^$/,
    because: "A count below -1 is nothing that a client writes; Kafka takes it for null",
  },
  {
    api: "DescribeQuorum",
    path: /replicaDirectoryId$/,
    because: "This Kafka has a static quorum, whose voters have no directories; Ottla's have ids",
  },
  {
    api: "DescribeQuorum",
    path: /listeners/,
    because: "Ottla's voters are brokers: clients are told of the listener by which they came",
  },
  {
    api: ["CreateTopics", "DescribeConfigs"],
    path: /configs\[flush\.messages\]\.value$/,
    because: "Ottla's default is to flush before the acknowledgement, Kafka's is not to",
  },
  {
    api: "CreateTopics",
    label: /^validated only$/,
    path: /topicId$/,
    because: "A topic that is only validated has no id; Kafka draws one that nobody will know",
  },
  {
    api: "CreateTopics",
    label: /^(cleanup\.policy = |a key twice)$/,
    path: /(errorCode|topicId|value)$/,
    because:
      "An empty cleanup.policy, or a key given twice, is refused: one of the values would be lost",
  },
  {
    api: "CreateTopics",
    label: /remote\.storage/,
    path: /errorCode$/,
    because: "Keys of tiered storage are kept and shown as having no effect; Kafka refuses them",
  },
  {
    api: "Metadata",
    label: /by the id of zeros/,
    path: /errorCode$/,
    because:
      "Kafka fails with an error of the whole answer where one topic has neither name nor id",
  },
  {
    api: "Metadata",
    label: /made by asking/,
    path: /errorCode$/,
    because:
      "Ottla waits until the new topic is there, Kafka answers that it is not and has the client ask again",
  },
  {
    api: "DescribeTopicPartitions",
    label: /cursor/,
    path: /^topics/,
    because:
      "A cursor is a place in the order of names, whether something is there or not; Kafka wants it to be a partition of the first topic",
  },
  {
    api: "DescribeTopicPartitions",
    label: /an empty name/,
    path: /errorCode$/,
    because: "Kafka fails with an unknown server error; the name is what is wrong",
  },
  {
    api: "ElectLeaders",
    label: /of no partition|a type that nobody knows/,
    path: /^replicaElectionResults/,
    ottla: /^absent$/,
    because:
      "Where no partition is asked for, or the whole is refused, Ottla tells of no partition",
  },
  {
    api: "ElectLeaders",
    label: /all that need it/,
    path: /^replicaElectionResults/,
    ottla: /^absent$/,
    because:
      "Asked for all partitions, Ottla names those where something was to be done; Kafka names all, the others with ELECTION_NOT_NEEDED",
  },
  {
    api: ["ElectLeaders", "AlterPartitionReassignments"],
    label: /of a partition twice/,
    path: /errorCode$/,
    because: "The second time is told as a duplicate (DUPLICATE_RESOURCE)",
  },
  {
    api: "AlterPartitionReassignments",
    label: /to a negative one/,
    path: /^errorCode$/,
    because: "A negative id refuses the whole request, not its partition alone",
  },
  {
    api: "DeleteTopics",
    label: /by id and by name in two/,
    path: /^responses/,
    because:
      "Meant once by id and once by name, the topic is deleted once, and the second is told so",
  },
  {
    api: "DescribeConfigs",
    path: /synonyms/,
    because:
      "Ottla shows its own defaults and every key that a value may fall back to, also those in hours",
  },
  {
    api: "DescribeConfigs",
    label: /client metrics/,
    path: /configs/,
    because: "Subscriptions to clients' metrics (KIP-714) are not built",
  },
  {
    api: "IncrementalAlterConfigs",
    label: /a key that nobody knows, back/,
    path: /errorCode$/,
    because:
      "A key that nobody knows is refused also where it is to be unset: it is a typing error",
  },
  {
    api: "IncrementalAlterConfigs",
    label: /an operation that nobody knows/,
    path: /errorCode$/,
    because: "Kafka fails with an unknown server error; the operation is what is wrong",
  },
  {
    api: "IncrementalAlterConfigs",
    label: /cannot be changed/,
    path: /errorCode$/,
    because: "INVALID_CONFIG, as for whatever else is wrong with a key; Kafka says INVALID_REQUEST",
  },
  {
    api: ["IncrementalAlterConfigs", "AlterConfigs"],
    label: /a broker (that is none|whose id)/,
    path: /errorCode$/,
    because:
      "Any broker takes changes for any other, and says BROKER_ID_NOT_REGISTERED of one that is none",
  },
  {
    api: "IncrementalAlterConfigs",
    label: /a topic twice/,
    path: /^responses/,
    because: "What is named twice is refused once",
  },
  {
    api: "IncrementalAlterConfigs",
    label: /logger/,
    path: /errorCode$/,
    because: "Levels of single loggers cannot be changed while a broker runs",
  },
  {
    api: "Produce",
    path: /logStartOffset$/,
    because:
      "The start of the log is told with some refusals and not with others; clients ignore it",
  },
  {
    api: "Produce",
    label: /^(a batch cut short|less than a header|bytes behind the batch)$/,
    path: /errorCode$/,
    ottla: /^2$/,
    because:
      "Bytes that are no whole batch were damaged on the way (CORRUPT_MESSAGE), so that the producer tries again; nothing behind a batch is passed over",
  },
  {
    api: "Produce",
    label: /magic 3/,
    path: /errorCode$/,
    because: "A format that is to come is not a damaged one: trying again does not help",
  },
  {
    api: "Produce",
    label: /a codec that nobody knows/,
    path: /errorCode$/,
    because: "Kafka fails with an unknown server error; the codec is what is wrong",
  },
  {
    api: "Produce",
    label: /^(gzip that is none|zstd)$/,
    path: /errorCode$/,
    because:
      "Compressed records are not opened by the broker: a bomb stays closed, and the consumer checks them",
  },
  {
    api: "Produce",
    path: /recordErrors/,
    because: "The first record that is wrong stands in the message, not each in a list (KIP-467)",
  },
  {
    api: "Produce",
    label: /^idempotent: the first (again|once more)$/,
    path: /logAppendTimeMs$/,
    because: "A repeated batch is told as it was told first: without a time of the log",
  },
  {
    api: "Produce",
    label: /^idempotent: an overlap$/,
    path: /errorCode$/,
    because:
      "Sequences that were written are told as such (DUPLICATE_SEQUENCE_NUMBER); no producer cuts its batches anew",
  },
  {
    api: "Produce",
    label: /^idempotent: (an id that nobody drew, not from 0|a negative epoch)$/,
    path: /errorCode$/,
    because:
      "A producer that is unknown begins at sequence 0 with an epoch, or records before have been lost unseen; Kafka accepts either",
  },
  {
    api: "DescribeProducers",
    label: /^(those of a partition|a partition twice)$/,
    path: /activeProducers/,
    because: "Of the producers above Kafka has accepted two more",
  },
  {
    api: "DescribeProducers",
    label: /another broker/,
    path: /errorCode$/,
    because: "The leader alone is asked: a follower's answer may be behind",
  },
  {
    api: ["Fetch", "ListOffsets"],
    label: /isolation level/,
    path: /errorCode$/,
    because: "Kafka fails with an unknown server error; here any level but 1 reads all",
  },
  {
    api: "Fetch",
    label: /a negative number of bytes/,
    path: /errorCode$/,
    because: "Kafka fails with an unknown server error; here it is as 0, one batch",
  },
  {
    api: "Fetch",
    label: /another broker than the leader/,
    path: /errorCode$|nodeEndpoints/,
    because: "Followers do not serve consumers (KIP-392 is not built): they name the leader",
  },
  {
    api: "Fetch",
    path: /abortedTransactions$/,
    because:
      "Where nothing was read there are no aborted transactions: null, as with any other error",
  },
  {
    api: ["Fetch", "DeleteRecords"],
    label: /a partition twice/,
    path: /partitions/,
    because:
      "A partition that is named twice is answered twice, in turn; in Kafka the last one counts",
  },
  {
    api: "Fetch",
    label: /a replica that is none/,
    path: /errorCode$/,
    because:
      "Brokers replicate by their own listener: to a client that claims to be one it is refused",
  },
  {
    api: "Fetch",
    label: /an epoch that is to come/,
    path: /currentLeader|nodeEndpoints/,
    because: "The leader is named also where the client seems to know of a later one",
  },
  {
    api: "Fetch",
    label: /a last epoch that is to come/,
    path: /errorCode$/,
    because: "The place where both logs part is told, from where the client can go on",
  },
  {
    api: "OffsetForLeaderEpoch",
    label: /an empty partition/,
    path: /(leaderEpoch|endOffset)$/,
    because: "An epoch in which nothing was written has left no trace in the log",
  },
  {
    api: "FindCoordinator",
    label: /an empty name/,
    path: /errorCode$/,
    because: "A group has a name (KIP-289 has given up the empty one)",
  },
  {
    api: "OffsetCommit",
    label: /a negative offset/,
    path: /errorCode$/,
    because: "A negative offset is refused: no consumer could go on from it",
  },
  {
    api: "OffsetDelete",
    label: /a group that has no other/,
    path: /errorCode$/,
    because: "A group without members and offsets is gone at once, in Kafka only after a while",
  },
];
