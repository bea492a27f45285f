/**
 * Which value of a key is in force. Kafka's order: the topic's override, the broker's own dynamic
 * value, that of all brokers, the broker's properties, the default; a topic key asks the broker keys
 * that are its synonyms, finest unit first.
 */
import { assert } from "../base/assert.ts";
import {
  type ConfigDefinition,
  type ConfigScope,
  type ConfigType,
  configKeys,
  knownConfig,
  splitList,
} from "./config-definition.ts";
import type { TopicConfig } from "./topic-config.ts";

export interface ConfigSources {
  /** Overrides of the topic; undefined where a broker is asked about. */
  readonly topic?: ReadonlyMap<string, string> | undefined;
  /** Dynamic values of one broker. */
  readonly broker?: ReadonlyMap<string, string> | undefined;
  /** Dynamic values of all brokers. */
  readonly allBrokers?: ReadonlyMap<string, string> | undefined;
  /** As given at start. */
  readonly properties: ReadonlyMap<string, string>;
}

export type ConfigSource =
  | "DYNAMIC_TOPIC_CONFIG"
  | "DYNAMIC_BROKER_CONFIG"
  | "DYNAMIC_DEFAULT_BROKER_CONFIG"
  | "STATIC_BROKER_CONFIG"
  | "DEFAULT_CONFIG";

export interface ConfigValue {
  /** Null: unset, and there is no default. */
  readonly value: string | null;
  readonly source: ConfigSource;
}

/** A value that is in force where those before it in a list are not set. */
export interface ConfigFallback {
  /** Of the broker where a topic key has no value of its own. */
  readonly key: string;
  readonly value: string;
  readonly source: ConfigSource;
}

/** What describe-configs shows of one key. */
export interface DescribedConfig {
  readonly key: string;
  /** "" if unset, or if it is a password. */
  readonly value: string;
  /** False: there is no value, and no default. */
  readonly isSet: boolean;
  /** All values that there are, the one in force first; passwords have none. */
  readonly fallbacks: readonly ConfigFallback[];
  readonly source: ConfigSource;
  readonly readOnly: boolean;
  readonly type: ConfigType;
  readonly documentation: string;
  readonly hasEffect: boolean;
}

/** `key` must be in the table. */
export function resolveConfig(
  scope: ConfigScope,
  key: string,
  sources: ConfigSources,
): ConfigValue {
  const definition = knownConfig(scope, key);
  if (scope === "broker") {
    return brokerValue(key, sources) ?? byDefault(definition.defaultValue);
  }
  const own = sources.topic?.get(key);
  if (own !== undefined) return { value: own, source: "DYNAMIC_TOPIC_CONFIG" };
  for (const synonym of definition.synonyms) {
    const found = brokerValue(synonym.key, sources);
    if (found !== undefined) return scaled(found, synonym.factor);
  }
  for (const synonym of definition.synonyms) {
    const { defaultValue } = knownConfig("broker", synonym.key);
    if (defaultValue !== null) return scaled(byDefault(defaultValue), synonym.factor);
  }
  return byDefault(definition.defaultValue);
}

/** Every value of the key, in the order in which `resolveConfig` asks. */
function fallbacksOf(definition: ConfigDefinition, sources: ConfigSources): ConfigFallback[] {
  const { name, synonyms } = definition;
  const out: ConfigFallback[] = [];
  const add = (key: string, { value, source }: ConfigValue): void => {
    if (value !== null) out.push({ key, value, source });
  };
  const own = sources.topic?.get(name);
  if (own !== undefined) add(name, { value: own, source: "DYNAMIC_TOPIC_CONFIG" });
  const isTopics = isTopicKey(definition);
  const keys = isTopics ? synonyms : [{ key: name, factor: 1 }];
  for (const { key, factor } of keys) {
    for (const found of brokerValues(key, sources)) add(key, scaled(found, factor));
  }
  for (const { key, factor } of keys) {
    add(key, scaled(byDefault(knownConfig("broker", key).defaultValue), factor));
  }
  if (isTopics && synonyms.length === 0) add(name, byDefault(definition.defaultValue));
  return out;
}

function isTopicKey(definition: ConfigDefinition): boolean {
  return configKeys("topic").get(definition.name) === definition;
}

function byDefault(value: string | null): ConfigValue {
  return { value, source: "DEFAULT_CONFIG" };
}

function brokerValue(key: string, sources: ConfigSources): ConfigValue | undefined {
  return brokerValues(key, sources)[0];
}

/** The first is in force. */
function brokerValues(key: string, sources: ConfigSources): ConfigValue[] {
  const out: ConfigValue[] = [];
  const broker = sources.broker?.get(key);
  if (broker !== undefined) out.push({ value: broker, source: "DYNAMIC_BROKER_CONFIG" });
  const all = sources.allBrokers?.get(key);
  if (all !== undefined) out.push({ value: all, source: "DYNAMIC_DEFAULT_BROKER_CONFIG" });
  const given = sources.properties.get(key);
  if (given !== undefined) out.push({ value: given, source: "STATIC_BROKER_CONFIG" });
  return out;
}

/** A negative value is "for ever" in every unit. */
function scaled(found: ConfigValue, factor: number): ConfigValue {
  if (factor === 1 || found.value === null) return found;
  const value = Number(found.value);
  return { value: String(value < 0 ? -1 : value * factor), source: found.source };
}

/** An integer key; what passes 2^53 counts as 2^53 - 1. A key without a value is a defect. */
export function configNumber(scope: ConfigScope, key: string, sources: ConfigSources): number {
  const { value } = resolveConfig(scope, key, sources);
  assert(value !== null, `${key} has no value`);
  return Math.min(Number(value), Number.MAX_SAFE_INTEGER);
}

export function configBoolean(scope: ConfigScope, key: string, sources: ConfigSources): boolean {
  return resolveConfig(scope, key, sources).value?.trim().toLowerCase() === "true";
}

/** Every key of a topic in its effective value. Values were validated when they were stored. */
export function effectiveTopicConfig(sources: ConfigSources): TopicConfig {
  const number = (key: string): number => configNumber("topic", key, sources);
  const text = (key: string): string => resolveConfig("topic", key, sources).value ?? "";
  const internalSegmentBytes = resolveConfig("topic", "internal.segment.bytes", sources).value;
  const compression = text("compression.type");
  return {
    cleanupPolicy: splitList(text("cleanup.policy")) as readonly ("delete" | "compact")[],
    compressionType: (compression === "uncompressed"
      ? "none"
      : compression) as TopicConfig["compressionType"],
    deleteRetentionMs: number("delete.retention.ms"),
    fileDeleteDelayMs: number("file.delete.delay.ms"),
    flushMessages: number("flush.messages"),
    flushMs: number("flush.ms"),
    maxCompactionLagMs: number("max.compaction.lag.ms"),
    maxMessageBytes: number("max.message.bytes"),
    messageTimestampType: text("message.timestamp.type") as "CreateTime" | "LogAppendTime",
    messageTimestampBeforeMaxMs: number("message.timestamp.before.max.ms"),
    messageTimestampAfterMaxMs: number("message.timestamp.after.max.ms"),
    minCleanableDirtyRatio: number("min.cleanable.dirty.ratio"),
    minCompactionLagMs: number("min.compaction.lag.ms"),
    minInsyncReplicas: number("min.insync.replicas"),
    retentionBytes: number("retention.bytes"),
    retentionMs: number("retention.ms"),
    segmentBytes:
      internalSegmentBytes === null ? number("segment.bytes") : Number(internalSegmentBytes),
    segmentMs: number("segment.ms"),
    uncleanLeaderElectionEnable: configBoolean("topic", "unclean.leader.election.enable", sources),
  };
}

/** Every key of a topic or of a broker, in the order of the table. */
export function describeConfigs(
  scope: ConfigScope,
  sources: ConfigSources,
): readonly DescribedConfig[] {
  return [...configKeys(scope).values()].map((definition) => {
    const found = resolveConfig(scope, definition.name, sources);
    const fallbacks = definition.type === "password" ? [] : fallbacksOf(definition, sources);
    return describeOne(definition, found, fallbacks);
  });
}

function describeOne(
  definition: ConfigDefinition,
  found: ConfigValue,
  fallbacks: readonly ConfigFallback[],
): DescribedConfig {
  const { name, type, update, documentation, effect } = definition;
  return {
    key: name,
    value: type === "password" ? "" : (found.value ?? ""),
    isSet: found.value !== null,
    fallbacks,
    source: found.source,
    readOnly: update === "read-only",
    type,
    documentation,
    hasEffect: effect,
  };
}
