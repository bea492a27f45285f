// Random lives of a compacted log and of a follower that fetches from it, each with a cleaner of
// its own (appends, commits, cleanings, crashes, truncations, restarts), against a naive model: all
// records that were ever appended. Whatever was cleaned when, the last value of each key is there,
// every record that is left stands at its offset with its bytes, offsets have no holes, leader
// epochs and producer states are those of the whole log, and the two replicas agree.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Offset } from "../../src/model/ids.ts";
import type { TopicConfig } from "../../src/model/topic-config.ts";
import { type Batch, isCompacted, lastOffset } from "../../src/record/batch.ts";
import { restOfBatch } from "../../src/record/dense-batches.ts";
import { LeaderEpochs } from "../../src/replica/leader-epochs.ts";
import { ProducerStates } from "../../src/replica/producer-states.ts";
import { LevelLogs } from "../../src/storage/level-logs.ts";
import type { PartitionLog, ReplicaName } from "../../src/storage/log.ts";
import { DEFAULT_LOG_CLEANER_CONFIG } from "../../src/storage/log-cleaner.ts";
import { compareReplicas, verifyDirectory } from "../../src/storage/verify.ts";
import { crc32c } from "../sim/world/sim-codecs.ts";
import {
  type FoundRecord,
  type KeyedRecord,
  keyedBatch,
  readDense,
  recordsOf,
} from "../support/compaction.ts";
import { createMemoryPorts, type MemoryPorts } from "../support/memory-ports.ts";
import { TOPIC_CONFIG } from "../support/storage.ts";

const REPLICA: ReplicaName = { topic: "events", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0 };
const BACKOFF_MS = 1_000;

type Who = "leader" | "follower";
type Step =
  | {
      readonly do: "append";
      readonly batches: readonly (readonly KeyedRecord[])[];
      readonly producer: number | undefined;
      readonly bump: boolean;
    }
  | { readonly do: "commit"; readonly who: Who; readonly at: number }
  | { readonly do: "fetch"; readonly batches: number }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "clean restart"; readonly who: Who }
  | { readonly do: "crash" | "power loss"; readonly who: Who; readonly afterMs: number }
  | { readonly do: "truncate"; readonly at: number }
  | { readonly do: "forget"; readonly who: Who };

const who = fc.constantFrom<Who>("leader", "follower");
const recordArbitrary = fc.record({
  key: fc.integer({ min: 0, max: 9 }).map((key) => `k${key}`),
  value: fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 80 }).map((size) => "v".repeat(size)) },
    { weight: 1, arbitrary: fc.constant(null) },
  ),
});
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      batches: fc.array(fc.array(recordArbitrary, { minLength: 1, maxLength: 4 }), {
        minLength: 1,
        maxLength: 12,
      }),
      producer: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      bump: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      who,
      // Of what may be committed, in thousandths.
      at: fc.integer({ min: 0, max: 1000 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("fetch" as const),
      batches: fc.integer({ min: 1, max: 30 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("sleep" as const),
      ms: fc.constantFrom(3, 1_010, 5_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clean restart" as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("crash" as const, "power loss" as const),
      who,
      // A cleaning begins when the cleaner has slept.
      afterMs: fc.oneof(
        fc.double({ min: 0, max: 5, noNaN: true }),
        fc.double({ min: 990, max: 1_030, noNaN: true }),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("truncate" as const),
      at: fc.integer({ min: 0, max: 1000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), who }) },
);

/** A replica on a machine of its own. */
class Replica {
  readonly memory: MemoryPorts;
  readonly #config: TopicConfig;
  logs!: LevelLogs;
  log!: PartitionLog;
  highWatermark: Offset = 0;

  constructor(memory: MemoryPorts, segmentBytes: number) {
    this.memory = memory;
    this.#config = {
      ...TOPIC_CONFIG,
      cleanupPolicy: ["compact"],
      minCleanableDirtyRatio: 0,
      // Tombstones stay, so that the two replicas can be compared.
      deleteRetentionMs: 86_400_000,
      segmentBytes,
    };
  }

  async start(): Promise<void> {
    this.logs = await LevelLogs.open(this.memory.ports, {
      brokerId: 1,
      logDirs: ["/data"],
      cleanerConfig: () => ({ ...DEFAULT_LOG_CLEANER_CONFIG, backoffMs: BACKOFF_MS }),
    });
    const report = await this.logs.recover();
    expect(report.quarantined).toEqual([]);
    expect(this.logs.lostReplicas).toEqual([]);
    this.log = await this.logs.open(REPLICA, this.#config);
  }

  commit(highWatermark: Offset): void {
    this.highWatermark = Math.max(this.highWatermark, highWatermark);
    this.log.saveHighWatermark(this.highWatermark);
  }

  async restart(how: "clean" | "crash" | "power loss"): Promise<void> {
    if (how === "clean") await this.logs.close({ cleanShutdownEpoch: 1 });
    const durable = this.log.durableEndOffset;
    this.memory.restart(how === "clean" ? "crash" : how);
    await this.start();
    expect(this.log.logEndOffset).toBeGreaterThanOrEqual(durable);
    this.log.saveHighWatermark(this.highWatermark);
  }
}

class Life {
  readonly leader: Replica;
  readonly follower: Replica;
  /** Every batch as it was appended. */
  history: Batch[] = [];
  #epoch = 0;
  readonly #sequences = new Map<number, number>();
  /** Of each producer in the history, where its sequences begin anew after a truncation. */
  #producerEpoch = 0;

  constructor(seed: number, segmentBytes: number) {
    const memory = createMemoryPorts({ seed });
    const { world, network } = memory;
    this.leader = new Replica(memory, segmentBytes);
    // Its segments end elsewhere, so its cleanings do too.
    const other = createMemoryPorts({ seed, world, network, name: "node-2" });
    this.follower = new Replica(other, segmentBytes + 300);
  }

  async step(step: Step): Promise<void> {
    const { leader, follower } = this;
    switch (step.do) {
      case "append":
        return this.#append(step);
      case "commit": {
        // Committed is what both have.
        const end = Math.min(leader.log.durableEndOffset, follower.log.durableEndOffset);
        const highWatermark = this.#boundary(Math.floor((end * step.at) / 1000));
        if (step.who === "leader") leader.commit(highWatermark);
        else follower.commit(Math.min(highWatermark, leader.highWatermark));
        return;
      }
      case "fetch":
        return this.#fetch(step.batches);
      case "sleep":
        return leader.memory.ports.timers.sleep(step.ms);
      case "clean restart":
        await this[step.who].restart("clean");
        return this.#adopt();
      case "crash":
      case "power loss":
        await this[step.who].memory.ports.timers.sleep(step.afterMs);
        await this[step.who].restart(step.do);
        return this.#adopt();
      case "truncate": {
        // Another leader took over: everything committed stays.
        const low = Math.max(leader.highWatermark, follower.highWatermark);
        const high = leader.log.logEndOffset;
        await this.#truncate(
          this.#boundary(low + Math.floor(((high - low) * step.at) / 1000), low),
        );
        return;
      }
      case "forget":
        // What the broker remembered is gone: all is folded from the log alone.
        await this[step.who].logs.close({ cleanShutdownEpoch: 1 });
        this[step.who].memory.node.disk.remove("/data/broker");
        await this[step.who].restart("crash");
        return this.#adopt();
    }
  }

  /** The largest end of a batch that is <= `offset`, or `least`. */
  #boundary(offset: Offset, least = 0): Offset {
    let end = least;
    for (const { header } of this.history) {
      if (lastOffset(header) + 1 <= offset) end = Math.max(end, lastOffset(header) + 1);
    }
    return end;
  }

  #append({ batches, producer, bump }: Extract<Step, { do: "append" }>): void {
    const { log } = this.leader;
    if (bump) this.#epoch++;
    for (const records of batches) {
      const producerId = producer === undefined ? undefined : producer + this.#producerEpoch * 10;
      const baseSequence = producerId === undefined ? -1 : (this.#sequences.get(producerId) ?? 0);
      if (producerId !== undefined) this.#sequences.set(producerId, baseSequence + records.length);
      const batch = keyedBatch(records, {
        baseOffset: log.logEndOffset,
        leaderEpoch: this.#epoch,
        ...(producerId === undefined ? {} : { producerId }),
        baseSequence,
      });
      log.append([batch]);
      this.history.push(batch);
    }
  }

  /** As a follower's stream does it. */
  async #fetch(count: number): Promise<void> {
    const { leader, follower } = this;
    for (let left = count; left > 0 && follower.log.logEndOffset < leader.log.logEndOffset; ) {
      const from = follower.log.logEndOffset;
      const limits = { maxBytes: 300, upTo: leader.log.logEndOffset };
      const [first, ...later] = await leader.log.read(from, limits);
      if (first === undefined) throw new Error(`nothing to fetch at ${from}`);
      const isWithin = first.header.baseOffset < from;
      if (isWithin) {
        expect(isCompacted(first.header)).toBe(true);
        expect(recordsOf([first]).every(({ offset }) => offset < from)).toBe(true);
      }
      const start = isWithin ? restOfBatch(first.header, from, crc32c) : first;
      const batches = [start, ...later].slice(0, left);
      follower.log.append(batches);
      left -= batches.length;
    }
    await follower.log.flush();
  }

  async #truncate(offset: Offset): Promise<void> {
    const { leader, follower } = this;
    await leader.log.truncateTo(offset);
    if (follower.log.logEndOffset > offset) await follower.log.truncateTo(offset);
    expect(leader.log.logEndOffset).toBe(offset);
    this.#cutHistory(offset);
  }

  /** After a crash a log may end earlier; the follower then follows the leader. */
  async #adopt(): Promise<void> {
    const { leader, follower } = this;
    const end = leader.log.logEndOffset;
    if (follower.log.logEndOffset > end) await follower.log.truncateTo(end);
    this.#cutHistory(end);
  }

  #cutHistory(end: Offset): void {
    const before = this.history.length;
    this.history = this.history.filter(({ header }) => lastOffset(header) < end);
    if (this.history.length === before) return;
    this.#epoch++;
    this.#producerEpoch++;
  }

  async check(): Promise<void> {
    for (const { log } of [this.leader, this.follower]) {
      const batches = await readDense(log);
      const found = recordsOf(batches);
      this.#checkRecords(log, found);
      this.#checkFolds(log, batches);
    }
  }

  #checkRecords(log: PartitionLog, found: readonly FoundRecord[]): void {
    const appended = recordsOf(this.history).filter(({ offset }) => offset < log.logEndOffset);
    const byOffset = new Map(appended.map((record) => [record.offset, record]));
    for (const record of found) expect(record).toEqual(byOffset.get(record.offset));
    const left = new Set(found.map(({ offset }) => offset));
    const later = new Set<string>();
    for (const { key, offset } of appended.toReversed()) {
      // Whoever is not there any more has a successor, which is committed.
      if (!left.has(offset)) {
        expect(later).toContain(key);
        expect(offset).toBeLessThan(this.leader.highWatermark);
      }
      if (offset < this.leader.highWatermark) later.add(key as string);
    }
  }

  /** What is folded from the log that is left is what was folded from the whole. */
  #checkFolds(log: PartitionLog, batches: readonly Batch[]): void {
    const whole = foldOf(
      this.history.filter(({ header }) => lastOffset(header) < log.logEndOffset),
    );
    const left = foldOf(batches);
    expect(left.epochs.starts).toEqual(whole.epochs.starts);
    expect(log.epochs.starts).toEqual(whole.epochs.starts);
    // A follower that is behind may lack batches that the leader's later ones made superfluous.
    if (log !== this.leader.log) return;
    expect(left.producers.entries()).toEqual(whole.producers.entries());
    expect(log.producers.entries()).toEqual(whole.producers.entries());
  }

  async finish(): Promise<void> {
    const { leader, follower } = this;
    await leader.log.flush();
    await this.#fetch(Number.MAX_SAFE_INTEGER);
    leader.commit(leader.log.logEndOffset);
    follower.commit(leader.log.logEndOffset);
    await leader.memory.ports.timers.sleep(10 * BACKOFF_MS);
    await this.check();
    for (const { logs, memory } of [leader, follower]) {
      await logs.close({ cleanShutdownEpoch: 1 });
      for await (const findings of verifyDirectory(memory.ports, "/data")) {
        expect(findings.defects).toEqual([]);
        expect(findings.logEndOffset).toBe(leader.log.logEndOffset);
      }
      expect(memory.fatals).toEqual([]);
      expect(memory.logs.filter(({ level }) => level === "error")).toEqual([]);
    }
  }
}

function foldOf(batches: readonly Batch[]): {
  readonly epochs: LeaderEpochs;
  readonly producers: ProducerStates;
} {
  const epochs = new LeaderEpochs();
  const producers = new ProducerStates();
  for (const { header } of batches) {
    epochs.assign(header.leaderEpoch, header.baseOffset);
    producers.update(header);
  }
  return { epochs, producers };
}

/** Virtual minutes without an end: somebody waits for what never comes. */
async function inTime(life: Life, step: Promise<void>): Promise<void> {
  const stuck = new Promise<string>((resolve) => {
    const { world } = life.leader.memory;
    world.schedule(600_000, "stuck", () => resolve("nothing happens any more"));
    for (const { memory } of [life.leader, life.follower]) {
      memory.node.onFatal = (reason, cause) => resolve(`${reason}: ${String(cause)}`);
    }
  }).then((reason) => {
    throw new Error(`the step does not end: ${reason}`);
  });
  await Promise.race([step, stuck]);
  stuck.catch(() => undefined);
}

test("two replicas of a compacted log hold the last values, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 2 ** 30 }),
      fc.constantFrom(500, 1_500),
      fc.array(stepArbitrary, { minLength: 5, maxLength: 40 }),
      async (seed, segmentBytes, steps) => {
        const life = new Life(seed, segmentBytes);
        const { leader, follower } = life;
        try {
          await leader.start();
          await follower.start();
          for (const step of steps) {
            await inTime(life, life.step(step));
            await inTime(life, life.check());
          }
          await inTime(life, life.finish());
          await compare(life);
        } finally {
          leader.memory.dispose();
          follower.memory.dispose();
        }
      },
    ),
    { numRuns: Number(process.env["STORAGE_RUNS"] ?? 60) },
  );
});

/** The two data directories, as an operator would compare them. */
async function compare({ leader, follower }: Life): Promise<void> {
  const { ports } = leader.memory;
  const other = follower.memory.ports;
  const isOther = (path: string): boolean => path.startsWith("/other");
  const own = (path: string): string => path.replace("/other", "/data");
  const both = {
    ...ports,
    stores: {
      open: ((path, options) =>
        isOther(path)
          ? other.stores.open(own(path), options)
          : ports.stores.open(path, options)) as typeof ports.stores.open,
    },
    files: {
      ...ports.files,
      read: (path: string) =>
        isOther(path) ? other.files.read(own(path)) : ports.files.read(path),
      list: (path: string) =>
        isOther(path) ? other.files.list(own(path)) : ports.files.list(path),
      lock: (path: string) =>
        isOther(path) ? other.files.lock(own(path)) : ports.files.lock(path),
    },
  };
  const { compared } = await compareReplicas(both, "/data", "/other");
  expect(compared.map(({ difference }) => difference)).toEqual([undefined]);
}
