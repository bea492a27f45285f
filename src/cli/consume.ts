/** `ottla consume`: records to standard output, of partitions or as a member of a group. */
import type { Command } from "commander";
import type { Consumer, Message, PartitionOffset, TopicPartition } from "../client/index.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { integer, partitionNumber, type StartPosition, startPosition } from "./arguments.ts";
import {
  type ClusterOptions,
  type OutputOptions,
  withAdmin,
  withCluster,
  withOutput,
} from "./common.ts";
import { keyOf } from "./group-facts.ts";
import { UsageError, write } from "./output.ts";
import { compileFormat, type PrintableRecord, recordToJson } from "./record-format.ts";

interface Options extends ClusterOptions, OutputOptions {
  readonly from: StartPosition;
  readonly group?: string;
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
        .description("print the records of topics, and wait for more")
        .argument("<topics...>")
        .option("--group <id>", "as a member of this group, which commits what was printed")
        .option(
          "--from <position>",
          "beginning, end, an offset, @milliseconds since 1970, or an ISO-8601 time; with --group only where nothing is committed",
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

Members of a group share its partitions and go on from what it has committed. With --exit-at-end a
member stops once the partitions that it has are read as far as they went when it began.

Examples:
  $ ottla consume orders --from beginning --exit-at-end
  $ ottla consume orders --partition 2 --from 1000 --max-messages 10 --format '%o %k=%v\\n'
  $ ottla consume orders --from 2026-01-31T12:00:00Z --output json
  $ ottla consume orders returns --group billing --from beginning`,
        ),
    ),
  ).action(consume);
}

async function consume(topics: readonly string[], options: Options): Promise<void> {
  // Before anything is asked of a cluster: a wrong format is a wrong command.
  const print = printerOf(options);
  const autoOffsetReset = resetOf(topics, options);
  const partitions = await partitionsOf(topics, options);
  const { Consumer } = await import("../client/index.ts");
  await using consumer = new Consumer({
    bootstrapServers: options.bootstrapServer,
    autoOffsetReset,
    ...(options.group === undefined ? {} : { groupId: options.group }),
  });
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  const { maxMessages: max } = options;
  try {
    if (options.group === undefined) {
      const from = offsetOf(options.from);
      await consumer.assign(partitions.map((each) => ({ ...each, offset: from })));
      const limit = options.exitAtEnd ? await Limit.atEnd(consumer, partitions) : undefined;
      await pump(consumer, { print, limit, signal: stop.signal, max });
    } else {
      const ends = options.exitAtEnd ? await consumer.endOffsets(partitions) : undefined;
      await whileOpen(consumer.subscribe({ topics }), stop.signal);
      await pumpGroup(consumer, { print, ends, stop, max });
    }
  } catch (thrown) {
    // Ctrl-C is how a reading without end ends.
    if (!(stop.signal.aborted && toOttlaError(thrown).code === "ABORTED")) throw thrown;
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

/** Where to go on without an offset. Throws UsageError for what a group leaves no choice of. */
function resetOf(
  topics: readonly string[],
  { from, group, partition }: Options,
): "earliest" | "latest" | "none" {
  if (partition !== undefined && (group !== undefined || topics.length > 1)) {
    const why = group === undefined ? "one topic alone" : "no --group, which assigns partitions";
    throw new UsageError(`--partition is for ${why}`);
  }
  if (group === undefined) return from.type === "offset" ? "none" : "earliest";
  if (from.type === "beginning") return "earliest";
  if (from.type === "end") return "latest";
  throw new UsageError(
    "--from with --group must be beginning or end, for where nothing is committed; `ottla group reset-offsets` moves a group elsewhere",
  );
}

/** A group that is slow to take a member in must not keep Ctrl-C waiting. */
async function whileOpen(joined: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => reject(new OttlaError("ABORTED", "the command was interrupted"));
    signal.addEventListener("abort", onAbort, { once: true });
    joined
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", onAbort))
      .catch(reject);
    if (signal.aborted) onAbort();
  });
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
  for await (const batch of consumer.batches({ signal })) {
    const wanted = limit === undefined ? batch.messages : limit.within(batch);
    const printed = wanted.slice(0, left);
    if (printed.length > 0) await write(Buffer.concat(printed.map(print)));
    left -= printed.length;
    if (left === 0 || atEnd()) return;
  }
}

interface GroupPumping {
  readonly print: (record: PrintableRecord) => Uint8Array;
  /** With --exit-at-end. */
  readonly ends: readonly PartitionOffset[] | undefined;
  readonly stop: AbortController;
  readonly max: number | undefined;
}

const END_POLL_MS = 250;

/** What is printed is committed, and nothing else. */
async function pumpGroup(consumer: Consumer, options: GroupPumping): Promise<void> {
  const { ends, max, print, stop } = options;
  let left = max ?? Number.POSITIVE_INFINITY;
  let inHand = false;
  // Partitions may go to another member while no message comes: those that are left are at their
  // ends then. What is in hand has been counted, and is not printed yet.
  const poll = setInterval(() => {
    if (!inHand && ends !== undefined && isAtEnd(consumer, ends)) stop.abort();
  }, END_POLL_MS);
  try {
    for await (const { messages, partition, topic } of consumer.batches({ signal: stop.signal })) {
      inHand = true;
      const printed = messages.slice(0, left);
      await write(Buffer.concat(printed.map(print)));
      left -= printed.length;
      if (left === 0) {
        const offset = (printed.at(-1)?.offset ?? 0) + 1;
        await consumer.commit([{ topic, partition, offset }]);
        return;
      }
      inHand = false;
    }
  } finally {
    clearInterval(poll);
  }
}

/** One that has no partition waits for some: there may be a rebalance under way. */
function isAtEnd(consumer: Consumer, ends: readonly PartitionOffset[]): boolean {
  const assigned = consumer.assignment();
  return (
    assigned.length > 0 &&
    assigned.every((each) => {
      const end = ends.find(
        ({ partition, topic }) => partition === each.partition && topic === each.topic,
      );
      return (consumer.position(each) ?? -1) >= (end?.offset ?? 0);
    })
  );
}

/** Where each partition ended when the command began: records after that are not waited for. */
class Limit {
  readonly #ends: Map<string, number>;

  private constructor(ends: Map<string, number>) {
    this.#ends = ends;
  }

  static async atEnd(consumer: Consumer, partitions: readonly TopicPartition[]): Promise<Limit> {
    const ends = new Map<string, number>();
    for (const { topic, partition, offset } of await consumer.endOffsets(partitions)) {
      if (offset > (consumer.position({ topic, partition }) ?? 0)) {
        ends.set(keyOf({ topic, partition }), offset);
      }
    }
    return new Limit(ends);
  }

  reached(): boolean {
    return this.#ends.size === 0;
  }

  within(batch: TopicPartition & { readonly messages: readonly BytesMessage[] }) {
    const { messages } = batch;
    const end = this.#ends.get(keyOf(batch));
    if (end === undefined) return [];
    const last = messages.at(-1);
    if (last !== undefined && last.offset + 1 >= end) this.#ends.delete(keyOf(batch));
    return messages.filter(({ offset }) => offset < end);
  }
}

async function partitionsOf(
  topics: readonly string[],
  options: Options,
): Promise<readonly TopicPartition[]> {
  const descriptions = await withAdmin(options, (admin) => admin.describeTopics(topics));
  const all = descriptions.flatMap(({ name, partitions }) =>
    partitions.map(({ partition }) => ({ topic: name, partition })),
  );
  const { partition: wanted } = options;
  if (wanted === undefined) return all;
  const one = all.filter(({ partition }) => partition === wanted);
  if (one.length > 0) return one;
  throw new OttlaError(
    "UNKNOWN_TOPIC_OR_PARTITION",
    `--partition is ${wanted}; topic ${topics.join(", ")} has partitions 0 to ${all.length - 1}`,
    { field: "--partition" },
  );
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
