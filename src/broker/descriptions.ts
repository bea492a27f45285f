/** What a broker tells of its replicas, to people and their tools. */
import { toOttlaError } from "../model/errors.ts";
import { NONE, type PartitionIndex } from "../model/ids.ts";
import type { ReplicaManager } from "../runtime/replica-manager.ts";
import type { Logs } from "../storage/log.ts";
import type { DescribedLogDirectory, DescribedProducers } from "./broker-api.ts";
import { itemError, type Partitions } from "./partitions.ts";

export function describeProducersOf(
  partitions: Partitions,
  topic: string,
  partition: PartitionIndex,
): DescribedProducers {
  try {
    const { log } = partitions.require(topic, partition);
    const producers = log.producers.entries().map(({ producerId, epoch, batches }) => {
      const last = batches.at(-1);
      return {
        producerId,
        producerEpoch: epoch,
        lastSequence: last?.lastSequence ?? NONE,
        lastTimestamp: last?.timestamp ?? NONE,
      };
    });
    return { error: undefined, producers };
  } catch (thrown) {
    return { error: itemError(toOttlaError(thrown)), producers: [] };
  }
}

/** A replica whose log is not open at the moment, or is offline, is left out: nothing is known of it. */
export async function describeLogDirectories(
  logs: Pick<Logs, "directories" | "directoryOf" | "spaces">,
  replicas: Pick<ReplicaManager, "hosts">,
): Promise<readonly DescribedLogDirectory[]> {
  const spaces = await logs.spaces();
  return logs.directories.map((id, index): DescribedLogDirectory => {
    const held: DescribedLogDirectory["replicas"][number][] = [];
    for (const { name, log, follower } of replicas.hosts()) {
      if (log === undefined || logs.directoryOf(name) !== id) continue;
      const { topic, partition } = name;
      const offsetLag = Math.max(0, (follower?.highWatermark ?? 0) - log.logEndOffset);
      held.push({ topic, partition, sizeBytes: log.sizeBytes, offsetLag });
    }
    const { directory = "", freeBytes = NONE, totalBytes = NONE } = spaces[index] ?? {};
    return { path: directory, replicas: held, totalBytes, usableBytes: freeBytes };
  });
}
