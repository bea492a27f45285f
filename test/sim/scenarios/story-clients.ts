/**
 * The clients of a story: a producer that sends one record a batch and says nothing twice unless it
 * is told to, and a consumer that reads up to the high watermark. Every record has a producer id of
 * its own unless it is made by a `StoryProducer`, so that each may be sent again by itself.
 */
import { utf8 } from "../../../src/base/bytes.ts";
import type { DoorApi, FetchSession } from "../../../src/broker/broker-api.ts";
import {
  type BrokerId,
  type LeaderEpoch,
  type Offset,
  partitionKey,
} from "../../../src/model/ids.ts";
import { lastOffset, readBatchHeader, recordsSection } from "../../../src/record/batch.ts";
import { BatchBuilder, decodeRecords } from "../../../src/record/records.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { partitionByKey } from "../cluster/run-context.ts";
import { crc32c } from "../world/sim-codecs.ts";
import { WALL_EPOCH_MS } from "../world/sim-timers.ts";

export interface Sent {
  readonly value: string;
  readonly bytes: Uint8Array;
  readonly acks: -1 | 0 | 1;
  readonly timeoutMs: number;
  /** The error's code if it was refused. */
  outcome: string;
  message: string;
  offset: Offset;
}

export interface SendOptions {
  readonly to: BrokerId;
  readonly acks?: -1 | 0 | 1;
  readonly timeoutMs?: number;
  /** Default: the value, so that no record takes another one's place. */
  readonly key?: string;
  /** Default: one of its own. */
  readonly producer?: StoryProducer;
}

export interface ReadOptions {
  readonly from: BrokerId;
  readonly offset: Offset;
  readonly epoch: LeaderEpoch;
  /** Does not leave at the high watermark. */
  readonly stays?: boolean;
}

export interface Read {
  readonly values: string[];
  done: boolean;
  error: string | undefined;
  highWatermark: Offset;
}

export interface Called<Value> {
  settled: boolean;
  value: Value | undefined;
  error: unknown;
}

/** One identity, and the next sequence to sign with. */
export interface StoryProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  sequence: number;
}

const CALL_MS = 0.5;
const IDS_COUNT = 80;
const CREDIT_BYTES = 1024 * 1024;

export class StoryClients {
  /** Of their clock, which stamps what they send. */
  wallOffsetMs = 0;
  /** Values acknowledged with acks=all. */
  readonly acknowledged: string[] = [];
  readonly #cluster: Cluster;
  readonly #options: { readonly topic: string; readonly minIsr: number };
  readonly #producers: StoryProducer[] = [];

  constructor(cluster: Cluster, options: { readonly topic: string; readonly minIsr: number }) {
    this.#cluster = cluster;
    this.#options = options;
  }

  /** A store of identities, so that no story depends on when one is given out. */
  async takeIds(until: (what: string, condition: () => boolean) => Promise<void>): Promise<void> {
    for (let count = 0; count < IDS_COUNT; count++) {
      const called = this.call(1, "init producer id", (api) => api.initProducerId());
      await until("there is a producer id", () => called.settled);
      if (called.value === undefined) throw new Error(String(called.error));
      this.#producers.push({ ...called.value, sequence: 0 });
    }
  }

  /** What was acknowledged need not be read any more: its topic is gone. */
  forget(): void {
    this.acknowledged.length = 0;
  }

  producer(): StoryProducer {
    const producer = this.#producers.pop();
    if (producer === undefined) throw new Error("the story has used all its producer ids");
    return producer;
  }

  prepare(value: string, options: Omit<SendOptions, "to"> = {}): Sent {
    const producer = options.producer ?? this.producer();
    const builder = new BatchBuilder(256);
    const timestamp = WALL_EPOCH_MS + Math.floor(this.#cluster.world.nowMs) + this.wallOffsetMs;
    const key = utf8(options.key ?? value);
    builder.append({ timestamp, key, value: utf8(value), headers: [] });
    const { producerId, producerEpoch, sequence: baseSequence } = producer;
    const bytes = builder.seal({
      codec: "none",
      producerId,
      producerEpoch,
      baseSequence,
      crc32c,
    });
    producer.sequence++;
    const { acks = -1, timeoutMs = 2_000 } = options;
    return { value, bytes, acks, timeoutMs, outcome: "waiting", message: "", offset: -1 };
  }

  send(value: string, options: SendOptions): Sent {
    const sent = this.prepare(value, options);
    this.dispatch(sent, options);
    return sent;
  }

  /** Hands it to a broker; of several answers the last one counts, but for the first success. */
  dispatch(sent: Sent, { to }: { readonly to: BrokerId }): void {
    if (sent.outcome !== "acknowledged") sent.outcome = "waiting";
    const { topic } = this.#options;
    const { acks, timeoutMs } = sent;
    const batch = sent.bytes.slice();
    const done = this.call(
      to,
      `produce "${sent.value}"`,
      (api) => api.produce({ topic, partition: 0, batch, acks, timeoutMs }),
      ({ error, baseOffset }) => {
        if (error === undefined && acks !== 0) this.#onAcknowledged(sent, to, acks, baseOffset);
      },
    );
    done.onSettled = ({ value, error }) => {
      if (value === undefined) sent.outcome = error === undefined ? "lost" : String(error);
      else if (value.error !== undefined) {
        if (sent.outcome !== "acknowledged") sent.outcome = value.error.code;
        sent.message = value.error.message;
      } else {
        const known = sent.offset;
        if (known >= 0 && known !== value.baseOffset) {
          const detail = `"${sent.value}" was at ${known}, now at ${value.baseOffset}`;
          this.#cluster.fail("I3 a retry is answered with the same offsets", detail);
        }
        sent.offset = value.baseOffset;
        if (acks === -1 && !this.acknowledged.includes(sent.value)) {
          this.acknowledged.push(sent.value);
        }
        sent.outcome = "acknowledged";
      }
    };
  }

  /** Runs in the broker's process; if that dies meanwhile, nobody answers. */
  call<Value>(
    to: BrokerId,
    label: string,
    run: (api: DoorApi) => Promise<Value>,
    served: (value: Value) => void = () => {},
  ): Called<Value> & { onSettled: (called: Called<Value>) => void } {
    const { world } = this.#cluster;
    const broker = this.#cluster.broker(to);
    const called = {
      settled: false,
      value: undefined as Value | undefined,
      error: undefined as unknown,
      onSettled: (_called: Called<Value>): void => {},
    };
    const settle = (outcome: Partial<Called<Value>>): void => {
      world.schedule(CALL_MS, `${label} answered`, () => {
        Object.assign(called, outcome, { settled: true });
        called.onSettled(called);
      });
    };
    world.schedule(CALL_MS, label, () => {
      const { incarnation } = broker.node;
      const { running } = broker;
      if (incarnation === undefined || running === undefined) {
        settle({});
        return;
      }
      incarnation.later(0, "network", `serve ${label}`, () => {
        run(running.api).then(
          (value) => {
            if (!incarnation.alive) return;
            served(value);
            settle({ value });
          },
          (error: unknown) => {
            if (incarnation.alive) settle({ error });
          },
        );
      });
    });
    return called;
  }

  read({ from, offset, epoch, stays = false }: ReadOptions): Read {
    const read: Read = { values: [], done: false, error: undefined, highWatermark: -1 };
    const { topic } = this.#options;
    const { world } = this.#cluster;
    const broker = this.#cluster.broker(from);
    let position = offset;
    const end = (session: FetchSession | undefined, error?: string): void => {
      world.schedule(CALL_MS, "read is over", () => {
        read.error = error;
        read.done = true;
        session?.close();
      });
    };
    this.call(from, "read", async (api) => {
      const session = api.openFetch((fetched) => {
        for (const one of fetched) {
          if (one.error !== undefined) {
            end(session, one.error.code);
            return;
          }
          this.#onServed(from, one);
          read.highWatermark = one.highWatermark;
          for (const batch of one.batches) {
            for (const record of decodeRecords(batch.header, recordsSection(batch))) {
              if (record.offset < position) continue;
              read.values.push(new TextDecoder().decode(record.value ?? new Uint8Array(0)));
            }
            position = lastOffset(batch.header) + 1;
            session.credit(batch.bytes.length);
          }
          if (!stays && position >= one.highWatermark) end(session);
        }
      });
      session.credit(CREDIT_BYTES);
      const maxBytes = CREDIT_BYTES;
      session.start({
        handle: 1,
        topic,
        partition: 0,
        offset,
        currentLeaderEpoch: epoch,
        maxBytes,
      });
    }).onSettled = ({ error }) => {
      if (error !== undefined || broker.running === undefined) end(undefined, String(error));
    };
    return read;
  }

  #onAcknowledged(sent: Sent, to: BrokerId, acks: -1 | 1, baseOffset: Offset): void {
    const { crc } = readBatchHeader(sent.bytes);
    const { minIsr } = this.#options;
    const node = this.#cluster.nodeOf(to);
    const acknowledged = { node, key: this.#key(), baseOffset, recordsCount: 1, crc, acks, minIsr };
    for (const invariant of this.#cluster.invariants) invariant.onAcknowledged?.(acknowledged);
  }

  #onServed(from: BrokerId, fetched: Parameters<Parameters<DoorApi["openFetch"]>[0]>[0][number]) {
    const { node, running } = this.#cluster.broker(from);
    const key = this.#key();
    const image = running?.api.image();
    if (image === undefined) return;
    const leaderEpoch = partitionByKey(image, key)?.leaderEpoch ?? -1;
    const { highWatermark } = fetched;
    const life = node.incarnation?.life ?? 0;
    const shown = { node: node.name, life, key, leaderEpoch, highWatermark };
    const { invariants } = this.#cluster;
    for (const invariant of invariants) invariant.onHighWatermark?.(shown);
    for (const invariant of invariants) invariant.onServed?.({ node: node.name, key, fetched });
  }

  #key(): string {
    return partitionKey(this.#cluster.newestImage().topicIds.get(this.#options.topic) ?? "", 0);
  }
}
