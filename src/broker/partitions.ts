/** Finds the leader of a partition here, or says who leads it. */
import type { ItemError } from "../metadata/commands.ts";
import type { MetadataImage } from "../metadata/image.ts";
import type { ErrorCode } from "../model/errors.ts";
import { OttlaError } from "../model/errors.ts";
import { type BrokerId, type LeaderEpoch, NONE, type PartitionIndex } from "../model/ids.ts";
import type { LeaderReplica } from "../runtime/leader-replica.ts";
import type { ReplicaManager } from "../runtime/replica-manager.ts";
import type { LeaderHint } from "./broker-api.ts";

export interface PartitionsOptions {
  readonly self: BrokerId;
  readonly image: () => MetadataImage;
  readonly replicas: ReplicaManager;
}

/** Why a partition cannot be served here, and who may. */
export interface Refusal {
  readonly error: ItemError;
  readonly leader: LeaderHint | undefined;
}

export class Partitions {
  readonly #options: PartitionsOptions;

  constructor(options: PartitionsOptions) {
    this.#options = options;
  }

  /** The leader, if it is here and has begun. */
  leader(topic: string, partition: PartitionIndex): LeaderReplica | undefined {
    const topicId = this.#options.image().topicIds.get(topic);
    return topicId === undefined
      ? undefined
      : this.#options.replicas.get(topicId, partition)?.leader;
  }

  /** As far as this broker knows; undefined if there is none. */
  hint(topic: string, partition: PartitionIndex): LeaderHint | undefined {
    const image = this.#options.image();
    const topicId = image.topicIds.get(topic);
    const state =
      topicId === undefined ? undefined : image.topics.get(topicId)?.partitions[partition];
    if (state === undefined || state.leader === NONE) return undefined;
    return { brokerId: state.leader, leaderEpoch: state.leaderEpoch };
  }

  /** Why `leader` found none. */
  refusal(topic: string, partition: PartitionIndex): Refusal {
    const { self, image: imageOf, replicas } = this.#options;
    const image = imageOf();
    const topicId = image.topicIds.get(topic);
    const found = topicId === undefined ? undefined : image.topics.get(topicId);
    if (topicId === undefined || found === undefined) {
      return refuse("UNKNOWN_TOPIC_OR_PARTITION", `topic ${topic} is not known`);
    }
    const state = found.partitions[partition];
    if (state === undefined) {
      const last = found.partitions.length - 1;
      return refuse(
        "UNKNOWN_TOPIC_OR_PARTITION",
        `topic ${topic} has no partition ${partition}, allowed are 0 to ${last}`,
      );
    }
    if (replicas.get(topicId, partition)?.offline === true && state.leader === self) {
      return refuse("KAFKA_STORAGE_ERROR", `the replica of ${topic}-${partition} here is offline`);
    }
    if (state.leader === NONE || state.leader === self) {
      return refuse("LEADER_NOT_AVAILABLE", `${topic}-${partition} has no leader at the moment`);
    }
    return {
      ...refuse(
        "NOT_LEADER_OR_FOLLOWER",
        `broker ${state.leader} leads ${topic}-${partition}, not broker ${self}`,
      ),
      leader: { brokerId: state.leader, leaderEpoch: state.leaderEpoch },
    };
  }

  /** As `leader`; throws the refusal's error. */
  require(topic: string, partition: PartitionIndex): LeaderReplica {
    const leader = this.leader(topic, partition);
    if (leader !== undefined) return leader;
    const { code, message } = this.refusal(topic, partition).error;
    throw new OttlaError(code, message);
  }
}

/** KIP-320: a client that knows another epoch has other metadata. Undefined: the same, or unknown. */
export function epochRefusal(known: LeaderEpoch, leader: LeaderReplica): ItemError | undefined {
  if (known === NONE || known === leader.leaderEpoch) return undefined;
  const code = known < leader.leaderEpoch ? "FENCED_LEADER_EPOCH" : "UNKNOWN_LEADER_EPOCH";
  return { code, message: `leader epoch is ${leader.leaderEpoch}, the request names ${known}` };
}

export function itemError(error: OttlaError): ItemError {
  const { code, message, field } = error;
  return field === undefined ? { code, message } : { code, message, field };
}

function refuse(code: ErrorCode, message: string): Refusal {
  return { error: { code, message }, leader: undefined };
}
