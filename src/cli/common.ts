/** Options that every command which talks to a cluster has. */
import { type Command, Option } from "commander";
import type { Admin } from "../client/index.ts";
import { bootstrapServers, integer } from "./arguments.ts";
import type { OutputFormat } from "./output.ts";

const DEFAULT_BOOTSTRAP_SERVER = "127.0.0.1:9192";
const DEFAULT_TIMEOUT_MS = 30_000;
const TIMEOUT_LONGEST_MS = 86_400_000;

export interface ClusterOptions {
  readonly bootstrapServer: readonly string[];
  readonly timeoutMs: number;
}

export interface OutputOptions {
  readonly output: OutputFormat;
}

export function withCluster(command: Command, timeoutMs: number = DEFAULT_TIMEOUT_MS): Command {
  command.option(
    "--timeout-ms <n>",
    "how long the cluster may take to do what it is asked",
    integer(1_000, TIMEOUT_LONGEST_MS),
    timeoutMs,
  );
  return command.addOption(
    new Option("--bootstrap-server <host:port,...>", "brokers to begin with; one is enough")
      .env("OTTLA_BOOTSTRAP_SERVERS")
      .argParser(bootstrapServers)
      .default([DEFAULT_BOOTSTRAP_SERVER], DEFAULT_BOOTSTRAP_SERVER),
  );
}

export function withOutput(command: Command): Command {
  return command.addOption(
    new Option("--output <format>", "how results are printed")
      .choices(["table", "json"])
      .default("table"),
  );
}

/** Runs `use` with an Admin, which is loaded only now: `--help` must not wait for gRPC. */
export async function withAdmin<Result>(
  options: ClusterOptions,
  use: (admin: Admin) => Promise<Result>,
): Promise<Result> {
  const { Admin } = await import("../client/index.ts");
  await using admin = new Admin({
    bootstrapServers: options.bootstrapServer,
    requestTimeoutMs: options.timeoutMs,
  });
  return await use(admin);
}
