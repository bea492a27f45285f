/**
 * Goal: whatever brokers and connections do, the acknowledged records of a partition lie in its log
 * exactly once, in the order of their sends, at the offsets that were reported; and no record lies
 * there twice. Method: the producer's core against a model of three brokers that share one log, with
 * the real rules for sequences; faults drawn from a seed; then a calm end in which all settles.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Prng } from "../../src/base/prng.ts";
import type { ProducerBatch } from "../../src/client/core/producer-batch.ts";
import {
  type ProduceOutcome,
  ProducerCore,
  recordBytes,
} from "../../src/client/core/producer-core.ts";
import { type ErrorCode, OttlaError, toOttlaError } from "../../src/model/errors.ts";
import { type Batch, placeBatch, recordsSection, splitBatches } from "../../src/record/batch.ts";
import { decodeRecords } from "../../src/record/records.ts";
import { ProducerStates } from "../../src/replica/producer-states.ts";

const BROKERS = [1, 2, 3];

interface Sent {
  readonly batch: ProducerBatch<number[]>;
  readonly attempt: number;
  readonly bytes: Uint8Array;
}

interface Answer {
  readonly sent: Sent;
  readonly outcome: ProduceOutcome;
}

/** One TCP connection: both directions in order. */
interface Wire {
  readonly up: Sent[];
  readonly down: Answer[];
}

class World {
  readonly prng: Prng;
  readonly core: ProducerCore<number[]>;
  nowMs = 0;
  leader = 1;
  epoch = 0;
  calm = false;
  log: Batch[] = [];
  /** Batches that a leader change may not take away. */
  committed = 0;
  states = new ProducerStates();
  identities = 0;
  nextRecord = 0;
  readonly acked = new Map<number, number>();
  readonly failed = new Map<number, string>();
  readonly wires = new Map<number, Wire>();
  /** What an old connection still holds when a new one is open. */
  readonly remains: { readonly brokerId: number; readonly up: Sent[] }[] = [];
  readonly down = new Set<number>();

  constructor(seed: number) {
    this.prng = new Prng(seed);
    this.core = new ProducerCore<number[]>({
      acks: -1,
      idempotent: true,
      lingerMs: 2,
      sendWhenIdle: this.prng.chance(1, 2),
      batchSizeBytes: 400,
      maxRequestBytes: 4_000,
      maxInFlightBatches: this.prng.between(1, 5),
      bufferBytes: 1_000_000,
      deliveryTimeoutMs: 2_000,
      requestTimeoutMs: 400,
      stallMs: 100,
      retry: { minMs: 5, maxMs: 50 },
      compression: "none",
      crc32c: () => 0,
      seed,
    });
    this.#publish();
  }

  step(): void {
    switch (this.prng.below(this.calm ? 5 : 12)) {
      case 0:
      case 1:
        if (!this.calm) this.append();
        break;
      case 2:
        this.receive();
        break;
      case 3:
        this.reply();
        break;
      case 4:
        this.nowMs += this.prng.below(this.calm ? 60 : 20);
        this.drain();
        break;
      case 5:
        this.breakWire();
        break;
      case 6:
        if (this.prng.chance(1, 3)) this.changeLeader();
        break;
      case 7:
        this.revive();
        break;
      case 8:
        this.#publish();
        break;
      case 9:
        this.receiveRemains();
        break;
      case 10:
        if (this.prng.chance(1, 10)) this.nowMs += 700;
        break;
      default:
        this.drain();
    }
  }

  append(): void {
    const topic = this.core.topic("t");
    if (topic === undefined) throw new Error("published at the start");
    const record = this.nextRecord++;
    const value = `${record}`.padEnd(this.prng.between(4, 120), ".");
    const bytes = recordBytes(null, value, []);
    const fields = { key: null, value, headers: [], timestamp: 0, bytes };
    const batch = this.core.append(topic, 0, fields, this.nowMs);
    batch.attachment ??= [];
    batch.attachment.push(record);
  }

  drain(): void {
    const effects = this.core.drain(this.nowMs, this.prng.chance(1, 4));
    for (const { batches, brokerId } of effects.sends) {
      for (const batch of batches) {
        const bytes = (batch.bytes as Uint8Array).slice();
        this.#wire(brokerId).up.push({ batch, attempt: batch.attempt, bytes });
      }
    }
    for (const batch of effects.settled) this.#settle(batch);
    for (const brokerId of effects.hungBrokers) this.#lose(brokerId);
    if (effects.identityWanted) {
      this.core.setIdentity({ producerId: this.identities++, producerEpoch: 0 });
    }
    if (effects.metadataWanted && this.calm) {
      this.#publish();
      this.revive();
    }
  }

  receive(): void {
    const brokerId = this.prng.pick(BROKERS);
    const sent = this.wires.get(brokerId)?.up.shift();
    if (sent === undefined) return;
    const outcome = this.#handle(brokerId, sent);
    this.wires.get(brokerId)?.down.push({ sent, outcome });
  }

  reply(): void {
    const answer = this.wires.get(this.prng.pick(BROKERS))?.down.shift();
    if (answer === undefined) return;
    const { outcome, sent } = answer;
    this.core.onResult(sent.batch, sent.attempt, outcome, this.nowMs);
  }

  breakWire(): void {
    const brokerId = this.prng.pick(BROKERS);
    if (this.wires.has(brokerId)) this.#lose(brokerId);
  }

  revive(): void {
    for (const brokerId of this.down) this.core.onBrokerUp(brokerId);
    this.down.clear();
  }

  /** Requests of a broken connection that the broker reads late; their answers reach nobody. */
  receiveRemains(): void {
    const first = this.remains[0];
    if (first === undefined) return;
    const sent = first.up.shift();
    if (sent === undefined) this.remains.shift();
    else this.#handle(first.brokerId, sent);
  }

  changeLeader(): void {
    this.leader = this.prng.pick(BROKERS);
    this.epoch++;
    const kept = this.prng.between(this.committed, this.log.length);
    this.log = this.log.slice(0, kept);
    this.states = new ProducerStates();
    for (const { header } of this.log) this.states.update(header);
    if (this.prng.chance(1, 2)) this.#publish();
  }

  #publish(): void {
    const { epoch: leaderEpoch, leader } = this;
    this.core.updateLeaders("t", [{ partition: 0, leader, leaderEpoch }], this.nowMs);
  }

  #wire(brokerId: number): Wire {
    let wire = this.wires.get(brokerId);
    if (wire === undefined) {
      wire = { up: [], down: [] };
      this.wires.set(brokerId, wire);
    }
    return wire;
  }

  #lose(brokerId: number): void {
    const wire = this.wires.get(brokerId);
    this.wires.delete(brokerId);
    if (wire !== undefined) this.remains.push({ brokerId, up: wire.up });
    this.down.add(brokerId);
    const error = new OttlaError("NETWORK_EXCEPTION", "the connection broke");
    this.core.onBrokerLost(brokerId, error, this.nowMs);
  }

  #handle(brokerId: number, { bytes }: Sent): ProduceOutcome {
    if (brokerId !== this.leader) return refused("NOT_LEADER_OR_FOLLOWER");
    const fault = this.calm ? 99 : this.prng.below(40);
    const [batch] = splitBatches(bytes.slice());
    if (batch === undefined) throw new Error("one batch");
    if (batch.header.recordsCount > 4) return refused("MESSAGE_TOO_LARGE");
    if (fault === 0) return refused("INVALID_TIMESTAMP");
    if (fault <= 2) return refused("NOT_ENOUGH_REPLICAS");
    try {
      const end =
        (this.log.at(-1)?.header.baseOffset ?? 0) + (this.log.at(-1)?.header.recordsCount ?? 0);
      const duplicate = this.states.check(batch.header);
      const baseOffset = duplicate?.baseOffset ?? end;
      if (duplicate === undefined) {
        const placed = placeBatch(batch, { baseOffset, leaderEpoch: this.epoch });
        this.log.push(placed);
        this.states.update(placed.header);
      }
      if (fault === 3) return refused("NOT_ENOUGH_REPLICAS_AFTER_APPEND");
      if (fault === 4) return refused("REQUEST_TIMED_OUT");
      this.committed = this.log.length;
      return { error: undefined, baseOffset, logAppendTimeMs: -1 };
    } catch (thrown) {
      return refused(toOttlaError(thrown).code);
    }
  }

  #settle(batch: ProducerBatch<number[]>): void {
    (batch.attachment ?? []).forEach((record, index) => {
      expect(this.acked.has(record) || this.failed.has(record)).toBe(false);
      try {
        this.acked.set(record, batch.offsetOf(index));
      } catch (thrown) {
        this.failed.set(record, toOttlaError(thrown).code);
      }
    });
  }
}

function refused(code: ErrorCode): ProduceOutcome {
  return { error: { code, message: "refused" }, baseOffset: -1, logAppendTimeMs: -1 };
}

function recordsOf(log: readonly Batch[]): { record: number; offset: number }[] {
  return log.flatMap((batch) =>
    decodeRecords(batch.header, recordsSection(batch)).map(({ offset, value }) => ({
      offset,
      record: Number.parseInt(new TextDecoder().decode(value as Uint8Array), 10),
    })),
  );
}

function run(seed: number): World {
  const world = new World(seed);
  for (let step = 0; step < 600; step++) world.step();
  world.calm = true;
  for (let step = 0; step < 20_000 && world.core.unsettled().length > 0; step++) world.step();
  world.drain();
  return world;
}

describe("an idempotent producer under faults", () => {
  it("writes what it acknowledges once, in order, where it says", () => {
    let acknowledged = 0;
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const world = run(seed);
        expect(world.acked.size + world.failed.size).toBe(world.nextRecord);
        expect(world.core.usedBytes).toBe(0);
        const inLog = recordsOf(world.log);
        const places = new Map(inLog.map(({ offset, record }) => [record, offset]));
        expect(places.size, "no record lies in the log twice").toBe(inLog.length);
        let last = -1;
        for (const [record, offset] of [...world.acked].sort(([left], [right]) => left - right)) {
          const place = places.get(record);
          expect(place, `record ${record} is in the log`).toBeDefined();
          if (offset >= 0) expect(place).toBe(offset);
          expect(place as number, `record ${record} comes after those before`).toBeGreaterThan(
            last,
          );
          last = place as number;
        }
        acknowledged += world.acked.size;
      }),
      { numRuns: 400 },
    );
    expect(acknowledged, "the property is not about nothing").toBeGreaterThan(400);
  });
});
