/**
 * The leader's end of replication: takes the streams that followers open and gives each partition
 * on them its feed. One stream per follower broker; a newer one supersedes it.
 */
import type { MetadataImage } from "../metadata/image.ts";
import type { BrokerId, TopicPartition } from "../model/ids.ts";
import { partitionKey } from "../model/ids.ts";
import type { PeerStream } from "../ports/peer-network.ts";
import type { Ports } from "../ports/ports.ts";
import type { ReplicationDown, ReplicationUp } from "../replica/messages.ts";
import { FollowerStream, type Lookup } from "./follower-stream.ts";

export interface ReplicationServerOptions {
  /** Undefined until this broker has begun: no follower is admitted before. */
  readonly image: () => MetadataImage | undefined;
  /** What this broker is to a partition, right now. */
  readonly lookup: (partition: TopicPartition) => Lookup;
}

export class ReplicationServer {
  readonly #ports: Ports;
  readonly #options: ReplicationServerOptions;
  readonly #streams = new Map<BrokerId, FollowerStream>();
  readonly #all = new Set<FollowerStream>();

  constructor(ports: Ports, options: ReplicationServerOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  accept(stream: PeerStream<ReplicationDown, ReplicationUp>): void {
    const follower = new FollowerStream(this.#ports, {
      stream,
      lookup: this.#options.lookup,
      onHello: (hello) => this.#admit(follower, hello),
      onClosed: () => this.#forget(follower),
    });
    this.#all.add(follower);
  }

  /** The partition has a leader here now, or a new epoch: starts that waited for it are judged. */
  onLeaderStarted(partition: TopicPartition): void {
    const key = partitionKey(partition.topicId, partition.partition);
    for (const follower of this.#streams.values()) follower.onLeaderStarted(key);
  }

  close(): void {
    for (const follower of [...this.#all]) follower.close();
  }

  #admit(
    follower: FollowerStream,
    hello: Extract<ReplicationUp, { readonly type: "hello" }>,
  ): boolean {
    const { brokerId, brokerEpoch, clusterId } = hello;
    const image = this.#options.image();
    if (image === undefined) return false;
    if (clusterId !== image.clusterId) {
      this.#ports.logger.warn("a follower of another cluster was refused", { brokerId, clusterId });
      return false;
    }
    // An earlier life of the broker, or an earlier stream of it that was slower to arrive.
    const registered = image.brokers.get(brokerId)?.epoch ?? brokerEpoch;
    const before = this.#streams.get(brokerId);
    if (brokerEpoch < registered) return false;
    if (before !== undefined && before.brokerEpoch > brokerEpoch) return false;
    this.#streams.set(brokerId, follower);
    before?.close();
    return true;
  }

  #forget(follower: FollowerStream): void {
    this.#all.delete(follower);
    if (this.#streams.get(follower.brokerId) === follower) {
      this.#streams.delete(follower.brokerId);
    }
  }
}
