/** `ottla health`: what a container's health check runs; it needs no `curl` in the image. */
import type { Command } from "commander";
import { OttlaError } from "../model/errors.ts";
import { integer } from "./arguments.ts";
import { type BrokerOptions, brokerConfig, withBrokerConfig } from "./broker-options.ts";
import { writeLine } from "./output.ts";

interface Options extends BrokerOptions {
  readonly live: boolean;
  readonly timeoutMs: number;
}

const TIMEOUT_MS = 3_000;
const TIMEOUT_LONGEST_MS = 60_000;
const REASON_CHARACTERS = 500;

export function registerHealth(program: Command): void {
  withBrokerConfig(program.command("health"))
    .description("ask the broker on this machine, by its HTTP listener, whether it is ready")
    .option("--live", "only whether it lives: a broker without a quorum does", false)
    .option(
      "--timeout-ms <n>",
      "how long it may take to answer",
      integer(1, TIMEOUT_LONGEST_MS),
      TIMEOUT_MS,
    )
    .addHelpText(
      "after",
      `
Takes the broker's own configuration, from the same options and environment as ottla broker, and
says ok (exit code 0), or why not (exit code 4).

Examples:
  $ ottla health --config broker.properties
  $ ottla health --live`,
    )
    .action(async (options: Options) => {
      const { config } = await brokerConfig(options);
      const listener = config.listeners.find(({ protocol }) => protocol === "HTTP");
      if (listener === undefined) {
        throw new OttlaError("INVALID_CONFIG", "listeners has none that speaks HTTP", {
          field: "listeners",
        });
      }
      const host = listener.host === "" ? "127.0.0.1" : listener.host;
      const at = `${host.includes(":") ? `[${host}]` : host}:${listener.port}`;
      const path = options.live ? "/health/live" : "/health/ready";
      await writeLine(await ask(`http://${at}${path}`, options.timeoutMs));
    });
}

/** What the broker says for itself; rejects with BROKER_NOT_AVAILABLE if that is not "ok". */
async function ask(url: string, timeoutMs: number): Promise<string> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    text = (await response.text()).trim().slice(0, REASON_CHARACTERS);
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.cause ?? cause) : cause;
    const told = reason instanceof Error ? reason.message : String(reason);
    throw new OttlaError("BROKER_NOT_AVAILABLE", `no answer from ${url}: ${told}`, { cause });
  }
  if (!response.ok) throw new OttlaError("BROKER_NOT_AVAILABLE", `the broker says: ${text}`);
  return text;
}
