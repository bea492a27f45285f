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
  const differences: string[] = [];
  const findings: Map<number, ReplicaFindings>[] = [];
  for (const id of cluster.brokerIds) {
    const found = new Map<number, ReplicaFindings>();
    for (const directory of cluster.logDirsOf(id)) {
      for await (const replica of verifyDirectory(PORTS, directory)) {
        if (replica.topic !== topic) continue;
        found.set(replica.partition, replica);
        for (const { kind, message, offset } of replica.defects) {
          const where = `broker ${id}, partition ${replica.partition}, offset ${offset}`;
          differences.push(`${where}: ${kind}: ${message}`);
        }
      }
    }
    findings.push(found);
  }
  const [first, ...others] = findings as [
    Map<number, ReplicaFindings>,
    ...Map<number, ReplicaFindings>[],
  ];
  let batches = 0;
  for (const other of others) {
    for (const [partition, replica] of first) {
      const twin = other.get(partition);
      // The comparison ends with the shorter log: equal ends make it whole.
      if (twin?.logEndOffset !== replica.logEndOffset) {
        const ends = `${replica.logEndOffset} and at ${twin?.logEndOffset}`;
        differences.push(`partition ${partition} ends at ${ends}`);
      }
      if (twin === undefined) continue;
      const { compared } = await compareDirectories(PORTS, replica.path, twin.path);
      for (const { batchesCount, difference } of compared) {
        batches += batchesCount;
        if (difference === undefined) continue;
        const { message, offset } = difference;
        differences.push(`partition ${partition}, offset ${offset}: ${message}`);
      }
    }
  }
  return { batches, differences };
}
