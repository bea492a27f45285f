/** `ottla group ...`: consumer groups, with the words and columns of Kafka's tools. */
import { type Command, Option } from "commander";
import type { Admin, GroupState, MissingGroups, TopicPartition } from "../client/index.ts";
import { OFFSETS_TOPIC } from "../group/partition-of.ts";
import { collect } from "./arguments.ts";
import {
  type ClusterOptions,
  type OutputOptions,
  withAdmin,
  withCluster,
  withOutput,
} from "./common.ts";
import { type DescribeView, printGroups } from "./group-describe.ts";
import { explainGroup } from "./group-explain.ts";
import { groupFacts } from "./group-facts.ts";
import { registerReset } from "./group-reset.ts";
import { formatError, formatTable, note, UsageError, writeJson, writeLine } from "./output.ts";
import { topicScope } from "./reset-plan.ts";
import { watch } from "./watch.ts";

type Options = ClusterOptions & OutputOptions;

const STATES = ["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"] as const;

export function registerGroup(program: Command): void {
  const group = program.command("group").description("look at consumer groups, and move them");
  registerList(group);
  registerDescribe(group);
  registerExplain(group);
  registerDelete(group);
  registerDeleteOffsets(group);
  registerReset(group);
}

const WATCH_MS = 2_000;

interface ListOptions extends Options {
  readonly state: readonly GroupState[];
}

function registerList(group: Command): void {
  command(group, "list", "list all groups")
    .addOption(
      new Option("--state <state...>", "only those in one of these states")
        .choices(STATES)
        .default([], "any"),
    )
    .addHelpText(
      "after",
      `
Examples:
  $ ottla group list
  $ ottla group list --state Empty --output json | jq -r .groupId`,
    )
    .action(async (options: ListOptions) => {
      const states = options.state;
      const { groups, missing } = await withAdmin(options, (admin) =>
        admin.listReachableGroups({ states }),
      );
      tellMissing(missing);
      if (options.output === "json") {
        for (const { membersCount: members, ...each } of groups) {
          await writeJson({ ...each, members });
        }
        return;
      }
      const rows = groups.map((each) => [
        each.groupId,
        each.protocolType || "-",
        each.state,
        each.membersCount,
      ]);
      await writeLine(await formatTable(["GROUP", "PROTOCOL-TYPE", "STATE", "#MEMBERS"], rows));
    });
}

interface DescribeOptions extends Options {
  readonly offsets?: true;
  readonly members?: true;
  readonly state?: true;
  readonly watch: boolean;
}

function registerDescribe(group: Command): void {
  command(group, "describe", "show offsets and lag, members, or states of groups")
    .argument("[groups...]", "default: all groups")
    .addOption(
      new Option("--offsets", "committed offsets and lag by partition; the default").conflicts([
        "members",
        "state",
      ]),
    )
    .addOption(new Option("--members", "members and what they have").conflicts("state"))
    .option("--state", "state, coordinator and assignor")
    .option("--watch", "again every two seconds, until Ctrl-C", false)
    .addHelpText(
      "after",
      `
Lag counts the records between the committed offset and the log's end; "-" is what nobody knows.

Examples:
  $ ottla group describe billing
  $ ottla group describe billing --members
  $ ottla group describe --state --output json | jq -r 'select(.state != "Stable") | .groupId'
  $ ottla group describe billing --watch`,
    )
    .action(async (groupIds: readonly string[], options: DescribeOptions) => {
      const view = options.members ? "members" : options.state ? "state" : "offsets";
      await withAdmin(options, async (admin) => {
        const once = () => describeOnce(admin, groupIds, view, options);
        if (options.watch) {
          await watch(async (clear) => {
            await clear();
            await once();
          }, WATCH_MS);
        } else await once();
      });
    });
}

async function describeOnce(
  admin: Admin,
  groupIds: readonly string[],
  view: DescribeView,
  options: Options,
): Promise<void> {
  const ids = groupIds.length > 0 ? groupIds : await allIds(admin);
  await printGroups(await groupFacts(admin, ids), view, options.output);
}

async function allIds(admin: Admin): Promise<readonly string[]> {
  const { groups, missing } = await admin.listReachableGroups();
  tellMissing(missing);
  return groups.map(({ groupId }) => groupId);
}

/** What is shown is right, and not all: a script learns it from the exit code. */
function tellMissing(missing: readonly MissingGroups[]): void {
  for (const { error, partitions } of missing) {
    const { text, exit } = formatError(error);
    const numbers = partitions.length === 0 ? "" : ` whose partitions are ${partitions.join(", ")}`;
    note(`Not listed: the groups in ${OFFSETS_TOPIC}${numbers}.\n${text}`);
    process.exitCode = exit;
  }
}

function registerExplain(group: Command): void {
  command(group, "explain", "say why a group does not move")
    .argument("<groups...>")
    .addHelpText(
      "after",
      `
Tells of groups without members, of rebalances and whom they wait for, of members that have
committed nothing for a while, of partitions without leader, and of offsets out of range.

Examples:
  $ ottla group explain billing
  $ ottla group explain billing --output json | jq -r .findings[].kind`,
    )
    .action(async (groupIds: readonly string[], options: Options) => {
      await withAdmin(options, async (admin) => {
        for (const facts of await groupFacts(admin, groupIds)) {
          const explanation = explainGroup(facts, Date.now());
          if (options.output === "json") await writeJson(explanation);
          else {
            for (const { sentence } of explanation.findings) await writeLine(sentence);
          }
        }
      });
    });
}

function registerDelete(group: Command): void {
  command(group, "delete", "delete groups and their offsets")
    .argument("<groups...>")
    .addHelpText(
      "after",
      `
Only groups without members are deleted; the others are named, and the exit code is 3.

Examples:
  $ ottla group delete billing
  $ ottla group list --state Empty --output json | jq -r .groupId | xargs ottla group delete`,
    )
    .action(async (groupIds: readonly string[], options: Options) => {
      await withAdmin(options, async (admin) => {
        for (const groupId of groupIds) {
          try {
            await admin.deleteGroups([groupId]);
          } catch (thrown) {
            const { exit, text } = formatError(thrown);
            note(text);
            process.exitCode = exit;
            continue;
          }
          if (options.output === "json") await writeJson({ groupId, deleted: true });
          else await writeLine(`group ${groupId} deleted`);
        }
      });
    });
}

interface DeleteOffsetsOptions extends Options {
  readonly topic: readonly string[];
}

function registerDeleteOffsets(group: Command): void {
  command(group, "delete-offsets", "delete committed offsets of a group")
    .argument("<group>")
    .requiredOption(
      "--topic <topic[:partition,...]>",
      "whose offsets; all partitions if none is named; may be given again",
      collect,
    )
    .addHelpText(
      "after",
      `
Offsets of topics that members have subscribed to are refused.

Examples:
  $ ottla group delete-offsets billing --topic orders
  $ ottla group delete-offsets billing --topic orders:0,2 --topic returns`,
    )
    .action(async (groupId: string, options: DeleteOffsetsOptions) => {
      const scopes = options.topic.map(topicScope);
      await withAdmin(options, async (admin) => {
        const committed = await admin.listGroupOffsets(groupId);
        const wanted: TopicPartition[] = scopes.flatMap(({ partitions, topic }) =>
          partitions === undefined
            ? committed.filter((each) => each.topic === topic)
            : partitions.map((partition) => ({ topic, partition })),
        );
        if (wanted.length === 0) {
          // Whether there is such a group at all is worth a sentence of its own.
          await admin.describeGroups([groupId]);
          throw new UsageError(
            `group ${groupId} has no committed offset for ${scopes.map(({ topic }) => topic).join(", ")}`,
          );
        }
        await admin.deleteGroupOffsets(groupId, wanted);
        const rows = wanted.map(({ partition, topic }) => [groupId, topic, partition]);
        if (options.output === "table") {
          await writeLine(await formatTable(["GROUP", "TOPIC", "PARTITION"], rows));
          return;
        }
        for (const { partition, topic } of wanted) {
          await writeJson({ groupId, topic, partition, deleted: true });
        }
      });
    });
}

function command(group: Command, name: string, description: string): Command {
  return withOutput(withCluster(group.command(name).description(description)));
}
