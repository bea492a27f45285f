/** `ottla consume`: records to standard output. */
import type { Command } from "commander";
import type { Consumer, Message, TopicPartition } from "../client/index.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { integer, partitionNumber, type StartPosition, startPosition } from "./arguments.ts";
import {
  type ClusterOptions,
  type OutputOptions,
  withAdmin,
  withCluster,
  withOutput,
} from "./common.ts";
import { write } from "./output.ts";
import { compileFormat, type PrintableRecord, recordToJson } from "./record-format.ts";

interface Options extends ClusterOptions, OutputOptions {
  readonly from: StartPosition;
  readonly partition?: number;
  readonly maxMessages?: number;
  readonly exitAtEnd: boolean;
  readonly format: string;
}

type BytesMessage = Message<Uint8Array | null, Uint8Array | null>;

const DEFAULT_FORMAT = "%v\\n";

export function registerConsume(program: Command): void {
  withOutput(
    withCluster(
      program
        .command("consume")
        .description("print the records of a topic, and wait for more")
        .argument("<topic>")
        .option(
          "--from <position>",
          "beginning, end, an offset, @milliseconds since 1970, or an ISO-8601 time",
          startPosition,
          { type: "end" },
        )
        .option("--partition <n>", "only this one", partitionNumber)
        .option("--max-messages <n>", "stop after so many", integer(1, Number.MAX_SAFE_INTEGER))
        .option("--exit-at-end", "stop at what was the end when the command began", false)
        .option(
          "--format <format>",
          "%t topic, %p partition, %o offset, %T timestamp in ms, %k key, %v value, %%, \\n, \\t",
          DEFAULT_FORMAT,
        )
        .addHelpText(
          "after",
          `
With --output json every record is one object on a line; --format is then not used.

Examples:
  $ ottla consume orders --from beginning --exit-at-end
  $ ottla consume orders --partition 2 --from 1000 --max-messages 10 --format '%o %k=%v\\n'
  $ ottla consume orders --from 2026-01-31T12:00:00Z --output json`,
        ),
    ),
  ).action(consume);
}

async function consume(topic: string, options: Options): Promise<void> {
  // Before anything is asked of a cluster: a wrong format is a wrong command.
  const print = printerOf(options);
  const partitions = await partitionsOf(topic, options);
  const { Consumer } = await import("../client/index.ts");
  await using consumer = new Consumer({
    bootstrapServers: options.bootstrapServer,
    autoOffsetReset: options.from.type === "offset" ? "none" : "earliest",
  });
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  try {
    await consumer.assign(partitions.map((each) => ({ ...each, offset: offsetOf(options.from) })));
    const limit = options.exitAtEnd ? await Limit.atEnd(consumer, partitions) : undefined;
    await pump(consumer, { print, limit, signal: stop.signal, max: options.maxMessages });
  } catch (thrown) {
    // Ctrl-C is how a reading without end ends.
    if (!(stop.signal.aborted && toOttlaError(thrown).code === "ABORTED")) throw thrown;
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

interface Pumping {
  readonly print: (record: PrintableRecord) => Uint8Array;
  readonly limit: Limit | undefined;
  readonly signal: AbortSignal;
  readonly max: number | undefined;
}

async function pump(consumer: Consumer, { print, limit, max, signal }: Pumping): Promise<void> {
  let left = max ?? Number.POSITIVE_INFINITY;
  const atEnd = (): boolean => limit?.reached() === true;
  if (atEnd()) return;
  for await (const { messages, partition } of consumer.batches({ signal })) {
    const wanted = limit === undefined ? messages : limit.within(partition, messages);
    const printed = wanted.slice(0, left);
    if (printed.length > 0) await write(Buffer.concat(printed.map(print)));
    left -= printed.length;
    if (left === 0 || atEnd()) return;
  }
}

/** Where each partition ended when the command began: records after that are not waited for. */
class Limit {
  readonly #ends: Map<number, number>;

  private constructor(ends: Map<number, number>) {
    this.#ends = ends;
  }

  static async atEnd(consumer: Consumer, partitions: readonly TopicPartition[]): Promise<Limit> {
    const ends = new Map<number, number>();
    for (const { topic, partition, offset } of await consumer.endOffsets(partitions)) {
      if (offset > (consumer.position({ topic, partition }) ?? 0)) ends.set(partition, offset);
    }
    return new Limit(ends);
  }

  reached(): boolean {
    return this.#ends.size === 0;
  }

  within(partition: number, messages: readonly BytesMessage[]): readonly BytesMessage[] {
    const end = this.#ends.get(partition);
    if (end === undefined) return [];
    const last = messages.at(-1);
    if (last !== undefined && last.offset + 1 >= end) this.#ends.delete(partition);
    return messages.filter(({ offset }) => offset < end);
  }
}

async function partitionsOf(topic: string, options: Options): Promise<readonly TopicPartition[]> {
  const [description] = await withAdmin(options, (admin) => admin.describeTopics([topic]));
  const all = description?.partitions.map(({ partition }) => partition) ?? [];
  const { partition } = options;
  if (partition !== undefined && !all.includes(partition)) {
    throw new OttlaError(
      "UNKNOWN_TOPIC_OR_PARTITION",
      `--partition is ${partition}; topic ${topic} has partitions 0 to ${all.length - 1}`,
      { field: "--partition" },
    );
  }
  const wanted = partition === undefined ? all : [partition];
  return wanted.map((number) => ({ topic, partition: number }));
}

function offsetOf(from: StartPosition) {
  switch (from.type) {
    case "offset":
      return from.offset;
    case "timestamp":
      return { timestampMs: from.timestampMs };
    default:
      return from.type;
  }
}

function printerOf(options: Options): (record: PrintableRecord) => Uint8Array {
  if (options.output === "json") {
    return (record) => Buffer.from(`${JSON.stringify(recordToJson(record))}\n`);
  }
  return compileFormat(options.format);
}
