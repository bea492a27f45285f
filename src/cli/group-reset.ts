/** `ottla group reset-offsets`: Kafka's ways to move a group, shown first and done with --execute. */
import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import type { Admin, GroupOffset, TopicDescription, TopicPartition } from "../client/index.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { LIMITS } from "../model/limits.ts";
import { collect, integer } from "./arguments.ts";
import {
  type ClusterOptions,
  type OutputOptions,
  withAdmin,
  withCluster,
  withOutput,
} from "./common.ts";
import { keyOf, logOffsets, metadataIn } from "./group-facts.ts";
import { formatTable, note, UsageError, write, writeJson, writeLine } from "./output.ts";
import {
  datetime,
  duration,
  type FileOffset,
  type PlannedOffset,
  parseOffsetsFile,
  planOffset,
  type ResetPartition,
  type ResetTarget,
  type TopicScope,
  topicScope,
} from "./reset-plan.ts";

interface ResetOptions extends ClusterOptions, OutputOptions {
  readonly topic?: readonly string[];
  readonly allTopics?: true;
  readonly toEarliest?: true;
  readonly toLatest?: true;
  readonly toCurrent?: true;
  readonly toOffset?: number;
  readonly toDatetime?: number;
  readonly byDuration?: number;
  readonly shiftBy?: number;
  readonly fromFile?: string;
  readonly dryRun?: true;
  readonly execute?: true;
  readonly export?: true;
}

const OFFSET_MOST = Number.MAX_SAFE_INTEGER;

export function registerReset(group: Command): void {
  withOutput(
    withCluster(
      group
        .command("reset-offsets")
        .description("move a group's offsets; without --execute it only shows where to")
        .argument("<group>")
        .option(
          "--topic <topic[:partition,...]>",
          "what to move; all partitions if none is named; may be given again",
          collect,
        )
        .addOption(
          new Option("--all-topics", "every topic that the group has offsets for").conflicts(
            "topic",
          ),
        )
        .option("--to-earliest", "to the log's start")
        .option("--to-latest", "to the log's end")
        .option("--to-current", "to the committed offset; where none is, to the log's end")
        .option("--to-offset <n>", "to this offset", integer(0, OFFSET_MOST))
        .option(
          "--to-datetime <time>",
          "to the first record since; without a zone it is UTC",
          datetime,
        )
        .option("--by-duration <PnDTnHnMnS>", "to the first record since so long ago", duration)
        .option(
          "--shift-by <n>",
          "by so many records, back if below 0",
          integer(-OFFSET_MOST, OFFSET_MOST),
        )
        .addOption(
          new Option(
            "--from-file <file>",
            "lines of TOPIC,PARTITION,OFFSET, as --export prints them",
          ).conflicts(["topic", "allTopics"]),
        )
        .addOption(
          new Option("--dry-run", "show, change nothing; the default").conflicts("execute"),
        )
        .option("--execute", "do it")
        .addOption(new Option("--export", "print it as lines for --from-file").conflicts("execute"))
        .addHelpText(
          "after",
          `
The group must have no members: they would go on from where they are, and commit over it. An offset
outside the log becomes the log's start or end.

Examples:
  $ ottla group reset-offsets billing --all-topics --to-earliest
  $ ottla group reset-offsets billing --topic orders:0,1 --shift-by -100 --execute
  $ ottla group reset-offsets billing --topic orders --to-datetime 2026-01-31T12:00:00 --execute
  $ ottla group reset-offsets billing --all-topics --to-current --export > before.csv
  $ ottla group reset-offsets billing --from-file before.csv --execute`,
        ),
    ),
  ).action(reset);
}

async function reset(groupId: string, options: ResetOptions): Promise<void> {
  const target = targetOf(options);
  const scopes = options.topic?.map(topicScope);
  if (options.fromFile === undefined && scopes === undefined && options.allTopics === undefined) {
    throw new UsageError("say what to move: --topic, --all-topics or --from-file");
  }
  const file = options.fromFile === undefined ? undefined : await readOffsets(options.fromFile);
  await withAdmin(options, async (admin) => {
    await checkEmpty(admin, groupId);
    const committed = await admin.listGroupOffsets(groupId);
    const topics = new Map((await admin.listTopics()).map((topic) => [topic.name, topic]));
    const wanted =
      file ?? (scopes === undefined ? allOf(groupId, committed) : inScope(scopes, topics));
    const plan = await planOf(admin, { wanted, committed, topics, target });
    if (options.execute) {
      await admin.alterGroupOffsets(
        groupId,
        plan.map(({ newOffset: offset, partition, topic }) => ({ topic, partition, offset })),
      );
    }
    await print(groupId, plan, options);
  });
}

/** Undefined: a file says it. */
function targetOf(options: ResetOptions): ResetTarget | undefined {
  const given: (ResetTarget | "file")[] = [];
  if (options.toEarliest) given.push({ type: "earliest" });
  if (options.toLatest) given.push({ type: "latest" });
  if (options.toCurrent) given.push({ type: "current" });
  if (options.toOffset !== undefined) given.push({ type: "offset", offset: options.toOffset });
  if (options.toDatetime !== undefined) {
    given.push({ type: "timestamp", timestampMs: options.toDatetime });
  }
  if (options.byDuration !== undefined) {
    given.push({ type: "timestamp", timestampMs: Math.max(0, Date.now() - options.byDuration) });
  }
  if (options.shiftBy !== undefined) given.push({ type: "shift", by: options.shiftBy });
  if (options.fromFile !== undefined) given.push("file");
  const [target] = given;
  if (target === undefined || given.length > 1) {
    throw new UsageError(
      "say once where to: --to-earliest, --to-latest, --to-current, --to-offset, --to-datetime, --by-duration, --shift-by or --from-file",
    );
  }
  return target === "file" ? undefined : target;
}

async function readOffsets(path: string): Promise<readonly FileOffset[]> {
  let content: string;
  try {
    content = await readFile(path, "utf8");
  } catch (thrown) {
    throw new UsageError(`--from-file: ${path} cannot be read: ${(thrown as Error).message}`);
  }
  if (content.length > LIMITS.grpcMessageBytes) {
    throw new UsageError(
      `--from-file: ${path} has more than ${LIMITS.grpcMessageBytes} characters`,
    );
  }
  return parseOffsetsFile(path, content);
}

/** The broker refuses too; here it is said before anything is planned. A group that is not there is empty. */
async function checkEmpty(admin: Admin, groupId: string): Promise<void> {
  try {
    const [group] = await admin.describeGroups([groupId]);
    if (group === undefined || group.state === "Empty") return;
    throw new OttlaError(
      "NON_EMPTY_GROUP",
      `group ${groupId} is ${group.state} and has members (${group.members.length}); its offsets can be reset only while it has none`,
      { field: "group" },
    );
  } catch (thrown) {
    if (toOttlaError(thrown).code !== "GROUP_ID_NOT_FOUND") throw thrown;
  }
}

function allOf(groupId: string, committed: readonly GroupOffset[]): readonly TopicPartition[] {
  if (committed.length > 0) return committed;
  throw new UsageError(`--all-topics: group ${groupId} has no committed offsets; name a --topic`);
}

function inScope(
  scopes: readonly TopicScope[],
  topics: ReadonlyMap<string, TopicDescription>,
): readonly TopicPartition[] {
  const wanted = new Map<string, TopicPartition>();
  for (const { partitions, topic } of scopes) {
    const all = topics.get(topic)?.partitions.map(({ partition }) => partition) ?? [];
    for (const partition of partitions ?? (all.length > 0 ? all : [0])) {
      wanted.set(keyOf({ topic, partition }), { topic, partition });
    }
  }
  return [...wanted.values()];
}

interface Planning {
  readonly wanted: readonly (TopicPartition & { readonly offset?: number })[];
  readonly committed: readonly GroupOffset[];
  readonly topics: ReadonlyMap<string, TopicDescription>;
  readonly target: ResetTarget | undefined;
}

async function planOf(admin: Admin, planning: Planning): Promise<readonly PlannedOffset[]> {
  const { committed, target, topics, wanted } = planning;
  const metadataOf = metadataIn(topics);
  for (const one of wanted) {
    const count = topics.get(one.topic)?.partitions.length;
    if (metadataOf(one) !== undefined) continue;
    const message =
      count === undefined
        ? `topic ${one.topic} does not exist`
        : `topic ${one.topic} has no partition ${one.partition}, allowed are 0 to ${count - 1}`;
    throw new OttlaError("UNKNOWN_TOPIC_OR_PARTITION", message, { field: "topic" });
  }
  const logs = await logOffsets(admin, wanted, metadataOf);
  const times = await atTimestamp(admin, wanted, target);
  const currents = new Map(committed.map((each) => [keyOf(each), each.offset]));
  return wanted.map((one) => {
    const log = logs.get(keyOf(one));
    if (log === undefined) {
      const message = `the leader of ${one.topic}-${one.partition} does not answer`;
      throw new OttlaError("LEADER_NOT_AVAILABLE", message);
    }
    const current = currents.get(keyOf(one)) ?? -1;
    const partition: ResetPartition = {
      topic: one.topic,
      partition: one.partition,
      committed: current < 0 ? null : current,
      logStart: log.start,
      logEnd: log.end,
      atTimestamp: times.get(keyOf(one)) ?? null,
    };
    return planOffset(partition, target ?? { type: "offset", offset: one.offset ?? 0 });
  });
}

async function atTimestamp(
  admin: Admin,
  partitions: readonly TopicPartition[],
  target: ResetTarget | undefined,
): Promise<ReadonlyMap<string, number>> {
  if (target?.type !== "timestamp") return new Map();
  const { timestampMs } = target;
  const found = await admin.listOffsets(
    partitions.map(({ partition, topic }) => ({ topic, partition, offset: { timestampMs } })),
  );
  return new Map(found.flatMap((each) => (each.offset < 0 ? [] : [[keyOf(each), each.offset]])));
}

async function print(
  groupId: string,
  plan: readonly PlannedOffset[],
  options: ResetOptions,
): Promise<void> {
  const executed = options.execute === true;
  if (options.export) {
    for (const { newOffset, partition, topic } of plan) {
      await write(`${topic},${partition},${newOffset}\n`);
    }
    return;
  }
  if (options.output === "json") {
    for (const each of plan) await writeJson({ groupId, ...each, executed });
    return;
  }
  const head = ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "NEW-OFFSET", "NOTE"];
  const rows = plan.map((each) => [
    groupId,
    each.topic,
    each.partition,
    each.currentOffset ?? "-",
    each.newOffset,
    each.note,
  ]);
  await writeLine(await formatTable(head, rows));
  if (!executed) note("Nothing was changed; --execute does it.");
}
