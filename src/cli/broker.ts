/** `ottla broker`: one broker, until it is told to stop. */
import type { Command } from "commander";
import { type BrokerOptions, brokerConfig, withBrokerConfig } from "./broker-options.ts";

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
