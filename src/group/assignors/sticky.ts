/**
 * As even as the subscriptions allow, and among all even ways one that moves little (KIP-54): who
 * has a partition keeps it unless that would make the division uneven.
 *
 * `sticky` gives everything up before each rebalance and so must tell what it had, in Kafka's form.
 */
import type { PartitionIndex } from "../../model/ids.ts";
import type { TopicPartitions } from "../consumer-protocol.ts";
import { FieldReader, FieldWriter } from "../fields.ts";
import {
  AssignmentBuilder,
  type Assignments,
  type Assignor,
  type AssignorMember,
  compareText,
  inOrder,
  type MemberState,
  type PartitionCounts,
  subscribedTopicsOf,
} from "./assignor.ts";

/** What a member had, and in which generation; -1 if it does not say. */
export interface Claim {
  readonly generationId: number;
  readonly partitions: readonly TopicPartitions[];
}

export const STICKY: Assignor = {
  name: "sticky",
  protocol: "eager",
  assign: (counts, members) => assignSticky(counts, members, claimOfUserData),
  userData: encodeUserData,
};

interface Slot {
  readonly topic: string;
  readonly partition: PartitionIndex;
}

interface Consumer {
  readonly memberId: string;
  readonly topics: ReadonlySet<string>;
  readonly slots: Slot[];
}

interface Owner {
  readonly consumer: Consumer;
  readonly generationId: number;
  /** Two members claim it of the same generation: one of them is wrong, and nobody knows which. */
  disputed: boolean;
}

export function assignSticky(
  counts: PartitionCounts,
  members: readonly AssignorMember[],
  claimOf: (member: AssignorMember) => Claim,
): Assignments {
  const consumers = inOrder(members).map(
    ({ memberId, subscription }): Consumer => ({
      memberId,
      topics: new Set(subscription.topics),
      slots: [],
    }),
  );
  const claims = new Map(members.map((member) => [member.memberId, claimOf(member)] as const));
  const free = keepClaims(counts, members, consumers, claims);
  const first = consumers[0];
  if (first !== undefined) {
    const same = consumers.every(
      ({ topics }) =>
        topics.size === first.topics.size && [...topics].every((topic) => first.topics.has(topic)),
    );
    if (same) divideEvenly(consumers, free);
    else divideAsFarAsPossible(consumers, free);
  }
  const builder = new AssignmentBuilder(members);
  for (const { memberId, slots } of consumers) {
    for (const { topic, partition } of slots) builder.add(memberId, topic, partition);
  }
  return builder.finish();
}

/** Gives each consumer what it rightly had; returns what nobody has, in order. */
function keepClaims(
  counts: PartitionCounts,
  members: readonly AssignorMember[],
  consumers: readonly Consumer[],
  claims: ReadonlyMap<string, Claim>,
): Slot[] {
  const owners = new Map<string, Map<PartitionIndex, Owner>>();
  for (const consumer of consumers) {
    const { generationId, partitions } = claims.get(consumer.memberId) as Claim;
    for (const { topic, partitions: indexes } of partitions) {
      if (!consumer.topics.has(topic)) continue;
      let byPartition = owners.get(topic);
      if (byPartition === undefined) {
        byPartition = new Map();
        owners.set(topic, byPartition);
      }
      for (const partition of indexes) {
        const other = byPartition.get(partition);
        if (other === undefined || other.generationId < generationId) {
          byPartition.set(partition, { consumer, generationId, disputed: false });
        } else if (other.generationId === generationId)
          other.disputed ||= other.consumer !== consumer;
      }
    }
  }
  const free: Slot[] = [];
  for (const topic of subscribedTopicsOf(counts, members)) {
    const count = counts.get(topic) ?? 0;
    const byPartition = owners.get(topic);
    for (let partition = 0; partition < count; partition++) {
      const owner = byPartition?.get(partition);
      if (owner === undefined || owner.disputed) free.push({ topic, partition });
      else owner.consumer.slots.push({ topic, partition });
    }
  }
  return free;
}

/** All subscribe to the same: nobody may have two more than anybody else. */
function divideEvenly(consumers: readonly Consumer[], free: Slot[]): void {
  let total = free.length;
  for (const { slots } of consumers) total += slots.length;
  const least = Math.floor(total / consumers.length);
  /** So many have one more. */
  let extras = total % consumers.length;
  const room = new Map<Consumer, number>();
  for (const consumer of consumers) {
    const { slots } = consumer;
    const extra = slots.length > least && extras > 0 ? 1 : 0;
    extras -= extra;
    free.push(...slots.splice(least + extra));
    room.set(consumer, least + extra - slots.length);
  }
  for (const consumer of consumers) {
    if (extras === 0) break;
    // Who is full with the least it must have may take one more.
    if (consumer.slots.length + (room.get(consumer) ?? 0) > least) continue;
    room.set(consumer, (room.get(consumer) ?? 0) + 1);
    extras--;
  }
  free.sort(compareSlots);
  // In turn, so that a topic's partitions come to as many members as possible.
  let open = consumers.filter((consumer) => (room.get(consumer) ?? 0) > 0);
  for (let at = 0; at < free.length; ) {
    const next: Consumer[] = [];
    for (const consumer of open) {
      const slot = free[at];
      if (slot === undefined) break;
      at++;
      consumer.slots.push(slot);
      const left = (room.get(consumer) ?? 0) - 1;
      room.set(consumer, left);
      if (left > 0) next.push(consumer);
    }
    open = next;
  }
}

/**
 * Subscriptions differ: each free partition goes to the least loaded of those who want its topic,
 * those that few want first; then single partitions move as long as that evens two members out.
 * Each move lowers the sum of the squared loads, so it ends.
 */
function divideAsFarAsPossible(consumers: readonly Consumer[], free: Slot[]): void {
  const wanting = new Map<string, Consumer[]>();
  for (const consumer of consumers) {
    for (const topic of consumer.topics) {
      const list = wanting.get(topic);
      if (list === undefined) wanting.set(topic, [consumer]);
      else list.push(consumer);
    }
  }
  const leastLoaded = (topic: string): Consumer | undefined => {
    let best: Consumer | undefined;
    for (const consumer of wanting.get(topic) ?? []) {
      if (best === undefined || consumer.slots.length < best.slots.length) best = consumer;
    }
    return best;
  };
  const wantedBy = ({ topic }: Slot): number => wanting.get(topic)?.length ?? 0;
  free.sort((left, right) => wantedBy(left) - wantedBy(right) || compareSlots(left, right));
  for (const slot of free) leastLoaded(slot.topic)?.slots.push(slot);
  for (let moved = true; moved; ) {
    moved = false;
    for (const consumer of consumers) {
      for (let at = consumer.slots.length - 1; at >= 0; at--) {
        const slot = consumer.slots[at] as Slot;
        const other = leastLoaded(slot.topic);
        if (other === undefined || consumer.slots.length - other.slots.length < 2) continue;
        consumer.slots.splice(at, 1);
        other.slots.push(slot);
        moved = true;
      }
    }
  }
}

function compareSlots(left: Slot, right: Slot): number {
  return compareText(left.topic, right.topic) || left.partition - right.partition;
}

/** Kafka's StickyAssignorUserData, version 1: the last assignment, and its generation. */
function encodeUserData({ generationId, partitions }: MemberState): Uint8Array | null {
  if (partitions.length === 0) return null;
  const writer = new FieldWriter();
  writer.array(partitions, ({ topic, partitions: indexes }) => {
    writer.string(topic).array(indexes, (partition) => {
      writer.int32(partition);
    });
  });
  return writer.int32(generationId).finish();
}

/** Version 0 has no generation. What cannot be read claims nothing. */
function claimOfUserData({ subscription }: AssignorMember): Claim {
  const nothing = { generationId: -1, partitions: [] };
  if (subscription.userData === null) return nothing;
  try {
    const reader = new FieldReader(subscription.userData);
    const partitions = reader.array(() => {
      const topic = reader.string();
      return { topic, partitions: reader.array(() => reader.int32()) };
    });
    return { partitions, generationId: reader.remaining >= 4 ? reader.int32() : -1 };
  } catch (error) {
    if (error instanceof RangeError) return nothing;
    throw error;
  }
}
