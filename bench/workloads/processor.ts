/** Processor time of processes, this one's and others'. */
import { readFileSync } from "node:fs";
import type { Cluster } from "../../src/testing/index.ts";

const CLOCK_TICKS_PER_SECOND = 100;

/** Seconds that all brokers have had so far, every thread of them. */
export function brokersSeconds(cluster: Cluster): number {
  let seconds = 0;
  for (const id of cluster.brokerIds) {
    const pid = cluster.pidOf(id);
    if (pid === undefined) throw new Error(`broker ${id} does not run`);
    seconds += processSeconds(pid);
  }
  return seconds;
}

export function processSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // utime and stime, the 14th and 15th of proc(5); the second is a name in parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

export function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
