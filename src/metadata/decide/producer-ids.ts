/** Blocks of producer ids: a broker gives them out one by one, the log only knows whole blocks. */
import type { AllocateProducerIds } from "../commands.ts";
import type { MetadataImage } from "../image.ts";
import { checkBrokerEpoch, type Decision } from "./decision.ts";

const BLOCK_COUNT = 1000;

export function decideAllocateProducerIds(
  image: MetadataImage,
  { brokerId, brokerEpoch }: AllocateProducerIds,
): Decision<{ readonly start: number; readonly count: number }> {
  checkBrokerEpoch(image, brokerId, brokerEpoch);
  const start = image.nextProducerId;
  const nextProducerId = start + BLOCK_COUNT;
  return {
    records: [{ type: "producer-ids", brokerId, brokerEpoch, nextProducerId }],
    reply: { start, count: BLOCK_COUNT },
  };
}
