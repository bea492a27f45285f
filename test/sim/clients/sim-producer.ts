/**
 * An idempotent producer with acks=all that never gives a batch up: one lane per partition, a few
 * batches under way at a time, sent again in order when one was refused or its answer was lost.
 */

import { utf8 } from "../../../src/base/bytes.ts";
import type { Prng } from "../../../src/base/prng.ts";
import type { ProduceResult } from "../../../src/broker/broker-api.ts";
import { topicByName } from "../../../src/metadata/image.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import { readBatchHeader } from "../../../src/record/batch.ts";
import { BatchBuilder } from "../../../src/record/records.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { crc32c } from "../world/sim-codecs.ts";
import { WALL_EPOCH_MS } from "../world/sim-timers.ts";
import type { ClientCalls, Outcome } from "./client-calls.ts";

export interface SimProducerOptions {
  readonly cluster: Cluster;
  readonly calls: ClientCalls;
  readonly prng: Prng;
  readonly name: string;
  readonly topic: string;
  readonly partitionsCount: number;
  readonly minIsr: number;
  /** Batches of one partition under way at once; at most 5. */
  readonly inFlightMax: number;
  readonly intervalMs: number;
  readonly valueBytes: number;
}

interface PendingBatch {
  readonly bytes: Uint8Array;
  readonly crc: number;
  readonly values: readonly string[];
  sent: boolean;
  /** Acknowledged, but one made before it is not: the window moves from its first batch on. */
  settled: boolean;
  /** Where it was found to lie by an acknowledgement whose answer was lost. */
  acknowledgedAt: number | undefined;
}

interface Lane {
  readonly partition: number;
  readonly pending: PendingBatch[];
  sequence: number;
  leader: number;
  /** A batch failed: nothing is sent until nothing is under way, then all again from the first. */
  retrying: boolean;
  outOfOrder: number;
}

const REQUEST_TIMEOUT_MS = 1_500;
const CALL_TIMEOUT_MS = 2_500;
/** A gap that lasts this many attempts, with nothing else under way, is a loss. */
const OUT_OF_ORDER_MAX = 200;
const OUT_OF_ORDER = new Set(["OUT_OF_ORDER_SEQUENCE_NUMBER", "UNKNOWN_PRODUCER_ID"]);
const EXPECTED = new Set([
  "NOT_LEADER_OR_FOLLOWER",
  "LEADER_NOT_AVAILABLE",
  "NOT_ENOUGH_REPLICAS",
  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  "REQUEST_TIMED_OUT",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
  "KAFKA_STORAGE_ERROR",
  "REPLICA_NOT_AVAILABLE",
  "SHUTTING_DOWN",
  "THROTTLING_QUOTA_EXCEEDED",
  "DISK_FULL",
]);

export class SimProducer {
  readonly #options: SimProducerOptions;
  readonly #lanes: readonly Lane[];
  /** Values acknowledged, by partition, in the order in which their batches were made. */
  readonly acknowledged: readonly string[][];
  acknowledgedCount = 0;
  #producerId: number | undefined;
  #producerEpoch = 0;
  #made = 0;
  #stopping = false;

  constructor(options: SimProducerOptions) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.partitionsCount }, (_, partition) => ({
      partition,
      pending: [],
      sequence: 0,
      leader: -1,
      retrying: false,
      outOfOrder: 0,
    }));
    this.acknowledged = this.#lanes.map(() => []);
  }

  start(): void {
    this.#askProducerId();
  }

  /** Makes nothing new from now on. */
  stop(): void {
    this.#stopping = true;
  }

  /** Nothing is left to be acknowledged. */
  get drained(): boolean {
    return this.#stopping && this.#lanes.every(({ pending }) => pending.length === 0);
  }

  describe(): string {
    const { topic, name } = this.#options;
    return this.#lanes
      .filter(({ pending }) => pending.length > 0)
      .map(({ partition, pending, leader }) => {
        const first = pending[0]?.values[0] ?? "";
        return `${name}: ${pending.length} of ${topic}-${partition} wait for ${leader}, first ${first}`;
      })
      .join(", ");
  }

  #askProducerId(): void {
    const { calls, cluster, prng, name } = this.#options;
    const again = (): void => {
      if (this.#stopping) return;
      cluster.world.schedule(prng.between(20, 200), `${name} retries`, () => this.#askProducerId());
    };
    calls.call({
      brokerId: prng.pick(cluster.brokers).id,
      label: "init producer id",
      timeoutMs: CALL_TIMEOUT_MS,
      run: (api) => api.initProducerId(),
      done: (outcome) => {
        if (outcome.type !== "ok") {
          again();
          return;
        }
        this.#producerId = outcome.value.producerId;
        this.#producerEpoch = outcome.value.producerEpoch;
        cluster.world.note(`${name} has producer id ${this.#producerId}`);
        this.#tick();
      },
    });
  }

  #tick(): void {
    const { cluster, prng, intervalMs, inFlightMax, name } = this.#options;
    if (this.#stopping) return;
    const lane = prng.pick(this.#lanes);
    if (lane.pending.length < inFlightMax) {
      lane.pending.push(this.#make(lane));
      this.#pump(lane);
    }
    const delay = (intervalMs * prng.between(10, 190)) / 100;
    cluster.world.schedule(delay, `${name} makes a batch`, () => this.#tick());
  }

  #make(lane: Lane): PendingBatch {
    const { prng, name, valueBytes, cluster } = this.#options;
    const recordsCount = prng.between(1, 4);
    const values: string[] = [];
    const builder = new BatchBuilder(256);
    for (let index = 0; index < recordsCount; index++) {
      const value = `${name}/${lane.partition}/${this.#made++}`;
      values.push(value);
      builder.append({
        timestamp: WALL_EPOCH_MS + Math.floor(cluster.world.nowMs),
        key: utf8(name),
        value: utf8(value.padEnd(valueBytes, " ")),
        headers: [],
      });
    }
    const bytes = builder.seal({
      codec: "none",
      producerId: this.#producerId ?? -1,
      producerEpoch: this.#producerEpoch,
      baseSequence: lane.sequence,
      crc32c,
    });
    lane.sequence += recordsCount;
    const { crc } = readBatchHeader(bytes);
    return { bytes, crc, values, sent: false, settled: false, acknowledgedAt: undefined };
  }

  #pump(lane: Lane): void {
    if (lane.retrying) {
      if (lane.pending.some(({ sent }) => sent)) return;
      lane.retrying = false;
    }
    for (const pending of lane.pending) {
      if (!pending.sent && !pending.settled) this.#send(lane, pending);
    }
  }

  #send(lane: Lane, pending: PendingBatch): void {
    const { calls, cluster, prng, topic, minIsr } = this.#options;
    pending.sent = true;
    if (lane.leader < 1) lane.leader = prng.pick(cluster.brokers).id;
    const brokerId = lane.leader;
    calls.call({
      brokerId,
      label: "produce",
      stream: `${this.#options.name} ${lane.partition}`,
      timeoutMs: CALL_TIMEOUT_MS,
      run: (api) =>
        api.produce({
          topic,
          partition: lane.partition,
          batch: pending.bytes.slice(),
          acks: -1,
          timeoutMs: REQUEST_TIMEOUT_MS,
        }),
      served: (result) => {
        if (result.error !== undefined) return;
        const topicId = cluster.newestImage().topicIds.get(topic) ?? "";
        const acknowledged = {
          node: cluster.nodeOf(brokerId),
          key: partitionKey(topicId, lane.partition),
          baseOffset: result.baseOffset,
          recordsCount: pending.values.length,
          crc: pending.crc,
          acks: -1 as const,
          minIsr,
        };
        for (const invariant of cluster.invariants) invariant.onAcknowledged?.(acknowledged);
        const known = pending.acknowledgedAt;
        if (known !== undefined && known !== result.baseOffset) {
          cluster.fail(
            "I3 a retry is answered with the same offsets",
            `${topic}-${lane.partition}: ${pending.values[0]} was at ${known}, now at ${result.baseOffset}`,
          );
        }
        pending.acknowledgedAt = result.baseOffset;
      },
      done: (outcome) => this.#done(lane, pending, outcome),
    });
  }

  #done(lane: Lane, pending: PendingBatch, outcome: Outcome<ProduceResult>): void {
    const { cluster, prng, topic, name } = this.#options;
    pending.sent = false;
    if (outcome.type === "ok" && outcome.value.error === undefined) {
      this.#acknowledge(lane, pending);
      if (!lane.retrying) return;
    } else {
      lane.retrying = true;
      lane.leader = this.#findLeader(lane);
      if (outcome.type === "ok") {
        const { code, message } = outcome.value.error as { code: string; message: string };
        if (!EXPECTED.has(code)) {
          cluster.fail("produce is refused for a reason", `${code}: ${message}`);
        }
        this.#countOutOfOrder(lane, pending, code);
        const hinted = outcome.value.leader?.brokerId ?? -1;
        if (hinted > 0 && prng.chance(1, 2)) lane.leader = hinted;
      } else if (outcome.type === "error") {
        cluster.fail("produce never rejects", `${topic}: ${String(outcome.thrown)}`);
      }
    }
    if (lane.pending.some(({ sent }) => sent)) return;
    cluster.world.schedule(prng.between(10, 100), `${name} retries`, () => this.#pump(lane));
  }

  #acknowledge(lane: Lane, pending: PendingBatch): void {
    if (pending.settled) return;
    pending.settled = true;
    lane.outOfOrder = 0;
    while (lane.pending[0]?.settled === true) lane.pending.shift();
    this.acknowledged[lane.partition]?.push(...pending.values);
    this.acknowledgedCount += pending.values.length;
  }

  #countOutOfOrder(lane: Lane, pending: PendingBatch, code: string): void {
    const alone = lane.pending[0] === pending && !lane.pending.some(({ sent }) => sent);
    if (!OUT_OF_ORDER.has(code) || !alone) return;
    lane.outOfOrder++;
    if (lane.outOfOrder < OUT_OF_ORDER_MAX) return;
    this.#options.cluster.fail(
      "I1 sequences continue",
      `${this.#options.topic}-${lane.partition} keeps refusing the first unacknowledged batch as out of order`,
    );
  }

  /** As some broker that is up knows it. */
  #findLeader(lane: Lane): number {
    const { cluster, prng, topic } = this.#options;
    const up = cluster.brokers.filter(({ running }) => running !== undefined);
    if (up.length === 0) return -1;
    const image = prng.pick(up).running?.api.image();
    const found = image === undefined ? undefined : topicByName(image, topic);
    return found?.partitions[lane.partition]?.leader ?? -1;
  }
}
