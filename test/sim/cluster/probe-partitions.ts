/** Rare paths of partitions' metadata: ISR, ELR, elections. */

import type { PartitionImage } from "../../../src/metadata/image.ts";
import { minIsrOf } from "../../../src/metadata/image-configs.ts";
import type { Hit } from "./probe-taps.ts";
import { type Invariant, type RunContext, topicOfKey } from "./run-context.ts";

export function partitionProbes(context: RunContext, hit: Hit): Invariant {
  const electedMs = new Map<string, number>();
  const names = new Map<string, string>();
  let uncleanCount = 0;

  function watchElection(key: string, before: PartitionImage, after: PartitionImage): void {
    if (after.leader === -1) {
      if (before.leader !== -1) hit("partition-without-leader");
      return;
    }
    if (after.leader === before.leader) return;
    if (before.isr.includes(after.leader)) hit("election-from-isr");
    else if (before.elr.includes(after.leader)) hit("election-from-elr");
    if (before.leader !== -1 && after.isr.includes(before.leader))
      hit("leader-moved-while-in-sync");
    const { nowMs } = context.world;
    if (nowMs - (electedMs.get(key) ?? Number.NEGATIVE_INFINITY) < 1_000) {
      hit("two-elections-within-a-second");
    }
    electedMs.set(key, nowMs);
  }

  function watchIsr(key: string, before: PartitionImage, after: PartitionImage): void {
    if (after.isr.some((id) => !before.isr.includes(id))) hit("isr-grown");
    if (after.elr.length > 0 && before.elr.length === 0) hit("elr-filled");
    if (before.isr.every((id) => after.isr.includes(id))) return;
    hit("isr-shrunk");
    const image = context.newestImage();
    const minIsr = minIsrOf(image, topicOfKey(image, key) ?? "", after.replicas.length);
    if (after.isr.length === 0) hit("isr-empty");
    else if (after.isr.length < minIsr) hit("isr-below-the-minimum");
    else if (after.isr.length === minIsr) hit("isr-shrunk-to-the-minimum");
  }

  return {
    onPartition({ key, before, after }) {
      if (before === undefined) return;
      watchElection(key, before, after);
      watchIsr(key, before, after);
    },
    onMetadata({ before, after }) {
      if (after.uncleanElectionsCount > uncleanCount) {
        uncleanCount = after.uncleanElectionsCount;
        hit("unclean-election");
      }
      if (before.topics === after.topics) return;
      for (const topic of before.topics.values()) {
        const now = after.topics.get(topic.id);
        if (now === undefined) hit("topic-deleted");
        else if (now.partitions.length > topic.partitions.length) hit("partition-added");
      }
      for (const topic of after.topics.values()) {
        const known = names.get(topic.name);
        if (known !== undefined && known !== topic.id) hit("topic-created-again");
        names.set(topic.name, topic.id);
      }
    },
  };
}
