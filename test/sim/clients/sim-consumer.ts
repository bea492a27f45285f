/**
 * A consumer of one partition: reads from the start and follows the tail, from whoever leads. What
 * it sees must be contiguous; what it has seen at the end must be what was acknowledged.
 */
import type { Prng } from "../../../src/base/prng.ts";
import type { FetchedOne, FetchSession } from "../../../src/broker/broker-api.ts";
import { topicByName } from "../../../src/metadata/image.ts";
import { partitionKey } from "../../../src/model/ids.ts";
import { lastOffset, recordsSection } from "../../../src/record/batch.ts";
import { decodeRecords } from "../../../src/record/records.ts";
import type { Cluster, SimBroker } from "../cluster/cluster.ts";
import { partitionByKey } from "../cluster/run-context.ts";
import type { Incarnation } from "../world/sim-node.ts";

export interface SimConsumerOptions {
  readonly cluster: Cluster;
  readonly prng: Prng;
  readonly name: string;
  readonly topic: string;
  readonly partition: number;
}

const CREDIT_BYTES = 256 * 1024;
const EXPECTED = new Set([
  "NOT_LEADER_OR_FOLLOWER",
  "LEADER_NOT_AVAILABLE",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "UNKNOWN_LEADER_EPOCH",
  "FENCED_LEADER_EPOCH",
  "OFFSET_NOT_AVAILABLE",
  "OFFSET_OUT_OF_RANGE",
  "KAFKA_STORAGE_ERROR",
  "REPLICA_NOT_AVAILABLE",
  "SHUTTING_DOWN",
]);

export class SimConsumer {
  readonly values: string[] = [];
  readonly #options: SimConsumerOptions;
  #position = 0;
  #session: FetchSession | undefined;
  #handle = 0;
  #stopped = false;
  #seenMs = 0;

  constructor(options: SimConsumerOptions) {
    this.#options = options;
  }

  get position(): number {
    return this.#position;
  }

  start(): void {
    this.#open();
    this.#watch();
  }

  stop(): void {
    this.#stopped = true;
    this.#close();
  }

  /** Looks now and then whether the session still makes sense, as a client's keepalive would. */
  #watch(): void {
    const { cluster, prng, name } = this.#options;
    if (this.#stopped) return;
    cluster.world.schedule(prng.between(500, 1_500), `${name} looks`, () => {
      if (cluster.world.nowMs - this.#seenMs > 1_000) {
        this.#close();
        this.#open();
      }
      this.#watch();
    });
  }

  #close(): void {
    const session = this.#session;
    this.#session = undefined;
    this.#handle++;
    session?.close();
  }

  #open(): void {
    if (this.#stopped || this.#session !== undefined) return;
    const { cluster, prng, topic, partition, name } = this.#options;
    const up = cluster.brokers.filter(({ running }) => running !== undefined);
    const image = up.length === 0 ? undefined : prng.pick(up).running?.api.image();
    const found = image === undefined ? undefined : topicByName(image, topic);
    const leader = found?.partitions[partition]?.leader ?? -1;
    const broker = leader < 1 ? undefined : cluster.broker(leader);
    const incarnation = broker?.node.incarnation;
    if (found === undefined || broker?.running === undefined || incarnation === undefined) {
      this.#again();
      return;
    }
    this.#seenMs = cluster.world.nowMs;
    const handle = ++this.#handle;
    const key = partitionKey(found.id, partition);
    cluster.world.schedule(prng.below(3), `${name} fetches`, () =>
      this.#serve(broker, incarnation, handle, key),
    );
  }

  #serve(broker: SimBroker, incarnation: Incarnation, handle: number, key: string): void {
    const { topic, partition, cluster, name, prng } = this.#options;
    incarnation.later(0, "network", `${name} opens`, () => {
      const { running } = broker;
      if (running === undefined || handle !== this.#handle) return;
      let session: FetchSession;
      let arrivalMs = 0;
      const sink = (fetched: readonly FetchedOne[]): void => {
        for (const one of fetched) this.#tellServed(broker, incarnation, key, one);
        const answer = fetched.map((one) => ({ ...one, batches: one.batches.map(copyBatch) }));
        const { nowMs } = cluster.world;
        arrivalMs = Math.max(arrivalMs, nowMs + prng.below(3));
        cluster.world.schedule(arrivalMs - nowMs, `${name} receives`, () => {
          this.#receive(handle, answer);
          incarnation.later(0, "network", `${name} credits`, () => session.credit(CREDIT_BYTES));
        });
      };
      try {
        session = running.api.openFetch(sink);
      } catch {
        // It is shutting down; the next look finds another leader.
        return;
      }
      this.#session = session;
      session.credit(CREDIT_BYTES);
      session.start({
        handle,
        topic,
        partition,
        offset: this.#position,
        currentLeaderEpoch: -1,
        maxBytes: 64 * 1024,
      });
    });
  }

  #tellServed(broker: SimBroker, { life }: Incarnation, key: string, fetched: FetchedOne): void {
    const { invariants } = this.#options.cluster;
    const image = broker.running?.api.image();
    if (fetched.error !== undefined || image === undefined) return;
    const node = broker.node.name;
    const { highWatermark } = fetched;
    const leaderEpoch = partitionByKey(image, key)?.leaderEpoch ?? -1;
    const shown = { node, life, key, leaderEpoch, highWatermark };
    for (const invariant of invariants) invariant.onHighWatermark?.(shown);
    for (const invariant of invariants) invariant.onServed?.({ node, key, fetched });
  }

  #receive(handle: number, fetched: readonly FetchedOne[]): void {
    const { cluster, topic, partition, name } = this.#options;
    if (handle !== this.#handle) return;
    this.#seenMs = cluster.world.nowMs;
    for (const one of fetched) {
      if (one.error !== undefined) {
        if (!EXPECTED.has(one.error.code)) {
          cluster.fail("fetch is refused for a reason", `${one.error.code} ${one.error.message}`);
        }
        this.#close();
        this.#again();
        return;
      }
      for (const batch of one.batches) {
        const { header } = batch;
        if (lastOffset(header) < this.#position) continue;
        if (header.baseOffset > this.#position) {
          cluster.fail(
            "a consumer sees every offset",
            `${name} of ${topic}-${partition} got ${header.baseOffset} where ${this.#position} was next`,
          );
        }
        for (const { offset, value } of decodeRecords(header, recordsSection(batch))) {
          if (offset < this.#position) continue;
          this.values.push(new TextDecoder().decode(value ?? new Uint8Array(0)).trimEnd());
        }
        this.#position = lastOffset(header) + 1;
      }
    }
  }

  #again(): void {
    const { cluster, prng, name } = this.#options;
    if (this.#stopped) return;
    cluster.world.schedule(prng.between(20, 200), `${name} retries`, () => this.#open());
  }
}

function copyBatch<Batch extends { readonly bytes: Uint8Array }>(batch: Batch): Batch {
  return { ...batch, bytes: batch.bytes.slice() };
}
