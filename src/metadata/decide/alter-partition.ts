/**
 * A leader's wish to change an ISR (C8). It is granted only to the leader of the present leader epoch
 * who knows the present partition epoch, and only for members whose present life may join.
 */
import { OttlaError } from "../../model/errors.ts";
import { type BrokerEpoch, type BrokerId, partitionKey } from "../../model/ids.ts";
import type { AlterPartition, AlterPartitionItem, AlterPartitionResult } from "../commands.ts";
import type { MetadataImage, TopicImage } from "../image.ts";
import { minIsrOf } from "../image-configs.ts";
import { changePartition, electableIn, withEnd } from "../partition-change.ts";
import type { MetadataRecord, PartitionState } from "../records.ts";
import { checkBrokerEpoch, type Decision, itemErrorOf } from "./decision.ts";

export function decideAlterPartition(
  image: MetadataImage,
  request: AlterPartition,
): Decision<{ readonly partitions: readonly AlterPartitionResult[] }> {
  checkBrokerEpoch(image, request.brokerId, request.brokerEpoch);
  const records: MetadataRecord[] = [];
  const seen = new Set<string>();
  const electable = electableIn(image);
  const partitions = request.partitions.map((item) => {
    const { topicId, partition } = item;
    const error = itemErrorOf(() => {
      const key = partitionKey(topicId, partition);
      if (seen.has(key)) {
        throw new OttlaError("DUPLICATE_RESOURCE", `partition ${key} stands twice`);
      }
      seen.add(key);
      const { topic, state } = findPartition(image, item);
      checkAuthority(state, request.brokerId, item);
      checkMembers(image, state, item);
      const change = changePartition(
        topicId,
        partition,
        state,
        {
          isr: item.newIsr.map(({ brokerId }) => brokerId),
          ...(item.lost === undefined ? {} : { lost: item.lost }),
        },
        { electable, minIsr: minIsrOf(image, topic.name, state.replicas.length) },
      );
      records.push(...withEnd(topicId, partition, state, change, electable));
    });
    return { topicId, partition, error };
  });
  return { records, reply: { partitions } };
}

function findPartition(
  image: MetadataImage,
  { topicId, partition }: AlterPartitionItem,
): { readonly topic: TopicImage; readonly state: PartitionState } {
  const topic = image.topics.get(topicId);
  if (topic === undefined) {
    throw new OttlaError("UNKNOWN_TOPIC_ID", `topic id ${topicId} is not known`);
  }
  const state = topic.partitions[partition];
  if (state === undefined) {
    throw new OttlaError(
      "UNKNOWN_TOPIC_OR_PARTITION",
      `topic ${topic.name} has no partition ${partition}`,
    );
  }
  return { topic, state };
}

function checkAuthority(state: PartitionState, brokerId: BrokerId, item: AlterPartitionItem): void {
  if (item.leaderEpoch !== state.leaderEpoch) {
    throw new OttlaError(
      item.leaderEpoch < state.leaderEpoch ? "FENCED_LEADER_EPOCH" : "NOT_CONTROLLER",
      `the leader epoch is ${state.leaderEpoch}, not ${item.leaderEpoch}`,
    );
  }
  if (state.leader !== brokerId) {
    throw new OttlaError("INVALID_REQUEST", `broker ${brokerId} is not the leader`);
  }
  if (item.partitionEpoch !== state.partitionEpoch) {
    throw new OttlaError(
      "INVALID_UPDATE_VERSION",
      `the partition epoch is ${state.partitionEpoch}, not ${item.partitionEpoch}`,
    );
  }
}

function checkMembers(
  image: MetadataImage,
  state: PartitionState,
  { newIsr, lost }: AlterPartitionItem,
): void {
  const ids = newIsr.map(({ brokerId }) => brokerId);
  if (!ids.includes(state.leader)) {
    throw new OttlaError("INVALID_REQUEST", "a new ISR must contain the leader");
  }
  if (new Set(ids).size !== ids.length || !ids.every((id) => state.replicas.includes(id))) {
    throw new OttlaError(
      "INVALID_REQUEST",
      `a new ISR is a part of the replicas ${state.replicas.join(", ")}, each once`,
    );
  }
  const both = lost?.find((id) => ids.includes(id));
  if (both !== undefined) {
    throw new OttlaError("INVALID_REQUEST", `broker ${both} lost its tail and is in the new ISR`);
  }
  for (const member of newIsr) checkMember(image, state, member);
}

function checkMember(
  image: MetadataImage,
  state: PartitionState,
  { brokerId, brokerEpoch }: { readonly brokerId: BrokerId; readonly brokerEpoch: BrokerEpoch },
): void {
  const broker = image.brokers.get(brokerId);
  // A member that is already in may stay while it shuts down: its leader may have no other.
  const mayJoin = !(broker?.inControlledShutdown ?? true) || state.isr.includes(brokerId);
  if (broker === undefined || broker.fenced || broker.epoch !== brokerEpoch || !mayJoin) {
    throw new OttlaError(
      "INELIGIBLE_REPLICA",
      `broker ${brokerId} in epoch ${brokerEpoch} is fenced, stopping, or lives another life`,
    );
  }
}
