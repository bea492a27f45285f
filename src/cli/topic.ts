/** `ottla topic ...`, as far as topics themselves go. */
import type { Command } from "commander";
import type { ConfigEntry, TopicDescription } from "../client/index.ts";
import { toOttlaError } from "../model/errors.ts";
import { collect, configs, integer, recordsBefore, replicaAssignment } from "./arguments.ts";
import {
  type ClusterOptions,
  type OutputOptions,
  withAdmin,
  withCluster,
  withOutput,
} from "./common.ts";
import { formatTable, UsageError, writeJson, writeLine } from "./output.ts";

type Options = ClusterOptions & OutputOptions;

const INT32_MAX = 2_147_483_647;

export function registerTopic(program: Command): void {
  const topic = program.command("topic").description("create, look at, change and delete topics");
  registerCreate(topic);
  registerList(topic);
  registerDescribe(topic);
  registerAlter(topic);
  registerAddPartitions(topic);
  registerDelete(topic);
  registerDeleteRecords(topic);
}

interface CreateOptions extends Options {
  readonly partitions?: number;
  readonly replicationFactor?: number;
  readonly replicaAssignment?: readonly (readonly number[])[];
  readonly config: readonly string[];
  readonly ifNotExists: boolean;
  readonly validateOnly: boolean;
}

function registerCreate(topic: Command): void {
  command(topic, "create", "create a topic")
    .argument("<name>")
    .option("--partitions <n>", "default: the brokers' num.partitions", wholeNumber)
    .option("--replication-factor <n>", "default: default.replication.factor", wholeNumber)
    .option(
      "--replica-assignment <1:2:3,2:3:1>",
      "the brokers of each partition, the preferred leader first",
      replicaAssignment,
    )
    .option("--config <key=value>", "a setting by Kafka's name; may be given again", collect, [])
    .option("--if-not-exists", "a topic that exists is no error", false)
    .option("--validate-only", "check everything, create nothing", false)
    .addHelpText(
      "after",
      `
Examples:
  $ ottla topic create orders --partitions 6 --replication-factor 3
  $ ottla topic create audit --config retention.ms=-1 --config min.insync.replicas=2`,
    )
    .action(async (name: string, options: CreateOptions) => {
      const { partitions, replicationFactor, replicaAssignment: assignment } = options;
      const wanted = {
        name,
        ...(partitions === undefined ? {} : { partitions }),
        ...(replicationFactor === undefined ? {} : { replicationFactor }),
        ...(assignment === undefined ? {} : { assignment }),
        configs: configs(options.config),
      };
      await withAdmin(options, async (admin) => {
        try {
          const { validateOnly } = options;
          for (const created of await admin.createTopics([wanted], { validateOnly })) {
            if (options.output === "json") await writeJson(created);
            else {
              const done = validateOnly ? "could be created" : "created";
              await writeLine(
                `topic ${created.name} ${done}: ${created.partitions} partitions, replication factor ${created.replicationFactor}`,
              );
            }
          }
        } catch (thrown) {
          const exists = toOttlaError(thrown).code === "TOPIC_ALREADY_EXISTS";
          if (!exists || !options.ifNotExists) throw thrown;
        }
      });
    });
}

function registerList(topic: Command): void {
  command(topic, "list", "list all topics")
    .addHelpText(
      "after",
      `
Examples:
  $ ottla topic list
  $ ottla topic list --output json | jq -r .name`,
    )
    .action(async (options: Options) => {
      const topics = await withAdmin(options, (admin) => admin.listTopics());
      if (options.output === "json") {
        for (const each of topics) await writeJson(summaryOf(each));
        return;
      }
      const rows = topics.map((each) => {
        const { name, partitionCount, replicationFactor } = summaryOf(each);
        return [name, partitionCount, replicationFactor];
      });
      await writeLine(await formatTable(["Topic", "PartitionCount", "ReplicationFactor"], rows));
    });
}

interface DescribeOptions extends Options {
  readonly configs: boolean;
}

function registerDescribe(topic: Command): void {
  command(topic, "describe", "show partitions, leaders, replicas, and settings that were changed")
    .argument("[names...]", "default: all topics")
    .option("--configs", "show every setting with its value and where it comes from", false)
    .addHelpText(
      "after",
      `
Examples:
  $ ottla topic describe orders
  $ ottla topic describe orders --configs --output json`,
    )
    .action(async (names: readonly string[], options: DescribeOptions) => {
      await withAdmin(options, async (admin) => {
        const topics =
          names.length === 0 ? await admin.listTopics() : await admin.describeTopics(names);
        const resources = topics.map(({ name }) => ({ type: "topic" as const, name }));
        const described = topics.length === 0 ? [] : await admin.describeConfigs(resources);
        for (const [index, each] of topics.entries()) {
          const entries = described[index]?.entries ?? [];
          if (options.output === "json") await writeJson(descriptionOf(each, entries, options));
          else await printDescription(each, entries, options);
        }
      });
    });
}

interface AlterOptions extends Options {
  readonly config: readonly string[];
  readonly deleteConfig: readonly string[];
}

function registerAlter(topic: Command): void {
  command(topic, "alter", "change settings of a topic")
    .argument("<name>")
    .option("--config <key=value>", "set it; may be given again", collect, [])
    .option("--delete-config <key>", "back to the default; may be given again", collect, [])
    .addHelpText(
      "after",
      `
Examples:
  $ ottla topic alter orders --config retention.ms=86400000
  $ ottla topic alter orders --delete-config retention.ms`,
    )
    .action(async (name: string, options: AlterOptions) => {
      const changes = [
        ...Object.entries(configs(options.config)).map(([key, value]) => ({
          key,
          operation: "set" as const,
          value,
        })),
        ...options.deleteConfig.map((key) => ({ key, operation: "delete" as const })),
      ];
      if (changes.length === 0) {
        throw new UsageError("there is nothing to change; give --config or --delete-config");
      }
      await withAdmin(options, (admin) => admin.alterConfigs([{ type: "topic", name, changes }]));
      if (options.output === "json") await writeJson({ name, altered: changes.length });
      else await writeLine(`topic ${name} altered`);
    });
}

interface AddPartitionsOptions extends Options {
  readonly partitions: number;
  readonly replicaAssignment?: readonly (readonly number[])[];
}

function registerAddPartitions(topic: Command): void {
  command(topic, "add-partitions", "raise the number of partitions")
    .argument("<name>")
    .requiredOption("--partitions <n>", "the new total", wholeNumber)
    .option(
      "--replica-assignment <1:2:3,2:3:1>",
      "the brokers of each new partition",
      replicaAssignment,
    )
    .addHelpText(
      "after",
      `
Keys go to other partitions from then on: what was written before stays where it is.

Examples:
  $ ottla topic add-partitions orders --partitions 12`,
    )
    .action(async (name: string, options: AddPartitionsOptions) => {
      const { partitions, replicaAssignment: assignment } = options;
      await withAdmin(options, (admin) =>
        admin.createPartitions({
          topic: name,
          partitions,
          ...(assignment === undefined ? {} : { assignment }),
        }),
      );
      if (options.output === "json") await writeJson({ name, partitions });
      else await writeLine(`topic ${name} has ${partitions} partitions`);
    });
}

interface DeleteOptions extends Options {
  readonly ifExists: boolean;
}

function registerDelete(topic: Command): void {
  command(topic, "delete", "delete topics and all their records")
    .argument("<names...>")
    .option("--if-exists", "a topic that is not there is no error", false)
    .addHelpText(
      "after",
      `
Examples:
  $ ottla topic delete orders
  $ ottla topic delete old-1 old-2 --if-exists`,
    )
    .action(async (names: readonly string[], options: DeleteOptions) => {
      await withAdmin(options, async (admin) => {
        for (const name of names) {
          let deleted = true;
          try {
            await admin.deleteTopics([name]);
          } catch (thrown) {
            const unknown = toOttlaError(thrown).code === "UNKNOWN_TOPIC_OR_PARTITION";
            if (!unknown || !options.ifExists) throw thrown;
            deleted = false;
          }
          if (options.output === "json") await writeJson({ name, deleted });
          else await writeLine(`topic ${name} ${deleted ? "deleted" : "was not there"}`);
        }
      });
    });
}

interface DeleteRecordsOptions extends Options {
  readonly before: readonly string[];
}

function registerDeleteRecords(topic: Command): void {
  command(topic, "delete-records", "delete the oldest records of partitions")
    .argument("<name>")
    .requiredOption(
      "--before <partition:offset>",
      'records below the offset go, "end" means all; may be given again',
      collect,
    )
    .addHelpText(
      "after",
      `
Examples:
  $ ottla topic delete-records orders --before 0:1000 --before 1:end`,
    )
    .action(async (name: string, options: DeleteRecordsOptions) => {
      const deletions = options.before.map((text) => ({ topic: name, ...recordsBefore(text) }));
      const results = await withAdmin(options, (admin) => admin.deleteRecords(deletions));
      if (options.output === "json") {
        for (const result of results) await writeJson(result);
        return;
      }
      const rows = results.map((each) => [each.topic, each.partition, each.lowWatermark]);
      await writeLine(await formatTable(["Topic", "Partition", "LowWatermark"], rows));
    });
}

function command(topic: Command, name: string, description: string): Command {
  return withOutput(withCluster(topic.command(name).description(description)));
}

/** What is allowed is the cluster's to say: 0 and negative numbers are refused there, by name. */
function wholeNumber(text: string): number {
  return integer(-INT32_MAX, INT32_MAX)(text);
}

function summaryOf({ name, id, partitions }: TopicDescription) {
  const replicationFactor = partitions[0]?.replicas.length ?? 0;
  return { name, id, partitionCount: partitions.length, replicationFactor };
}

function descriptionOf(
  topic: TopicDescription,
  entries: readonly ConfigEntry[],
  options: DescribeOptions,
) {
  return {
    ...summaryOf(topic),
    configs: changedConfigs(entries),
    ...(options.configs ? { effectiveConfigs: entries } : {}),
    partitions: topic.partitions,
  };
}

function changedConfigs(entries: readonly ConfigEntry[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    entries
      .filter(({ source }) => source === "DYNAMIC_TOPIC_CONFIG")
      .map(({ key, value }) => [key, value]),
  );
}

async function printDescription(
  topic: TopicDescription,
  entries: readonly ConfigEntry[],
  options: DescribeOptions,
): Promise<void> {
  const { name, id, partitionCount, replicationFactor } = summaryOf(topic);
  const changed = Object.entries(changedConfigs(entries)).map(([key, value]) => `${key}=${value}`);
  await writeLine(
    `Topic: ${name}  TopicId: ${id}  PartitionCount: ${partitionCount}  ReplicationFactor: ${replicationFactor}  Configs: ${changed.join(",")}`,
  );
  const head = ["Topic", "Partition", "Leader", "Replicas", "Isr", "Elr", "LastKnownElr"];
  const rows = topic.partitions.map((each) => [
    name,
    each.partition,
    each.leader < 0 ? "none" : each.leader,
    each.replicas.join(","),
    each.isr.join(","),
    each.elr.join(","),
    each.lastKnownElr.join(","),
  ]);
  await writeLine(await formatTable(head, rows));
  if (options.configs) {
    const settings = entries.map(({ key, value, source, hasEffect }) => [
      key,
      value,
      source,
      hasEffect ? "" : "no effect yet",
    ]);
    await writeLine(await formatTable(["Key", "Value", "Source", ""], settings));
  }
  await writeLine("");
}
