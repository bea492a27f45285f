/** The streams of this broker to the leaders it follows, one each, opened and closed as needed. */
import type { MetadataImage } from "../metadata/image.ts";
import type { BrokerEpoch, BrokerId } from "../model/ids.ts";
import type { PeerAddress } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";
import type { FollowerReplica } from "./follower-replica.ts";
import { ReplicationFetcher } from "./replication-fetcher.ts";

export interface ReplicationFetchersOptions {
  readonly self: BrokerId;
  readonly interBrokerListenerName: string;
}

export class ReplicationFetchers {
  readonly #ports: Ports;
  readonly #options: ReplicationFetchersOptions;
  readonly #fetchers = new Map<BrokerId, ReplicationFetcher>();
  /** Follow a broker whose address is not known. */
  readonly #homeless = new Set<FollowerReplica>();
  /** Brokers that nothing was followed on when last looked. */
  readonly #idle = new Set<BrokerId>();
  #image: MetadataImage | undefined;

  constructor(ports: Ports, options: ReplicationFetchersOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  add(replica: FollowerReplica): void {
    const fetcher = this.#fetchers.get(replica.leaderId) ?? this.#openTo(replica.leaderId);
    if (fetcher === undefined) this.#homeless.add(replica);
    else fetcher.add(replica);
  }

  remove(replica: FollowerReplica): void {
    this.#homeless.delete(replica);
    const fetcher = this.#fetchers.get(replica.leaderId);
    if (fetcher === undefined) return;
    fetcher.remove(replica);
    // A replica that is cut to follow its leader comes back: only a broker that is followed no
    // more costs a stream, and then for one metadata change at most.
    if (fetcher.size === 0) this.#idle.add(replica.leaderId);
  }

  onDurable(replica: FollowerReplica): void {
    this.#fetchers.get(replica.leaderId)?.onDurable(replica);
  }

  /** Leaders that moved are met at their new address; a new life of this broker says so itself. */
  onMetadata(image: MetadataImage): void {
    const brokersChanged = this.#image?.brokers !== image.brokers;
    this.#image = image;
    for (const leaderId of this.#idle) {
      const fetcher = this.#fetchers.get(leaderId);
      if (fetcher?.size !== 0) continue;
      fetcher.close();
      this.#fetchers.delete(leaderId);
    }
    this.#idle.clear();
    if (!brokersChanged) return;
    for (const [leaderId, fetcher] of [...this.#fetchers]) {
      const address = this.#addressOf(leaderId);
      if (address === undefined) continue;
      const same =
        address.host === fetcher.address.host &&
        address.port === fetcher.address.port &&
        this.#ownEpoch() === fetcher.brokerEpoch;
      if (same) continue;
      const replicas = fetcher.replicas();
      fetcher.close();
      this.#fetchers.delete(leaderId);
      for (const replica of replicas) this.add(replica);
    }
    const homeless = [...this.#homeless];
    this.#homeless.clear();
    for (const replica of homeless) this.add(replica);
  }

  close(): void {
    for (const fetcher of this.#fetchers.values()) fetcher.close();
    this.#fetchers.clear();
    this.#homeless.clear();
  }

  #openTo(leaderId: BrokerId): ReplicationFetcher | undefined {
    const address = this.#addressOf(leaderId);
    const brokerEpoch = this.#ownEpoch();
    const clusterId = this.#image?.clusterId;
    if (address === undefined || brokerEpoch === undefined || clusterId === undefined) {
      return undefined;
    }
    const brokerId = this.#options.self;
    const fetcher = new ReplicationFetcher(this.#ports, {
      leaderId,
      address,
      brokerId,
      brokerEpoch,
      clusterId,
    });
    this.#fetchers.set(leaderId, fetcher);
    return fetcher;
  }

  #ownEpoch(): BrokerEpoch | undefined {
    return this.#image?.brokers.get(this.#options.self)?.epoch;
  }

  #addressOf(id: BrokerId): PeerAddress | undefined {
    const name = this.#options.interBrokerListenerName;
    return this.#image?.brokers.get(id)?.endpoints.find((endpoint) => endpoint.name === name);
  }
}
