/** The use cases of broker 1 in a cluster of three replica managers. */
import type {
  FetchedOne,
  FetchOnceOptions,
  FetchOne,
  ProduceOne,
  ProduceResult,
} from "../../../src/broker/broker-api.ts";
import { OpenFetch } from "../../../src/broker/fetch-session.ts";
import { OneFetch } from "../../../src/broker/one-fetch.ts";
import { Partitions } from "../../../src/broker/partitions.ts";
import { ProducerDesk } from "../../../src/broker/produce.ts";
import { Traffic } from "../../../src/broker/traffic.ts";
import type { MetadataImage } from "../../../src/metadata/image.ts";
import type { TopicConfig } from "../../../src/model/topic-config.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { type BatchOptions, sealedBatch, TOPIC } from "../runtime/cluster-image.ts";
import { ReplicaCluster } from "../runtime/replica-cluster.ts";

export class Desk {
  readonly cluster: ReplicaCluster;
  readonly ports: Ports;
  readonly partitions: Partitions;
  readonly traffic: Traffic;
  readonly producers: ProducerDesk;
  image: MetadataImage;

  private constructor(cluster: ReplicaCluster, image: MetadataImage) {
    this.cluster = cluster;
    this.image = image;
    this.ports = cluster.member(1).memory.ports;
    this.partitions = new Partitions({
      self: 1,
      image: () => this.image,
      replicas: cluster.member(1).manager,
    });
    this.traffic = new Traffic(this.ports, { isTopic: (name) => name === "topic" });
    this.producers = new ProducerDesk(this.ports, {
      partitions: this.partitions,
      traffic: this.traffic,
    });
  }

  static async start(image: MetadataImage, config: Partial<TopicConfig> = {}): Promise<Desk> {
    const cluster = await ReplicaCluster.start();
    cluster.config = { ...cluster.config, ...config };
    const desk = new Desk(cluster, image);
    await cluster.begin(image);
    return desk;
  }

  async publish(image: MetadataImage): Promise<void> {
    this.image = image;
    this.cluster.publish(image);
    await this.cluster.run(20);
  }

  batch(text: string, options: BatchOptions = {}): Uint8Array {
    return sealedBatch(text, this.ports.codecs.crc32c, options);
  }

  one(batch: Uint8Array, change: Partial<ProduceOne> = {}): ProduceOne {
    return { topic: TOPIC, partition: 0, batch, acks: -1, timeoutMs: 1_000, ...change };
  }

  produce(batch: Uint8Array, change: Partial<ProduceOne> = {}): Promise<ProduceResult> {
    const produced = this.producers.produce(this.one(batch, change));
    return this.cluster.member(1).memory.world.settle(produced);
  }

  openFetch(sink: (fetched: readonly FetchedOne[]) => void | Promise<void>): OpenFetch {
    return new OpenFetch(this.ports, {
      partitions: this.partitions,
      traffic: this.traffic,
      sink,
      onClosed: () => undefined,
    });
  }

  fetchOnce(ones: readonly FetchOne[], options: Partial<FetchOnceOptions> = {}): OneFetch {
    return new OneFetch(this.ports, ones, {
      minBytes: 1,
      maxBytes: 1024 * 1024,
      maxWaitMs: 500,
      ...options,
      partitions: this.partitions,
      traffic: this.traffic,
      onSettled: () => undefined,
    });
  }
}
