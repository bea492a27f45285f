/**
 * Dynamic configuration. Two keys have consequences at once: where fewer in-sync replicas suffice,
 * the high watermark may pass what the ELR holds, so the ELR is void *before* the key changes; and
 * where an unclean election becomes allowed, partitions that wait for a leader get one.
 */
import {
  findConfig,
  isOpenKey,
  splitList,
  validateConfigValue,
} from "../../model/config-definition.ts";
import { resolveConfig } from "../../model/config-values.ts";
import { OttlaError } from "../../model/errors.ts";
import { NONE } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type { AlterConfigResult, AlterConfigs, ConfigOperation } from "../commands.ts";
import { MetadataDelta } from "../delta.ts";
import type { MetadataImage } from "../image.ts";
import { configResource, MIN_INSYNC_REPLICAS, topicSources } from "../image-configs.ts";
import { changePartitions, electableIn } from "../partition-change.ts";
import type { ConfigRecord, ConfigResourceType, MetadataRecord } from "../records.ts";
import { type DecideContext, type Decision, itemErrorOf } from "./decision.ts";

type Resource = AlterConfigs["resources"][number];
type Context = Pick<DecideContext, "properties">;

export function decideAlterConfigs(
  image: MetadataImage,
  request: AlterConfigs,
  context: Context,
): Decision<{ readonly resources: readonly AlterConfigResult[] }> {
  if (request.resources.length > LIMITS.topicsPerRequestCount) {
    throw new OttlaError(
      "LIMIT_EXCEEDED",
      `a request names ${request.resources.length} resources; allowed are ${LIMITS.topicsPerRequestCount}`,
      { field: "resources" },
    );
  }
  const changes: ConfigRecord[] = [];
  const seen = new Set<string>();
  const resources = request.resources.map((resource) => {
    const error = itemErrorOf(() => {
      const id = configResource(resource.resource, resource.name);
      if (seen.has(id)) throw new OttlaError("DUPLICATE_RESOURCE", `${id} stands twice`);
      seen.add(id);
      checkResource(image, resource);
      changes.push(...changesOf(image, resource, context));
    });
    return { resource: resource.resource, name: resource.name, error };
  });
  if (request.validateOnly || changes.length === 0) return { records: [], reply: { resources } };
  return { records: withConsequences(image, changes, context), reply: { resources } };
}

function checkResource(image: MetadataImage, { resource, name }: Resource): void {
  if (resource === "topic") {
    if (!image.topicIds.has(name)) {
      throw new OttlaError("UNKNOWN_TOPIC_OR_PARTITION", `topic ${name} does not exist`);
    }
    return;
  }
  if (name !== "" && !image.brokers.has(Number(name))) {
    throw new OttlaError("BROKER_ID_NOT_REGISTERED", `broker ${name} is not registered`);
  }
  if (name !== "" && String(Number(name)) !== name) {
    throw new OttlaError("INVALID_REQUEST", `a broker's name is its id in digits, not ${name}`);
  }
}

function changesOf(
  image: MetadataImage,
  { resource, name, operations: named, replace }: Resource,
  context: Context,
): readonly ConfigRecord[] {
  const now = image.configs.get(configResource(resource, name));
  const operations = replace === true ? [...named, ...others(now, named)] : named;
  const changes: ConfigRecord[] = [];
  const seen = new Set<string>();
  for (const operation of operations) {
    const { key } = operation;
    if (seen.has(key)) {
      throw new OttlaError("INVALID_REQUEST", `${key} stands twice`, { field: key });
    }
    seen.add(key);
    checkMutable(resource, name, key);
    const present = now?.get(key);
    const value = newValueOf(image, { resource, name }, operation, context);
    if (value !== null) validateConfigValue(resource, key, value);
    if (value === (present ?? null)) continue;
    changes.push({ type: "config", resource, name, key, value });
  }
  return changes;
}

/** Back to the default with all that is set and not named. */
function others(
  now: ReadonlyMap<string, string> | undefined,
  named: readonly ConfigOperation[],
): ConfigOperation[] {
  const keys = new Set(named.map(({ key }) => key));
  return [...(now?.keys() ?? [])]
    .filter((key) => !keys.has(key))
    .map((key) => ({ key, operation: "delete", value: null }));
}

function checkMutable(resource: ConfigResourceType, name: string, key: string): void {
  if (isOpenKey(resource, key)) return;
  const { update } = findConfig(resource, key);
  if (resource === "topic") return;
  const refuse = (why: string): never => {
    throw new OttlaError("INVALID_CONFIG", `${key} ${why}`, { field: key });
  };
  if (update === "read-only") refuse("is read when a broker starts: set it in its properties");
  if (update === "per-broker" && name === "") refuse("is set broker by broker, not for all");
  if (key === MIN_INSYNC_REPLICAS && name !== "") {
    refuse("must be the same on all brokers: set it for all of them, or for a topic");
  }
}

/** Null: back to the default. */
function newValueOf(
  image: MetadataImage,
  { resource, name }: Pick<Resource, "resource" | "name">,
  operation: ConfigOperation,
  { properties }: Context,
): string | null {
  const { key, value } = operation;
  if (operation.operation === "delete") {
    // The one key that stays written down, because brokers must not differ in it.
    return resource === "broker" && key === MIN_INSYNC_REPLICAS
      ? resolveConfig("broker", key, { properties }).value
      : null;
  }
  if (value === null) {
    throw new OttlaError("INVALID_CONFIG", `${key} has no value; allowed is one, or to delete it`, {
      field: key,
    });
  }
  if (operation.operation === "set") return value;
  if (isOpenKey(resource, key) || findConfig(resource, key).type !== "list") {
    throw new OttlaError("INVALID_CONFIG", `${key} is not a list: it can only be set or deleted`, {
      field: key,
    });
  }
  const sources =
    resource === "topic"
      ? topicSources(image, name, properties)
      : {
          broker: image.configs.get(configResource("broker", name)),
          allBrokers: image.configs.get(configResource("broker", "")),
          properties,
        };
  const now = splitList(resolveConfig(resource, key, sources).value ?? "");
  const named = splitList(value);
  return operation.operation === "append"
    ? [...now, ...named.filter((part) => !now.includes(part))].join(",")
    : now.filter((part) => !named.includes(part)).join(",");
}

function withConsequences(
  image: MetadataImage,
  changes: readonly ConfigRecord[],
  { properties }: Context,
): readonly MetadataRecord[] {
  const delta = new MetadataDelta(image);
  delta.replayAll(changes);
  const changed = delta.apply(image.index, image.term);
  const topics = affectedTopics(changes);
  const records: MetadataRecord[] = [];
  if (topics.elr !== "none") {
    records.push(
      ...changePartitions(changed, {
        electable: electableIn(image),
        properties,
        goalOf: (state, { name }) =>
          state.leader !== NONE && isAffected(topics.elr, name) ? { unclean: false } : undefined,
      }),
    );
  }
  records.push(...changes);
  if (topics.unclean !== "none") {
    records.push(
      ...changePartitions(changed, {
        electable: electableIn(image),
        properties,
        goalOf: (state, { name }) =>
          state.leader === NONE && isAffected(topics.unclean, name) ? {} : undefined,
      }),
    );
  }
  return records;
}

type Affected = "all" | "none" | ReadonlySet<string>;

function isAffected(topics: Affected, name: string): boolean {
  return topics === "all" || (topics !== "none" && topics.has(name));
}

function affectedTopics(changes: readonly ConfigRecord[]): {
  readonly elr: Affected;
  readonly unclean: Affected;
} {
  const of = (wanted: string): Affected => {
    const relevant = changes.filter(({ key }) => key === wanted);
    if (relevant.length === 0) return "none";
    if (relevant.some(({ resource }) => resource === "broker")) return "all";
    return new Set(relevant.map(({ name }) => name));
  };
  return { elr: of(MIN_INSYNC_REPLICAS), unclean: of("unclean.leader.election.enable") };
}
