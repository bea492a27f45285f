/** Parsers of options and arguments; each throws with what is allowed. */
import { InvalidArgumentError } from "commander";

/** An integer of [least, most]. */
export function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be an integer from ${least} to ${most}.`);
    }
    return value;
  };
}

export function partitionNumber(text: string): number {
  return integer(0, 2_147_483_647)(text);
}

/** Collects an option that may be given more than once. */
export function collect(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}

/** `host:port[,host:port...]` */
export function bootstrapServers(text: string): readonly string[] {
  const servers = text
    .split(",")
    .map((server) => server.trim())
    .filter((server) => server !== "");
  for (const server of servers) {
    const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s]+):(\d{1,5})$/.exec(server)?.[1]);
    if (!(port >= 1 && port <= 65_535)) {
      throw new InvalidArgumentError(`"${server}" must be host:port, the port from 1 to 65535.`);
    }
  }
  if (servers.length === 0) throw new InvalidArgumentError("It must name a host:port.");
  return servers;
}

/** Where a consumer begins. */
export type StartPosition =
  | { readonly type: "beginning" }
  | { readonly type: "end" }
  | { readonly type: "offset"; readonly offset: number }
  | { readonly type: "timestamp"; readonly timestampMs: number };

/** `beginning`, `end`, an offset, `@milliseconds` or an ISO-8601 time. */
export function startPosition(text: string): StartPosition {
  if (text === "beginning" || text === "end") return { type: text };
  if (/^\d{1,15}$/.test(text)) return { type: "offset", offset: Number(text) };
  const isTime = /^\d{4}-\d{2}-\d{2}(?:T.+)?$/.test(text);
  const timestampMs = /^@\d{1,15}$/.test(text)
    ? Number(text.slice(1))
    : isTime
      ? Date.parse(text)
      : Number.NaN;
  if (Number.isNaN(timestampMs)) {
    throw new InvalidArgumentError(
      "It must be beginning, end, an offset, @milliseconds since 1970, or an ISO-8601 time such as 2026-01-31T12:00:00Z.",
    );
  }
  return { type: "timestamp", timestampMs };
}

/** `key=value`, given once for each key. */
export function configs(assignments: readonly string[]): Readonly<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const assignment of assignments) {
    const at = assignment.indexOf("=");
    if (at < 1) throw new InvalidArgumentError(`"${assignment}" must be key=value.`);
    result[assignment.slice(0, at).trim()] = assignment.slice(at + 1).trim();
  }
  return result;
}

/** `topic:partition:offset`, offset `end` for the high watermark. */
export function recordsBefore(text: string): {
  readonly partition: number;
  readonly beforeOffset: number;
} {
  const match = /^(\d{1,10}):(\d{1,15}|end)$/.exec(text);
  if (match === null) {
    throw new InvalidArgumentError(
      `"${text}" must be PARTITION:OFFSET; records below OFFSET go, "end" is all of them.`,
    );
  }
  const beforeOffset = match[2] === "end" ? -1 : Number(match[2]);
  return { partition: Number(match[1]), beforeOffset };
}

/** Kafka's form: `1:2:3,2:3:1`, the brokers of each partition, the preferred leader first. */
export function replicaAssignment(text: string): readonly (readonly number[])[] {
  return text.split(",").map((partition) => {
    const brokers = partition.split(":").map((id) => id.trim());
    if (!brokers.every((id) => /^\d{1,10}$/.test(id))) {
      throw new InvalidArgumentError(
        `"${partition}" must be broker ids with ":" between them; partitions are separated by ",".`,
      );
    }
    return brokers.map(Number);
  });
}

/** `topic:partition`; a topic's name holds no colon. */
export function topicPartition(text: string): {
  readonly topic: string;
  readonly partition: number;
} {
  const match = /^([^:]+):(\d{1,10})$/.exec(text);
  if (match === null) throw new InvalidArgumentError(`"${text}" must be TOPIC:PARTITION.`);
  return { topic: match[1] as string, partition: Number(match[2]) };
}
