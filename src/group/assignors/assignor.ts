/**
 * How the leader of a group of consumers divides its topics. An assignor knows neither clock nor
 * network: it is given every member's subscription, and the number of partitions of each topic.
 */
import type { PartitionIndex } from "../../model/ids.ts";
import type { ConsumerSubscription, TopicPartitions } from "../consumer-protocol.ts";

export interface AssignorMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly subscription: ConsumerSubscription;
}

/** By topic; a topic that does not exist is absent. */
export type PartitionCounts = ReadonlyMap<string, number>;

/** By member id: every member has an entry, if an empty one. Topics and partitions ascend. */
export type Assignments = ReadonlyMap<string, readonly TopicPartitions[]>;

/**
 * `eager`: members give everything up before they join. `cooperative` (KIP-429): they keep what they
 * have, and give up only what their new assignment lacks, then join once more.
 */
export type RebalanceProtocol = "eager" | "cooperative";

export interface Assignor {
  /** The protocol's name in the group: Kafka's, so that its clients can be in the same group. */
  readonly name: string;
  readonly protocol: RebalanceProtocol;
  assign(counts: PartitionCounts, members: readonly AssignorMember[]): Assignments;
  /** What a member says beside its topics; null nothing. */
  userData(state: MemberState): Uint8Array | null;
}

/** A member's last assignment, to be told when it joins again. */
export interface MemberState {
  /** -1: none. */
  readonly generationId: number;
  readonly partitions: readonly TopicPartitions[];
}

/** Static members first, by their instance: so that their restart changes no order (KIP-345). */
export function inOrder(members: readonly AssignorMember[]): readonly AssignorMember[] {
  return [...members].sort((left, right) => {
    const [a, b] = [left.groupInstanceId, right.groupInstanceId];
    if (a !== null && b !== null) return compareText(a, b);
    if (a !== null || b !== null) return a !== null ? -1 : 1;
    return compareText(left.memberId, right.memberId);
  });
}

export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** Topics that somebody subscribes to and that exist, in order. */
export function subscribedTopicsOf(
  counts: PartitionCounts,
  members: readonly AssignorMember[],
): readonly string[] {
  const topics = new Set<string>();
  for (const { subscription } of members)
    for (const topic of subscription.topics) topics.add(topic);
  return [...topics].filter((topic) => (counts.get(topic) ?? 0) > 0).sort(compareText);
}

/** Collects partitions by member. */
export class AssignmentBuilder {
  readonly #members = new Map<string, Map<string, PartitionIndex[]>>();

  constructor(members: readonly AssignorMember[]) {
    for (const { memberId } of members) this.#members.set(memberId, new Map());
  }

  add(memberId: string, topic: string, partition: PartitionIndex): void {
    const topics = this.#members.get(memberId);
    const partitions = topics?.get(topic);
    if (partitions === undefined) topics?.set(topic, [partition]);
    else partitions.push(partition);
  }

  finish(): Assignments {
    const out = new Map<string, readonly TopicPartitions[]>();
    for (const [memberId, topics] of this.#members) {
      const sorted = [...topics].sort(([left], [right]) => compareText(left, right));
      out.set(
        memberId,
        sorted.map(([topic, partitions]) => ({
          topic,
          partitions: partitions.sort((left, right) => left - right),
        })),
      );
    }
    return out;
  }
}
