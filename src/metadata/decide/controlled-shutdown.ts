/**
 * A broker that wants to stop hands its partitions on first. It leaves ISRs wherever somebody else
 * is left in them, so that no producer waits for its acknowledgements while it stops.
 */
import type { BrokerId } from "../../model/ids.ts";
import type { MetadataImage } from "../image.ts";
import { changePartitions, electableIn } from "../partition-change.ts";
import type { MetadataRecord, PartitionState } from "../records.ts";

/** At most `limit` partitions in one step; no records: nothing is left that could be moved. */
export function decideControlledShutdown(
  image: MetadataImage,
  id: BrokerId,
  options: { readonly limit: number; readonly properties: ReadonlyMap<string, string> },
): readonly MetadataRecord[] {
  const broker = image.brokers.get(id);
  if (broker === undefined || broker.fenced) return [];
  const records: MetadataRecord[] = [];
  if (!broker.inControlledShutdown) {
    const { epoch: brokerEpoch } = broker;
    records.push({ type: "broker-change", brokerId: id, brokerEpoch, inControlledShutdown: true });
  }
  const electable = electableIn(image, new Set([id]));
  let count = 0;
  records.push(
    ...changePartitions(image, {
      electable,
      properties: options.properties,
      goalOf: (state) => {
        if (count >= options.limit || !canLeave(state, id, electable)) return undefined;
        count++;
        return { isr: state.isr.filter((other) => other !== id), unclean: false };
      },
    }),
  );
  return records;
}

/** Whether a broker that shuts down may stop: it leads nothing that another could lead. */
export function hasLeadersToMove(image: MetadataImage, id: BrokerId): boolean {
  const electable = electableIn(image, new Set([id]));
  for (const topic of image.topics.values()) {
    for (const state of topic.partitions) if (canLeave(state, id, electable)) return true;
  }
  return false;
}

function canLeave(
  state: PartitionState,
  id: BrokerId,
  electable: ReturnType<typeof electableIn>,
): boolean {
  return (
    state.isr.includes(id) && state.isr.some((other) => other !== id && electable(other) === "yes")
  );
}
