/** The options, and the environment, that say how a broker is configured. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { brokerEnvironment } from "../main/environment.ts";
import { parseAssignment, parseProperties } from "../main/properties.ts";
import type { BrokerConfig } from "../model/broker-config.ts";
import { OttlaError } from "../model/errors.ts";
import { collect } from "./arguments.ts";

export interface BrokerOptions {
  readonly config?: string;
  readonly set: readonly string[];
}

/** A configuration, and what of that which was given does nothing. */
export interface GivenConfig {
  readonly config: BrokerConfig;
  /** Keys that nothing reads, and variables of the environment that only Kafka's image knows. */
  readonly withoutEffect: readonly string[];
}

export function withBrokerConfig(command: Command): Command {
  return command
    .option("--config <file>", "properties with Kafka's names, in Java's .properties format")
    .option("--set <key=value>", "one more property; wins over file and environment", collect, []);
}

/** Rejects with INVALID_CONFIG, CONFIG_UNREADABLE or INVALID_ARGUMENT. */
export async function brokerConfig(options: BrokerOptions): Promise<GivenConfig> {
  const environment = brokerEnvironment(process.env);
  const properties = new Map([
    ...(options.config === undefined ? [] : await fileProperties(options.config)),
    ...environment.properties,
    ...options.set.map((text) => parseAssignment(text, "--set")),
  ]);
  const { keysWithoutEffect, parseBrokerConfig } = await import("../model/parse-broker-config.ts");
  return {
    config: parseBrokerConfig(properties),
    withoutEffect: [...keysWithoutEffect(properties), ...environment.ignored],
  };
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
