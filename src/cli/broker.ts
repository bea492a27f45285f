/** `ottla broker`: one broker, until it is told to stop. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { environmentProperties, parseAssignment, parseProperties } from "../main/properties.ts";
import type { BrokerConfig } from "../model/broker-config.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { collect } from "./arguments.ts";
import { UsageError } from "./output.ts";

interface Options {
  readonly config?: string;
  readonly set: readonly string[];
  readonly exitWithParent: boolean;
}

export function registerBroker(program: Command): void {
  program
    .command("broker")
    .description("run one broker, until SIGTERM or Ctrl-C")
    .option("--config <file>", "properties with Kafka's names, in Java's .properties format")
    .option("--set <key=value>", "one more property; wins over file and environment", collect, [])
    .option("--exit-with-parent", "stop when the parent process closes the IPC channel", false)
    .addHelpText(
      "after",
      `
The environment counts too: OTTLA_LOG_DIRS is log.dirs ("_" means ".", "__" means "_", "___" means
"-"). What is given twice is taken from --set, else from the environment, else from the file.

On SIGTERM the broker hands its leaderships over before it ends; a second signal ends it at once.

Examples:
  $ ottla broker --config broker.properties
  $ ottla broker --set node.id=1 --set log.dirs=/var/lib/ottla
  $ OTTLA_NODE_ID=1 OTTLA_LOG_DIRS=/var/lib/ottla ottla broker`,
    )
    .action(async (options: Options) => {
      const config = await brokerConfig(options);
      const { runBroker } = await import("../main/run-broker.ts");
      process.exitCode = await runBroker(config, { exitWithParent: options.exitWithParent });
    });
}

async function brokerConfig(options: Options): Promise<BrokerConfig> {
  const properties = new Map([
    ...(options.config === undefined ? [] : await fileProperties(options.config)),
    ...environmentProperties(process.env),
    ...options.set.map((text) => parseAssignment(text, "--set")),
  ]);
  const { parseBrokerConfig } = await import("../model/parse-broker-config.ts");
  try {
    return parseBrokerConfig(properties);
  } catch (thrown) {
    // A wrong value in one's own configuration is a mistake of usage, not a refusal by a cluster.
    const { action, code, message } = toOttlaError(thrown);
    if (code !== "INVALID_CONFIG") throw thrown;
    throw new UsageError(`${message} (${code})\n  ${action}`);
  }
}

async function fileProperties(file: string): Promise<ReadonlyMap<string, string>> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OttlaError("CONFIG_UNREADABLE", `--config ${file} cannot be read: ${reason}`, {
      cause,
      field: "--config",
    });
  }
  return parseProperties(text, file);
}
