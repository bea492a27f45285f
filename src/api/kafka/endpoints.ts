/** Where clients of one listener find the brokers: at those brokers' listeners of the same name. */
import type { LeaderHint } from "../../broker/broker-api.ts";
import type { BrokerRegistration, MetadataImage } from "../../metadata/image.ts";
import type { Endpoint } from "../../metadata/records.ts";
import type { BrokerId } from "../../model/ids.ts";

/** As several responses have it. */
export interface NodeEndpoint {
  readonly nodeId: BrokerId;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

export function endpointOf(
  broker: BrokerRegistration | undefined,
  listenerName: string,
): Endpoint | undefined {
  return broker?.endpoints.find(({ name }) => name === listenerName);
}

/** Brokers that clients of the listener can reach. */
export function nodeEndpoints(
  brokers: Iterable<BrokerRegistration>,
  listenerName: string,
): NodeEndpoint[] {
  const nodes: NodeEndpoint[] = [];
  for (const broker of brokers) {
    const endpoint = endpointOf(broker, listenerName);
    if (endpoint === undefined) continue;
    nodes.push({ nodeId: broker.id, host: endpoint.host, port: endpoint.port, rack: broker.rack });
  }
  return nodes;
}

/** The leaders that results name, once each (KIP-951): a client goes there without asking again. */
export function hintedEndpoints(
  hints: Iterable<LeaderHint | undefined>,
  image: MetadataImage,
  listenerName: string,
): NodeEndpoint[] {
  const brokers = new Set<BrokerRegistration>();
  for (const hint of hints) {
    const broker = hint === undefined ? undefined : image.brokers.get(hint.brokerId);
    if (broker !== undefined) brokers.add(broker);
  }
  return nodeEndpoints(brokers, listenerName);
}
