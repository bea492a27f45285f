/** `ottla produce`: lines of standard input as records. */
import { type Command, Option } from "commander";
import type { Producer } from "../client/index.ts";
import type { Compression } from "../model/compression.ts";
import { type ErrorCode, type OttlaError, toOttlaError } from "../model/errors.ts";
import { integer, partitionNumber } from "./arguments.ts";
import { type ClusterOptions, withCluster } from "./common.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { type LineFormat, linesOf, recordOf } from "./line-reader.ts";
import { formatError, note, writeJson } from "./output.ts";
import { ProduceProgress } from "./produce-progress.ts";

interface Options extends ClusterOptions {
  readonly keySeparator?: string;
  readonly nullValue?: string;
  readonly partition?: number;
  readonly acks: "0" | "1" | "all";
  readonly compression: Compression;
  readonly rate?: number;
}

/** Failures of one record; after any other the rest would fail alike. */
const OF_ONE_RECORD: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_RECORD",
  "INVALID_TIMESTAMP",
]);
/** Records without an outcome; reading waits at this many. */
const PENDING_MAX = 50_000;
const PAUSE_MS = 5;
const METADATA_WAIT_MS = 15_000;
/** As the SDK's `deliveryTimeoutMs`: an outage of a minute fails nothing. */
const DELIVERY_TIMEOUT_MS = 120_000;
const FAILURES_SHOWN = 5;

export function registerProduce(program: Command): void {
  withCluster(
    program
      .command("produce")
      .description("write each line of standard input as a record")
      .argument("<topic>")
      .option("--key-separator <s>", "what stands between key and value; without it no keys")
      .option("--null-value <s>", "a value that is this is written as null")
      .option("--partition <n>", "write there; default: by key, or in turn", partitionNumber)
      .addOption(
        new Option("--acks <acks>", "who must have a record before it is acknowledged")
          .choices(["0", "1", "all"])
          .default("all"),
      )
      .addOption(
        new Option("--compression <codec>", "how batches are compressed")
          .choices(["none", "gzip", "snappy", "lz4", "zstd"])
          .default("none"),
      )
      .option("--rate <n>", "at most so many records a second", integer(1, 10_000_000))
      .addHelpText(
        "after",
        `
The last line on standard output is {"acknowledged":N,"failed":N,"seconds":S}; the exit code is 5 if
some records failed.

Examples:
  $ echo 'hello' | ottla produce greetings
  $ printf 'alice:2 apples\\nbob:1 pear\\n' | ottla produce orders --key-separator :
  $ ottla produce events --compression zstd --rate 1000 < events.jsonl`,
      ),
    DELIVERY_TIMEOUT_MS,
  ).action(async (topic: string, options: Options) => {
    process.exitCode = await produce(topic, options);
  });
}

async function produce(topic: string, options: Options): Promise<number> {
  const { Producer } = await import("../client/index.ts");
  await using producer = new Producer({
    bootstrapServers: options.bootstrapServer,
    acks: options.acks === "all" ? "all" : options.acks === "1" ? 1 : 0,
    compressionType: options.compression,
    deliveryTimeoutMs: options.timeoutMs,
    maxBlockMs: Math.min(METADATA_WAIT_MS, options.timeoutMs),
  });
  const run = new ProduceRun(producer, topic, options);
  const stop = (): void => run.stop();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    await run.read(process.stdin);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
  return await run.finish();
}

class ProduceRun {
  readonly #producer: Producer;
  readonly #topic: string;
  readonly #options: Options;
  readonly #format: LineFormat;
  readonly #progress: ProduceProgress | undefined;
  readonly #began = performance.now();
  #acknowledged = 0;
  #failed = 0;
  #pending = 0;
  #lines = 0;
  #stopped = false;
  /** What ended the run before the input did. */
  #fatal: OttlaError | undefined;

  constructor(producer: Producer, topic: string, options: Options) {
    this.#producer = producer;
    this.#topic = topic;
    this.#options = options;
    this.#format = {
      keySeparator: bytesOf(options.keySeparator),
      nullValue: bytesOf(options.nullValue),
    };
    this.#progress = ProduceProgress.onTerminal();
  }

  /** Reads no further; what was read is still sent. */
  stop(): void {
    this.#stopped = true;
    process.stdin.destroy();
  }

  async read(input: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const lines of linesOf(input)) {
        for (const line of lines) {
          if (this.#stopped) return;
          if (this.#mustWait()) await this.#wait();
          this.#send(line);
        }
      }
    } catch (thrown) {
      // Destroyed by `stop`; a real failure of the input is told.
      if (!this.#stopped) throw thrown;
    }
  }

  /** Waits for every outcome and prints the summary. */
  async finish(): Promise<number> {
    while (this.#pending > 0) {
      await this.#producer.flush();
      await pause(0);
    }
    this.#progress?.end();
    const seconds = Math.round(performance.now() - this.#began) / 1000;
    const summary = { acknowledged: this.#acknowledged, failed: this.#failed, seconds };
    await writeJson(summary);
    if (this.#fatal !== undefined) note(formatError(this.#fatal).text);
    if (this.#failed === 0) return EXIT.DONE;
    const nothing = this.#acknowledged === 0 && this.#fatal !== undefined;
    return nothing ? exitCodeOf((this.#fatal as OttlaError).code) : EXIT.RECORDS_FAILED;
  }

  #send(line: Uint8Array): void {
    this.#lines++;
    const record = recordOf(line, this.#format);
    if (record === undefined) {
      this.#fails(`line ${this.#lines} has no "${this.#options.keySeparator}" (--key-separator)`);
      return;
    }
    this.#pending++;
    const { partition } = this.#options;
    this.#producer
      .send({
        topic: this.#topic,
        key: record.key,
        value: record.value,
        ...(partition === undefined ? {} : { partition }),
      })
      .then(
        () => {
          this.#pending--;
          this.#acknowledged++;
          this.#progress?.update(this.#acknowledged, this.#failed);
        },
        (thrown: unknown) => {
          this.#pending--;
          this.#refused(toOttlaError(thrown));
        },
      );
  }

  #refused(error: OttlaError): void {
    if (OF_ONE_RECORD.has(error.code)) {
      this.#fails(`${error.message} (${error.code})`);
      return;
    }
    this.#failed++;
    this.#fatal ??= error;
    if (!this.#stopped) this.stop();
  }

  #fails(reason: string): void {
    this.#failed++;
    if (this.#failed <= FAILURES_SHOWN) note(`a record failed: ${reason}`);
    if (this.#failed === FAILURES_SHOWN) note("further failed records are only counted");
  }

  #mustWait(): boolean {
    return this.#pending >= PENDING_MAX || this.#lines >= this.#due();
  }

  /** How many records `--rate` has allowed by now. */
  #due(): number {
    const { rate } = this.#options;
    if (rate === undefined) return Number.POSITIVE_INFINITY;
    return 1 + ((performance.now() - this.#began) / 1000) * rate;
  }

  async #wait(): Promise<void> {
    while (this.#mustWait() && !this.#stopped) await pause(PAUSE_MS);
  }
}

function bytesOf(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
