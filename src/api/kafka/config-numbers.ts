/** Numbers of Kafka's protocol for resources, sources and types of configuration. */
import type { ConfigType } from "../../model/config-definition.ts";
import type { ConfigSource } from "../../model/config-values.ts";

/** ConfigResource.java */
export const RESOURCE_TYPES = {
  topic: 2,
  broker: 4,
  brokerLogger: 8,
  clientMetrics: 16,
  group: 32,
} as const;

/** DescribeConfigsResponse.java, ConfigSource */
export const CONFIG_SOURCES: Readonly<Record<ConfigSource, number>> = {
  DYNAMIC_TOPIC_CONFIG: 1,
  DYNAMIC_BROKER_CONFIG: 2,
  DYNAMIC_DEFAULT_BROKER_CONFIG: 3,
  STATIC_BROKER_CONFIG: 4,
  DEFAULT_CONFIG: 5,
};

/** DescribeConfigsResponse.java, ConfigType */
export const CONFIG_TYPES: Readonly<Record<ConfigType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
  class: 8,
  password: 9,
};

/** Kafka tells nobody of keys that are for its own tests. */
export function isShown({ key }: { readonly key: string }): boolean {
  return !key.startsWith("internal.");
}
