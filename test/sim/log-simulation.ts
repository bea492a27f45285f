/**
 * One run of a partition log alone, on a faulty disk: appends, truncations, resets, clean stops,
 * crashes and power losses. After each opening the log must hold what was durable, nothing that
 * was never appended there, and state folded from exactly what it holds (S1, S2, S4, S6, I5).
 */

import { utf8 } from "../../src/base/bytes.ts";
import type { Prng } from "../../src/base/prng.ts";
import { toOttlaError } from "../../src/model/errors.ts";
import { type Offset, partitionKey } from "../../src/model/ids.ts";
import type { TopicConfig } from "../../src/model/topic-config.ts";
import type { Ports } from "../../src/ports/ports.ts";
import { type Batch, lastOffset, placeBatch, readBatchHeader } from "../../src/record/batch.ts";
import { BatchBuilder } from "../../src/record/records.ts";
import { ProducerStates } from "../../src/replica/producer-states.ts";
import { decodeChecked } from "../../src/storage/checked-value.ts";
import { decodeMarks } from "../../src/storage/durable-marks.ts";
import { LevelLogs } from "../../src/storage/level-logs.ts";
import type { PartitionLog } from "../../src/storage/log.ts";
import type { ReplicaHead } from "../../src/storage/replica-states.ts";
import { isBatchKey, keyOffset } from "../../src/storage/segment-keys.ts";
import { type Play, runWorld, type SimulationResult } from "./run-world.ts";
import { crc32c } from "./world/sim-codecs.ts";
import { SimNetwork } from "./world/sim-network.ts";
import { SimNode } from "./world/sim-node.ts";
import { createIncarnation } from "./world/sim-ports.ts";
import { WALL_EPOCH_MS } from "./world/sim-timers.ts";
import { describe, type TimelineLine, type World } from "./world/world.ts";

export interface LogSimulationOptions {
  readonly seed: number;
  /** Lives of the process, each of up to a few seconds. Default 12. */
  readonly lives?: number;
  readonly onNote?: (line: TimelineLine) => void;
}

const REPLICA = { topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0, topic: "log" };

export function runLogSimulation(options: LogSimulationOptions): Promise<SimulationResult> {
  return runWorld(options, (world) => new LogRun(world, options));
}

class LogRun implements Play {
  readonly #world: World;
  readonly #options: LogSimulationOptions;
  readonly #prng: Prng;
  readonly #node: SimNode;
  readonly #network: SimNetwork;
  readonly #config: TopicConfig;
  /** What was appended and not cut off since; the log holds a part of it, from its start. */
  #batches: Batch[] = [];
  #startOffset: Offset = 0;
  /** Everything below was durable and was not asked to be cut off. */
  #guaranteedEnd: Offset = 0;
  /** A reset that may have happened: the log then is empty at that offset. */
  #resetTo: Offset | undefined;
  /** Where a truncation that may have happened would have cut. */
  #cutAt: Offset = Number.POSITIVE_INFINITY;
  #epoch = 1;
  #sequence = 0;
  #appendedCount = 0;
  #faultsCount = 0;
  /** What is vouched for may be on its way to the disk unheard. */
  #isOpening = false;

  constructor(world: World, options: LogSimulationOptions) {
    this.#world = world;
    this.#options = options;
    this.#prng = world.prng.fork("log");
    this.#node = new SimNode({ world, name: "node", prng: world.prng.fork("node") });
    this.#network = new SimNetwork(world, world.prng.fork("network"));
    const prng = this.#prng;
    this.#config = {
      cleanupPolicy: ["delete"],
      compressionType: "producer",
      deleteRetentionMs: 86_400_000,
      fileDeleteDelayMs: 60_000,
      flushMessages: 1,
      flushMs: Number.MAX_SAFE_INTEGER,
      maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
      maxMessageBytes: 1024 * 1024,
      messageTimestampType: "CreateTime",
      messageTimestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
      messageTimestampAfterMaxMs: 3_600_000,
      minCleanableDirtyRatio: 0.5,
      minCompactionLagMs: 0,
      minInsyncReplicas: 1,
      retentionBytes: -1,
      retentionMs: -1,
      segmentBytes: prng.pick([600, 5_000, 1024 * 1024]),
      segmentMs: 604_800_000,
      uncleanLeaderElectionEnable: false,
    };
    this.#node.onLog = ({ level, message, fields }) => {
      if (level === "debug" || level === "info") return;
      const text = `${level}: ${message} ${JSON.stringify(fields)}`;
      world.note(text);
      if (level === "error" && this.#node.disk.faultsCount === 0) {
        world.fail("nothing is logged as an error without a cause", text);
      }
    };
    this.#node.onFatal = (reason, cause) =>
      world.fail("a log does not end its broker", `${reason}: ${describe(cause)}`);
  }

  async play(): Promise<void> {
    const world = this.#world;
    const lives = this.#options.lives ?? 12;
    for (let life = 1; life <= lives; life++) {
      const { ports, incarnation } = createIncarnation(this.#node, this.#network);
      world.note(`life ${life}`);
      let over = false;
      this.#live(ports).then(
        () => {
          over = true;
        },
        (thrown: unknown) => {
          if (incarnation.alive) world.fail("a log works", describe(thrown));
        },
      );
      const lastsMs = this.#prng.pick([5, 50, 500, 3_000]);
      await world.runUntil(() => over, (lastsMs * this.#prng.between(1, 200)) / 100);
      this.#faultsCount++;
      const how = this.#prng.below(3);
      if (over) this.#node.exit();
      else if (how === 0) this.#node.crash();
      else {
        this.#node.losePower();
        if (this.#prng.chance(1, 4) && !this.#isOpening) this.#tear();
      }
      world.note(over ? "stopped" : how === 0 ? "crash" : "power loss");
      this.#node.disk.full = false;
    }
    const { ports } = createIncarnation(this.#node, this.#network);
    await world.settle(this.#open(ports).then(({ log }) => this.#check(log)));
    if (world.failure !== undefined) throw world.failure;
  }

  tell(): ReturnType<Play["tell"]> {
    return { acknowledgedCount: this.#appendedCount, faultsCount: this.#faultsCount };
  }

  /** As the disk has it: below, everything was fsynced, and a start counts on it. */
  #vouchedEnd(): Offset {
    const { disk } = this.#node;
    const key = partitionKey(REPLICA.topicId, REPLICA.partition);
    const marks = disk.node("/data/marks");
    const known = marks?.type === "file" ? decodeMarks(marks.content, crc32c) : undefined;
    const states = disk.node("/data/broker");
    const stored = states?.type === "store" ? states.state.get(utf8(`s/${key}/head`)) : undefined;
    const head = stored && (decodeChecked(stored, crc32c) as ReplicaHead | undefined);
    return Math.max(known?.get(key)?.end ?? 0, head?.cleanEnd ?? 0, this.#guaranteedEnd);
  }

  /**
   * What a torn journal can leave above that: the newest batch that nobody vouched for is there, one
   * before it is not.
   */
  #tear(): void {
    const { disk } = this.#node;
    const end = this.#vouchedEnd();
    const stores = [...disk.below("/data/logs")].flatMap(([, node]) =>
      node.type === "store" ? [node.state] : [],
    );
    for (const store of stores.reverse()) {
      const keys = [...store.entries()].map(({ key }) => key).filter(isBatchKey);
      const loose = keys.filter((key) => keyOffset(key) >= end);
      const torn = loose.at(-2);
      if (torn === undefined) continue;
      store.perform([{ type: "delete", key: torn }], true);
      this.#world.note(`torn at ${keyOffset(torn)}`);
      return;
    }
  }

  async #open(ports: Ports): Promise<{ logs: LevelLogs; log: PartitionLog }> {
    const logs = await LevelLogs.open(ports, { brokerId: 1, logDirs: ["/data"] });
    if (logs.clusterId === undefined) await logs.adoptCluster("cluster");
    const report = await logs.recover();
    for (const { from, to } of report.truncated) this.#world.note(`cut from ${from} to ${to}`);
    if (logs.lostReplicas.length > 0 || report.quarantined.length > 0) {
      this.#world.fail(
        "S2 what was durable is found",
        `lost ${JSON.stringify(logs.lostReplicas)}, quarantined ${JSON.stringify(report.quarantined)}`,
      );
    }
    const log = await logs.open(REPLICA, this.#config);
    return { logs, log };
  }

  /** What a process does until it is killed, or stops by itself. */
  async #live(ports: Ports): Promise<void> {
    const prng = this.#prng;
    this.#isOpening = true;
    const { logs, log: first } = await this.#open(ports);
    let log = first;
    await this.#check(log);
    this.#isOpening = false;
    const steps = prng.chance(1, 3) ? prng.between(0, 40) : 100_000;
    for (let step = 0; step < steps; step++) {
      try {
        if (log.failure !== undefined) {
          // As its broker does: open anew, which verifies; while the disk is full it stays offline.
          this.#isOpening = true;
          log = await logs.open(REPLICA, this.#config);
          await this.#check(log);
          this.#isOpening = false;
        }
        this.#watch(log);
        await this.#step(ports, log);
      } catch (thrown) {
        const { code, message } = toOttlaError(thrown);
        if (code !== "KAFKA_STORAGE_ERROR" && code !== "DISK_FULL" && code !== "CLOSED") {
          throw thrown;
        }
        this.#world.note(`refused: ${code} ${message}`);
        await ports.timers.sleep(50);
      }
    }
    try {
      await logs.close({ cleanShutdownEpoch: 7 });
    } catch (thrown) {
      const { code } = toOttlaError(thrown);
      if (code !== "KAFKA_STORAGE_ERROR" && code !== "DISK_FULL") throw thrown;
    }
  }

  #watch(log: PartitionLog): void {
    log.onDurable = () => {
      const end = Math.min(log.durableEndOffset, this.#cutAt);
      this.#guaranteedEnd = Math.max(this.#guaranteedEnd, end);
    };
  }

  async #step(ports: Ports, log: PartitionLog): Promise<void> {
    const prng = this.#prng;
    const { disk } = this.#node;
    const drawn = prng.below(1_000);
    if (drawn < 700) {
      const batches = this.#make(log);
      log.append(batches);
      this.#batches.push(...batches);
      if (prng.chance(1, 3)) await ports.timers.sleep(prng.below(4));
    } else if (drawn < 900) await ports.timers.sleep(prng.below(10));
    else if (drawn < 920) await log.flush();
    else if (drawn < 940) log.saveHighWatermark(log.durableEndOffset);
    else if (drawn < 965) await this.#truncate(log);
    else if (drawn < 970) await this.#reset(log);
    else if (drawn < 975) await this.#raiseStart(log);
    else if (drawn < 980) await this.#check(log);
    else if (drawn < 984) await ports.timers.sleep(prng.between(1_000, 70_000));
    else if (drawn < 988) this.#epoch++;
    else if (drawn < 991) disk.arm("write-error");
    else if (drawn < 994) disk.arm("sync-error");
    else if (drawn < 996) {
      disk.full = true;
      this.#world.note("disk full");
      this.#world.schedule(prng.between(10, 500), "disk has space", () => {
        disk.full = false;
      });
    }
  }

  #make(log: PartitionLog): Batch[] {
    const prng = this.#prng;
    const out: Batch[] = [];
    let end = log.logEndOffset;
    for (let count = prng.between(1, 3); count > 0; count--) {
      const builder = new BatchBuilder(200);
      const recordsCount = prng.between(1, 3);
      for (let index = 0; index < recordsCount; index++) {
        builder.append({
          timestamp: WALL_EPOCH_MS,
          key: null,
          value: utf8(`${this.#appendedCount++}`.padEnd(prng.between(1, 200), ".")),
          headers: [],
        });
      }
      const bytes = builder.seal({
        codec: "none",
        producerId: prng.between(1, 3),
        producerEpoch: this.#epoch,
        baseSequence: this.#sequence,
        crc32c,
      });
      this.#sequence += recordsCount;
      const batch = placeBatch(
        { bytes, header: readBatchHeader(bytes) },
        { baseOffset: end, leaderEpoch: this.#epoch },
      );
      end = lastOffset(batch.header) + 1;
      out.push(batch);
    }
    return out;
  }

  async #truncate(log: PartitionLog): Promise<void> {
    const from = Math.max(log.logStartOffset, log.logEndOffset - this.#prng.between(0, 30));
    this.#world.note(`truncate to ${from} of ${log.logEndOffset}`);
    this.#cutAt = this.#boundaryBelow(from);
    this.#guaranteedEnd = Math.min(this.#guaranteedEnd, this.#cutAt);
    await log.truncateTo(from);
    this.#cutAt = Number.POSITIVE_INFINITY;
    this.#cutModel(log.logEndOffset);
    this.#guaranteedEnd = log.durableEndOffset;
    this.#epoch++;
  }

  async #reset(log: PartitionLog): Promise<void> {
    const to = log.logEndOffset + this.#prng.between(0, 10);
    this.#world.note(`reset to ${to}`);
    this.#guaranteedEnd = 0;
    this.#cutAt = 0;
    this.#resetTo = to;
    await log.resetTo(to);
    this.#cutAt = Number.POSITIVE_INFINITY;
    this.#resetTo = undefined;
    this.#batches = [];
    this.#startOffset = to;
    this.#guaranteedEnd = to;
    this.#epoch++;
  }

  async #raiseStart(log: PartitionLog): Promise<void> {
    const offset = this.#boundaryBelow(log.durableEndOffset - this.#prng.between(0, 20));
    if (offset <= log.logStartOffset) return;
    this.#world.note(`raise the start to ${offset}`);
    await log.raiseLogStart(offset);
  }

  /** The end of the last batch at or below `offset`. */
  #boundaryBelow(offset: Offset): Offset {
    let boundary = this.#startOffset;
    for (const { header } of this.#batches) {
      if (lastOffset(header) + 1 > offset) break;
      boundary = lastOffset(header) + 1;
    }
    return boundary;
  }

  #cutModel(end: Offset): void {
    this.#batches = this.#batches.filter(({ header }) => header.baseOffset < end);
  }

  /** Reads the whole log, and compares it and its folded state with what was appended. */
  async #check(log: PartitionLog): Promise<void> {
    const fail = (detail: string): void =>
      this.#world.fail("S1 a log is what was appended", detail);
    const start = log.logStartOffset;
    const end = log.logEndOffset;
    if (this.#resetTo !== undefined) {
      const happened = start === this.#resetTo && end === this.#resetTo;
      if (happened) {
        this.#batches = [];
        this.#startOffset = end;
        this.#guaranteedEnd = end;
      }
      this.#resetTo = undefined;
    }
    if (end < this.#guaranteedEnd) {
      fail(`it ends at ${end}, durable were ${this.#guaranteedEnd}`);
      return;
    }
    const producers = new ProducerStates();
    const expected = new Map(this.#batches.map((batch) => [batch.header.baseOffset, batch]));
    for (const { header } of this.#batches) {
      if (header.baseOffset >= end) break;
      producers.update(header);
    }
    let at = start;
    while (at < end) {
      const found = await log.read(at, { maxBytes: 4_000, upTo: end });
      if (found.length === 0) {
        fail(`nothing is read at ${at} of ${end}`);
        return;
      }
      for (const { header } of found) {
        const want = expected.get(header.baseOffset)?.header;
        if (want?.crc !== header.crc || want.leaderEpoch !== header.leaderEpoch) {
          fail(
            `at ${header.baseOffset} is crc ${header.crc} epoch ${header.leaderEpoch}, appended was ${want?.crc ?? "nothing"} epoch ${want?.leaderEpoch ?? ""}`,
          );
          return;
        }
        at = lastOffset(header) + 1;
      }
    }
    if (at !== end) fail(`it ends at ${end}, its batches at ${at}`);
    const { starts } = log.epochs;
    for (const { header } of this.#batches) {
      if (header.baseOffset >= end || header.baseOffset < start) continue;
      const covering = starts.findLast(({ startOffset }) => startOffset <= header.baseOffset);
      if (covering?.epoch === header.leaderEpoch) continue;
      fail(
        `epochs are ${JSON.stringify(starts)}, offset ${header.baseOffset} is of ${header.leaderEpoch}`,
      );
      return;
    }
    this.#checkProducers(log, producers);
    if (log.savedHighWatermark > log.durableEndOffset) {
      fail(`saved high watermark ${log.savedHighWatermark} beyond ${log.durableEndOffset}`);
    }
    // Exclusive with appends: what was found is what there is, and durable since it was loaded.
    if (log.durableEndOffset === end) {
      this.#cutAt = Number.POSITIVE_INFINITY;
      this.#cutModel(end);
      this.#guaranteedEnd = Math.max(this.#guaranteedEnd, end);
    }
  }

  #checkProducers(log: PartitionLog, expected: ProducerStates): void {
    const found = JSON.stringify(log.producers.entries());
    const wanted = JSON.stringify(expected.entries());
    // What lies below the log start is in the state if it was there when it was folded.
    if (found === wanted || log.logStartOffset > 0) return;
    this.#world.fail(
      "I5 producer state is the fold of the log",
      `${found}, of its batches ${wanted}`,
    );
  }
}
