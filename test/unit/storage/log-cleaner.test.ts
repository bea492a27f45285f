import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { utf8, writeInt32 } from "../../../src/base/bytes.ts";
import type { TopicConfig } from "../../../src/model/topic-config.ts";
import {
  BATCH_HEADER_BYTES,
  deleteHorizonOf,
  isCompacted,
  lastOffset,
  splitBatches,
} from "../../../src/record/batch.ts";
import { LevelLogs } from "../../../src/storage/level-logs.ts";
import type { PartitionLog, ReplicaName } from "../../../src/storage/log.ts";
import { DEFAULT_LOG_CLEANER_CONFIG } from "../../../src/storage/log-cleaner.ts";
import { batchKey, segmentName } from "../../../src/storage/segment-keys.ts";
import { verifyDirectory } from "../../../src/storage/verify.ts";
import {
  type KeyedRecord,
  keyedBatch,
  lastValues,
  readDense,
  recordsOf,
} from "../../support/compaction.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";
import { TOPIC_CONFIG } from "../../support/storage.ts";

const REPLICA: ReplicaName = { topic: "events", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0 };
const PATH = "/data/logs/events-0.AAAAAAAAAAAAAAAAAAAAAA";
const COMPACTED: TopicConfig = {
  ...TOPIC_CONFIG,
  cleanupPolicy: ["compact"],
  minCleanableDirtyRatio: 0.01,
  segmentBytes: 1_000,
};
const BACKOFF_MS = 15_000;

let memory: MemoryPorts;
let logs: LevelLogs;
let log: PartitionLog;

beforeEach(() => {
  memory = createMemoryPorts();
});
afterEach(() => memory.dispose());

async function start(
  config: Partial<TopicConfig> = {},
  cleaner: Partial<typeof DEFAULT_LOG_CLEANER_CONFIG> = {},
): Promise<void> {
  logs = await LevelLogs.open(memory.ports, {
    brokerId: 1,
    logDirs: ["/data"],
    cleanerConfig: () => ({ ...DEFAULT_LOG_CLEANER_CONFIG, ...cleaner }),
  });
  await logs.recover();
  log = await logs.open(REPLICA, { ...COMPACTED, ...config });
}

function append(records: readonly KeyedRecord[], plan = {}): void {
  log.append([keyedBatch(records, { ...plan, baseOffset: log.logEndOffset })]);
}

/** Commits everything, and waits until the cleaner has nothing to do. */
async function cleaned(): Promise<void> {
  await log.flush();
  log.saveHighWatermark(log.logEndOffset);
  await memory.ports.timers.sleep(4 * BACKOFF_MS);
}

function fill(rounds: number, keys = 5): void {
  for (let round = 0; round < rounds; round++) {
    for (let key = 0; key < keys; key++) {
      append([{ key: `k${key}`, value: `${round}`.padEnd(60, "x") }]);
    }
  }
}

describe("cleaning", () => {
  test("leaves the last value of each key, every offset in its place", async () => {
    await start();
    fill(40);
    const before = recordsOf(await readDense(log));
    const { logEndOffset, segmentsCount, sizeBytes } = log;
    await cleaned();
    const batches = await readDense(log);
    const after = recordsOf(batches);
    expect(log.logEndOffset).toBe(logEndOffset);
    expect(lastValues(after)).toEqual(lastValues(before));
    expect(after.length).toBeLessThan(30);
    expect(log.segmentsCount).toBeLessThan(segmentsCount / 5);
    expect(log.sizeBytes).toBeLessThan(sizeBytes / 5);
    const byOffset = new Map(before.map((record) => [record.offset, record]));
    for (const record of after) expect(record).toEqual(byOffset.get(record.offset));
  });

  test("survives restarts, crashes and verification", async () => {
    await start();
    fill(40);
    await cleaned();
    const before = (await readDense(log)).map(({ bytes }) => [...bytes]);
    for (const how of ["clean", "crash", "power loss"] as const) {
      if (how === "clean") await logs.close({ cleanShutdownEpoch: 1 });
      memory.restart(how === "clean" ? "crash" : how);
      await start();
      expect(logs.lostReplicas).toEqual([]);
      expect((await readDense(log)).map(({ bytes }) => [...bytes])).toEqual(before);
    }
    await logs.close({ cleanShutdownEpoch: 1 });
    for await (const findings of verifyDirectory(memory.ports, "/data")) {
      expect(findings.defects).toEqual([]);
      expect(findings.sizeBytes).toBe(before.reduce((sum, bytes) => sum + bytes.length, 0));
    }
  });

  test("does not touch what is not committed, nor the active segment", async () => {
    await start();
    fill(20);
    await log.flush();
    log.saveHighWatermark(30);
    await memory.ports.timers.sleep(4 * BACKOFF_MS);
    const batches = await readDense(log);
    expect(batches.some(({ header }) => isCompacted(header))).toBe(true);
    for (const { header } of batches) {
      if (isCompacted(header)) expect(lastOffset(header)).toBeLessThan(30);
    }
  });

  test("keeps what a producer's state and a leader epoch rest on", async () => {
    await start();
    for (let index = 0; index < 60; index++) {
      const leaderEpoch = Math.floor(index / 7);
      append([{ key: "one", value: "x".repeat(40) }], {
        leaderEpoch,
        producerId: index % 3,
        baseSequence: Math.floor(index / 3),
      });
    }
    append([{ key: "other", value: "x".repeat(900) }], { leaderEpoch: 9 });
    append([{ key: "other", value: "x".repeat(900) }], { leaderEpoch: 9 });
    const producers = log.producers.entries();
    const epochs = [...log.epochs.starts];
    await cleaned();
    expect(log.sizeBytes).toBeLessThan(6_000);
    // Rebuilt from the log alone: what was remembered of it is gone.
    await logs.close({ cleanShutdownEpoch: 1 });
    memory.node.disk.remove("/data/broker");
    memory.restart("crash");
    await start();
    expect(log.producers.entries()).toEqual(producers);
    expect(log.epochs.starts).toEqual(epochs);
  });

  test("keeps a tombstone for delete.retention.ms after the first cleaning, then drops it", async () => {
    await start({ deleteRetentionMs: 3_600_000 });
    append([{ key: "gone", value: "x" }]);
    append([
      { key: "gone", value: null },
      { key: "stays", value: "y" },
    ]);
    fill(20);
    await cleaned();
    const gone = async () => recordsOf(await readDense(log)).filter(({ key }) => key === "gone");
    expect(await gone()).toEqual([{ offset: 1, key: "gone", value: null, timestamp: 1_001 }]);
    const horizon = (await readDense(log)).map(({ header }) => deleteHorizonOf(header));
    expect(horizon.filter((ms) => ms !== undefined)).toHaveLength(1);
    fill(20);
    await cleaned();
    expect(await gone()).toHaveLength(1);
    await memory.ports.timers.sleep(3_600_000);
    fill(20);
    await cleaned();
    expect(await gone()).toEqual([]);
    const stays = recordsOf(await readDense(log)).filter(({ key }) => key === "stays");
    expect(stays).toEqual([{ offset: 2, key: "stays", value: "y", timestamp: 1_002 }]);
  });

  test("waits for min.cleanable.dirty.ratio, and less long with max.compaction.lag.ms", async () => {
    await start({ minCleanableDirtyRatio: 1 });
    const nowMs = memory.ports.clock.wallMs();
    for (let index = 0; index < 40; index++) {
      append([{ key: "k", value: "x".repeat(60), timestamp: nowMs }]);
    }
    await cleaned();
    expect(recordsOf(await readDense(log))).toHaveLength(40);
    log.configure({ ...COMPACTED, minCleanableDirtyRatio: 1, maxCompactionLagMs: 600_000 });
    await cleaned();
    expect(recordsOf(await readDense(log))).toHaveLength(40);
    await memory.ports.timers.sleep(600_000);
    await cleaned();
    // The active segment was rolled, too.
    expect(recordsOf(await readDense(log))).toHaveLength(1);
  });

  test("leaves records alone for min.compaction.lag.ms", async () => {
    await start({ minCompactionLagMs: 3_600_000 });
    const nowMs = memory.ports.clock.wallMs();
    for (let index = 0; index < 40; index++) {
      append([{ key: "k", value: "x".repeat(60), timestamp: nowMs }]);
    }
    await cleaned();
    expect(recordsOf(await readDense(log))).toHaveLength(40);
    await memory.ports.timers.sleep(3_600_000);
    await cleaned();
    expect(recordsOf(await readDense(log)).length).toBeLessThan(15);
  });

  test("cleans in several passes where the keys do not fit its memory", async () => {
    await start({ segmentBytes: 20_000 }, { bufferBytes: 64 * 1024 });
    for (let round = 0; round < 2; round++) {
      for (let key = 0; key < 4_000; key += 10) {
        append(
          Array.from({ length: 10 }, (_, index) => ({ key: `k${key + index}`, value: `${round}` })),
        );
      }
    }
    const before = lastValues(recordsOf(await readDense(log)));
    await log.flush();
    log.saveHighWatermark(log.logEndOffset);
    const timersCount = memory.node.incarnation?.timersCount ?? 0;
    await memory.ports.timers.sleep(BACKOFF_MS + 5_000);
    expect(memory.node.incarnation?.timersCount).toBeLessThanOrEqual(timersCount + 2);
    await cleaned();
    const after = recordsOf(await readDense(log));
    expect(lastValues(after)).toEqual(before);
    expect(after.length).toBeLessThan(4_900);
  });

  test("compact,delete drops old segments as well", async () => {
    await start({ cleanupPolicy: ["compact", "delete"], retentionBytes: 3_000, retentionMs: -1 });
    for (let key = 0; key < 60; key++) append([{ key: `k${key}`, value: "x".repeat(60) }]);
    await cleaned();
    await log.applyRetention(memory.ports.clock.wallMs(), log.logEndOffset);
    expect(log.sizeBytes).toBeLessThan(4_500);
    expect(log.logStartOffset).toBeGreaterThan(20);
    await readDense(log);
  });

  test("drops records without key", async () => {
    await start({ cleanupPolicy: ["delete"] });
    fill(10);
    append([{ key: null, value: "no key" }]);
    fill(10);
    log.configure(COMPACTED);
    await cleaned();
    const records = recordsOf(await readDense(log));
    expect(records.some(({ key }) => key === null)).toBe(false);
    expect(memory.logs.some(({ message }) => message.includes("without key"))).toBe(true);
  });

  test("cleans a log that starts within a batch of many keys", async () => {
    await start({ cleanupPolicy: ["compact", "delete"], retentionMs: -1, segmentBytes: 3_000 });
    const keys = Array.from({ length: 40 }, (_, index) => `k${index}`);
    append(keys.map((key) => ({ key, value: "x".repeat(60) })));
    append([{ key: "other", value: "x".repeat(2_900) }]);
    append([{ key: "other", value: "x".repeat(2_900) }]);
    await log.flush();
    log.saveHighWatermark(log.logEndOffset);
    await log.raiseLogStart(39);
    await memory.ports.timers.sleep(4 * BACKOFF_MS);
    expect(memory.logs.filter(({ level }) => level === "error")).toEqual([]);
    expect(memory.logs.some(({ message }) => message === "log cleaned")).toBe(true);
  });

  test("puts a log aside that it cannot read, says so, and cleans the others", async () => {
    await start({ cleanupPolicy: ["delete"] });
    const garbage = keyedBatch([{ key: "k", value: "x" }], { baseOffset: 0 });
    // Says that it is compressed, which nobody checks where keys do not matter.
    garbage.bytes[22] = 1;
    writeInt32(garbage.bytes, 17, memory.ports.codecs.crc32c(garbage.bytes.subarray(21)));
    log.append(splitBatches(garbage.bytes));
    fill(20);
    const bad = log;
    bad.configure(COMPACTED);
    await cleaned();
    log = await logs.open({ ...REPLICA, partition: 1 }, COMPACTED);
    fill(20);
    await cleaned();
    expect(recordsOf(await readDense(log)).length).toBeLessThan(30);
    expect(bad.failure).toBeUndefined();
    expect(bad.segmentsCount).toBeGreaterThan(10);
    const errors = memory.logs.filter(({ level }) => level === "error");
    expect(errors).toMatchObject([{ fields: { partition: 0, code: "CORRUPT_MESSAGE" } }]);
    const uncleanable = "kafka_log_logcleanermanager_uncleanable_partitions_count";
    expect(memory.meter.collect().get(`${uncleanable}{logDirectory="/data"}`)).toBe(1);
  });

  test("does not write again what it leaves as it is", async () => {
    await start({ segmentBytes: 2_000 });
    for (let key = 0; key < 60; key++) append([{ key: `old${key}`, value: "x".repeat(60) }]);
    await cleaned();
    const written = () =>
      memory.logs
        .filter(({ message }) => message === "log cleaned")
        .map(({ fields }) => (fields as { bytesWritten: number }).bytesWritten)
        .reduce((sum, bytes) => sum + bytes, 0);
    expect(written()).toBe(0);
    fill(30);
    await cleaned();
    expect(written()).toBeGreaterThan(0);
    expect(written()).toBeLessThan(4_000);
    expect(
      recordsOf(await readDense(log)).filter(({ key }) => key?.startsWith("old")),
    ).toHaveLength(60);
  });

  test("a topic that is compacted later, or no longer, is treated so at once", async () => {
    await start({ cleanupPolicy: ["delete"] });
    fill(20);
    await cleaned();
    expect(recordsOf(await readDense(log))).toHaveLength(100);
    log.configure(COMPACTED);
    await cleaned();
    const left = recordsOf(await readDense(log)).length;
    expect(left).toBeLessThan(30);
    log.configure({ ...COMPACTED, cleanupPolicy: ["delete"] });
    fill(20);
    await cleaned();
    expect(recordsOf(await readDense(log))).toHaveLength(left + 100);
  });

  test("timestamps are found among what is left", async () => {
    await start();
    fill(30);
    await cleaned();
    const records = recordsOf(await readDense(log));
    for (const at of [0, 1_003, 1_050, 1_130, 1_149]) {
      const expected = records.find(({ timestamp }) => timestamp >= at);
      const found = await log.offsetForTimestamp(at, log.logEndOffset);
      expect(found?.offset).toBe(expected?.offset);
    }
    const max = await log.offsetOfMaxTimestamp(log.logEndOffset);
    expect(max?.offset).toBe(149);
  });

  /** One who wrote first and never again, among others: only the log says what it sent. */
  function fillAround(quiet: number): void {
    for (let round = 0; round < 3; round++) {
      append([{ key: "mine", value: "x" }], { producerId: quiet, baseSequence: round });
      fill(1);
    }
    fill(40);
  }

  /** What a start folds from the log alone. */
  async function quietAfterRestart(quiet: number): Promise<number | undefined> {
    memory.restart();
    await start();
    const batches = await readDense(log);
    return batches.filter(({ header }) => header.producerId === quiet).length;
  }

  test("reads again what it remembered of producers and finds damaged", async () => {
    await start();
    fillAround(7);
    await cleaned();
    await logs.close({ cleanShutdownEpoch: 1 });
    memory.restart();
    const states = memory.node.disk.store("/data/broker", false);
    const remembered = states.get(utf8(`p/${REPLICA.topicId}-0`))!;
    remembered[remembered.length - 1]! ^= 1;
    await start();
    fill(40);
    await cleaned();
    expect(await quietAfterRestart(7)).toBe(3);
  });

  test("a log that is put aside takes along how far it was cleaned, at the second try too", async () => {
    await start();
    fillAround(7);
    await cleaned();
    await logs.close({ cleanShutdownEpoch: 1 });
    memory.restart();
    await start();
    const whole = await readDense(log);
    const failed = new Promise((resolve) => {
      log.onFailure = resolve;
    });
    const segment = memory.node.disk.store(`${PATH}/${segmentName(0)}`, false);
    segment.get(batchKey(lastOffset(whole[0]!.header)))![BATCH_HEADER_BYTES - 1]! ^= 1;
    await expect(log.read(0, { maxBytes: 1, upTo: 1 })).rejects.toThrow();
    await failed;
    // The copy of it that is taken aside is followed by forgetting, whose first read is this one.
    memory.node.disk.arm("read-error", { path: "/data/broker" });
    await expect(logs.open(REPLICA, COMPACTED)).rejects.toThrow();
    log = await logs.open(REPLICA, COMPACTED);
    expect(log.logEndOffset).toBe(0);
    // As a follower copies it from a leader that has cleaned it too.
    for (const batch of whole) log.append([batch]);
    fill(40);
    await cleaned();
    expect(await quietAfterRestart(7)).toBe(3);
  });

  test("a log that lost its tail forgets that it was cleaned further", async () => {
    await start();
    fill(40);
    await cleaned();
    memory.restart();
    memory.node.disk.remove(PATH);
    await start();
    expect(log.logEndOffset).toBe(0);
    fill(40);
    await cleaned();
    expect(recordsOf(await readDense(log)).length).toBeLessThan(30);
  });

  test("a truncation ends a cleaning, and what is appended then is dirty", async () => {
    await start();
    fill(40);
    await log.flush();
    log.saveHighWatermark(log.logEndOffset);
    await memory.ports.timers.sleep(BACKOFF_MS + 1);
    await log.truncateTo(20);
    expect(log.logEndOffset).toBeLessThanOrEqual(20);
    fill(40);
    const before = lastValues(recordsOf(await readDense(log)));
    await cleaned();
    const after = recordsOf(await readDense(log));
    expect(lastValues(after)).toEqual(before);
    expect(after.length).toBeLessThan(30);
  });
});
