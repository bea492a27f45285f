/** DescribeConfigs, IncrementalAlterConfigs, AlterConfigs, ListConfigResources. */
import type { DescribedConfigEntry } from "../../broker/broker-api.ts";
import type { Requests, ResponseInputs } from "../../kafka-wire/messages.ts";
import type { AlterConfigs, ConfigOperation, ItemError } from "../../metadata/commands.ts";
import { checkTopicName } from "../../metadata/decide/topic-names.ts";
import type { ConfigResourceType } from "../../metadata/records.ts";
import type { ConfigType } from "../../model/config-definition.ts";
import { LIMITS } from "../../model/limits.ts";
import {
  duplicatesOf,
  invalidRequest,
  refusalOf,
  settled,
  type ToldError,
  toldError,
} from "./admin-requests.ts";
import { unknownOrBad } from "./cluster-handlers.ts";
import { CONFIG_SOURCES, CONFIG_TYPES, isShown, RESOURCE_TYPES } from "./config-numbers.ts";
import { errorNumber, type Handlers, type RequestContext } from "./handler.ts";

type Described = ResponseInputs["DescribeConfigs"]["results"][number];
type AlteredResource = Requests["AlterConfigs"]["resources"][number];
type ChangedResource = Requests["IncrementalAlterConfigs"]["resources"][number];

/** Where nothing is wrong Kafka's message is empty here, and not null. */
const NO_ERROR: ToldError = { errorCode: 0, errorMessage: "" };

function describeConfigs(
  { resources, includeDocumentation, includeSynonyms }: Requests["DescribeConfigs"],
  { broker }: RequestContext,
): ResponseInputs["DescribeConfigs"] {
  const results = resources.map((asked): Described => {
    const { resourceType, resourceName, configurationKeys } = asked;
    const told = { resourceType, resourceName };
    try {
      // Nobody subscribes clients to metrics here: there is nothing set for any of them.
      if (resourceType === RESOURCE_TYPES.clientMetrics) {
        return { ...told, ...NO_ERROR, configs: [] };
      }
      const resource = resourceOf(resourceType);
      const [described] = broker.describeConfigs([{ resource, name: resourceName }]);
      if (described?.error !== undefined) {
        const { code } = described.error;
        const named = code === "UNKNOWN_TOPIC_OR_PARTITION" ? unknownOrBad(resourceName) : code;
        return { ...told, ...toldError({ ...described.error, code: named }), configs: [] };
      }
      // As with null, no keys means all of them.
      const wanted = configurationKeys?.length ? new Set(configurationKeys) : undefined;
      const allBrokers = resource === "broker" && resourceName === "";
      const entries = (described?.entries ?? []).filter(isShown).filter(
        ({ key, source }) =>
          (wanted === undefined || wanted.has(key)) &&
          // What no broker is asked about has no values but those that were set for all of them.
          (!allBrokers || source === "DYNAMIC_DEFAULT_BROKER_CONFIG"),
      );
      const configs = entries.map((entry) =>
        configOf(entry, includeSynonyms, includeDocumentation),
      );
      return { ...told, ...NO_ERROR, configs };
    } catch (thrown) {
      return { ...told, ...toldError(refusalOf(thrown)), configs: [] };
    }
  });
  return { results };
}

function configOf(
  entry: DescribedConfigEntry,
  includeSynonyms: boolean,
  includeDocumentation: boolean,
): Described["configs"][number] {
  const type = entry.type as ConfigType;
  const isSensitive = type === "password";
  return {
    name: entry.key,
    value: isSensitive || !entry.isSet ? null : entry.value,
    readOnly: entry.readOnly,
    configSource: CONFIG_SOURCES[entry.source],
    isSensitive,
    synonyms: includeSynonyms
      ? entry.fallbacks.map(({ key, value, source }) => ({
          name: key,
          value,
          source: CONFIG_SOURCES[source],
        }))
      : [],
    configType: CONFIG_TYPES[type],
    documentation: includeDocumentation ? entry.documentation : null,
  };
}

/** Throws INVALID_REQUEST. */
function resourceOf(type: number): ConfigResourceType {
  if (type === RESOURCE_TYPES.topic) return "topic";
  if (type === RESOURCE_TYPES.broker) return "broker";
  throw invalidRequest(
    `resource_type is ${type}; allowed are ${RESOURCE_TYPES.topic} (topic) and ${RESOURCE_TYPES.broker} (broker)`,
  );
}

type Change = AlterConfigs["resources"][number];
interface ResourceName {
  readonly resourceType: number;
  readonly resourceName: string;
}

/** Each resource by itself: one that is refused does not hold the others up. */
async function alter<Resource extends ResourceName>(
  resources: readonly Resource[],
  {
    validateOnly,
    changeOf,
    broker,
  }: Pick<RequestContext, "broker"> & {
    readonly validateOnly: boolean;
    readonly changeOf: (resource: Resource) => Change;
  },
): Promise<(ToldError & ResourceName)[]> {
  const id = (one: ResourceName): string => `${one.resourceType} ${one.resourceName}`;
  const twice = duplicatesOf(resources.map(id));
  const once = [...new Map(resources.map((one) => [id(one), one])).values()];
  const refusals = new Map<Resource, ItemError>();
  const changes: Change[] = [];
  const asked: Resource[] = [];
  for (const one of once) {
    try {
      if (twice.has(id(one))) throw invalidRequest(`resource ${one.resourceName} stands twice`);
      checkTopic(one);
      changes.push(changeOf(one));
      asked.push(one);
    } catch (thrown) {
      refusals.set(one, refusalOf(thrown));
    }
  }
  if (changes.length > 0) {
    const request = { resources: changes, validateOnly };
    // The request has no timeout of its own.
    const waitMs = LIMITS.kafkaConfigWaitMs;
    const reply = await settled(broker.controller("alter-configs", request, waitMs));
    for (const [index, one] of asked.entries()) {
      const error = "error" in reply ? reply.error : reply.value.resources[index]?.error;
      if (error !== null && error !== undefined) refusals.set(one, error);
    }
  }
  return once.map((one) => ({
    resourceType: one.resourceType,
    resourceName: one.resourceName,
    ...toldError(refusals.get(one)),
  }));
}

/** Throws INVALID_REQUEST, INVALID_TOPIC_EXCEPTION. */
function checkTopic({ resourceType, resourceName }: ResourceName): void {
  if (resourceType !== RESOURCE_TYPES.topic) return;
  if (resourceName === "") throw invalidRequest("resource_name is empty; allowed is a topic's");
  checkTopicName(resourceName);
}

const OPERATIONS: readonly ConfigOperation["operation"][] = ["set", "delete", "append", "subtract"];

async function incrementalAlterConfigs(
  { resources, validateOnly }: Requests["IncrementalAlterConfigs"],
  { broker }: RequestContext,
): Promise<ResponseInputs["IncrementalAlterConfigs"]> {
  const changeOf = ({ resourceType, resourceName, configs }: ChangedResource): Change => ({
    resource: resourceOf(resourceType),
    name: resourceName,
    operations: configs.map(({ name, configOperation, value }) => {
      const operation = OPERATIONS[configOperation];
      if (operation === undefined) {
        throw invalidRequest(
          `the operation of ${name} is ${configOperation}; allowed are 0 (set), 1 (delete), 2 (append) and 3 (subtract)`,
        );
      }
      if (operation === "delete") return { key: name, operation, value: null };
      return { key: name, operation, value: givenValue(name, value) };
    }),
  });
  return { responses: await alter(resources, { validateOnly, changeOf, broker }) };
}

/** The older way: what is not named goes back to its default. */
async function alterConfigs(
  { resources, validateOnly }: Requests["AlterConfigs"],
  { broker }: RequestContext,
): Promise<ResponseInputs["AlterConfigs"]> {
  const changeOf = ({ resourceType, resourceName, configs }: AlteredResource): Change => ({
    resource: resourceOf(resourceType),
    name: resourceName,
    operations: configs.map(({ name, value }) => ({
      key: name,
      operation: "set",
      value: givenValue(name, value),
    })),
    replace: true,
  });
  return { responses: await alter(resources, { validateOnly, changeOf, broker }) };
}

function givenValue(name: string, value: string | null): string {
  if (value === null) throw invalidRequest(`${name} has no value; allowed is one`);
  if (value.length <= LIMITS.configValueCharacters) return value;
  throw invalidRequest(
    `${name} has ${value.length} characters; allowed are ${LIMITS.configValueCharacters}`,
  );
}

/** Version 0 knew client metrics alone. */
const ANY_RESOURCE = 1;
const LISTED: readonly number[] = Object.values(RESOURCE_TYPES);

function listConfigResources(
  { resourceTypes }: Requests["ListConfigResources"],
  { broker, version }: RequestContext,
): ResponseInputs["ListConfigResources"] {
  if (version < ANY_RESOURCE) return { errorCode: 0, configResources: [] };
  const types = resourceTypes.length === 0 ? LISTED : [...new Set(resourceTypes)];
  if (types.some((type) => !LISTED.includes(type))) {
    return { errorCode: errorNumber({ code: "UNSUPPORTED_VERSION" }), configResources: [] };
  }
  const { brokers, topicIds } = broker.image();
  const names = (type: number): Iterable<string> => {
    if (type === RESOURCE_TYPES.topic) return topicIds.keys();
    if (type === RESOURCE_TYPES.broker || type === RESOURCE_TYPES.brokerLogger) {
      return [...brokers.keys()].map(String);
    }
    return [];
  };
  return {
    errorCode: 0,
    configResources: types.flatMap((resourceType) =>
      [...names(resourceType)].map((resourceName) => ({ resourceName, resourceType })),
    ),
  };
}

export const configHandlers: Handlers = {
  DescribeConfigs: describeConfigs,
  IncrementalAlterConfigs: incrementalAlterConfigs,
  AlterConfigs: alterConfigs,
  ListConfigResources: listConfigResources,
};
