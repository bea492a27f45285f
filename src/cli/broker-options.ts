/** The options, and the environment, that say how a broker is configured. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { environmentProperties, parseAssignment, parseProperties } from "../main/properties.ts";
import type { BrokerConfig } from "../model/broker-config.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import { collect } from "./arguments.ts";
import { UsageError } from "./output.ts";

export interface BrokerOptions {
  readonly config?: string;
  readonly set: readonly string[];
}

export function withBrokerConfig(command: Command): Command {
  return command
    .option("--config <file>", "properties with Kafka's names, in Java's .properties format")
    .option("--set <key=value>", "one more property; wins over file and environment", collect, []);
}

export async function brokerConfig(options: BrokerOptions): Promise<BrokerConfig> {
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
