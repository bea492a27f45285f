/**
 * What `__consumer_offsets` holds, in Kafka's formats: the last value of a key counts, null removes.
 *
 *   key version 0, 1: an offset (group, topic, partition); 2: a group; others are not for this room
 *   offset value 0 to 4: 1 has an expiry of its own, 3 the leader epoch, 4 is 3 in flexible form
 *   group value 0 to 4: 1 rebalance timeouts, 2 time of the state, 3 instance ids, 4 flexible
 *
 * Written are offset values of version 4 (1 with an expiry), group values of version 3. A group whose
 * members have joined and are not assigned yet is written in version 4. Two tagged fields are Ottla's
 * own, and Kafka's readers pass over them (KIP-915): that such a group is completing its rebalance,
 * where Kafka sees empty assignments, and the id of an offset's topic, which tells an offset of a
 * deleted topic from one of its successor of the same name.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { OttlaError } from "../model/errors.ts";
import {
  type LeaderEpoch,
  NONE,
  type Offset,
  type PartitionIndex,
  type TopicId,
} from "../model/ids.ts";
import { FieldReader, FieldWriter } from "./fields.ts";

export type RecordKey =
  | {
      readonly type: "offset";
      readonly groupId: string;
      readonly topic: string;
      readonly partition: PartitionIndex;
    }
  | { readonly type: "group"; readonly groupId: string };

export interface OffsetValue {
  readonly offset: Offset;
  /** Of the last record consumed; -1 not known (KIP-320). */
  readonly leaderEpoch: LeaderEpoch;
  readonly metadata: string;
  /** Milliseconds since 1970. */
  readonly commitTimestampMs: number;
  /** -1: as `offsets.retention.minutes` says. */
  readonly expireTimestampMs: number;
  /** Of the topic that it was committed for; undefined in Kafka's own records. */
  readonly topicId?: TopicId | undefined;
}

export interface MemberValue {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** The member's metadata for the group's protocol. */
  readonly subscription: Uint8Array;
  readonly assignment: Uint8Array;
}

export interface GroupValue {
  /** "" if there never was a member. */
  readonly protocolType: string;
  readonly generation: number;
  readonly protocol: string | null;
  readonly leader: string | null;
  /** When the group came into its state, ms since 1970; -1 not known. */
  readonly stateTimestampMs: number;
  /** The members have joined this generation, and their leader has not assigned yet. */
  readonly completing: boolean;
  readonly members: readonly MemberValue[];
}

/** One record to append; a null value is a tombstone. */
export interface GroupRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

const OFFSET_KEY = 1;
const GROUP_KEY = 2;
const NEWEST = 4;
/** Far from the tags that Kafka may give out. */
const COMPLETING_TAG = 10_000;
const TOPIC_ID_TAG = 10_001;
const COMPLETING = "\u0001";

export function encodeOffsetKey(groupId: string, topic: string, partition: number): Uint8Array {
  return new FieldWriter({ capacityBytes: 10 + groupId.length + topic.length })
    .int16(OFFSET_KEY)
    .string(groupId)
    .string(topic)
    .int32(partition)
    .finish();
}

export function encodeGroupKey(groupId: string): Uint8Array {
  return new FieldWriter({ capacityBytes: 4 + groupId.length })
    .int16(GROUP_KEY)
    .string(groupId)
    .finish();
}

/** Undefined: a kind of record that is not for this room. Throws CORRUPT_MESSAGE. */
export function decodeKey(bytes: Uint8Array): RecordKey | undefined {
  return guarded("a key", () => {
    const reader = new FieldReader(bytes);
    const version = reader.int16();
    if (version === GROUP_KEY) return { type: "group", groupId: reader.string() };
    if (version > GROUP_KEY || version < 0) return undefined;
    const groupId = reader.string();
    const topic = reader.string();
    return { type: "offset", groupId, topic, partition: reader.int32() };
  });
}

export function encodeOffsetValue(value: OffsetValue): Uint8Array {
  const { commitTimestampMs, expireTimestampMs, leaderEpoch, metadata, offset, topicId } = value;
  if (expireTimestampMs !== NONE) {
    return new FieldWriter({ capacityBytes: 28 + metadata.length })
      .int16(1)
      .int64(offset)
      .string(metadata)
      .int64(commitTimestampMs)
      .int64(expireTimestampMs)
      .finish();
  }
  const flexible = topicId !== undefined;
  const writer = new FieldWriter({
    capacityBytes: (flexible ? 49 : 24) + metadata.length,
    flexible,
  })
    .int16(flexible ? 4 : 3)
    .int64(offset)
    .int32(leaderEpoch)
    .string(metadata)
    .int64(commitTimestampMs);
  return writer.tags(flexible ? [[TOPIC_ID_TAG, topicId]] : []).finish();
}

/**
 * Throws CORRUPT_MESSAGE, or UNSUPPORTED_FOR_MESSAGE_FORMAT for a newer version. `likelyTopicId` is
 * what the offsets of a topic then share.
 */
export function decodeOffsetValue(bytes: Uint8Array, likelyTopicId?: TopicId): OffsetValue {
  return guarded("an offset", () => {
    const reader = new FieldReader(bytes);
    const version = versionOf(reader, "an offset");
    reader.flexible = version >= 4;
    const offset = reader.int64();
    const leaderEpoch = version >= 3 ? reader.int32() : NONE;
    const metadata = reader.string();
    const commitTimestampMs = reader.int64();
    const expireTimestampMs = version === 1 ? reader.int64() : NONE;
    let topicId: TopicId | undefined;
    reader.tags((tag, at, size) => {
      if (tag === TOPIC_ID_TAG) topicId = reader.textAt(at, size, likelyTopicId);
    });
    return { offset, leaderEpoch, metadata, commitTimestampMs, expireTimestampMs, topicId };
  });
}

export function encodeGroupValue(value: GroupValue): Uint8Array {
  const flexible = value.completing;
  const writer = new FieldWriter({ capacityBytes: 1_024, flexible });
  writer
    .int16(flexible ? 4 : 3)
    .string(value.protocolType)
    .int32(value.generation)
    .string(value.protocol)
    .string(value.leader)
    .int64(value.stateTimestampMs)
    .array(value.members, (member) => {
      writer
        .string(member.memberId)
        .string(member.instanceId)
        .string(member.clientId)
        .string(member.clientHost)
        .int32(member.rebalanceTimeoutMs)
        .int32(member.sessionTimeoutMs)
        .bytes(member.subscription)
        .bytes(member.assignment)
        .tags();
    });
  return writer.tags(flexible ? [[COMPLETING_TAG, COMPLETING]] : []).finish();
}

/** Throws as `decodeOffsetValue`. Subscriptions and assignments are copies. */
export function decodeGroupValue(bytes: Uint8Array): GroupValue {
  return guarded("a group", () => {
    const reader = new FieldReader(bytes);
    const version = versionOf(reader, "a group");
    reader.flexible = version >= 4;
    const protocolType = reader.string();
    const generation = reader.int32();
    const protocol = reader.nullableString();
    const leader = reader.nullableString();
    const stateTimestampMs = version >= 2 ? reader.int64() : NONE;
    const members = reader.array((): MemberValue => {
      const memberId = reader.string();
      const instanceId = version >= 3 ? reader.nullableString() : null;
      const clientId = reader.string();
      const clientHost = reader.string();
      const rebalance = version >= 1 ? reader.int32() : NONE;
      const sessionTimeoutMs = reader.int32();
      const subscription = own(reader.bytes());
      const assignment = own(reader.bytes());
      reader.tags();
      return {
        memberId,
        instanceId,
        clientId,
        clientHost,
        rebalanceTimeoutMs: rebalance < 0 ? sessionTimeoutMs : rebalance,
        sessionTimeoutMs,
        subscription,
        assignment,
      };
    });
    let completing = false;
    reader.tags((tag) => {
      if (tag === COMPLETING_TAG) completing = true;
    });
    return { protocolType, generation, protocol, leader, stateTimestampMs, completing, members };
  });
}

/** A view would keep the whole batch in memory for as long as the group lives. */
function own(view: Uint8Array): Uint8Array {
  return view.length === 0 ? EMPTY_BYTES : view.slice();
}

function versionOf(reader: FieldReader, what: string): number {
  const version = reader.int16();
  if (version >= 0 && version <= NEWEST) return version;
  throw new OttlaError(
    "UNSUPPORTED_FOR_MESSAGE_FORMAT",
    `the value of ${what} has version ${version}, allowed are 0 to ${NEWEST}`,
  );
}

function guarded<Value>(what: string, decode: () => Value): Value {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new OttlaError("CORRUPT_MESSAGE", `the record of ${what} ends too early`, {
      cause: error,
    });
  }
}
