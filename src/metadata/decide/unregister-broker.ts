/** A broker that will not come back is forgotten; its replicas stay assigned until they are moved. */
import { OttlaError } from "../../model/errors.ts";
import type { BrokerId } from "../../model/ids.ts";
import type { MetadataImage } from "../image.ts";
import type { Decision } from "./decision.ts";

export function decideUnregisterBroker(
  image: MetadataImage,
  { brokerId }: { readonly brokerId: BrokerId },
): Decision<Record<string, never>> {
  const broker = image.brokers.get(brokerId);
  if (broker === undefined) {
    throw new OttlaError("BROKER_ID_NOT_REGISTERED", `broker ${brokerId} is not registered`, {
      field: "brokerId",
    });
  }
  // Fenced, it is in no ISR any more; alive, it would register again at once.
  if (!broker.fenced) {
    throw new OttlaError(
      "INVALID_REQUEST",
      `broker ${brokerId} is alive; only a broker that was stopped can be unregistered`,
      { field: "brokerId" },
    );
  }
  return { records: [{ type: "unregister-broker", brokerId }], reply: {} };
}
