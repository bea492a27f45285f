/**
 * `ottla/testing`: a cluster of real brokers inside a Node test.
 *
 *     await using cluster = await startCluster({ brokers: 3 });
 *     const producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
 *     await cluster.killBroker(1);
 */
import { Cluster, type StartClusterOptions } from "./cluster.ts";

/**
 * Starts brokers as child processes on free ports and a temporary directory, and settles once a
 * write can be acknowledged. Rejects with the reason and the end of the broker's log.
 */
export function startCluster(options: StartClusterOptions = {}): Promise<Cluster> {
  return Cluster.start(options);
}

export type { Cluster, StartClusterOptions, StopOptions } from "./cluster.ts";
