/** One life of a producer: bursts of records to partitions of its choice, each send in the history. */
import type { Prng } from "../../../src/base/prng.ts";
import { Producer } from "../../../src/client/index.ts";
import type { ClientLife } from "./client-process.ts";
import { type ClientShared, errorCode, historyKey, NAME_HEADER } from "./client-shared.ts";
import type { ProducerPlan } from "./workload-plan.ts";

/**
 * Refusals before anything could have been sent. A broker's own refusal is none of them: the attempt
 * before it may have been written and left unanswered.
 */
const CERTAINLY_NOT = new Set(["BUFFER_EXHAUSTED", "INVALID_ARGUMENT"]);
/** Sends that a program has open at once; a slow cluster slows it down. */
const OPEN_SENDS = 200;
/** Short, because it adds to what a send may take. */
const MAX_BLOCK_MS = 2_000;
/** L4: how much later than promised an outcome may come. */
const GRACE_MS = 1_000;

interface DrawnKey {
  readonly recordKey: string;
  readonly tombstone: boolean;
}

function drawKey(prng: Prng, keysCount: number | undefined): DrawnKey | undefined {
  if (keysCount === undefined) return undefined;
  return { recordKey: `key-${prng.below(keysCount)}`, tombstone: prng.chance(1, 6) };
}

export async function produce(
  shared: ClientShared,
  plan: ProducerPlan,
  life: ClientLife,
): Promise<void> {
  const { prng, process } = life;
  const producer = new Producer({
    bootstrapServers: shared.bootstrapServers,
    environment: life.environment,
    acks: plan.acks,
    enableIdempotence: plan.idempotent,
    compressionType: plan.compression,
    maxInFlightRequests: plan.maxInFlight,
    deliveryTimeoutMs: plan.deliveryTimeoutMs,
    requestTimeoutMs: plan.requestTimeoutMs,
    maxBlockMs: MAX_BLOCK_MS,
    metadataMaxAgeMs: 5_000,
    ...(plan.lingerMs === null ? {} : { lingerMs: plan.lingerMs }),
  });
  const sender = new Sender(shared, plan, process, producer);
  // Some programs end in order now and then and start again.
  const bursts = prng.chance(1, 3) ? prng.between(20, 200) : Number.MAX_SAFE_INTEGER;
  for (let burst = 0; burst < bursts && !life.ending; burst++) {
    await life.sleep((plan.intervalMs * prng.between(10, 190)) / 100);
    if (sender.openCount < OPEN_SENDS) sender.burst(prng);
  }
  await producer.close();
}

class Sender {
  readonly #shared: ClientShared;
  readonly #plan: ProducerPlan;
  readonly #process: string;
  readonly #producer: Producer;
  #made = 0;
  openCount = 0;

  constructor(shared: ClientShared, plan: ProducerPlan, process: string, producer: Producer) {
    this.#shared = shared;
    this.#plan = plan;
    this.#process = process;
    this.#producer = producer;
  }

  burst(prng: Prng): void {
    const topic = prng.pick(this.#shared.topics);
    const partition = prng.below(topic.partitionsCount);
    const count = prng.between(1, this.#plan.burstCount);
    for (let index = 0; index < count; index++) {
      this.#send(topic.name, partition, drawKey(prng, topic.keysCount));
    }
  }

  #send(topic: string, partition: number, keyed: DrawnKey | undefined): void {
    const { cluster, counts, history } = this.#shared;
    const { acks, deliveryTimeoutMs, idempotent, valueBytes } = this.#plan;
    const { world } = cluster;
    const process = this.#process;
    const key = historyKey(topic, partition);
    const value = `${process}/${this.#made++}`;
    const invoke = { p: process, type: "invoke", f: "send", key, value, acks, idempotent } as const;
    const of = history.write({ ...invoke, ...keyed });
    const dueMs = world.nowMs + MAX_BLOCK_MS + deliveryTimeoutMs + GRACE_MS;
    const sending = {};
    counts.unsettled.set(sending, { process, key, value, dueMs });
    counts.sent++;
    this.openCount++;
    const settle = (): void => {
      this.openCount--;
      counts.unsettled.delete(sending);
      if (world.nowMs <= dueMs) return;
      cluster.fail("L4 a send has its outcome in time", `${value} to ${key} had none until now`);
    };
    const record = { topic, partition, key: keyed?.recordKey ?? process };
    const content =
      keyed?.tombstone === true
        ? { value: null, headers: { [NAME_HEADER]: value } }
        : { value: value.padEnd(valueBytes, " ") };
    this.#producer.send({ ...record, ...content }).then(
      ({ offset }) => {
        settle();
        counts.acknowledged++;
        const told = offset < 0 ? {} : { offset };
        history.write({ p: process, type: "ok", f: "send", of, ...told });
      },
      (thrown: unknown) => {
        settle();
        const error = errorCode(thrown);
        const type = CERTAINLY_NOT.has(error) ? "fail" : "info";
        history.write({ p: process, type, f: "send", of, error });
      },
    );
  }
}
