/** What must hold of every image, and between an image and a later one of the same cluster. */
import { type BrokerId, NONE } from "../model/ids.ts";
import type { MetadataImage, TopicImage } from "./image.ts";
import { minIsrOf } from "./image-configs.ts";
import type { PartitionState } from "./records.ts";

/** Violations in words, each with the invariant's number (C1 to C4, C13, C15); none: the image is lawful. */
export function checkImage(image: MetadataImage): readonly string[] {
  const found: string[] = [];
  const incarnations = new Set<string>();
  for (const broker of image.brokers.values()) {
    if (broker.epoch > image.lastBrokerEpoch) {
      found.push(`C9: broker ${broker.id} has epoch ${broker.epoch}, above the highest given out`);
    }
    if (incarnations.has(broker.incarnationId)) {
      found.push(`C9: incarnation ${broker.incarnationId} is registered twice`);
    }
    incarnations.add(broker.incarnationId);
  }
  for (const [name, id] of image.topicIds) {
    if (image.topics.get(id)?.name !== name) found.push(`C14: name ${name} leads to another topic`);
  }
  for (const topic of image.topics.values()) {
    if (image.topicIds.get(topic.name) !== topic.id) {
      found.push(`C14: topic ${topic.name} is not found by its name`);
    }
    topic.partitions.forEach((state, partition) => {
      for (const violation of checkPartition(image, topic, state)) {
        found.push(`${violation} (${topic.name}-${partition}: ${JSON.stringify(state)})`);
      }
    });
  }
  return found;
}

function checkPartition(
  image: MetadataImage,
  topic: TopicImage,
  state: PartitionState,
): readonly string[] {
  const { replicas, isr, elr, leader, lastKnownLeader } = state;
  const found: string[] = [];
  const expect = (holds: boolean, violation: string): void => {
    if (!holds) found.push(violation);
  };
  const within = (ids: readonly BrokerId[]): boolean => ids.every((id) => replicas.includes(id));
  const distinct = (ids: readonly BrokerId[]): boolean => new Set(ids).size === ids.length;

  expect(leader === NONE || isr.includes(leader), "C1: the leader is not in the ISR");
  expect(within(isr) && distinct(isr), "C1: the ISR is not a part of the replicas");
  expect(within(elr) && distinct(elr), "C1: the ELR is not a part of the replicas");
  expect(!isr.some((id) => elr.includes(id)), "C1: ISR and ELR overlap");
  expect(isr.length > 0 === (leader !== NONE), "C2: an ISR without a leader, or the reverse");
  expect(
    isr.length + elr.length > 0 || (lastKnownLeader !== NONE && replicas.includes(lastKnownLeader)),
    "C2: nobody is known who led last",
  );
  expect(
    lastKnownLeader === NONE || (leader === NONE && !elr.includes(lastKnownLeader)),
    "C2: a last known leader beside a leader, or in the ELR",
  );
  for (const id of isr) {
    const broker = image.brokers.get(id);
    expect(broker !== undefined && !broker.fenced, `C3: broker ${id} is fenced and in the ISR`);
  }
  expect(
    isr.length < minIsrOf(image, topic.name, replicas.length) || elr.length === 0,
    "C4: an ELR although the ISR is large enough",
  );
  const { adding, removing } = state;
  expect(within(adding) && within(removing), "C13: what is added or removed is no replica");
  expect(replicas.length > 0 && distinct(replicas), "C15: replicas are not distinct");
  expect(state.directories.length === replicas.length, "C15: a replica without its directory");
  return found;
}

/** Violations of C5, C9, C14 and R21 on the way from one image to a later one. */
export function checkStep(before: MetadataImage, after: MetadataImage): readonly string[] {
  const found: string[] = [];
  if (after.lastBrokerEpoch < before.lastBrokerEpoch) found.push("C9: broker epochs fell");
  if (after.nextProducerId < before.nextProducerId) found.push("R21: producer ids fell");
  for (const [id, broker] of after.brokers) {
    const old = before.brokers.get(id);
    if (
      old !== undefined &&
      old.incarnationId !== broker.incarnationId &&
      broker.epoch <= old.epoch
    ) {
      found.push(`C9: broker ${id} registered anew without a higher epoch`);
    }
  }
  for (const [id, topic] of after.topics) {
    const old = before.topics.get(id);
    if (old === undefined) continue;
    if (old.name !== topic.name) found.push(`C14: topic id ${id} changed its name`);
    topic.partitions.forEach((state, partition) => {
      const earlier = old.partitions[partition];
      if (earlier === undefined) return;
      for (const violation of checkPartitionStep(earlier, state)) {
        found.push(
          `${violation} (${topic.name}-${partition}: ${JSON.stringify(earlier)} then ${JSON.stringify(state)})`,
        );
      }
    });
    if (topic.partitions.length < old.partitions.length)
      found.push(`${topic.name} lost partitions`);
  }
  return found;
}

function checkPartitionStep(before: PartitionState, after: PartitionState): readonly string[] {
  const found: string[] = [];
  if (after.leaderEpoch < before.leaderEpoch) found.push("C5: the leader epoch fell");
  if (after.leader !== before.leader && after.leaderEpoch === before.leaderEpoch) {
    found.push("C5: a new leader without a new leader epoch");
  }
  const changed = JSON.stringify(before) !== JSON.stringify(after);
  if (changed && after.partitionEpoch <= before.partitionEpoch) {
    found.push("C5: a change without a new partition epoch");
  }
  return found;
}
