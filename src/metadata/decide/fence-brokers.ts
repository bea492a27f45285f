/**
 * Brokers that died leave every ISR, and their partitions get new leaders, before they are marked as
 * fenced: the log may end between any two of these records.
 */
import type { BrokerId } from "../../model/ids.ts";
import type { MetadataImage } from "../image.ts";
import { changePartitions, electableIn } from "../partition-change.ts";
import type { MetadataRecord, PartitionState } from "../records.ts";

/** All in one change, so that no leader is moved to a broker that is next. */
export function decideFenceBrokers(
  image: MetadataImage,
  ids: readonly BrokerId[],
  properties: ReadonlyMap<string, string>,
): readonly MetadataRecord[] {
  const dead = new Set(ids.filter((id) => image.brokers.get(id)?.fenced === false));
  if (dead.size === 0) return [];
  const records = leaveEverywhere(image, dead, properties);
  for (const id of dead) {
    const brokerEpoch = image.brokers.get(id)?.epoch ?? 0;
    records.push({ type: "broker-change", brokerId: id, brokerEpoch, fenced: true });
  }
  return records;
}

/** The partitions' part: `gone` leave every ISR; they keep their place in ELRs, as KIP-966 has it. */
export function leaveEverywhere(
  image: MetadataImage,
  gone: ReadonlySet<BrokerId>,
  properties: ReadonlyMap<string, string>,
): MetadataRecord[] {
  return changePartitions(image, {
    electable: electableIn(image, gone),
    properties,
    goalOf: (state: PartitionState) =>
      state.isr.some((id) => gone.has(id))
        ? { isr: state.isr.filter((id) => !gone.has(id)) }
        : undefined,
  });
}
