/**
 * One log on LevelDB with many records of few keys, cleaned at full speed, in a process of its own
 * with a broker's flags. A cleaning reads the dirty part twice, once for its keys and once for what
 * survives. Prints a `CleanerRun` as JSON.
 *
 *     node cleaner-process.js RECORDS
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeCodecs } from "../../src/adapters/native-codecs.ts";
import { createNodePorts } from "../../src/adapters/node-ports.ts";
import { effectiveTopicConfig } from "../../src/model/config-values.ts";
import type { TopicConfig } from "../../src/model/topic-config.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { type Batch, placeBatch, splitBatches } from "../../src/record/batch.ts";
import { BatchBuilder } from "../../src/record/records.ts";
import { LevelLogs } from "../../src/storage/level-logs.ts";
import type { PartitionLog } from "../../src/storage/log.ts";
import { DEFAULT_LOG_CLEANER_CONFIG } from "../../src/storage/log-cleaner.ts";
import { type CleanerRun, KEYS_COUNT, VALUE_BYTES } from "./cleaner-run.ts";

const RECORDS_PER_BATCH = 1_000;
const SEGMENT_BYTES = 64 * 1024 * 1024;

const CONFIG: TopicConfig = {
  ...effectiveTopicConfig({ properties: new Map() }),
  cleanupPolicy: ["compact"],
  minCleanableDirtyRatio: 0.01,
  segmentBytes: SEGMENT_BYTES,
};

async function once(recordsCount: number): Promise<CleanerRun> {
  const directory = await mkdtemp(join(tmpdir(), "ottla-bench-cleaner-"));
  const nodePorts = createNodePorts({ brokerId: 1, log: { level: "error" } });
  let cleaned = (): void => undefined;
  const isCleaned = new Promise<void>((resolve) => {
    cleaned = resolve;
  });
  const { logger } = nodePorts;
  const info = (message: string): void => {
    if (message === "log cleaned") cleaned();
  };
  const ports: Ports = {
    ...nodePorts,
    logger: {
      debug: () => undefined,
      info,
      warn: (message, fields) => logger.warn(message, fields),
      error: (message, fields) => logger.error(message, fields),
      child: () => logger,
    },
  };
  let enabled = false;
  const logs = await LevelLogs.open(ports, {
    brokerId: 1,
    logDirs: [directory],
    cleanerConfig: () => ({ ...DEFAULT_LOG_CLEANER_CONFIG, enabled, backoffMs: 100 }),
  });
  try {
    await logs.recover();
    const name = { topic: "bench", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0 };
    const log = await logs.open(name, CONFIG);
    const active = await fill(log, recordsCount);
    const before = log.sizeBytes;
    log.saveHighWatermark(log.logEndOffset);
    const began = performance.now();
    const cpu = process.cpuUsage();
    enabled = true;
    log.configure(CONFIG);
    await isCleaned;
    const size = log.sizeBytes;
    const seconds = (performance.now() - began) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    const megabytes = (before - active.bytes) / 1e6;
    return {
      megabytesPerSecond: megabytes / seconds,
      megabytesPerCpuSecond: megabytes / ((user + system) / 1e6),
      sizeRatio: (size - active.bytes) / active.liveBytes,
    };
  } finally {
    await logs.close({ cleanShutdownEpoch: undefined });
    await rm(directory, { recursive: true, force: true });
  }
}

/** Returns what lies in the active segment, and the bytes of each key's last record before it. */
async function fill(
  log: PartitionLog,
  recordsCount: number,
): Promise<{ readonly bytes: number; readonly liveBytes: number }> {
  const value = new Uint8Array(VALUE_BYTES).fill(120);
  const keys = new Set<number>();
  let segmentBytes = 0;
  let sealedKeysCount = 0;
  let state = 1;
  for (let at = 0; at < recordsCount; at += RECORDS_PER_BATCH) {
    const keysBeforeCount = keys.size;
    const builder = new BatchBuilder(RECORDS_PER_BATCH * (VALUE_BYTES + 40));
    for (let index = 0; index < RECORDS_PER_BATCH; index++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      const key = (state >>> 8) % KEYS_COUNT;
      builder.appendFields(1_700_000_000_000 + at + index, `key-${key}`, value, []);
      keys.add(key);
    }
    const bytes = builder.seal({
      codec: "none",
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      crc32c: nativeCodecs.crc32c,
    });
    const [batch] = splitBatches(bytes) as [Batch];
    log.append([placeBatch(batch, { baseOffset: at, leaderEpoch: 0 })]);
    segmentBytes += bytes.length;
    if (segmentBytes > SEGMENT_BYTES) {
      segmentBytes = bytes.length;
      sealedKeysCount = keysBeforeCount;
    }
    if (log.queuedBytes > 8 * 1024 * 1024) await log.flush();
  }
  await log.flush();
  return { bytes: segmentBytes, liveBytes: (sealedKeysCount * log.sizeBytes) / recordsCount };
}

process.stdout.write(JSON.stringify(await once(Number(process.argv[2]))));
