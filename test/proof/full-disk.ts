/**
 * One broker's disk runs full while records flow: it appends no more, everybody else goes on, and
 * once there is space again its replicas come back by themselves. Needs the right to mount a small
 * file system.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Admin, Producer } from "../../src/client/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { Ledger } from "./ledger.ts";
import { sleep } from "./load.ts";
import { readWhole } from "./reader.ts";
import { compareReplicas } from "./replicas.ts";

const TOPIC = "full-disk";
const PARTITIONS = 6;
const DISK_MIB = 512;
/** Leaves a little more than the reserve below which a broker appends no more (256 MiB). */
const FILLER_BYTES = 220 * 1024 * 1024;
const VALUE_CHARACTERS = 4_000;
/** About 80 MiB. */
const RECORDS = 20_000;
const RECORDS_BEFORE = 1_000;
const PENDING_MAX = 2_000;
const WAIT_MS = 90_000;

export interface FullDiskResult {
  readonly summary: string;
  readonly complaints: readonly string[];
}

/** Undefined where nothing may be mounted. */
export async function fullDisk(): Promise<FullDiskResult | undefined> {
  const disk = mkdtempSync(join(tmpdir(), "ottla-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MIB}m`, "tmpfs", disk], {
      stdio: "ignore",
    });
  } catch {
    rmdirSync(disk);
    return undefined;
  }
  try {
    return await onSmallDisk(disk);
  } finally {
    execFileSync("umount", [disk]);
    rmdirSync(disk);
  }
}

async function onSmallDisk(disk: string): Promise<FullDiskResult> {
  const complaints: string[] = [];
  const filler = join(disk, "filler");
  await using cluster = await startCluster({
    brokers: 3,
    brokerProperties: { 3: { "log.dirs": join(disk, "data") } },
  });
  const { bootstrapServers } = cluster;
  await using admin = new Admin({ bootstrapServers });
  await admin.createTopics([{ name: TOPIC, partitions: PARTITIONS, replicationFactor: 3 }]);
  const ledger = new Ledger();
  // The replicas are placed before the disk fills: a broker puts none on a disk without room.
  await write(bootstrapServers, ledger, RECORDS_BEFORE);
  writeFileSync(filler, Buffer.alloc(FILLER_BYTES));
  await write(bootstrapServers, ledger, RECORDS);
  const inSync = async (): Promise<number> => {
    const [topic] = await admin.describeTopics([TOPIC]);
    return topic?.partitions.filter(({ isr }) => isr.length === 3).length ?? 0;
  };
  const short = PARTITIONS - (await inSync());
  if (short === 0) complaints.push("no replica left the ISR: the disk was not full");
  for (const id of cluster.brokerIds) {
    if (!cluster.isRunning(id)) complaints.push(`broker ${id} ended:\n${cluster.logOf(id, 5)}`);
  }
  rmSync(filler);
  const freedMs = performance.now();
  while ((await inSync()) < PARTITIONS && performance.now() - freedMs < WAIT_MS) await sleep(50);
  const backMs = performance.now() - freedMs;
  if ((await inSync()) < PARTITIONS) complaints.push(`not back after ${WAIT_MS / 1000} s`);
  const reading = await ledger.audit(readWhole(bootstrapServers, TOPIC, PARTITIONS));
  complaints.push(...reading.violations, ...ledger.failures.slice(0, 5));
  for (const id of cluster.brokerIds) if (cluster.isRunning(id)) await cluster.stopBroker(id);
  complaints.push(...(await compareReplicas(cluster, TOPIC)).differences);
  const summary = `a disk ran full under ${ledger.acknowledged} acknowledged records: ${short} of ${PARTITIONS} partitions lost a replica, all were whole ${(backMs / 1000).toFixed(1)} s after there was space again`;
  return { summary, complaints };
}

async function write(
  bootstrapServers: readonly string[],
  ledger: Ledger,
  recordsCount: number,
): Promise<void> {
  await using producer = new Producer({ bootstrapServers });
  const pending = new Set<Promise<void>>();
  for (let count = 0; count < recordsCount; count++) {
    const { number, value } = ledger.write("x".repeat(VALUE_CHARACTERS));
    const sending = producer
      .send({ topic: TOPIC, key: `key-${count % 1_000}`, value })
      .then(
        ({ partition, offset }) => ledger.acknowledge(number, partition, offset),
        (thrown: unknown) => ledger.fail(number, String(thrown)),
      )
      .finally(() => pending.delete(sending));
    pending.add(sending);
    if (pending.size >= PENDING_MAX) await Promise.race(pending);
  }
  await Promise.all(pending);
}
