/**
 * What the promise covers, kept as a map of good copies: which machines have lost what they had
 * vouched for, and whether the cluster has been whole again since. As long as the injector stays
 * within it, every loss is a bug. The idea is TigerBeetle's fault atlas.
 *
 * The promise: one machine's disk may be lost at a time, once every replica is in sync again and
 * nobody is fenced after the last loss. And with `min.insync.replicas=1` none may be: what was
 * acknowledged may have lain on that disk only.
 *
 * A replica that leaves the ISR by itself, because its storage failed or takes nothing more, is
 * nobody to count on from then on, as it is once the controller has heard of it: two disks have
 * trouble at once. It is whole, perhaps, and what it holds is not lost; but nobody knows, and
 * nobody makes it lead.
 */
import { type PartitionIndex, partitionKey } from "../../../src/model/ids.ts";
import type { Cluster, SimBroker } from "../cluster/cluster.ts";
import { partitionByKey, partitionsOf } from "../cluster/run-context.ts";
import type { LogLine } from "../world/sim-node.ts";

export interface AtlasOptions {
  readonly cluster: Cluster;
  /** Of every topic, the smallest. */
  readonly minIsr: number;
  /** Every replica in sync, every voter counted again, nobody fenced. */
  readonly whole: () => boolean;
}

const LEAVES = /^a storage error took a replica offline$|^a replica leaves the ISR/;

interface Leaving {
  readonly broker: SimBroker;
  readonly life: number;
  readonly key: string;
}

export class Atlas {
  readonly #cluster: Cluster;
  readonly #minIsr: number;
  /**
   * Machines that lost something and have not been seen whole since, with the broker epoch under
   * which they had vouched for it: until they register anew, metadata still speak of the former life.
   */
  readonly #lost = new Map<SimBroker, number>();
  /** Machines on whose disks damage may lie unseen for the rest of the run. */
  readonly #damaged = new Set<SimBroker>();
  /** Replicas that leave the ISR, as far as the newest metadata does not show it yet. */
  #leaving: Leaving[] = [];
  #beyond = false;

  constructor({ cluster, minIsr, whole }: AtlasOptions) {
    this.#cluster = cluster;
    this.#minIsr = minIsr;
    // Wholeness is a matter of metadata, and changes with it only.
    cluster.watch([
      {
        onImage: () => {
          if (this.#lost.size > 0 && this.#allRegisteredAnew() && whole()) this.#lost.clear();
          this.#leaving = this.#leaving.filter((one) => this.#stillLeaves(one));
        },
      },
    ]);
    for (const broker of cluster.brokers) {
      const { node } = broker;
      const { onLog } = node;
      node.onLog = (line) => {
        if (LEAVES.test(line.message)) this.#leaves(broker, line);
        onLog(line);
      };
    }
  }

  /** More was taken than is promised to survive. */
  get beyond(): boolean {
    return this.#beyond;
  }

  goBeyond(): void {
    this.#beyond = true;
  }

  /** Whether what it vouches for is what it has. */
  isWhole(broker: SimBroker): boolean {
    return !this.#lost.has(broker);
  }

  /** Whether the broker may lose its whole disk now. */
  mayLose(broker: SimBroker): boolean {
    const { shape } = this.#cluster;
    // A sole voter that forgets everything forms another cluster, as it must.
    if (this.#minIsr < 2 || shape.votersCount < 3) return false;
    if (this.#lost.size > 0) return false;
    for (const other of this.#damaged) if (other !== broker) return false;
    return this.#heldWithout(broker);
  }

  /** Whether some of what lies on its disk may rot unseen: then nobody else's may, ever. */
  mayDamage(broker: SimBroker): boolean {
    if (!this.#damaged.has(broker) && this.#damaged.size > 0) return false;
    return this.mayLose(broker);
  }

  lose(broker: SimBroker): void {
    this.#lost.set(broker, this.#epochOf(broker));
    this.#damaged.delete(broker);
  }

  damage(broker: SimBroker): void {
    this.#damaged.add(broker);
  }

  #allRegisteredAnew(): boolean {
    return [...this.#lost].every(([broker, epoch]) => this.#epochOf(broker) > epoch);
  }

  #leaves(broker: SimBroker, { fields }: LogLine): void {
    const { topic, partition } = fields as { topic: string; partition: PartitionIndex };
    const topicId = this.#cluster.newestImage().topicIds.get(topic);
    const life = broker.node.incarnation?.life;
    if (topicId === undefined || life === undefined) return;
    this.#leaving.push({ broker, life, key: partitionKey(topicId, partition) });
  }

  /** A life that ended before it was heard will be judged by its successor's registration. */
  #stillLeaves({ broker, life, key }: Leaving): boolean {
    const partition = partitionByKey(this.#cluster.newestImage(), key);
    if (partition === undefined || broker.node.incarnation?.life !== life) return false;
    return [...partition.isr, ...partition.elr].includes(broker.id);
  }

  #epochOf({ id }: SimBroker): number {
    return this.#cluster.newestImage().brokers.get(id)?.epoch ?? -1;
  }

  /** Every partition has somebody else who holds all that was committed. */
  #heldWithout(broker: SimBroker): boolean {
    for (const [key, { isr, elr }] of partitionsOf(this.#cluster.newestImage())) {
      const leaving = this.#leaving.filter((one) => one.key === key).map((one) => one.broker.id);
      const left = [...isr, ...elr].filter((id) => id !== broker.id && !leaving.includes(id));
      if (left.length === 0) return false;
    }
    return true;
  }
}
