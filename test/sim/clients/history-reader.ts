/**
 * A consumer of the SDK that writes what it does into the history: assignments and seeks with their
 * places, polls with what was delivered. It keeps its own account of where it is in each partition.
 */
import { text } from "../../../src/base/bytes.ts";
import { Consumer, type StartOffset, type TopicPartition } from "../../../src/client/index.ts";
import type { PolledRecord, Seek } from "../../history/format.ts";
import type { ClientLife } from "./client-process.ts";
import { type ClientShared, errorCode, historyKey, NAME_HEADER } from "./client-shared.ts";

export interface HistoryReaderOptions {
  readonly prefetchBytes: number;
  readonly autoOffsetReset: "earliest" | "latest" | "none";
}

/** A reason of its own, because the default one is an exception with a stack, for each poll. */
const POLL_OVER = "the poll is over";
/** Batches that one poll gathers at most. */
const POLL_BATCHES = 100;
/** What iteration may throw: the partition is gone, or cut, or nobody answers yet. */
const EXPECTED = new Set([
  "NO_BROKER_REACHABLE",
  "OFFSET_OUT_OF_RANGE",
  "UNKNOWN_TOPIC_OR_PARTITION",
]);

export class HistoryReader {
  readonly consumer: Consumer;
  readonly #shared: ClientShared;
  readonly #life: ClientLife;
  #keys: readonly string[] = [];
  /** Next offset of each key that is assigned. */
  readonly #positions = new Map<string, number>();

  constructor(shared: ClientShared, life: ClientLife, options: HistoryReaderOptions) {
    this.#shared = shared;
    this.#life = life;
    const { bootstrapServers } = shared;
    const { environment } = life;
    this.consumer = new Consumer({ bootstrapServers, environment, ...options });
  }

  /** Offset after the last record that was delivered; undefined before it is known. */
  position({ topic, partition }: TopicPartition): number | undefined {
    return this.#positions.get(historyKey(topic, partition));
  }

  /** Reads these from `offset` on and no others; false if that could not be begun. */
  assign(partitions: readonly TopicPartition[], offset: "beginning" | "end"): Promise<boolean> {
    const places = partitions.map((each) => ({ ...each, offset }));
    return this.#assign(places, offset);
  }

  /** Each from an offset of its own. */
  assignAt(places: readonly (TopicPartition & { readonly offset: number })[]): Promise<boolean> {
    const entries = places.map((each) => [historyKey(each.topic, each.partition), each.offset]);
    return this.#assign(places, Object.fromEntries(entries) as Readonly<Record<string, number>>);
  }

  seek(place: TopicPartition & { readonly offset: number }): void {
    const key = historyKey(place.topic, place.partition);
    const of = this.#invokeAssign({ [key]: place.offset });
    this.consumer.seek(place);
    this.#positions.set(key, place.offset);
    this.#shared.history.write({ p: this.#life.process, type: "ok", f: "assign", of });
  }

  /** Gathers what comes within `pollMs`; returns the code of an error that ended it. */
  async poll(pollMs: number): Promise<string | undefined> {
    const { counts, history } = this.#shared;
    const p = this.#life.process;
    // What lies ready was fetched before.
    const of = history.write({ p, type: "invoke", f: "poll", ahead: true });
    const recs: Record<string, PolledRecord[]> = {};
    const given = new AbortController();
    const timer = this.#life.environment.timers.after(pollMs, () => given.abort(POLL_OVER));
    let error: string | undefined;
    try {
      const batches = this.consumer.batches({ signal: given.signal });
      for (let count = 0; count < POLL_BATCHES; count++) {
        const { done, value: batch } = await batches.next();
        if (done === true) break;
        const key = historyKey(batch.topic, batch.partition);
        const records = recs[key] ?? [];
        recs[key] = records;
        for (const { offset, value, headers } of batch.messages) {
          const named = value ?? headers.find((header) => header.key === NAME_HEADER)?.value;
          records.push([offset, text(named ?? new Uint8Array(0)).trimEnd()]);
          this.#positions.set(key, offset + 1);
        }
        counts.polled += batch.messages.length;
      }
    } catch (thrown) {
      error = errorCode(thrown);
      if (error === "ABORTED") error = undefined;
      else if (!EXPECTED.has(error)) {
        this.#shared.cluster.fail("reading fails for a reason", `${p}: ${String(thrown)}`);
      }
    }
    timer.cancel();
    history.write({ p, type: "ok", f: "poll", of, recs });
    return error;
  }

  /** Goes on where it was, or at the log's start where that is cut off; until it could. */
  async recover(): Promise<void> {
    while (!this.#life.ending) {
      try {
        const partitions = this.consumer.assignment();
        const starts = await this.consumer.beginningOffsets(partitions);
        const places = starts.map(({ topic, partition, offset }) => ({
          topic,
          partition,
          offset: Math.max(offset, this.#positions.get(historyKey(topic, partition)) ?? 0),
        }));
        if (await this.assignAt(places)) return;
      } catch (thrown) {
        this.expect(thrown);
      }
      await this.#life.sleep(100);
    }
  }

  async #assign(
    places: readonly (TopicPartition & { readonly offset: StartOffset })[],
    seek: Seek,
  ): Promise<boolean> {
    const { history } = this.#shared;
    const p = this.#life.process;
    this.#keys = places.map(({ topic, partition }) => historyKey(topic, partition));
    this.#positions.clear();
    const of = this.#invokeAssign(seek);
    try {
      await this.consumer.assign(places);
    } catch (thrown) {
      this.expect(thrown);
      history.write({ p, type: "info", f: "assign", of, error: errorCode(thrown) });
      return false;
    }
    for (const place of places) {
      const position = this.consumer.position(place);
      if (position === undefined) continue;
      this.#positions.set(historyKey(place.topic, place.partition), position);
    }
    history.write({ p, type: "ok", f: "assign", of });
    return true;
  }

  #invokeAssign(seek: Seek): number {
    const { process: p } = this.#life;
    return this.#shared.history.write({ p, type: "invoke", f: "assign", keys: this.#keys, seek });
  }

  /** What offset lookups may reject with; anything else ends the run. */
  expect(thrown: unknown): void {
    const code = errorCode(thrown);
    if (EXPECTED.has(code) || code === "REQUEST_TIMED_OUT" || RETRIED.has(code)) return;
    this.#shared.cluster.fail(
      "reading fails for a reason",
      `${this.#life.process}: ${String(thrown)}`,
    );
  }
}

/** What a lookup of offsets may end with once its time is over. */
const RETRIED = new Set([
  "FENCED_LEADER_EPOCH",
  "KAFKA_STORAGE_ERROR",
  "LEADER_NOT_AVAILABLE",
  "NETWORK_EXCEPTION",
  "NOT_LEADER_OR_FOLLOWER",
  "OFFSET_NOT_AVAILABLE",
  "REPLICA_NOT_AVAILABLE",
  "SHUTTING_DOWN",
  "UNKNOWN_LEADER_EPOCH",
]);
