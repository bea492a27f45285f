/** `ottla broker`: one broker, until it is told to stop. */
import type { Command } from "commander";
import { toOttlaError } from "../model/errors.ts";
import { type BrokerOptions, brokerConfig, withBrokerConfig } from "./broker-options.ts";
import { brokerExitCodeOf } from "./exit-codes.ts";
import { formatInOneLine, note } from "./output.ts";

interface Options extends BrokerOptions {
  readonly exitWithParent: boolean;
}

export function registerBroker(program: Command): void {
  withBrokerConfig(program.command("broker"))
    .description("run one broker, until SIGTERM or Ctrl-C")
    .option("--exit-with-parent", "stop when the parent process closes the IPC channel", false)
    .addHelpText(
      "after",
      `
The environment counts too: OTTLA_LOG_DIRS or KAFKA_LOG_DIRS is log.dirs ("_" means ".", "__" means
"_", "___" means "-"). What is given twice is taken from --set, else from the environment, else from
the file.

On SIGTERM the broker hands its leaderships over before it ends; a second signal ends it at once.

A broker that does not start says in one line why and what to do. Exit codes: 2 configuration, 3 this
machine or the cluster refuses it, 10 log.dirs is read-only, 11 belongs to another user, 12 is full,
13 is another broker's or cluster's, 14 too little memory, 15 its clock is far off the others',
70 it could not go on, 1 a defect.

Examples:
  $ ottla broker --config broker.properties
  $ ottla broker --set node.id=1 --set log.dirs=/var/lib/ottla
  $ OTTLA_NODE_ID=1 OTTLA_LOG_DIRS=/var/lib/ottla ottla broker`,
    )
    .action(async (options: Options) => {
      try {
        const { config, withoutEffect } = await brokerConfig(options);
        const { runBroker } = await import("../main/run-broker.ts");
        const { exitWithParent } = options;
        process.exitCode = await runBroker(config, { exitWithParent, withoutEffect });
      } catch (thrown) {
        const { code } = toOttlaError(thrown);
        // A defect is shown whole.
        if (code === "UNKNOWN_SERVER_ERROR") throw thrown;
        note(formatInOneLine(thrown));
        process.exitCode = brokerExitCodeOf(code);
      }
    });
}
