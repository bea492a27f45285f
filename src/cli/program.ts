/** The `ottla` command: nouns and verbs, and what every one of them does with an error. */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { registerBroker } from "./broker.ts";
import { registerCluster } from "./cluster.ts";
import { registerCompletion } from "./completion.ts";
import { registerConsume } from "./consume.ts";
import { registerDev } from "./dev.ts";
import { EXIT } from "./exit-codes.ts";
import { registerGroup } from "./group.ts";
import { registerHealth } from "./health.ts";
import { registerLog } from "./log.ts";
import { formatError, note } from "./output.ts";
import { registerPartition } from "./partition.ts";
import { registerProduce } from "./produce.ts";
import { registerTopic } from "./topic.ts";
import { version } from "./version.ts";

export function makeProgram(): Command {
  const program = new Command("ottla")
    .description("A distributed commit log: Kafka's job, without a JVM.")
    .version(version())
    .showHelpAfterError("Run it with --help for its options and examples.")
    .configureOutput({ outputError: (text) => note(text.trimEnd()) })
    .addHelpText(
      "after",
      `
Examples:
  $ ottla dev                                        three brokers on this machine
  $ ottla topic create orders --partitions 6
  $ echo 'alice:2 apples' | ottla produce orders --key-separator :
  $ ottla consume orders --from beginning --exit-at-end

Exit codes: 0 done, 2 wrong usage, 3 refused, 4 cluster unreachable, 5 some records failed.`,
    );
  registerDev(program);
  registerBroker(program);
  registerHealth(program);
  registerTopic(program);
  registerPartition(program);
  registerProduce(program);
  registerConsume(program);
  registerGroup(program);
  registerCluster(program);
  registerLog(program);
  registerCompletion(program);
  for (const command of [program, ...program.commands.flatMap(withSubcommands)]) {
    command.exitOverride();
    command.copyInheritedSettings(program);
  }
  return program;
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** Never rejects; prints what went wrong and returns the exit code. */
export async function runCommand(words: readonly string[]): Promise<number> {
  try {
    await makeProgram().parseAsync(words, { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : EXIT.DONE;
  } catch (thrown) {
    if (thrown instanceof InvalidArgumentError) {
      // Thrown by a command itself about an option that only it could check.
      note(`error: ${thrown.message}`);
      return EXIT.USAGE;
    }
    if (thrown instanceof CommanderError) {
      // Help and version end in the same way as mistakes, with code 0; the text is out already.
      return thrown.exitCode === 0 ? EXIT.DONE : EXIT.USAGE;
    }
    const { text, exit } = formatError(thrown);
    note(text);
    return exit;
  }
}
