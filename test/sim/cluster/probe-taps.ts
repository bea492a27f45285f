/** Detects the rare paths of `probes.ts` from outside; draws nothing and changes nothing. */
import type { Cluster } from "./cluster.ts";
import { clientProbes } from "./probe-clients.ts";
import { compactionProbes } from "./probe-compaction.ts";
import { controllerProbes } from "./probe-controller.ts";
import { groupProbes } from "./probe-groups.ts";
import { partitionProbes } from "./probe-partitions.ts";
import { quorumProbes } from "./probe-quorum.ts";
import { replicationProbes } from "./probe-replication.ts";
import { LOGGED, PROBES, ProbeCounts, type ProbeName, QUORUM_PROBES } from "./probes.ts";

export type Hit = (name: ProbeName) => void;

/** Of whole brokers; before the cluster starts. */
export function watchProbes(cluster: Cluster): ProbeCounts {
  const counts = new ProbeCounts(PROBES);
  const { hit } = counts;
  cluster.watch([
    quorumProbes(cluster, hit),
    controllerProbes(cluster, hit),
    partitionProbes(cluster, hit),
    replicationProbes(cluster, hit),
    clientProbes(cluster, hit),
    compactionProbes(cluster, hit),
    groupProbes(hit),
  ]);
  watchLines(cluster, hit);
  watchProcesses(cluster, hit);
  return counts;
}

/** Of the metadata quorum alone; before it starts. */
export function watchQuorumProbes(cluster: Cluster): ProbeCounts {
  const counts = new ProbeCounts(QUORUM_PROBES);
  cluster.watch([quorumProbes(cluster, counts.hit)]);
  watchLines(cluster, counts.hit);
  watchProcesses(cluster, counts.hit);
  return counts;
}

function watchLines(cluster: Cluster, hit: Hit): void {
  const lines = Object.entries(LOGGED) as [keyof typeof LOGGED, string][];
  /** Most lines are of no path: each text is compared once. */
  const known = new Map<string, ProbeName | undefined>();
  for (const { node } of cluster.brokers) {
    const { onLog } = node;
    node.onLog = (line) => {
      if (!known.has(line.message)) {
        known.set(line.message, lines.find(([, begins]) => line.message.startsWith(begins))?.[0]);
      }
      const name = known.get(line.message);
      if (name !== undefined) hit(name);
      onLog(line);
    };
  }
}

function watchProcesses(cluster: Cluster, hit: Hit): void {
  for (const broker of cluster.brokers) {
    const { node } = broker;
    // First of those that are told, while `running` still says how far it had come.
    node.onEnd.unshift((_incarnation, how) => {
      if (broker.running === undefined) hit("process-ended-while-starting");
      if (how === "exit") return;
      if (cluster.brokers.every((other) => other.node.incarnation === undefined)) {
        hit("whole-cluster-down");
      }
    });
    const { onFatal } = node;
    node.onFatal = (reason, cause) => {
      hit("broker-ended-itself");
      onFatal(reason, cause);
    };
  }
}
