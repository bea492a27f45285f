/**
 * THE error table. A code is API and never changes its meaning; the message is free. Codes are
 * Kafka's names and numbers (Errors.java) wherever Kafka has one; Ottla's own have `kafka: -1`
 * (UNKNOWN_SERVER_ERROR) on Kafka's wire. `retriable`: the same request may succeed later without
 * anybody's hand. `action`: what the reader of the message can do. `grpc`: the status at the door.
 */
interface ErrorRow {
  readonly kafka: number;
  readonly retriable: boolean;
  readonly grpc: GrpcStatus;
  readonly action: string;
}

/** Numbers of google.rpc.Code. */
export const GRPC_STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
} as const;
export type GrpcStatus = keyof typeof GRPC_STATUS;

function row(kafka: number, retriable: boolean, grpc: GrpcStatus, action: string): ErrorRow {
  return { kafka, retriable, grpc, action };
}

export const ERRORS = {
  UNKNOWN_SERVER_ERROR: row(-1, false, "INTERNAL", "Look in the broker's log for the cause."),
  OFFSET_OUT_OF_RANGE: row(
    1,
    false,
    "OUT_OF_RANGE",
    "Seek to an offset between the log start and the high watermark.",
  ),
  CORRUPT_MESSAGE: row(
    2,
    true,
    "DATA_LOSS",
    "Send the batch again; if it recurs, the producer or the network damages bytes.",
  ),
  UNKNOWN_TOPIC_OR_PARTITION: row(
    3,
    true,
    "NOT_FOUND",
    "Create the topic, or check its name and the partition number.",
  ),
  LEADER_NOT_AVAILABLE: row(
    5,
    true,
    "UNAVAILABLE",
    "Wait for an election; if it lasts, start the brokers that hold the partition.",
  ),
  NOT_LEADER_OR_FOLLOWER: row(
    6,
    true,
    "FAILED_PRECONDITION",
    "Refresh metadata and go to the leader named there.",
  ),
  REQUEST_TIMED_OUT: row(
    7,
    true,
    "DEADLINE_EXCEEDED",
    "Retry; the result of the first attempt is unknown.",
  ),
  BROKER_NOT_AVAILABLE: row(
    8,
    true,
    "UNAVAILABLE",
    "Start the broker, or wait until it is unfenced.",
  ),
  REPLICA_NOT_AVAILABLE: row(9, true, "UNAVAILABLE", "Wait until the replica is online again."),
  MESSAGE_TOO_LARGE: row(
    10,
    false,
    "INVALID_ARGUMENT",
    "Make the record smaller, or raise max.message.bytes of the topic.",
  ),
  OFFSET_METADATA_TOO_LARGE: row(
    12,
    false,
    "INVALID_ARGUMENT",
    "Leave a shorter note with the offset, or raise offset.metadata.max.bytes.",
  ),
  NETWORK_EXCEPTION: row(
    13,
    true,
    "UNAVAILABLE",
    "Check that the brokers are reachable; the client retries by itself.",
  ),
  COORDINATOR_LOAD_IN_PROGRESS: row(
    14,
    true,
    "UNAVAILABLE",
    "Retry: the coordinator reads the groups that it has taken over.",
  ),
  COORDINATOR_NOT_AVAILABLE: row(
    15,
    true,
    "UNAVAILABLE",
    "Retry; if it lasts, look whether __consumer_offsets has leaders and enough in-sync replicas.",
  ),
  NOT_COORDINATOR: row(
    16,
    true,
    "FAILED_PRECONDITION",
    "Ask for the group's coordinator again and go there.",
  ),
  INVALID_TOPIC_EXCEPTION: row(
    17,
    false,
    "INVALID_ARGUMENT",
    "Use 1 to 249 characters of a-z A-Z 0-9 . _ - and neither '.' nor '..'.",
  ),
  RECORD_LIST_TOO_LARGE: row(18, false, "INVALID_ARGUMENT", "Send smaller batches."),
  NOT_ENOUGH_REPLICAS: row(
    19,
    true,
    "UNAVAILABLE",
    "Start brokers until the ISR has min.insync.replicas members.",
  ),
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: row(
    20,
    true,
    "UNAVAILABLE",
    "The record may survive or not: retry with the idempotent producer.",
  ),
  INVALID_REQUIRED_ACKS: row(21, false, "INVALID_ARGUMENT", "acks is 0, 1 or all (-1)."),
  ILLEGAL_GENERATION: row(
    22,
    false,
    "ABORTED",
    "The group has gone on without this member: join again.",
  ),
  INCONSISTENT_GROUP_PROTOCOL: row(
    23,
    false,
    "INVALID_ARGUMENT",
    "Use the group's protocol type and an assignor that all its members have.",
  ),
  INVALID_GROUP_ID: row(
    24,
    false,
    "INVALID_ARGUMENT",
    "Use a group id of the length that the message names, without control characters.",
  ),
  UNKNOWN_MEMBER_ID: row(
    25,
    false,
    "NOT_FOUND",
    "The member was removed from the group: join again without a member id.",
  ),
  INVALID_SESSION_TIMEOUT: row(
    26,
    false,
    "INVALID_ARGUMENT",
    "Use a session timeout between group.min.session.timeout.ms and group.max.session.timeout.ms.",
  ),
  REBALANCE_IN_PROGRESS: row(
    27,
    true,
    "FAILED_PRECONDITION",
    "Join the group again: its partitions are being divided anew.",
  ),
  CLUSTER_AUTHORIZATION_FAILED: row(
    31,
    false,
    "FAILED_PRECONDITION",
    "Nobody may do this through a client's door: brokers use their own listener.",
  ),
  INVALID_TIMESTAMP: row(
    32,
    false,
    "INVALID_ARGUMENT",
    "Check the clock, or message.timestamp.before.max.ms and after.max.ms.",
  ),
  UNSUPPORTED_VERSION: row(
    35,
    false,
    "INVALID_ARGUMENT",
    "Use what ApiVersions names: the broker does not have this, or has it switched off.",
  ),
  TOPIC_ALREADY_EXISTS: row(
    36,
    false,
    "ALREADY_EXISTS",
    "Use the existing topic, or choose another name.",
  ),
  INVALID_PARTITIONS: row(
    37,
    false,
    "INVALID_ARGUMENT",
    "Partitions can only be added; see the allowed range.",
  ),
  INVALID_REPLICATION_FACTOR: row(
    38,
    false,
    "INVALID_ARGUMENT",
    "Use a replication factor between 1 and the number of live brokers.",
  ),
  INVALID_REPLICA_ASSIGNMENT: row(
    39,
    false,
    "INVALID_ARGUMENT",
    "Name registered brokers, each once, as many in every partition.",
  ),
  INVALID_CONFIG: row(40, false, "INVALID_ARGUMENT", "Correct the key or the value."),
  NOT_CONTROLLER: row(
    41,
    true,
    "UNAVAILABLE",
    "Ask the active controller; the broker forwards by itself after an election.",
  ),
  INVALID_REQUEST: row(42, false, "INVALID_ARGUMENT", "Correct the field that the message names."),
  UNSUPPORTED_FOR_MESSAGE_FORMAT: row(
    43,
    false,
    "INVALID_ARGUMENT",
    "Send RecordBatch v2 (magic 2).",
  ),
  OUT_OF_ORDER_SEQUENCE_NUMBER: row(
    45,
    false,
    "ABORTED",
    "A batch before this one was lost or skipped: the producer must begin anew.",
  ),
  DUPLICATE_SEQUENCE_NUMBER: row(
    46,
    false,
    "ALREADY_EXISTS",
    "The batch was written before; its offsets are no longer known.",
  ),
  INVALID_PRODUCER_EPOCH: row(
    47,
    false,
    "ABORTED",
    "A newer producer with this id exists: stop this one.",
  ),
  KAFKA_STORAGE_ERROR: row(
    56,
    true,
    "UNAVAILABLE",
    "Check the broker's disk; another replica takes over.",
  ),
  UNKNOWN_PRODUCER_ID: row(
    59,
    false,
    "ABORTED",
    "The producer's state expired: ask for a new producer id.",
  ),
  NON_EMPTY_GROUP: row(68, false, "FAILED_PRECONDITION", "Stop the group's members first."),
  GROUP_ID_NOT_FOUND: row(69, false, "NOT_FOUND", "Check the group id: no such group exists."),
  FETCH_SESSION_ID_NOT_FOUND: row(
    70,
    true,
    "NOT_FOUND",
    "Begin a new fetch session: others have taken this one's place.",
  ),
  INVALID_FETCH_SESSION_EPOCH: row(
    71,
    true,
    "ABORTED",
    "Begin a new fetch session: a request of this one was lost or repeated.",
  ),
  LISTENER_NOT_FOUND: row(
    72,
    true,
    "UNAVAILABLE",
    "Give the leader's broker a listener of the name that this client came in by.",
  ),
  TOPIC_DELETION_DISABLED: row(
    73,
    false,
    "FAILED_PRECONDITION",
    "Set delete.topic.enable=true on the brokers.",
  ),
  FENCED_LEADER_EPOCH: row(
    74,
    true,
    "FAILED_PRECONDITION",
    "Refresh metadata: the partition has a newer leader epoch.",
  ),
  UNKNOWN_LEADER_EPOCH: row(
    75,
    true,
    "UNAVAILABLE",
    "Retry: this broker has not heard of that leader epoch yet.",
  ),
  UNSUPPORTED_COMPRESSION_TYPE: row(
    76,
    false,
    "INVALID_ARGUMENT",
    "Use none, gzip, snappy, lz4 or zstd.",
  ),
  STALE_BROKER_EPOCH: row(
    77,
    false,
    "FAILED_PRECONDITION",
    "A newer life of this broker has registered: this one stops.",
  ),
  OFFSET_NOT_AVAILABLE: row(
    78,
    true,
    "UNAVAILABLE",
    "Retry: the new leader's high watermark is catching up.",
  ),
  MEMBER_ID_REQUIRED: row(
    79,
    true,
    "FAILED_PRECONDITION",
    "Join again with the member id that came with this error.",
  ),
  PREFERRED_LEADER_NOT_AVAILABLE: row(
    80,
    true,
    "FAILED_PRECONDITION",
    "Start the preferred replica and let it join the ISR.",
  ),
  GROUP_MAX_SIZE_REACHED: row(
    81,
    false,
    "RESOURCE_EXHAUSTED",
    "The group is full: stop members, or raise group.max.size.",
  ),
  FENCED_INSTANCE_ID: row(
    82,
    false,
    "ABORTED",
    "Another member with this group.instance.id has joined: give each its own.",
  ),
  ELIGIBLE_LEADERS_NOT_AVAILABLE: row(
    83,
    true,
    "FAILED_PRECONDITION",
    "No clean replica is alive: start one of those listed.",
  ),
  ELECTION_NOT_NEEDED: row(
    84,
    false,
    "FAILED_PRECONDITION",
    "The preferred replica leads already.",
  ),
  NO_REASSIGNMENT_IN_PROGRESS: row(
    85,
    false,
    "FAILED_PRECONDITION",
    "The partition is not being moved: there is nothing to give up.",
  ),
  GROUP_SUBSCRIBED_TO_TOPIC: row(
    86,
    false,
    "FAILED_PRECONDITION",
    "Stop the members that consume the topic first.",
  ),
  INVALID_RECORD: row(87, false, "INVALID_ARGUMENT", "Correct the record that the message names."),
  UNSTABLE_OFFSET_COMMIT: row(
    88,
    true,
    "UNAVAILABLE",
    "Retry: a commit of this offset is under way.",
  ),
  DUPLICATE_RESOURCE: row(92, false, "INVALID_ARGUMENT", "Name each resource once in a request."),
  INCONSISTENT_VOTER_SET: row(
    94,
    false,
    "FAILED_PRECONDITION",
    "Give every broker the same controller.quorum.voters.",
  ),
  INVALID_UPDATE_VERSION: row(
    95,
    true,
    "ABORTED",
    "The partition's state changed meanwhile; the leader retries by itself.",
  ),
  DUPLICATE_BROKER_REGISTRATION: row(
    101,
    false,
    "ALREADY_EXISTS",
    "Another live broker has this node.id: give each its own.",
  ),
  BROKER_ID_NOT_REGISTERED: row(102, true, "NOT_FOUND", "Start the broker first."),
  INCONSISTENT_CLUSTER_ID: row(
    104,
    false,
    "FAILED_PRECONDITION",
    "This data directory belongs to another cluster: use its own, or an empty one.",
  ),
  UNKNOWN_TOPIC_ID: row(
    100,
    true,
    "NOT_FOUND",
    "Refresh metadata: the topic was deleted or not yet published here.",
  ),
  FETCH_SESSION_TOPIC_ID_ERROR: row(
    106,
    true,
    "ABORTED",
    "Begin a new fetch session: one names topics by id, or by name, not both.",
  ),
  INELIGIBLE_REPLICA: row(
    107,
    true,
    "FAILED_PRECONDITION",
    "The replica is fenced or stopping; it joins when it is back.",
  ),
  MISMATCHED_ENDPOINT_TYPE: row(
    114,
    false,
    "INVALID_ARGUMENT",
    "Ask a broker for brokers: controllers are not reached by clients.",
  ),
  UNSUPPORTED_ENDPOINT_TYPE: row(115, false, "INVALID_ARGUMENT", "Ask for brokers: type 1."),
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: row(
    53,
    false,
    "FAILED_PRECONDITION",
    "Send batches that are not transactional: there are no transactions yet.",
  ),
  THROTTLING_QUOTA_EXCEEDED: row(89, true, "RESOURCE_EXHAUSTED", "Slow down."),
  // Ottla's own.
  INVALID_ARGUMENT: row(
    -1,
    false,
    "INVALID_ARGUMENT",
    "Correct the argument that the message names.",
  ),
  BUFFER_EXHAUSTED: row(
    -1,
    true,
    "RESOURCE_EXHAUSTED",
    "Wait for acknowledgements, or raise buffer.memory.",
  ),
  DELIVERY_TIMED_OUT: row(
    -1,
    false,
    "DEADLINE_EXCEEDED",
    "The record may have been written; raise delivery.timeout.ms if outages last longer.",
  ),
  LIMIT_EXCEEDED: row(
    -1,
    false,
    "RESOURCE_EXHAUSTED",
    "Stay below the limit that the message names.",
  ),
  ABORTED: row(-1, false, "CANCELLED", "The caller gave up."),
  CLOSED: row(-1, false, "FAILED_PRECONDITION", "Use an object before it is closed."),
  NO_BROKER_REACHABLE: row(
    -1,
    true,
    "UNAVAILABLE",
    "Check --bootstrap-server and that a broker listens there.",
  ),
  NO_QUORUM: row(
    -1,
    true,
    "UNAVAILABLE",
    "Start voters until a majority of controller.quorum.voters is up.",
  ),
  SHUTTING_DOWN: row(-1, true, "UNAVAILABLE", "Retry: another broker takes over."),
  DISK_FULL: row(
    -1,
    true,
    "RESOURCE_EXHAUSTED",
    "Free space in log.dirs; the replica comes back by itself.",
  ),
  DIRECTORY_LOCKED: row(
    -1,
    false,
    "FAILED_PRECONDITION",
    "Another process uses this data directory: stop it, or use another directory.",
  ),
  DIRECTORY_FOREIGN: row(
    -1,
    false,
    "FAILED_PRECONDITION",
    "This data directory belongs to another broker: give each broker its own.",
  ),
  DIRECTORY_DAMAGED: row(
    -1,
    false,
    "DATA_LOSS",
    "Move the directory away; the broker rebuilds it from its peers.",
  ),
  DIRECTORY_READ_ONLY: row(
    -1,
    false,
    "FAILED_PRECONDITION",
    "Mount the volume of log.dirs writable (without :ro), or name another directory.",
  ),
  DIRECTORY_DENIED: row(
    -1,
    false,
    "FAILED_PRECONDITION",
    "Give the directory and all in it to the user that the broker runs as (chown -R; the image's is 1000).",
  ),
  NOT_ENOUGH_MEMORY: row(
    -1,
    false,
    "RESOURCE_EXHAUSTED",
    "Raise the memory limit of the container (docker --memory, mem_limit, resources.limits.memory).",
  ),
  CLOCK_OUT_OF_STEP: row(
    -1,
    false,
    "FAILED_PRECONDITION",
    "Set the clock of this machine (chronyd, ntpd), and start the broker again.",
  ),
  PORT_IN_USE: row(
    -1,
    false,
    "FAILED_PRECONDITION",
    "Stop the process that listens there, or change listeners (ottla dev: --port-offset).",
  ),
  CONFIG_UNREADABLE: row(
    -1,
    false,
    "INVALID_ARGUMENT",
    "Correct the file at the line that the message names.",
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** What may stand beside an error's message. */
export interface ErrorDetails {
  /** The thrown thing behind this error. */
  readonly cause?: unknown;
  /** The field at fault, as the user knows it: `partitions`, `max.message.bytes`. */
  readonly field?: string;
}

/**
 * The one error that crosses room and process borders. Told apart by `code`, never by message or
 * class identity (two copies of the package may be loaded).
 */
export class OttlaError extends Error {
  override readonly name = "OttlaError";
  readonly code: ErrorCode;
  readonly field: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.field = details.field;
  }

  /** Whether the same request may succeed later without anybody's hand. */
  get retriable(): boolean {
    return ERRORS[this.code].retriable;
  }

  /** What the reader can do about it. */
  get action(): string {
    return ERRORS[this.code].action;
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** Any thrown thing as an `OttlaError`; what is not one was nobody's plan: UNKNOWN_SERVER_ERROR. */
export function toOttlaError(thrown: unknown): OttlaError {
  if (thrown instanceof OttlaError) return thrown;
  if (thrown instanceof Error) {
    const { code } = thrown as { code?: unknown };
    if (thrown.name === "OttlaError" && typeof code === "string" && isErrorCode(code)) {
      return new OttlaError(code, thrown.message, { cause: thrown });
    }
    return new OttlaError("UNKNOWN_SERVER_ERROR", thrown.message, { cause: thrown });
  }
  return new OttlaError("UNKNOWN_SERVER_ERROR", String(thrown));
}
