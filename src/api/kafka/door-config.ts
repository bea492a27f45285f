/** What the configuration says about Kafka's door; read when the broker starts. */
import type { BrokerConfig } from "../../model/broker-config.ts";
import { splitList } from "../../model/config-definition.ts";
import { configNumber, resolveConfig } from "../../model/config-values.ts";
import { refuse } from "../../model/refuse-config.ts";

export interface KafkaDoorConfig {
  readonly requestMaxBytes: number;
  readonly connectionsMaxCount: number;
  readonly connectionsPerIpMaxCount: number;
  /** By address, instead of `connectionsPerIpMaxCount`. */
  readonly connectionsPerIpOverrides: ReadonlyMap<string, number>;
  readonly connectionsMaxIdleMs: number;
  /** Of all requests in memory: `queued.max.request.bytes`; -1: Ottla's own limit. */
  readonly queuedMaxRequestBytes: number;
  readonly fetchMaxBytes: number;
  readonly fetchSessionsCount: number;
  readonly requestPartitionsMaxCount: number;
}

const OVERRIDES_KEY = "max.connections.per.ip.overrides";

/** Throws INVALID_CONFIG. */
export function kafkaDoorConfig(
  config: Pick<BrokerConfig, "properties" | "fetchMaxBytes">,
): KafkaDoorConfig {
  const sources = { properties: config.properties };
  const number = (key: string): number => configNumber("broker", key, sources);
  const overrides = resolveConfig("broker", OVERRIDES_KEY, sources).value ?? "";
  return {
    requestMaxBytes: number("socket.request.max.bytes"),
    connectionsMaxCount: number("max.connections"),
    connectionsPerIpMaxCount: number("max.connections.per.ip"),
    connectionsPerIpOverrides: parseOverrides(overrides),
    connectionsMaxIdleMs: number("connections.max.idle.ms"),
    queuedMaxRequestBytes: number("queued.max.request.bytes"),
    fetchMaxBytes: config.fetchMaxBytes,
    fetchSessionsCount: number("max.incremental.fetch.session.cache.slots"),
    requestPartitionsMaxCount: number("max.request.partition.size.limit"),
  };
}

function parseOverrides(value: string): ReadonlyMap<string, number> {
  return new Map(
    splitList(value).map((part) => {
      const match = /^(.+):(\d{1,9})$/.exec(part);
      if (match === null) refuse(OVERRIDES_KEY, part, "address:count");
      return [match[1] as string, Number(match[2])] as const;
    }),
  );
}
