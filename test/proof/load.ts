/** A steady stream of the package index into a topic, and the acknowledgements that come back. */
import type { Producer } from "../../src/client/index.ts";
import type { Ledger } from "./ledger.ts";
import type { IndexLine } from "./package-index.ts";

export interface LoadOptions {
  readonly producer: Producer;
  readonly topic: string;
  readonly partitionsCount: number;
  readonly lines: AsyncGenerator<IndexLine, never>;
  readonly ledger: Ledger;
  readonly recordsPerSecond: number;
}

const TURN_MS = 5;
/** Records that wait for acknowledgement; with a dead leader the load stands still here. */
const PENDING_MAX = 400_000;

export class Load {
  readonly #options: LoadOptions;
  readonly #lastAckMs: number[];
  readonly #longestGapMs: number[];
  readonly #acks: number[];
  #pending = 0;
  #stopped = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    const { partitionsCount } = options;
    this.#lastAckMs = new Array<number>(partitionsCount).fill(performance.now());
    this.#longestGapMs = new Array<number>(partitionsCount).fill(0);
    this.#acks = new Array<number>(partitionsCount).fill(0);
  }

  /** Sends until `stop`; settles once every record was acknowledged or failed. */
  async run(): Promise<void> {
    const { ledger, lines, producer, recordsPerSecond, topic } = this.#options;
    const began = performance.now();
    let sent = 0;
    while (!this.#stopped) {
      const due = Math.min(
        Math.floor(((performance.now() - began) / 1000) * recordsPerSecond),
        sent + PENDING_MAX - this.#pending,
      );
      for (; sent < due; sent++) {
        const { value: next } = await lines.next();
        const { number, value } = ledger.write(next.line);
        const key = Buffer.from(next.package);
        this.#pending++;
        producer.send({ topic, key, value }).then(
          ({ partition, offset }) => {
            this.#pending--;
            ledger.acknowledge(number, partition, offset);
            this.#acknowledged(partition);
          },
          (thrown: unknown) => {
            this.#pending--;
            ledger.fail(number, thrown instanceof Error ? thrown.message : String(thrown));
          },
        );
      }
      await sleep(TURN_MS);
    }
    while (this.#pending > 0) await sleep(TURN_MS);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Begins to measure the time between acknowledgements anew. */
  resetGaps(): void {
    this.#lastAckMs.fill(performance.now());
    this.#longestGapMs.fill(0);
    this.#acks.fill(0);
  }

  longestGapMs(partition: number): number {
    const open = performance.now() - (this.#lastAckMs[partition] as number);
    return Math.max(this.#longestGapMs[partition] as number, open);
  }

  /** Acknowledgements of a partition since `resetGaps`. */
  acks(partition: number): number {
    return this.#acks[partition] as number;
  }

  #acknowledged(partition: number): void {
    const now = performance.now();
    const gap = now - (this.#lastAckMs[partition] as number);
    this.#longestGapMs[partition] = Math.max(this.#longestGapMs[partition] as number, gap);
    this.#lastAckMs[partition] = now;
    this.#acks[partition] = (this.#acks[partition] as number) + 1;
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
