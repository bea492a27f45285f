// Partition logs on LevelDB and real files: what the simulator's stand-ins cannot show.
import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { nativeCodecs } from "../../src/adapters/native-codecs.ts";
import { nodeFiles } from "../../src/adapters/node-files.ts";
import { systemClock } from "../../src/adapters/system-clock.ts";
import { systemTimers } from "../../src/adapters/system-timers.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { LevelLogs } from "../../src/storage/level-logs.ts";
import type { ReplicaName } from "../../src/storage/log.ts";
import { compareReplicas, verifyDirectory } from "../../src/storage/verify.ts";
import { createMemoryPorts, type MemoryPorts } from "../support/memory-ports.ts";
import { appendRecords, makeBatch, readAll, TOPIC_CONFIG } from "../support/storage.ts";

const REPLICA: ReplicaName = { topic: "events", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0 };

let root: string;
let memory: MemoryPorts;
let ports: Ports;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ottla-storage-"));
  memory = createMemoryPorts();
  ports = {
    ...memory.ports,
    clock: systemClock,
    timers: systemTimers,
    stores: levelStores,
    files: nodeFiles,
    codecs: nativeCodecs,
  };
});

afterEach(async () => {
  memory.dispose();
  await rm(root, { recursive: true, force: true });
});

function open(directory = "data"): Promise<LevelLogs> {
  const logDirs = [join(root, directory)];
  return LevelLogs.open(ports, { brokerId: 1, logDirs, freeSpaceReserveBytes: 0 });
}

test("append, roll, truncate, retain, restart, verify", async () => {
  const config = { ...TOPIC_CONFIG, segmentBytes: 200_000 };
  const logs = await open();
  await logs.recover();
  const log = await logs.open(REPLICA, config);
  appendRecords(log, 1_000, { valueBytes: 1_000 });
  await log.flush();
  expect(log.segmentsCount).toBeGreaterThan(4);
  await log.truncateTo(700);
  await log.raiseLogStart(300);
  appendRecords(log, 100, { valueBytes: 1_000, leaderEpoch: 2 });
  await log.flush();
  const found = await log.offsetForTimestamp(555, log.logEndOffset);
  expect(found).toEqual({ offset: 555, timestamp: 555, leaderEpoch: 0 });
  await logs.close({ cleanShutdownEpoch: 4 });

  const again = await open();
  expect(again.cleanShutdownEpoch).toBe(4);
  expect((await again.recover()).verified).toBe(0);
  const reopened = await again.open(REPLICA, config);
  expect([reopened.logStartOffset, reopened.logEndOffset]).toEqual([300, 800]);
  expect(reopened.epochs.starts.at(-1)).toEqual({ epoch: 2, startOffset: 700 });
  expect(await readAll(reopened)).toHaveLength(500);
  await again.close({ cleanShutdownEpoch: 5 });

  const all = [];
  for await (const findings of verifyDirectory(ports, join(root, "data"))) all.push(findings);
  expect(all).toHaveLength(1);
  expect(all[0]).toMatchObject({ logStartOffset: 300, logEndOffset: 800, defects: [] });
});

test("a truncated table is quarantined once it has been met often enough", async () => {
  const logs = await open();
  const log = await logs.open(REPLICA, TOPIC_CONFIG);
  for (let count = 0; count < 12; count++) appendRecords(log, 1, { valueBytes: 1_000_000 });
  await logs.close({ cleanShutdownEpoch: undefined });
  const replica = join(root, "data/logs/events-0.AAAAAAAAAAAAAAAAAAAAAA");
  const segment = join(replica, "00000000000000000000");
  for (const name of await readdir(segment)) {
    if (/\.(ldb|sst)$/.test(name)) await truncate(join(segment, name), 100_000);
  }
  const again = await open();
  await again.recover();
  let opened = await again.open(REPLICA, TOPIC_CONFIG);
  await expect(readAll(opened)).rejects.toBeDefined();
  for (let tries = 0; tries < 5; tries++) {
    const next = await again.open(REPLICA, TOPIC_CONFIG).catch(() => undefined);
    if (next !== undefined) opened = next;
    if (again.lostReplicas.length > 0) break;
  }
  expect(again.lostReplicas).toHaveLength(1);
  expect([opened.logStartOffset, opened.logEndOffset]).toEqual([0, 0]);
  appendRecords(opened, 1);
  await opened.flush();
  await again.close({ cleanShutdownEpoch: undefined });
});

test("two replicas that got the same batches compare equal", async () => {
  for (const directory of ["first", "second"]) {
    const logs = await open(directory);
    const log = await logs.open(REPLICA, TOPIC_CONFIG);
    for (let offset = 0; offset < 90; offset += 3) {
      log.append([makeBatch({ baseOffset: offset, recordsCount: 3 })]);
      if (offset % 9 === 0) await log.flush();
    }
    await logs.close({ cleanShutdownEpoch: 1 });
  }
  const result = await compareReplicas(ports, join(root, "first"), join(root, "second"));
  expect(result.compared[0]).toMatchObject({ batchesCount: 30, upTo: 90, difference: undefined });
});
