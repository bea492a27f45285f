// Random lives of one partition log (appends, reads, truncations, retention, crashes, power
// losses, storage errors, clean restarts) against a naive model: an array of batches.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Offset } from "../../src/model/ids.ts";
import { type Batch, lastOffset } from "../../src/record/batch.ts";
import { LeaderEpochs } from "../../src/replica/leader-epochs.ts";
import { ProducerStates } from "../../src/replica/producer-states.ts";
import { LevelLogs } from "../../src/storage/level-logs.ts";
import type { PartitionLog, ReplicaName } from "../../src/storage/log.ts";
import { verifyDirectory } from "../../src/storage/verify.ts";
import { createMemoryPorts, type MemoryPorts } from "../support/memory-ports.ts";
import { makeBatch, TOPIC_CONFIG } from "../support/storage.ts";

const REPLICA: ReplicaName = { topic: "events", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0 };

type Step =
  | {
      readonly do: "append";
      readonly batches: number;
      readonly records: number;
      readonly bump: boolean;
    }
  | { readonly do: "flush" | "retain" | "clean restart" | "configure" }
  | { readonly do: "read" | "truncate" | "raise" | "find"; readonly at: number }
  | { readonly do: "reset"; readonly by: number }
  | { readonly do: "sleep"; readonly ms: number }
  | { readonly do: "crash" | "power loss"; readonly afterMs: number }
  | { readonly do: "fault"; readonly fault: "write-error" | "sync-error" };

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      batches: fc.integer({ min: 1, max: 12 }),
      records: fc.integer({ min: 1, max: 4 }),
      bump: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("flush" as const, "retain" as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("clean restart" as const, "configure" as const) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom("read" as const, "truncate" as const, "raise" as const, "find" as const),
      // Of the log's length, in thousandths.
      at: fc.integer({ min: 0, max: 1000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("reset" as const),
      by: fc.integer({ min: -20, max: 50 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("sleep" as const),
      ms: fc.constantFrom(1, 3, 1_100, 70_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("crash" as const, "power loss" as const),
      afterMs: fc.double({ min: 0, max: 5, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("fault" as const),
      fault: fc.constantFrom("write-error" as const, "sync-error" as const),
    }),
  },
);

/** What the log must hold. */
class Model {
  /** All batches ever appended and neither truncated nor reset away, also those below the start. */
  history: Batch[] = [];
  start: Offset = 0;
  end: Offset = 0;
  epoch = 0;
  readonly sequences = new Map<number, number>();

  append(log: PartitionLog, step: Extract<Step, { do: "append" }>): void {
    if (step.bump) this.epoch++;
    const batches: Batch[] = [];
    for (let count = 0; count < step.batches; count++) {
      const producerId = (this.end + count) % 4;
      const baseSequence = this.sequences.get(producerId) ?? 0;
      this.sequences.set(producerId, baseSequence + step.records);
      batches.push(
        makeBatch({
          baseOffset: this.end,
          leaderEpoch: this.epoch,
          recordsCount: step.records,
          timestamp: 1_000 + ((this.end * 7_919) % 500),
          producerId,
          producerEpoch: 0,
          baseSequence,
          valueBytes: (this.end * 31) % 200,
        }),
      );
      this.end += step.records;
    }
    log.append(batches);
    this.history.push(...batches);
  }

  /** Whole batches that reach `offset` go. */
  truncate(offset: Offset): void {
    this.history = this.history.filter(({ header }) => lastOffset(header) < offset);
    const last = this.history.at(-1);
    this.end = Math.max(this.start, last === undefined ? 0 : lastOffset(last.header) + 1);
  }

  reset(offset: Offset): void {
    this.history = [];
    this.start = offset;
    this.end = offset;
  }

  get visible(): Batch[] {
    return this.history.filter(({ header }) => lastOffset(header) >= this.start);
  }
}

async function readFrom(log: PartitionLog, from: Offset): Promise<Batch[]> {
  const out: Batch[] = [];
  for (let at = from; at < log.logEndOffset; ) {
    const batches = await log.read(at, { maxBytes: 700, upTo: Number.MAX_SAFE_INTEGER });
    expect(batches.length).toBeGreaterThan(0);
    out.push(...batches);
    at = lastOffset((batches.at(-1) as Batch).header) + 1;
  }
  return out;
}

const plain = (batch: Batch): string => Buffer.from(batch.bytes).toString("base64");

async function checkAll(log: PartitionLog, model: Model): Promise<void> {
  expect([log.logStartOffset, log.logEndOffset]).toEqual([model.start, model.end]);
  expect((await readFrom(log, model.start)).map(plain)).toEqual(model.visible.map(plain));
  checkEpochs(log, model);
  checkProducers(log, model);
}

function checkEpochs(log: PartitionLog, model: Model): void {
  if (model.start >= model.end) return;
  const expected = new LeaderEpochs();
  for (const { header } of model.history) expected.assign(header.leaderEpoch, header.baseOffset);
  expected.raiseStart(model.start);
  const actual = new LeaderEpochs(log.epochs.starts);
  actual.raiseStart(model.start);
  expect(actual.starts).toEqual(expected.starts);
}

/**
 * The producers are the fold of what the log holds, or of that and a run of batches just below its
 * start: retention forgets batches, not producers, until the state has to be rebuilt from the log.
 */
function checkProducers(log: PartitionLog, model: Model): void {
  const actual = JSON.stringify(log.producers.entries());
  const firstVisible = model.history.length - model.visible.length;
  for (let from = firstVisible; from >= 0; from--) {
    const states = new ProducerStates();
    for (const { header } of model.history.slice(from)) states.update(header);
    if (JSON.stringify(states.entries()) === actual) return;
  }
  expect(actual).toBe("the fold of the log");
}

class Life {
  readonly memory: MemoryPorts;
  readonly model = new Model();
  logs!: LevelLogs;
  log!: PartitionLog;
  #relaxed: boolean;
  #relaxedOnce: boolean;

  constructor(seed: number, relaxed: boolean) {
    this.memory = createMemoryPorts({ seed });
    this.#relaxed = relaxed;
    this.#relaxedOnce = relaxed;
  }

  get #config() {
    return {
      ...TOPIC_CONFIG,
      segmentBytes: 2_000,
      retentionBytes: 6_000,
      retentionMs: -1,
      flushMessages: this.#relaxed ? 15 : 1,
    };
  }

  async start(): Promise<void> {
    this.logs = await LevelLogs.open(this.memory.ports, { brokerId: 1, logDirs: ["/data"] });
    const report = await this.logs.recover();
    expect(report.quarantined).toEqual([]);
    expect(this.logs.lostReplicas).toEqual([]);
    this.log = await this.logs.open(REPLICA, this.#config);
    this.#relaxedOnce = this.#relaxed;
  }

  async step(step: Step): Promise<void> {
    const { model, log, memory } = this;
    const position = (at: number): Offset =>
      model.start + Math.floor(((model.end - model.start) * at) / 1000);
    switch (step.do) {
      case "append":
        return model.append(log, step);
      case "flush":
        await log.flush();
        expect(log.durableEndOffset).toBe(model.end);
        return;
      case "configure":
        this.#relaxed = !this.#relaxed;
        this.#relaxedOnce ||= this.#relaxed;
        return log.configure(this.#config);
      case "read": {
        const from = position(step.at);
        const batches = await readFrom(log, from);
        const expected = model.visible.filter(({ header }) => lastOffset(header) >= from);
        expect(batches.map(plain)).toEqual(expected.map(plain));
        return;
      }
      case "find": {
        const timestamp = 1_000 + step.at / 2;
        const found = await log.offsetForTimestamp(timestamp, model.end);
        const expected = this.#firstAtOrAfter(timestamp);
        expect(found?.offset).toBe(expected);
        return;
      }
      case "truncate": {
        const offset = position(step.at);
        await log.truncateTo(offset);
        if (offset <= model.start && offset < model.end) model.reset(offset);
        else if (offset < model.end) model.truncate(offset);
        return checkAll(log, model);
      }
      case "reset": {
        const offset = Math.max(0, model.end + step.by);
        await log.resetTo(offset);
        model.reset(offset);
        return checkAll(log, model);
      }
      case "raise": {
        const offset = position(step.at);
        await log.raiseLogStart(offset);
        model.start = Math.max(model.start, offset);
        return checkAll(log, model);
      }
      case "retain": {
        await log.applyRetention(0, log.durableEndOffset);
        expect(log.logStartOffset).toBeGreaterThanOrEqual(model.start);
        expect(log.logStartOffset).toBeLessThanOrEqual(log.durableEndOffset);
        model.start = log.logStartOffset;
        return;
      }
      case "sleep":
        return memory.ports.timers.sleep(step.ms);
      case "clean restart":
        await this.logs.close({ cleanShutdownEpoch: 1 });
        await this.#restart("crash", model.end);
        return;
      case "crash":
      case "power loss": {
        await memory.ports.timers.sleep(step.afterMs);
        // In the relaxed profile power loss may take everything since the last flush, and a log
        // that was relaxed a moment ago may still have such batches.
        const sure = step.do === "crash" ? log.durableEndOffset : this.#flushedEnd();
        await this.#restart(step.do, sure);
        return;
      }
      case "fault": {
        if (model.end === log.durableEndOffset) model.append(log, APPEND_ONE);
        const before = log.durableEndOffset;
        memory.node.disk.arm(step.fault);
        await log.flush().catch(() => undefined);
        await memory.ports.timers.sleep(2_000);
        this.log = await this.logs.open(REPLICA, this.#config);
        this.#adopt(before);
        await checkAll(this.log, model);
      }
    }
  }

  /** What no power loss may take: everything durable, if the profile was strict all this life. */
  #flushedEnd(): Offset {
    return this.#relaxedOnce ? this.log.logStartOffset : this.log.durableEndOffset;
  }

  async #restart(how: "crash" | "power loss", sure: Offset): Promise<void> {
    this.memory.restart(how);
    await this.start();
    this.#adopt(sure);
    await checkAll(this.log, this.model);
  }

  /** After a crash the log may end anywhere between what is sure and what was appended. */
  #adopt(sure: Offset): void {
    const { log, model } = this;
    expect(log.logEndOffset).toBeGreaterThanOrEqual(Math.min(sure, model.end));
    expect(log.logEndOffset).toBeLessThanOrEqual(model.end);
    if (log.logEndOffset < model.end) model.truncate(log.logEndOffset);
    // A higher start may have been on its way.
    expect(log.logStartOffset).toBeGreaterThanOrEqual(model.start);
    model.start = log.logStartOffset;
  }

  #firstAtOrAfter(timestamp: number): Offset | undefined {
    for (const { header } of this.model.visible) {
      for (let delta = 0; delta <= header.lastOffsetDelta; delta++) {
        const offset = header.baseOffset + delta;
        if (offset >= this.model.start && header.baseTimestamp + delta >= timestamp) return offset;
      }
    }
    return undefined;
  }
}

/** Virtual minutes without an end: somebody waits for what never comes. */
async function inTime(life: Life, step: Promise<void>): Promise<void> {
  const stuck = Promise.race([
    new Promise<string>((resolve) => {
      // Of the world, not of one life: the step may begin another.
      life.memory.world.schedule(600_000, "stuck", () => resolve("nothing happens any more"));
      life.memory.node.onFatal = (reason, cause) => resolve(`${reason}: ${String(cause)}`);
    }),
  ]).then((reason) => {
    throw new Error(`the step does not end: ${reason}`);
  });
  await Promise.race([step, stuck]);
  stuck.catch(() => undefined);
}

const APPEND_ONE = { do: "append", batches: 1, records: 1, bump: false } as const;

for (const relaxed of [false, true]) {
  test(`a ${relaxed ? "relaxed" : "strict"} log behaves as an array of batches`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 2 ** 30 }),
        fc.array(stepArbitrary, { minLength: 5, maxLength: 40 }),
        async (seed, steps) => {
          const life = new Life(seed, relaxed);
          try {
            await life.start();
            for (const step of steps) await inTime(life, life.step(step));
            await checkAll(life.log, life.model);
            await inTime(life, life.logs.close({ cleanShutdownEpoch: 1 }));
            for await (const findings of verifyDirectory(life.memory.ports, "/data")) {
              expect(findings.defects).toEqual([]);
              expect(findings.logEndOffset).toBe(life.model.end);
            }
            expect(life.memory.fatals).toEqual([]);
          } finally {
            life.memory.dispose();
          }
        },
      ),
      { numRuns: Number(process.env["STORAGE_RUNS"] ?? 60) },
    );
  });
}
