/**
 * The writers of a run: idempotent producers of the SDK that send small records with unique values at
 * a steady rate to every partition, each send in the history; and what they feel of the faults: the
 * longest time between two acknowledgements of each partition.
 */
import type { Prng } from "../../src/base/prng.ts";
import { Producer } from "../../src/client/index.ts";
import { toOttlaError } from "../../src/model/errors.ts";
import type { HistoryWriter } from "../history/format.ts";
import { sleep } from "./waiting.ts";

export interface LoadOptions {
  readonly bootstrapServers: readonly string[];
  readonly history: HistoryWriter;
  readonly topic: string;
  readonly partitionsCount: number;
  readonly producersCount: number;
  /** Of all producers together. */
  readonly recordsPerSecond: number;
  readonly valueBytes: number;
  readonly prng: Prng;
  /** Whether nothing more may be sent: the history has reached its limit. */
  readonly full: () => boolean;
}

const TURN_MS = 10;
const CONNECT_MS = 60_000;
/** Records of one producer to one partition that wait; a partition without a leader stands still. */
const OPEN_PER_PARTITION = 4_000;
/** How long a producer lives before another takes its place, with another producer id. */
const LIFE_MS = [20_000, 120_000] as const;
/** No attempt of such a send ever left the client; of all others nobody knows. */
const CERTAINLY_NOT = new Set(["BUFFER_EXHAUSTED", "INVALID_ARGUMENT"]);

export class Load {
  readonly #options: LoadOptions;
  readonly #lastAckMs: number[];
  readonly #longestGapMs: number[];
  readonly #acks: number[];
  readonly #failures = new Map<string, number>();
  #running: Promise<unknown> = Promise.resolve();
  #stopped = false;
  sent = 0;
  acknowledged = 0;
  open = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    const { partitionsCount } = options;
    this.#lastAckMs = new Array<number>(partitionsCount).fill(performance.now());
    this.#longestGapMs = new Array<number>(partitionsCount).fill(0);
    this.#acks = new Array<number>(partitionsCount).fill(0);
  }

  start(): void {
    const { prng, producersCount } = this.#options;
    this.#running = Promise.all(
      Array.from({ length: producersCount }, (_, index) =>
        this.#lives(index, prng.fork(`producer ${index}`)),
      ),
    );
    this.#running.catch(() => undefined);
  }

  /** Sends nothing more; settles when every send has its outcome. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Sends that failed, by error. */
  get failures(): ReadonlyMap<string, number> {
    return this.#failures;
  }

  get failed(): number {
    return [...this.#failures.values()].reduce((sum, count) => sum + count, 0);
  }

  get partitions(): readonly number[] {
    return this.#acks.map((_, partition) => partition);
  }

  /**
   * Begins to measure anew. The last acknowledgement stays where it was: a gap counts from it, not
   * from when somebody decided on a fault.
   */
  resetGaps(): void {
    this.#longestGapMs.fill(0);
    this.#acks.fill(0);
  }

  /** Longest time between two acknowledgements since `resetGaps`, the present silence too. */
  longestGapMs(partition: number): number {
    const open = performance.now() - (this.#lastAckMs[partition] as number);
    return Math.max(this.#longestGapMs[partition] as number, open);
  }

  /** Acknowledgements of a partition since `resetGaps`. */
  acks(partition: number): number {
    return this.#acks[partition] as number;
  }

  async #lives(index: number, prng: Prng): Promise<void> {
    for (let life = 1; !this.#stopped; life++) {
      await this.#live(`p${index + 1}.${life}`, prng.between(...LIFE_MS));
    }
  }

  async #live(process: string, lifeMs: number): Promise<void> {
    const { bootstrapServers, full, partitionsCount, producersCount, recordsPerSecond } =
      this.#options;
    // A busy machine may take long to connect at all; what waits for it meanwhile is not lost.
    const producer = new Producer({ bootstrapServers, connectTimeoutMs: CONNECT_MS });
    const open = new Array<number>(partitionsCount).fill(0);
    const began = performance.now();
    let [due, made, turn] = [0, 0, 0];
    let last = began;
    while (!this.#stopped && performance.now() - began < lifeMs) {
      const now = performance.now();
      due += ((now - last) / 1000) * (recordsPerSecond / producersCount);
      last = now;
      const partition = turn++ % partitionsCount;
      for (; due >= 1 && !full(); due--) {
        if ((open[partition] as number) >= OPEN_PER_PARTITION) {
          due = 0;
          break;
        }
        this.#send(producer, { process, partition, value: `${process}/${made++}`, open });
      }
      await sleep(TURN_MS);
    }
    while (open.some((count) => count > 0)) await sleep(TURN_MS);
    await producer.close();
  }

  #send(
    producer: Producer,
    send: {
      readonly process: string;
      readonly partition: number;
      readonly value: string;
      readonly open: number[];
    },
  ): void {
    const { history, topic, valueBytes } = this.#options;
    const { open, partition, process: p, value } = send;
    const key = `${topic}-${partition}`;
    const invoke = { p, type: "invoke", f: "send", key, value } as const;
    const of = history.write({ ...invoke, acks: "all", idempotent: true });
    this.sent++;
    this.open++;
    open[partition] = (open[partition] as number) + 1;
    const settle = (): void => {
      this.open--;
      open[partition] = (open[partition] as number) - 1;
    };
    producer.send({ topic, partition, value: value.padEnd(valueBytes, " ") }).then(
      ({ offset }) => {
        settle();
        history.write({ p, type: "ok", f: "send", of, ...(offset < 0 ? {} : { offset }) });
        this.#acknowledge(partition);
      },
      (thrown: unknown) => {
        settle();
        const error = toOttlaError(thrown).code;
        this.#failures.set(error, (this.#failures.get(error) ?? 0) + 1);
        const type = CERTAINLY_NOT.has(error) ? "fail" : "info";
        history.write({ p, type, f: "send", of, error });
      },
    );
  }

  #acknowledge(partition: number): void {
    const now = performance.now();
    const gap = now - (this.#lastAckMs[partition] as number);
    this.#longestGapMs[partition] = Math.max(this.#longestGapMs[partition] as number, gap);
    this.#lastAckMs[partition] = now;
    this.#acks[partition] = (this.#acks[partition] as number) + 1;
    this.acknowledged++;
  }
}
