import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { utf8, writeInt16, writeInt32, writeInt64 } from "../../../src/base/bytes.ts";
import type { TopicConfig } from "../../../src/model/topic-config.ts";
import type { WriteOperation } from "../../../src/ports/key-value-store.ts";
import { decodeMarks } from "../../../src/storage/durable-marks.ts";
import { LevelLogs } from "../../../src/storage/level-logs.ts";
import type { PartitionLog, RecoveryReport, ReplicaName } from "../../../src/storage/log.ts";
import { batchKey, segmentName } from "../../../src/storage/segment-keys.ts";
import { compareReplicas, verifyDirectory } from "../../../src/storage/verify.ts";
import { crc32c } from "../../sim/world/sim-codecs.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";
import {
  appendRecords,
  baseOffsets,
  makeBatch,
  readAll,
  TOPIC_CONFIG,
} from "../../support/storage.ts";

const REPLICA: ReplicaName = { topic: "events", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0 };
const LOST = [expect.objectContaining({ topicId: REPLICA.topicId, partition: 0 })];
const PATH = "/data/logs/events-0.AAAAAAAAAAAAAAAAAAAAAA";
const END = { maxBytes: 1_000_000, upTo: Number.MAX_SAFE_INTEGER };
/** Long enough for the marks to be written. */
const MARKED_MS = 2_500;

let memory: MemoryPorts;
beforeEach(() => {
  memory = createMemoryPorts();
});
afterEach(() => memory.dispose());

async function start(
  config: Partial<TopicConfig> = {},
): Promise<{ logs: LevelLogs; log: PartitionLog; report: RecoveryReport }> {
  const logs = await LevelLogs.open(memory.ports, { brokerId: 1, logDirs: ["/data"] });
  const report = await logs.recover();
  const log = await logs.open(REPLICA, { ...TOPIC_CONFIG, ...config });
  return { logs, log, report };
}

/** Changes what is on disk behind everybody's back, between two lives. */
function tamper(base: number, operations: readonly WriteOperation[]): void {
  const state = memory.node.disk.store(`${PATH}/${segmentName(base)}`, false);
  state.begin(operations);
  state.perform(operations, true);
}

function flip(base: number, lastOffset: number): void {
  const state = memory.node.disk.store(`${PATH}/${segmentName(base)}`, false);
  const value = state.get(batchKey(lastOffset))!;
  value[value.length - 1]! ^= 1;
}

function remove(base: number, lastOffset: number): void {
  tamper(base, [{ type: "delete", key: batchKey(lastOffset) }]);
}

describe("after a crash", () => {
  test("what was durable is there, and nobody's hand is needed", async () => {
    for (let round = 0; round < 20; round++) {
      const { log } = await start({ segmentBytes: 2_000 });
      appendRecords(log, 30);
      await log.flush();
      const durable = log.durableEndOffset;
      appendRecords(log, 10);
      await memory.ports.timers.sleep(round / 10);
      const acknowledged = log.durableEndOffset;
      expect(acknowledged).toBeGreaterThanOrEqual(durable);
      memory.restart(round % 2 === 0 ? "crash" : "power loss");
      const after = await start({ segmentBytes: 2_000 });
      expect(after.log.logEndOffset).toBeGreaterThanOrEqual(acknowledged);
      expect(after.log.durableEndOffset).toBe(after.log.logEndOffset);
      expect(after.logs.cleanShutdownEpoch).toBe(-1);
      expect(after.logs.lostReplicas).toEqual([]);
      expect(after.report.quarantined).toEqual([]);
      expect((await readAll(after.log)).length).toBe(after.log.logEndOffset);
      memory.restart();
    }
  });

  test("a defect above the mark is cut off and reported", async () => {
    const { log } = await start();
    appendRecords(log, 10);
    await log.flush();
    await memory.ports.timers.sleep(MARKED_MS);
    appendRecords(log, 10);
    await log.flush();
    memory.restart();
    remove(0, 14);
    const { log: after, report, logs } = await start();
    expect(after.logEndOffset).toBe(14);
    expect(report.truncated).toEqual([
      { replica: expect.objectContaining({ topic: "events" }), from: 20, to: 14 },
    ]);
    expect(logs.lostReplicas).toEqual([]);
    appendRecords(after, 3);
    await after.flush();
    expect(baseOffsets(await readAll(after))).toEqual(Array.from({ length: 17 }, (_, at) => at));
  });

  test.each([
    ["a hole", () => remove(0, 4)],
    ["a flipped bit", () => flip(0, 4)],
    ["a bad key", () => tamper(0, [{ type: "put", key: batchKey(5), value: utf8("nonsense") }])],
    [
      "a damaged manifest",
      () => {
        memory.node.disk.store(`${PATH}/${segmentName(0)}`, false).damaged = true;
      },
    ],
  ])("%s below the mark quarantines the replica", async (_, damage) => {
    const { log } = await start();
    appendRecords(log, 10);
    await log.flush();
    await memory.ports.timers.sleep(MARKED_MS);
    memory.restart();
    damage();
    const { log: after, report, logs } = await start();
    expect(report.quarantined).toEqual([
      { replica: expect.objectContaining({ topic: "events" }), reason: expect.any(String) },
    ]);
    expect(logs.lostReplicas).toEqual(LOST);
    expect([after.logStartOffset, after.logEndOffset]).toEqual([0, 0]);
    expect(memory.node.disk.list("/data/logs")).toContain(
      "events-0.AAAAAAAAAAAAAAAAAAAAAA.quarantined-1",
    );
    // Still lost after the next crash: the mark is kept until as much has been refetched.
    appendRecords(after, 5);
    await after.flush();
    await memory.ports.timers.sleep(MARKED_MS);
    memory.restart();
    const again = await start();
    expect(again.logs.lostReplicas).toEqual(LOST);
    appendRecords(again.log, 10);
    await again.log.flush();
    await memory.ports.timers.sleep(MARKED_MS);
    memory.restart();
    expect((await start()).logs.lostReplicas).toEqual([]);
  });

  test("a tail that is gone below the mark is reported, not hidden", async () => {
    const { log } = await start();
    appendRecords(log, 10);
    await log.flush();
    await memory.ports.timers.sleep(MARKED_MS);
    memory.restart();
    remove(0, 9);
    remove(0, 8);
    const { log: after, report, logs } = await start();
    expect(after.logEndOffset).toBe(8);
    expect(report.quarantined).toEqual([]);
    expect(logs.lostReplicas).toEqual(LOST);
  });

  /** The highest byte of the leader epoch, which no checksum covers. */
  function flipEpoch(base: number, lastOffset: number): void {
    const state = memory.node.disk.store(`${PATH}/${segmentName(base)}`, false);
    state.get(batchKey(lastOffset))![12]! ^= 1;
  }

  test("a log that bears another leader epoch than it vouched for is put aside", async () => {
    for (const flippedAt of [9, 5]) {
      const { log } = await start();
      appendRecords(log, 10, { leaderEpoch: 3 });
      await log.flush();
      await memory.ports.timers.sleep(MARKED_MS);
      memory.restart();
      flipEpoch(0, flippedAt);
      const { log: after, report, logs } = await start();
      expect(report.quarantined).toHaveLength(1);
      expect(after.logEndOffset).toBe(0);
      expect(logs.lostReplicas).toEqual(LOST);
      // As much again, of another leader's: that is what is vouched for now.
      appendRecords(after, 10, { leaderEpoch: 4 });
      await after.flush();
      memory.restart();
      const again = await start();
      expect(again.report.quarantined).toEqual([]);
      expect(again.log.logEndOffset).toBe(10);
      memory.dispose();
      memory = createMemoryPorts();
    }
  });

  test("a log that came to its mark again after it lost its tail is believed", async () => {
    const { log } = await start();
    appendRecords(log, 10);
    await log.flush();
    await memory.ports.timers.sleep(MARKED_MS);
    memory.restart();
    remove(0, 9);
    const { log: after } = await start();
    appendRecords(after, 1, { leaderEpoch: 1 });
    await after.flush();
    memory.restart();
    const again = await start();
    expect(again.report.quarantined).toEqual([]);
    expect(again.logs.lostReplicas).toEqual([]);
    expect(again.log.logEndOffset).toBe(10);
  });

  test("a batch of another leader epoch than was written is not served", async () => {
    const { logs, log } = await start();
    appendRecords(log, 10, { leaderEpoch: 3 });
    appendRecords(log, 1, { leaderEpoch: 5 });
    await logs.close({ cleanShutdownEpoch: 5 });
    memory.restart();
    flipEpoch(0, 4);
    const { log: after } = await start();
    const failed = new Promise((resolve) => {
      after.onFailure = resolve;
    });
    const refused = expect(after.read(4, END)).rejects.toMatchObject({ code: "CORRUPT_MESSAGE" });
    await Promise.all([refused, failed]);
  });

  test("marks without epochs, as earlier brokers wrote them, are read", () => {
    const key = utf8("AAAAAAAAAAAAAAAAAAAAAA-0");
    const bytes = new Uint8Array(12 + 2 + key.length + 8);
    writeInt32(bytes, 4, 1);
    writeInt32(bytes, 8, 1);
    writeInt16(bytes, 12, key.length);
    bytes.set(key, 14);
    writeInt64(bytes, 14 + key.length, 77);
    writeInt32(bytes, 0, crc32c(bytes.subarray(4)));
    expect(decodeMarks(bytes, crc32c)).toEqual(
      new Map([["AAAAAAAAAAAAAAAAAAAAAA-0", { end: 77, epoch: -1 }]]),
    );
  });

  test("a replica whose whole directory is gone is lost too", async () => {
    const { log } = await start();
    appendRecords(log, 10);
    await log.flush();
    await memory.ports.timers.sleep(MARKED_MS);
    memory.restart();
    memory.node.disk.remove(PATH);
    const logs = await LevelLogs.open(memory.ports, { brokerId: 1, logDirs: ["/data"] });
    expect(logs.lostReplicas).toEqual(LOST);
    expect(logs.replicas).toEqual([]);
  });

  test("a clean log whose store lost its end is found before anything is appended", async () => {
    const { logs, log } = await start();
    appendRecords(log, 10);
    await logs.close({ cleanShutdownEpoch: 5 });
    memory.restart();
    remove(0, 9);
    const after = await start();
    expect(after.report.verified).toBe(0);
    const failed = new Promise((resolve) => {
      after.log.onFailure = resolve;
    });
    appendRecords(after.log, 1);
    await failed;
    expect(after.log.durableEndOffset).toBe(10);
    const reopened = await after.logs.open(REPLICA, TOPIC_CONFIG);
    expect(reopened.logEndOffset).toBe(9);
    expect(after.logs.lostReplicas).toEqual(LOST);
  });

  test("the relaxed profile may lose its unflushed end without being called lost", async () => {
    for (let round = 0; round < 20; round++) {
      const config = { flushMessages: 1_000_000, segmentBytes: 1_500 };
      const { log } = await start(config);
      const before = log.logEndOffset;
      for (let step = 0; step < 10; step++) {
        appendRecords(log, 4, { producerId: 1, producerEpoch: 0, baseSequence: 0 });
        await memory.ports.timers.sleep(300);
      }
      memory.restart("power loss");
      const after = await start(config);
      expect(after.logs.lostReplicas).toEqual([]);
      expect(after.report.quarantined).toEqual([]);
      expect(after.log.logEndOffset).toBeGreaterThanOrEqual(before);
      expect((await readAll(after.log)).length).toBe(after.log.logEndOffset);
      const producers = after.log.producers.get(1)?.batches.at(-1)?.baseOffset;
      expect(producers).toBe(after.log.logEndOffset - 1);
      memory.restart();
    }
  });
});

describe("storage errors", () => {
  test("a failed write takes the log offline once; open brings it back verified", async () => {
    for (const fault of ["write-error", "sync-error"] as const) {
      const { logs, log } = await start();
      const before = log.logEndOffset;
      appendRecords(log, 10);
      await log.flush();
      const failures: unknown[] = [];
      log.onFailure = (error) => failures.push(error);
      memory.node.disk.arm(fault);
      appendRecords(log, 1);
      await expect(log.flush()).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
      expect(failures).toEqual([expect.objectContaining({ code: "KAFKA_STORAGE_ERROR" })]);
      expect(log.failure).toBe(failures[0]);
      expect(() => appendRecords(log, 1)).toThrow(
        expect.objectContaining({ code: "KAFKA_STORAGE_ERROR" }),
      );
      expect(() => log.read(0, END)).toThrow(
        expect.objectContaining({ code: "KAFKA_STORAGE_ERROR" }),
      );
      const again = await logs.open(REPLICA, TOPIC_CONFIG);
      expect(again.failure).toBeUndefined();
      expect(again.logEndOffset - before).toBeOneOf([10, 11]);
      appendRecords(again, 1);
      await again.flush();
      expect((await readAll(again)).length).toBe(again.logEndOffset);
      expect(logs.lostReplicas).toEqual([]);
      memory.restart();
    }
  });

  test("no read returns bytes whose CRC fails, and the reopening verifies every batch", async () => {
    const { logs, log } = await start({ segmentBytes: 1_000 });
    appendRecords(log, 60);
    await logs.close({ cleanShutdownEpoch: 3 });
    memory.restart();
    flip(0, 3);
    const after = await start({ segmentBytes: 1_000 });
    expect(after.report.verified).toBe(0);
    const failed = new Promise((resolve) => {
      after.log.onFailure = resolve;
    });
    await expect(after.log.read(3, END)).rejects.toMatchObject({ code: "CORRUPT_MESSAGE" });
    expect(await failed).toMatchObject({ code: "CORRUPT_MESSAGE" });
    const reopened = await after.logs.open(REPLICA, TOPIC_CONFIG);
    expect(reopened.logEndOffset).toBe(0);
    expect(after.logs.lostReplicas).toEqual(LOST);
  });

  test("a read error: back after every batch was verified, quarantined if it lasts and others have it", async () => {
    const { disk } = memory.node;
    const { logs, log } = await start({ segmentBytes: 1_000 });
    appendRecords(log, 60);
    await logs.close({ cleanShutdownEpoch: 3 });
    memory.restart();
    const after = await start({ segmentBytes: 1_000 });
    disk.arm("read-error");
    await expect(after.log.read(3, END)).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    const again = await after.logs.open(REPLICA, TOPIC_CONFIG);
    expect(await readAll(again)).toHaveLength(60);
    const failing = again.read(3, END);
    disk.arm("read-error");
    await expect(failing).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    // The disk may recover; until another replica leads this may be the only copy.
    for (let tries = 0; tries < 6; tries++) {
      const reopening = after.logs.open(REPLICA, TOPIC_CONFIG);
      disk.arm("open-error");
      await expect(reopening).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
      expect(after.logs.lostReplicas).toEqual([]);
    }
    const last = after.logs.open(REPLICA, TOPIC_CONFIG, { rebuildable: true });
    disk.arm("open-error");
    expect((await last).logEndOffset).toBe(0);
    expect(after.logs.isLost(REPLICA)).toBe(true);
    expect(after.logs.lostReplicas).toEqual(LOST);
  });

  test("a full disk refuses, takes nothing half, and goes on when there is room", async () => {
    const { logs, log } = await start();
    appendRecords(log, 10);
    await log.flush();
    memory.node.disk.full = true;
    await memory.ports.timers.sleep(6_000);
    expect(() => appendRecords(log, 1)).toThrow(expect.objectContaining({ code: "DISK_FULL" }));
    expect(log.logEndOffset).toBe(10);
    expect(log.failure).toBeUndefined();
    expect(await readAll(log)).toHaveLength(10);
    expect((await logs.spaces())[0]).toMatchObject({ directory: "/data", freeBytes: 0 });
    memory.node.disk.full = false;
    await memory.ports.timers.sleep(6_000);
    appendRecords(log, 1);
    await log.flush();
    expect(log.durableEndOffset).toBe(11);
  });

  test("a disk that fills before it was noticed: offline, then reopened without loss", async () => {
    const { logs, log } = await start();
    appendRecords(log, 10);
    await log.flush();
    memory.node.disk.full = true;
    appendRecords(log, 5);
    await expect(log.flush()).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    expect(log.failure?.code).toBe("DISK_FULL");
    await expect(logs.open(REPLICA, TOPIC_CONFIG)).rejects.toMatchObject({ code: "DISK_FULL" });
    memory.node.disk.full = false;
    const again = await logs.open(REPLICA, TOPIC_CONFIG);
    expect(again.logEndOffset).toBe(10);
    expect(logs.lostReplicas).toEqual([]);
  });

  test("states that cannot be written take all logs of the directory offline, and come back", async () => {
    const { logs, log } = await start();
    const other = await logs.open({ ...REPLICA, partition: 1 }, TOPIC_CONFIG);
    appendRecords(log, 3);
    appendRecords(other, 3);
    await Promise.all([log.flush(), other.flush()]);
    log.saveHighWatermark(2);
    await memory.ports.timers.sleep(MARKED_MS);
    log.saveHighWatermark(3);
    memory.node.disk.arm("sync-error");
    await memory.ports.timers.sleep(MARKED_MS);
    expect(log.failure).toBeDefined();
    expect(other.failure).toBeDefined();
    const again = await logs.open(REPLICA, TOPIC_CONFIG);
    const otherAgain = await logs.open({ ...REPLICA, partition: 1 }, TOPIC_CONFIG);
    expect([again.logEndOffset, otherAgain.logEndOffset]).toEqual([3, 3]);
    appendRecords(again, 1);
    await again.flush();
  });

  test("a hanging disk shows in oldestPendingMs", async () => {
    const { logs, log } = await start();
    appendRecords(log, 3);
    await log.flush();
    expect(logs.oldestPendingMs()).toBe(0);
    memory.node.disk.hang(5_000);
    appendRecords(log, 1);
    await memory.ports.timers.sleep(3_000);
    expect(logs.oldestPendingMs()).toBeGreaterThanOrEqual(2_900);
    await log.flush();
    expect(log.durableEndOffset).toBe(4);
  });
});

describe("offline check", () => {
  test("counts what is there and names what is wrong, without changing it", async () => {
    const { logs, log } = await start({ segmentBytes: 1_000 });
    for (let offset = 0; offset < 60; offset += 2) {
      const leaderEpoch = offset < 20 ? 1 : 4;
      log.append([makeBatch({ baseOffset: offset, recordsCount: 2, leaderEpoch })]);
    }
    await log.flush();
    log.saveHighWatermark(50);
    await logs.close({ cleanShutdownEpoch: 1 });
    const sound = [];
    for await (const findings of verifyDirectory(memory.ports, "/data")) sound.push(findings);
    expect(sound).toEqual([
      expect.objectContaining({
        topic: "events",
        partition: 0,
        batchesCount: 30,
        recordsCount: 60,
        sizeBytes: log.sizeBytes,
        segmentsCount: log.segmentsCount,
        logStartOffset: 0,
        logEndOffset: 60,
        highWatermark: 50,
        durableMark: 60,
        clean: true,
        epochs: [
          { epoch: 1, startOffset: 0 },
          { epoch: 4, startOffset: 20 },
        ],
        defects: [],
      }),
    ]);
    flip(0, 3);
    remove(0, 5);
    const damaged = [];
    for await (const findings of verifyDirectory(memory.ports, PATH)) damaged.push(findings);
    expect(damaged[0]?.defects.map(({ kind, offset }) => ({ kind, offset }))).toEqual([
      { kind: "crc", offset: 2 },
      { kind: "hole", offset: 4 },
    ]);
    await expect(verifyDirectory(memory.ports, "/elsewhere").next()).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  test("is refused while a broker runs on the directory", async () => {
    await start();
    await expect(verifyDirectory(memory.ports, "/data").next()).rejects.toMatchObject({
      code: "DIRECTORY_LOCKED",
    });
  });

  test("compares replicas batch by batch over what both hold", async () => {
    const open = async (directory: string): Promise<{ logs: LevelLogs; log: PartitionLog }> => {
      const logs = await LevelLogs.open(memory.ports, { brokerId: 1, logDirs: [directory] });
      return { logs, log: await logs.open(REPLICA, { ...TOPIC_CONFIG, segmentBytes: 1_000 }) };
    };
    const first = await open("/first");
    const second = await open("/second");
    appendRecords(first.log, 40);
    appendRecords(second.log, 45);
    await first.log.flush();
    await first.log.raiseLogStart(12);
    await first.logs.close({ cleanShutdownEpoch: 1 });
    await second.logs.close({ cleanShutdownEpoch: 1 });
    const equal = await compareReplicas(memory.ports, "/first", "/second");
    expect(equal).toEqual({
      compared: [
        {
          topic: "events",
          topicId: REPLICA.topicId,
          partition: 0,
          batchesCount: 28,
          from: 12,
          upTo: 40,
          difference: undefined,
        },
      ],
      onlyInFirst: [],
      onlyInSecond: [],
    });
    memory.restart();
    const again = await open("/second");
    await again.log.truncateTo(20);
    appendRecords(again.log, 25, { leaderEpoch: 2 });
    await again.logs.close({ cleanShutdownEpoch: 1 });
    const unequal = await compareReplicas(memory.ports, "/first", "/second");
    expect(unequal.compared[0]?.difference).toMatchObject({ offset: 20 });
  });
});
