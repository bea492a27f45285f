import { levelStores } from "../../src/adapters/level-stores.ts";
import { nativeCodecs } from "../../src/adapters/native-codecs.ts";
import { nodeFiles } from "../../src/adapters/node-files.ts";
import { systemClock } from "../../src/adapters/system-clock.ts";
import {
  compareReplicas as compareDirectories,
  type ReplicaFindings,
  verifyDirectory,
} from "../../src/storage/verify.ts";
import type { Cluster } from "../../src/testing/index.ts";

const PORTS = {
  files: nodeFiles,
  stores: levelStores,
  codecs: nativeCodecs,
  clock: systemClock,
} as const;

export interface ReplicaResult {
  readonly batches: number;
  /** What is damaged, or differs between the first broker and another. */
  readonly differences: readonly string[];
}

/** Holds the logs of a stopped cluster's brokers against each other, batch by batch. */
export async function compareReplicas(cluster: Cluster, topic: string): Promise<ReplicaResult> {
  const directories = cluster.brokerIds.map((id) => cluster.logDirsOf(id)[0] as string);
  const differences: string[] = [];
  const findings: Map<number, ReplicaFindings>[] = [];
  for (const [index, directory] of directories.entries()) {
    const found = new Map<number, ReplicaFindings>();
    for await (const replica of verifyDirectory(PORTS, directory)) {
      if (replica.topic !== topic) continue;
      found.set(replica.partition, replica);
      for (const { kind, message, offset } of replica.defects) {
        const where = `broker ${cluster.brokerIds[index]}, partition ${replica.partition}`;
        differences.push(`${where}, offset ${offset}: ${kind}: ${message}`);
      }
    }
    findings.push(found);
  }
  const [first, ...others] = directories as [string, ...string[]];
  let batches = 0;
  for (const [index, other] of others.entries()) {
    const comparison = await compareDirectories(PORTS, first, other);
    for (const each of comparison.compared) {
      if (each.topic !== topic) continue;
      batches += each.batchesCount;
      if (each.difference !== undefined) {
        differences.push(
          `partition ${each.partition}, offset ${each.difference.offset}: ${each.difference.message}`,
        );
      }
    }
    // The comparison ends with the shorter log: equal ends make it whole.
    for (const [partition, { logEndOffset }] of findings[0] ?? []) {
      const twin = findings[index + 1]?.get(partition)?.logEndOffset;
      if (twin !== logEndOffset) {
        differences.push(`partition ${partition} ends at ${logEndOffset} and at ${twin}`);
      }
    }
  }
  return { batches, differences };
}
