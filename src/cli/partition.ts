/** `ottla partition ...` */
import { type Command, Option } from "commander";
import { topicPartition } from "./arguments.ts";
import {
  type ClusterOptions,
  type OutputOptions,
  withAdmin,
  withCluster,
  withOutput,
} from "./common.ts";
import { formatTable, UsageError, writeJson, writeLine } from "./output.ts";

interface ElectOptions extends ClusterOptions, OutputOptions {
  readonly type: "preferred" | "unclean";
  readonly all: boolean;
}

export function registerPartition(program: Command): void {
  const partition = program.command("partition").description("act on single partitions");
  withOutput(
    withCluster(
      partition
        .command("elect-leader")
        .description("have leaders elected")
        .argument("[partitions...]", "TOPIC:PARTITION each")
        .option("--all", "every partition that needs it", false)
        .addOption(
          new Option(
            "--type <type>",
            "preferred: the first replica leads again; unclean: a replica that may lack records",
          )
            .choices(["preferred", "unclean"])
            .default("preferred"),
        )
        .addHelpText(
          "after",
          `
An unclean election may lose acknowledged records; it is counted and logged.

Examples:
  $ ottla partition elect-leader orders:0 orders:1
  $ ottla partition elect-leader --all`,
        ),
    ),
  ).action(async (words: readonly string[], options: ElectOptions) => {
    if ((words.length === 0) !== options.all) {
      throw new UsageError("name partitions as TOPIC:PARTITION, or give --all");
    }
    const partitions = words.map(topicPartition);
    const elected = await withAdmin(options, (admin) =>
      admin.electLeaders({ type: options.type, ...(options.all ? {} : { partitions }) }),
    );
    if (options.output === "json") {
      for (const each of elected) await writeJson(each);
      return;
    }
    const rows = elected.map(({ topic, partition: number, leader }) => [topic, number, leader]);
    await writeLine(await formatTable(["Topic", "Partition", "Leader"], rows));
  });
}
