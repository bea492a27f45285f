/** What happened to a cluster between two looks at it, and how its replicas are spread. */
import type { ClusterDescription, TopicDescription } from "../client/index.ts";
import { LeaderBook } from "./leader-watch.ts";

/** Of one broker, over all partitions. */
export interface BrokerTally {
  leaders: number;
  replicas: number;
  inSync: number;
}

export interface PartitionTally {
  readonly byBroker: ReadonlyMap<number, BrokerTally>;
  readonly partitionsCount: number;
  readonly underReplicatedCount: number;
  /** Without a leader. */
  readonly offlineCount: number;
}

/** More changes of leaders at once than this are counted, not listed. */
const LEADERS_LISTED = 8;

export function tally(topics: readonly TopicDescription[]): PartitionTally {
  const byBroker = new Map<number, BrokerTally>();
  const of = (id: number): BrokerTally => {
    const known = byBroker.get(id) ?? { leaders: 0, replicas: 0, inSync: 0 };
    byBroker.set(id, known);
    return known;
  };
  let partitionsCount = 0;
  let underReplicatedCount = 0;
  let offlineCount = 0;
  for (const { partitions } of topics) {
    for (const { isr, leader, replicas } of partitions) {
      partitionsCount++;
      if (isr.length < replicas.length) underReplicatedCount++;
      if (leader < 0) offlineCount++;
      else of(leader).leaders++;
      for (const id of replicas) of(id).replicas++;
      for (const id of isr) of(id).inSync++;
    }
  }
  return { byBroker, partitionsCount, underReplicatedCount, offlineCount };
}

export function stateOf(broker: ClusterDescription["brokers"][number]): string {
  if (broker.fenced) return "fenced";
  return broker.inControlledShutdown ? "shutting down" : "alive";
}

export class ClusterNews {
  readonly #leaders = new LeaderBook();
  #states: ReadonlyMap<number, string> | undefined;
  #controllerId: number | undefined;

  /** Sentences, in the order of cause and effect. What is seen first is no news. */
  update(cluster: ClusterDescription, topics: readonly TopicDescription[]): readonly string[] {
    return [...this.#brokers(cluster), ...this.#controller(cluster), ...this.#moved(topics)];
  }

  #brokers({ brokers }: ClusterDescription): readonly string[] {
    const before = this.#states;
    this.#states = new Map(brokers.map((broker) => [broker.id, stateOf(broker)]));
    if (before === undefined) return [];
    return [...this.#states].flatMap(([id, state]) => {
      const earlier = before.get(id);
      if (earlier === state) return [];
      return [earlier === undefined ? `broker ${id} is new` : `broker ${id} is ${state}`];
    });
  }

  #controller({ controllerId }: ClusterDescription): readonly string[] {
    const before = this.#controllerId;
    this.#controllerId = controllerId;
    if (before === undefined || before === controllerId) return [];
    if (controllerId < 0) return [`there is no active controller (before: broker ${before})`];
    const earlier = before < 0 ? "none" : `broker ${before}`;
    return [`broker ${controllerId} is the active controller (before: ${earlier})`];
  }

  #moved(topics: readonly TopicDescription[]): readonly string[] {
    const changes = this.#leaders.update(topics);
    const listed = changes.slice(0, LEADERS_LISTED).map((change) => {
      const { leader, leaderEpoch, partition, previousLeader, topic } = change;
      const now = leader < 0 ? "has no leader" : `is led by broker ${leader}`;
      const earlier = previousLeader < 0 ? "none" : `broker ${previousLeader}`;
      return `${topic}-${partition} ${now} (before: ${earlier}; leader epoch ${leaderEpoch})`;
    });
    const more = changes.length - listed.length;
    return more > 0 ? [...listed, `${more} more partitions have another leader`] : listed;
  }
}
