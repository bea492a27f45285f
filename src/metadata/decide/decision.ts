/** What every decision gets and gives. A whole request is refused by throwing an `OttlaError`. */
import { OttlaError, toOttlaError } from "../../model/errors.ts";
import type { BrokerEpoch, BrokerId, TopicId } from "../../model/ids.ts";
import type { ItemError } from "../commands.ts";
import type { BrokerRegistration, MetadataImage } from "../image.ts";
import type { MetadataRecord } from "../records.ts";

export interface DecideContext {
  /** Of the active controller: defaults of new topics, and of keys that nobody set since. */
  readonly properties: ReadonlyMap<string, string>;
  /** Of `controller.quorum.voters`: as many brokers a new cluster expects. */
  readonly votersCount: number;
  /** 32 random bits, for placement. */
  readonly seed: number;
  /** Fresh ids, at least as many as topics are asked for. */
  readonly topicIds: readonly TopicId[];
}

/** Records in an order that leaves a lawful image after each (see `encodeInEntries`). */
export interface Decision<Reply> {
  readonly records: readonly MetadataRecord[];
  readonly reply: Reply;
}

/** Runs the decision of one item; its refusal becomes the item's error. */
export function itemErrorOf(decide: () => void): ItemError | null {
  try {
    decide();
    return null;
  } catch (thrown) {
    if (!(thrown instanceof OttlaError)) throw thrown;
    const { code, message, field } = toOttlaError(thrown);
    return field === undefined ? { code, message } : { code, message, field };
  }
}

/** Throws BROKER_ID_NOT_REGISTERED, or STALE_BROKER_EPOCH once a newer life registered (KIP-903). */
export function checkBrokerEpoch(
  image: MetadataImage,
  id: BrokerId,
  epoch: BrokerEpoch,
): BrokerRegistration {
  const broker = image.brokers.get(id);
  if (broker === undefined) {
    throw new OttlaError("BROKER_ID_NOT_REGISTERED", `broker ${id} is not registered`, {
      field: "brokerId",
    });
  }
  if (broker.epoch !== epoch) {
    throw new OttlaError(
      "STALE_BROKER_EPOCH",
      `broker ${id} has epoch ${broker.epoch}; the request names ${epoch}`,
      { field: "brokerEpoch" },
    );
  }
  return broker;
}
