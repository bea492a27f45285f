/**
 * L10, no growth: when everything has healed, timers, streams and open stores of each process are
 * about as many as after the cluster had formed, and no store keeps writes that nothing syncs.
 * Processes that were started again are compared with what one may need, not with themselves.
 */
import type { PeerChannel } from "../../../src/ports/peer-network.ts";
import { type Invariant, partitionsOf, type RunContext } from "../cluster/run-context.ts";

const STATEMENT = "L10 nothing grows";
/** One stream of each kind in each direction; one more while it is replaced. */
const STREAMS_MOST: Readonly<Record<PeerChannel, number>> = {
  raft: 2,
  replication: 2,
  controller: 2,
  offsets: 2,
};
/** Of the broker itself, of each peer, of each partition that it has a replica of. */
const TIMERS = { broker: 40, peer: 12, partition: 6 };
/** Metadata and states, and segments: those that are written, and those that are read. */
const STORES = { broker: 4, partition: 8 };

export function noGrowth(context: RunContext): Invariant {
  function checkTimers(node: string, replicasCount: number): void {
    const life = context.lifeOf(node);
    const most =
      TIMERS.broker + TIMERS.peer * context.nodes.length + TIMERS.partition * replicasCount;
    if (life === undefined || life.timersCount <= most) return;
    context.fail(STATEMENT, `${node} has ${life.timersCount} timers, at most ${most} are needed`);
  }

  function checkStores(node: string, replicasCount: number): void {
    let count = 0;
    for (const [, entry] of context.diskOf(node).below("")) {
      if (entry.type === "store" && entry.state.isOpen) count++;
    }
    const most = STORES.broker + STORES.partition * replicasCount + segmentsCount(node);
    if (count <= most) return;
    context.fail(STATEMENT, `${node} has ${count} stores open, at most ${most} are needed`);
  }

  /** Segments may be so small that any number of them have just been read. */
  function segmentsCount(node: string): number {
    const paths = new Set<string>();
    for (const log of context.logs.all()) {
      if (log.node !== node) continue;
      for (const { store } of log.batches) paths.add(store);
    }
    return paths.size;
  }

  function checkStreams(): void {
    const counts = new Map<string, number>();
    for (const { incarnation, peer, channel } of context.network.streams()) {
      const id = `${incarnation.node.name} ${peer} ${channel}`;
      const count = (counts.get(id) ?? 0) + 1;
      counts.set(id, count);
      // One opens, the other accepts: each may stand on both ends of one.
      const most = 2 * STREAMS_MOST[channel];
      if (count > most)
        context.fail(STATEMENT, `${id}: ${count} streams, at most ${most} are needed`);
    }
  }

  return {
    onRest() {
      const replicas = new Map<string, number>();
      for (const [, partition] of partitionsOf(context.newestImage())) {
        for (const id of partition.replicas) {
          const node = context.nodeOf(id);
          replicas.set(node, (replicas.get(node) ?? 0) + 1);
        }
      }
      for (const node of context.nodes) {
        checkTimers(node, replicas.get(node) ?? 0);
        checkStores(node, replicas.get(node) ?? 0);
      }
      checkStreams();
    },
  };
}
