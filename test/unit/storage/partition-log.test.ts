import { afterEach, describe, expect, test } from "vitest";
import type { TopicConfig } from "../../../src/model/topic-config.ts";
import { LevelLogs } from "../../../src/storage/level-logs.ts";
import type { PartitionLog, ReplicaName } from "../../../src/storage/log.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";
import {
  appendRecords,
  baseOffsets,
  makeBatch,
  readAll,
  TOPIC_CONFIG,
} from "../../support/storage.ts";

const REPLICA: ReplicaName = { topic: "events", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0 };
const END = { maxBytes: 1_000_000, upTo: Number.MAX_SAFE_INTEGER };

let memory: MemoryPorts;
afterEach(() => memory.dispose());

async function openLogs(): Promise<LevelLogs> {
  const logs = await LevelLogs.open(memory.ports, { brokerId: 1, logDirs: ["/data"] });
  await logs.recover();
  return logs;
}

async function openLog(
  config: Partial<TopicConfig> = {},
): Promise<{ logs: LevelLogs; log: PartitionLog }> {
  memory = createMemoryPorts();
  const logs = await openLogs();
  return { logs, log: await logs.open(REPLICA, { ...TOPIC_CONFIG, ...config }) };
}

/** After a crash: a new life on the same disk. */
async function reopen(
  how: "crash" | "power loss" = "crash",
  config: Partial<TopicConfig> = {},
): Promise<{ logs: LevelLogs; log: PartitionLog }> {
  memory.restart(how);
  const logs = await openLogs();
  return { logs, log: await logs.open(REPLICA, { ...TOPIC_CONFIG, ...config }) };
}

describe("append and read", () => {
  test("an append is readable at once and durable later", async () => {
    const { log } = await openLog();
    let durableCalls = 0;
    log.onDurable = () => durableCalls++;
    log.append([makeBatch({ baseOffset: 0, recordsCount: 3 }), makeBatch({ baseOffset: 3 })]);
    expect(log.logEndOffset).toBe(4);
    expect(log.durableEndOffset).toBe(0);
    const batches = log.read(1, END);
    expect(batches).toBeInstanceOf(Array);
    expect(baseOffsets(await batches)).toEqual([0, 3]);
    await log.flush();
    expect(log.durableEndOffset).toBe(4);
    expect(durableCalls).toBe(1);
    expect(log.queuedBytes).toBe(0);
  });

  test("writes are timed, and what exceeds a tenth of a second counts as a stall", async () => {
    const { log } = await openLog();
    const stalled = (): number => memory.meter.counter("ottla_storage_write_stall_seconds_total");
    appendRecords(log, 1);
    await log.flush();
    expect(memory.meter.observed("ottla_log_write_duration_seconds")).toHaveLength(1);
    expect(stalled()).toBe(0);
    memory.node.disk.hang(1_000);
    appendRecords(log, 1);
    await log.flush();
    const [, slow = 0] = memory.meter.observed("ottla_log_flush_duration_seconds");
    expect(slow).toBeGreaterThan(0.5);
    expect(stalled()).toBeCloseTo(slow - 0.1);
  });

  test("what is appended during a write rides in the next one", async () => {
    const { log } = await openLog();
    const ends: number[] = [];
    log.onDurable = () => ends.push(log.durableEndOffset);
    appendRecords(log, 5);
    await log.flush();
    appendRecords(log, 1);
    await Promise.resolve();
    await Promise.resolve();
    await Promise.resolve();
    appendRecords(log, 50);
    await log.flush();
    expect(ends[0]).toBe(5);
    expect(ends.at(-1)).toBe(56);
    expect(ends.length).toBeLessThanOrEqual(3);
  });

  test("reads respect upTo and maxBytes, and refuse what lies outside", async () => {
    const { log } = await openLog();
    for (let offset = 0; offset < 9; offset += 3) {
      log.append([makeBatch({ baseOffset: offset, recordsCount: 3 })]);
    }
    expect(baseOffsets(await log.read(0, { maxBytes: 1, upTo: 9 }))).toEqual([0]);
    expect(baseOffsets(await log.read(4, { maxBytes: 1_000, upTo: 9 }))).toEqual([3, 6]);
    expect(baseOffsets(await log.read(0, { maxBytes: 1_000, upTo: 8 }))).toEqual([0, 3]);
    expect(await log.read(5, { maxBytes: 1_000, upTo: 5 })).toEqual([]);
    expect(await log.read(9, END)).toEqual([]);
    expect(() => log.read(10, END)).toThrow(
      expect.objectContaining({ code: "OFFSET_OUT_OF_RANGE" }),
    );
    await log.flush();
    await log.raiseLogStart(4);
    expect(() => log.read(3, END)).toThrow(
      expect.objectContaining({ code: "OFFSET_OUT_OF_RANGE" }),
    );
    expect(baseOffsets(await log.read(4, END))).toEqual([3, 6]);
  });

  test("batches that do not continue the log are a bug of the caller", async () => {
    const { log } = await openLog();
    expect(() => log.append([makeBatch({ baseOffset: 7 })])).toThrow(/does not continue/);
  });

  test("stored batches come back as they were, across segments and a clean restart", async () => {
    const { logs, log } = await openLog({ segmentBytes: 1_000 });
    appendRecords(log, 100);
    const before = await readAll(log);
    await logs.close({ cleanShutdownEpoch: 7 });
    const again = await reopen();
    expect(again.logs.cleanShutdownEpoch).toBe(7);
    expect(again.log.logEndOffset).toBe(100);
    expect(again.log.durableEndOffset).toBe(100);
    expect(again.log.segmentsCount).toBeGreaterThan(5);
    expect(again.log.read(0, END)).toBeInstanceOf(Promise);
    const after = await readAll(again.log);
    expect(after.map(({ bytes }) => Uint8Array.from(bytes))).toEqual(
      before.map(({ bytes }) => Uint8Array.from(bytes)),
    );
    expect(again.log.sizeBytes).toBe(before.reduce((sum, { bytes }) => sum + bytes.length, 0));
  });

  test("a full queue refuses without taking anything", async () => {
    const { log } = await openLog();
    const valueBytes = 1_000_000;
    let refused: unknown;
    for (let count = 0; count < 100 && refused === undefined; count++) {
      try {
        appendRecords(log, 1, { valueBytes });
      } catch (error) {
        refused = error;
      }
    }
    expect(refused).toMatchObject({ code: "THROTTLING_QUOTA_EXCEEDED" });
    const end = log.logEndOffset;
    await log.flush();
    expect(log.logEndOffset).toBe(end);
    appendRecords(log, 1, { valueBytes });
    await log.flush();
    expect(log.durableEndOffset).toBe(end + 1);
  });
});

describe("the relaxed profile", () => {
  test("written counts as durable; a flush makes it survive power loss", async () => {
    const relaxed = { flushMessages: 1_000_000 };
    const { log } = await openLog(relaxed);
    appendRecords(log, 10);
    await new Promise<void>((resolve) => {
      log.onDurable = resolve;
    });
    expect(log.durableEndOffset).toBe(10);
    await log.flush();
    appendRecords(log, 10);
    await new Promise<void>((resolve) => {
      log.onDurable = resolve;
    });
    const { log: after } = await reopen("power loss", relaxed);
    expect(after.logEndOffset).toBeGreaterThanOrEqual(10);
    expect(baseOffsets(await readAll(after)).length).toBe(after.logEndOffset);
  });

  test("flush.messages and flush.ms flush in the background", async () => {
    for (const config of [{ flushMessages: 5 }, { flushMessages: 1_000_000, flushMs: 200 }]) {
      const { log } = await openLog(config);
      appendRecords(log, 8);
      await memory.ports.timers.sleep(1_500);
      const { logs, log: after } = await reopen("power loss", config);
      expect(after.logEndOffset).toBe(8);
      expect(logs.lostReplicas).toEqual([]);
      memory.dispose();
    }
  });

  test("going back to flush.messages=1 flushes first", async () => {
    const { log } = await openLog({ flushMessages: 1_000_000 });
    appendRecords(log, 10);
    await new Promise<void>((resolve) => {
      log.onDurable = resolve;
    });
    log.configure(TOPIC_CONFIG);
    expect(log.durableEndOffset).toBe(10);
    await log.flush();
    const { log: after } = await reopen("power loss");
    expect(after.logEndOffset).toBe(10);
  });
});

describe("truncation", () => {
  test("removes batches, epochs and producer state exactly, and appends go on", async () => {
    const { log } = await openLog({ segmentBytes: 900 });
    for (let offset = 0; offset < 60; offset++) {
      log.append([
        makeBatch({
          baseOffset: offset,
          leaderEpoch: Math.floor(offset / 10),
          producerId: offset % 3,
          producerEpoch: 0,
          baseSequence: Math.floor(offset / 3),
        }),
      ]);
    }
    await log.truncateTo(25);
    expect(log.logEndOffset).toBe(25);
    expect(log.durableEndOffset).toBe(25);
    expect(log.epochs.starts).toEqual([
      { epoch: 0, startOffset: 0 },
      { epoch: 1, startOffset: 10 },
      { epoch: 2, startOffset: 20 },
    ]);
    expect(log.producers.get(0)?.batches.map(({ baseOffset }) => baseOffset)).toEqual([
      12, 15, 18, 21, 24,
    ]);
    expect(log.producers.get(1)?.batches.at(-1)?.baseOffset).toBe(22);
    log.append([makeBatch({ baseOffset: 25, leaderEpoch: 9 })]);
    await log.flush();
    const { log: after } = await reopen("power loss");
    expect(after.logEndOffset).toBe(26);
    expect(after.epochs.starts.at(-1)).toEqual({ epoch: 9, startOffset: 25 });
    expect(after.producers.entries()).toEqual(log.producers.entries());
    expect(baseOffsets(await readAll(after))).toEqual(Array.from({ length: 26 }, (_, at) => at));
  });

  test("a crash during a truncation leaves it done or not begun, never half", async () => {
    for (let delayMs = 0; delayMs < 14; delayMs += 0.4) {
      const { log } = await openLog({ segmentBytes: 700 });
      appendRecords(log, 40);
      await log.flush();
      void log.truncateTo(12).catch(() => undefined);
      await memory.ports.timers.sleep(delayMs);
      const { logs, log: after } = await reopen("power loss", { segmentBytes: 700 });
      expect([12, 40]).toContain(after.logEndOffset);
      expect(logs.lostReplicas).toEqual([]);
      const offsets = baseOffsets(await readAll(after));
      expect(offsets).toEqual(Array.from({ length: after.logEndOffset }, (_, at) => at));
      memory.dispose();
    }
  });

  test("inside a batch it takes the whole batch", async () => {
    const { log } = await openLog();
    log.append([makeBatch({ baseOffset: 0, recordsCount: 5 })]);
    log.append([makeBatch({ baseOffset: 5, recordsCount: 5 })]);
    await log.truncateTo(7);
    expect(log.logEndOffset).toBe(5);
    const { logs, log: after } = await reopen();
    expect(after.logEndOffset).toBe(5);
    expect(logs.lostReplicas).toEqual([]);
  });

  test("a reset empties the log at an offset above or below", async () => {
    const { log } = await openLog();
    appendRecords(log, 10, { producerId: 4, producerEpoch: 0, baseSequence: 0 });
    await log.resetTo(500);
    expect([log.logStartOffset, log.logEndOffset, log.durableEndOffset]).toEqual([500, 500, 500]);
    expect(log.epochs.starts).toEqual([]);
    expect(log.producers.size).toBe(0);
    expect(log.sizeBytes).toBe(0);
    log.append([makeBatch({ baseOffset: 500, leaderEpoch: 3 })]);
    await log.flush();
    await log.resetTo(20);
    expect([log.logStartOffset, log.logEndOffset]).toEqual([20, 20]);
    const { logs, log: after } = await reopen("power loss");
    expect([after.logStartOffset, after.logEndOffset]).toEqual([20, 20]);
    expect(logs.lostReplicas).toEqual([]);
  });

  test("the saved high watermark never comes back above the log", async () => {
    const { log } = await openLog();
    appendRecords(log, 10);
    await log.flush();
    log.saveHighWatermark(10);
    await memory.ports.timers.sleep(2_500);
    await log.truncateTo(4);
    appendRecords(log, 20);
    await log.flush();
    const { log: after } = await reopen();
    expect(after.savedHighWatermark).toBe(4);
    expect(after.logEndOffset).toBe(24);
  });
});

describe("log start and retention", () => {
  test("delete-records raises the start durably and drops whole segments", async () => {
    const { log } = await openLog({ segmentBytes: 900 });
    appendRecords(log, 60);
    await log.flush();
    const segments = log.segmentsCount;
    await log.raiseLogStart(35);
    expect(log.logStartOffset).toBe(35);
    expect(log.segmentsCount).toBeLessThan(segments);
    await expect(log.raiseLogStart(61)).rejects.toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
    const { logs, log: after } = await reopen("power loss");
    expect(after.logStartOffset).toBe(35);
    expect(after.segmentsCount).toBe(log.segmentsCount);
    expect((await readAll(after)).length).toBe(25);
    expect(logs.lostReplicas).toEqual([]);
  });

  test("a start that is being raised is told once it is on disk", async () => {
    const { log } = await openLog({ segmentBytes: 900 });
    appendRecords(log, 60);
    await log.flush();
    memory.node.disk.hang(1_000);
    const raised = log.raiseLogStart(35);
    await memory.ports.timers.sleep(500);
    expect(log.logStartOffset).toBe(0);
    expect(baseOffsets(await log.read(59, END))).toEqual([59]);
    await raised;
    expect(log.logStartOffset).toBe(35);
    expect((await readAll(log)).length).toBe(25);
  });

  test("by size, only below the high watermark", async () => {
    const { log } = await openLog({ segmentBytes: 900, retentionBytes: 2_000 });
    appendRecords(log, 100);
    await log.flush();
    await log.applyRetention(0, 20);
    expect(log.logStartOffset).toBeLessThanOrEqual(20);
    expect(log.logStartOffset).toBeGreaterThan(0);
    await log.applyRetention(0, 100);
    expect(log.sizeBytes).toBeGreaterThanOrEqual(2_000);
    expect(log.sizeBytes).toBeLessThan(2_000 + 900);
  });

  test("by time the whole log goes, its end and producers stay", async () => {
    const { log } = await openLog({ segmentBytes: 900, retentionMs: 1_000 });
    const nowMs = memory.ports.clock.wallMs();
    for (let offset = 0; offset < 50; offset++) {
      const plan = { producerId: 8, producerEpoch: 0, baseSequence: offset, timestamp: nowMs };
      log.append([makeBatch({ baseOffset: offset, ...plan })]);
    }
    await log.applyRetention(nowMs + 500, 50);
    expect(log.logStartOffset).toBe(0);
    await log.applyRetention(nowMs + 5_000, 50);
    expect([log.logStartOffset, log.logEndOffset, log.sizeBytes]).toEqual([50, 50, 0]);
    // A new leader epoch may begin exactly where the emptied log ends.
    log.append([makeBatch({ baseOffset: 50, leaderEpoch: 5 })]);
    await log.flush();
    const { log: after } = await reopen();
    expect([after.logStartOffset, after.logEndOffset]).toEqual([50, 51]);
    expect(after.producers.get(8)?.batches.at(-1)?.lastSequence).toBe(49);
    expect(after.epochs.latest).toBe(5);
  });

  // Each held its write buffers until it had been idle for a minute: 50 MB at full speed.
  test("a sealed segment's database is closed at once, and read all the same", async () => {
    const { logs, log } = await openLog({ segmentBytes: 2_000 });
    const before = logs.openDatabasesCount();
    for (let offset = 0; offset < 40; offset++) {
      log.append([makeBatch({ baseOffset: offset, valueBytes: 500 })]);
      await log.flush();
    }
    expect(log.segmentsCount).toBeGreaterThan(8);
    await memory.world.runUntil(() => logs.openDatabasesCount() <= before + 1, 5_000);
    expect(logs.openDatabasesCount()).toBeLessThanOrEqual(before + 1);
    expect(baseOffsets(await readAll(log))).toEqual(
      Array.from({ length: 40 }, (_, index) => index),
    );
  });

  test("segment.ms rolls; compacted topics are not dropped by time", async () => {
    const { log } = await openLog({
      segmentMs: 10_000,
      retentionMs: 1,
      cleanupPolicy: ["compact"],
    });
    appendRecords(log, 3);
    await log.applyRetention(memory.ports.clock.wallMs(), 3);
    expect(log.segmentsCount).toBe(1);
    await log.applyRetention(memory.ports.clock.wallMs() + 20_000, 3);
    expect(log.segmentsCount).toBe(2);
    expect(log.logStartOffset).toBe(0);
  });
});

describe("offsets by timestamp", () => {
  test("agrees with a search through all records, stored and in the tail", async () => {
    const { logs, log } = await openLog({ segmentBytes: 60_000 });
    const all: { offset: number; timestamp: number }[] = [];
    const random = memory.world.prng.fork("timestamps");
    let offset = 0;
    for (let count = 0; count < 600; count++) {
      const timestamps = Array.from({ length: random.between(1, 4) }, () =>
        Math.max(0, count * 10 + random.between(-200, 200)),
      );
      log.append([makeBatch({ baseOffset: offset, timestamps, valueBytes: 300 })]);
      for (const timestamp of timestamps) all.push({ offset: offset++, timestamp });
    }
    await log.flush();
    const check = async (searched: PartitionLog): Promise<void> => {
      for (let wanted = 0; wanted < 6_300; wanted += 97) {
        for (const upTo of [offset, Math.floor(offset / 3)]) {
          const batches = (await readAll(searched)).filter(
            ({ header }) => header.baseOffset + header.lastOffsetDelta < upTo,
          );
          const last = batches.at(-1)!.header;
          const end = last.baseOffset + last.lastOffsetDelta + 1;
          const visible = all.filter(
            (one) => one.offset < end && one.offset >= searched.logStartOffset,
          );
          const expected = visible.find(({ timestamp }) => timestamp >= wanted);
          expect(await searched.offsetForTimestamp(wanted, upTo)).toEqual(
            expected && { ...expected, leaderEpoch: 0 },
          );
          const max = Math.max(...visible.map(({ timestamp }) => timestamp));
          expect((await searched.offsetOfMaxTimestamp(upTo))?.timestamp).toBe(max);
        }
        wanted += 300;
      }
    };
    await check(log);
    await logs.close({ cleanShutdownEpoch: undefined });
    const { log: after } = await reopen();
    await check(after);
    await after.raiseLogStart(Math.floor(offset / 5));
    await check(after);
  });

  test("an empty log has none", async () => {
    const { log } = await openLog();
    expect(await log.offsetForTimestamp(0, 0)).toBeUndefined();
    expect(await log.offsetOfMaxTimestamp(0)).toBeUndefined();
  });
});

describe("idle logs", () => {
  test("a log that was never written opens no database; an idle one closes it", async () => {
    const { logs, log } = await openLog();
    const none = logs.openDatabasesCount();
    expect(none).toBe(1);
    appendRecords(log, 3);
    await log.flush();
    expect(logs.openDatabasesCount()).toBe(2);
    await memory.ports.timers.sleep(150_000);
    expect(logs.openDatabasesCount()).toBe(1);
    // Clean again by itself: a crash finds nothing to verify.
    memory.restart("power loss");
    const next = await LevelLogs.open(memory.ports, { brokerId: 1, logDirs: ["/data"] });
    expect((await next.recover()).verified).toBe(0);
    const again = await next.open(REPLICA, TOPIC_CONFIG);
    appendRecords(again, 1);
    await again.flush();
    expect(baseOffsets(await readAll(again))).toEqual([0, 1, 2, 3]);
  });
});
