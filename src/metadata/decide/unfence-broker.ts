/** A broker that is alive and has caught up may lead: partitions that waited for it get a leader. */
import type { BrokerId } from "../../model/ids.ts";
import { NONE } from "../../model/ids.ts";
import type { MetadataImage } from "../image.ts";
import { changePartitions, electableIn } from "../partition-change.ts";
import type { MetadataRecord } from "../records.ts";

export function decideUnfenceBroker(
  image: MetadataImage,
  id: BrokerId,
  properties: ReadonlyMap<string, string>,
): readonly MetadataRecord[] {
  const broker = image.brokers.get(id);
  if (broker === undefined || !broker.fenced) return [];
  const brokers = new Map(image.brokers).set(id, { ...broker, fenced: false });
  const unfenced: MetadataImage = { ...image, brokers };
  return [
    { type: "broker-change", brokerId: id, brokerEpoch: broker.epoch, fenced: false },
    ...changePartitions(unfenced, {
      electable: electableIn(unfenced),
      properties,
      goalOf: (state) =>
        state.leader === NONE && state.replicas.includes(id) ? { returned: id } : undefined,
    }),
  ];
}
