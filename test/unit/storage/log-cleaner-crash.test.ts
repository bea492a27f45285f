// A cleaning that is interrupted at every single event: whatever had happened by then, the next
// life finds a log without holes and with the last value of each key, and finishes the work.
import { expect, test } from "vitest";
import type { TopicConfig } from "../../../src/model/topic-config.ts";
import { LevelLogs } from "../../../src/storage/level-logs.ts";
import type { PartitionLog, ReplicaName } from "../../../src/storage/log.ts";
import { DEFAULT_LOG_CLEANER_CONFIG } from "../../../src/storage/log-cleaner.ts";
import { verifyDirectory } from "../../../src/storage/verify.ts";
import { keyedBatch, lastValues, readDense, recordsOf } from "../../support/compaction.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";
import { TOPIC_CONFIG } from "../../support/storage.ts";

const REPLICA: ReplicaName = { topic: "events", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0 };
const CONFIG: TopicConfig = {
  ...TOPIC_CONFIG,
  cleanupPolicy: ["compact"],
  minCleanableDirtyRatio: 0,
  segmentBytes: 600,
};
const BACKOFF_MS = 1_000;
const RECORDS_COUNT = 30;
/** Three keys, and what the active segment still holds. */
const LEFT_AT_MOST = 9;

interface Started {
  readonly logs: LevelLogs;
  readonly log: PartitionLog;
}

async function start(memory: MemoryPorts): Promise<Started> {
  const logs = await LevelLogs.open(memory.ports, {
    brokerId: 1,
    logDirs: ["/data"],
    cleanerConfig: () => ({ ...DEFAULT_LOG_CLEANER_CONFIG, backoffMs: BACKOFF_MS }),
  });
  const report = await logs.recover();
  expect(report.quarantined).toEqual([]);
  expect(report.truncated).toEqual([]);
  expect(logs.lostReplicas).toEqual([]);
  return { logs, log: await logs.open(REPLICA, CONFIG) };
}

/** A log that waits for its first cleaning. */
async function prepare(memory: MemoryPorts): Promise<Started> {
  const started = await start(memory);
  const { log } = started;
  for (let index = 0; index < RECORDS_COUNT; index++) {
    const value = `${index}`.padEnd(40, "x");
    log.append([keyedBatch([{ key: `k${index % 3}`, value }], { baseOffset: index })]);
  }
  await log.flush();
  log.saveHighWatermark(RECORDS_COUNT);
  return started;
}

async function check(log: PartitionLog): Promise<number> {
  expect(log.logEndOffset).toBe(RECORDS_COUNT);
  const records = recordsOf(await readDense(log));
  const last = [...lastValues(records).values()].map(({ offset, value }) => [
    offset,
    Number(value?.replaceAll("x", "")),
  ]);
  expect(last).toEqual([27, 28, 29].map((offset) => [offset, offset]));
  return records.length;
}

/** How many events pass until the cleaning is done. */
async function eventsOfCleaning(): Promise<number> {
  const memory = createMemoryPorts();
  try {
    const { log } = await prepare(memory);
    const before = memory.world.eventsCount;
    let events = 0;
    memory.world.observers.push(() => {
      if (events === 0 && memory.logs.some(({ message }) => message === "log cleaned")) {
        events = memory.world.eventsCount - before;
      }
    });
    await memory.ports.timers.sleep(3 * BACKOFF_MS);
    expect(await check(log)).toBeLessThanOrEqual(LEFT_AT_MOST);
    expect(events).toBeGreaterThan(50);
    return events;
  } finally {
    memory.dispose();
  }
}

async function interrupt(after: number, how: "crash" | "power loss"): Promise<void> {
  const memory = createMemoryPorts();
  try {
    await prepare(memory);
    const before = memory.world.eventsCount;
    await new Promise<void>((resolve) => {
      let over = false;
      memory.world.observers.push(() => {
        if (over || memory.world.eventsCount - before < after) return;
        over = true;
        memory.restart(how);
        resolve();
      });
    });
    const { logs, log } = await start(memory);
    await check(log);
    log.saveHighWatermark(RECORDS_COUNT);
    await memory.ports.timers.sleep(3 * BACKOFF_MS);
    expect(await check(log)).toBeLessThanOrEqual(LEFT_AT_MOST);
    await logs.close({ cleanShutdownEpoch: 1 });
    expect(memory.node.disk.list("/data/logs/events-0.AAAAAAAAAAAAAAAAAAAAAA")).toSatisfy(
      (names: readonly string[]) => names.every((name) => /^\d{20}$/.test(name)),
    );
    for await (const findings of verifyDirectory(memory.ports, "/data")) {
      expect(findings.defects).toEqual([]);
      expect(findings.logEndOffset).toBe(RECORDS_COUNT);
    }
    expect(memory.fatals).toEqual([]);
  } finally {
    memory.dispose();
  }
}

for (const how of ["crash", "power loss"] as const) {
  test(`a ${how} at any event of a cleaning loses nothing`, { timeout: 120_000 }, async () => {
    const events = await eventsOfCleaning();
    for (let after = 1; after <= events + 5; after++) await interrupt(after, how);
  });
}

test("an offline check in the midst of a swap sees the cleaned segment", async () => {
  const events = await eventsOfCleaning();
  for (let after = Math.floor(events / 2); after <= events; after++) {
    const memory = createMemoryPorts();
    try {
      await prepare(memory);
      const before = memory.world.eventsCount;
      await new Promise<void>((resolve) => {
        let over = false;
        memory.world.observers.push(() => {
          if (over || memory.world.eventsCount - before < after) return;
          over = true;
          memory.restart("crash");
          resolve();
        });
      });
      for await (const findings of verifyDirectory(memory.ports, "/data")) {
        expect(findings.defects).toEqual([]);
        expect(findings.logEndOffset).toBe(RECORDS_COUNT);
      }
    } finally {
      memory.dispose();
    }
  }
});
