/** `host:port` as people write it. */
import { OttlaError } from "../model/errors.ts";
import type { BrokerAddress } from "./core/metadata-cache.ts";

function invalid(value: string): OttlaError {
  return new OttlaError(
    "INVALID_ARGUMENT",
    `bootstrapServers has ${JSON.stringify(value)}, allowed is host:port with a port of 1 to 65535`,
    { field: "bootstrapServers" },
  );
}

function parseAddress(value: string): BrokerAddress {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(value.trim());
  if (match === null) throw invalid(value);
  const port = Number(match[3]);
  if (port < 1 || port > 65_535) throw invalid(value);
  return { host: match[1] ?? (match[2] as string), port };
}

/**
 * One or several addresses, in a list or separated by commas; an IPv6 address stands in brackets.
 * Throws INVALID_ARGUMENT.
 */
export function parseBootstrapServers(servers: string | readonly string[]): BrokerAddress[] {
  const list = typeof servers === "string" ? servers.split(",") : servers;
  if (list.length === 0) throw invalid("");
  return list.map(parseAddress);
}

export function addressText({ host, port }: BrokerAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
