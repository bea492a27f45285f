/**
 * Properties of a broker from its environment, by the mapping of Kafka's container image:
 * `OTTLA_LOG_DIRS` and `KAFKA_LOG_DIRS` are both `log.dirs`. After the prefix `_` means `.`, `__`
 * means `_` and `___` means `-`, in lower case. What Kafka's image ignores of its own variables is
 * ignored here; everything else must be a key that brokers have, and say the same wherever it is
 * said: a slip in a container's environment shows at no other place.
 */
import { validateConfigValue } from "../model/config-definition.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const PREFIXED = /^(?:OTTLA|KAFKA)_([A-Z0-9_]+)$/;
/** Kafka's image has this one without a prefix. */
const CLUSTER_ID = "CLUSTER_ID";

/** For commands, not for brokers. */
const OF_COMMANDS: ReadonlySet<string> = new Set(["OTTLA_BOOTSTRAP_SERVERS"]);
/** For the Java machine, or told by Kafka's image about itself. */
const OF_JAVA =
  /^KAFKA_(?:VERSION|HOME|OPTS|HEAP_OPTS|GC_LOG_OPTS|CLUSTER_OPTS|DEBUG|JMX_(?:OPTS|PORT|HOSTNAME)|JVM_PERFORMANCE_OPTS|TOOLS_OPTS|(?:TOOLS_)?LOG4J_[A-Z0-9_]+)$/;
/**
 * Kubernetes and Docker's links put the addresses of other services into every container: a service
 * named `kafka` or `ottla` looks like configuration.
 */
const OF_SERVICES =
  /^(?:OTTLA|KAFKA)_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP)(?:_(?:ADDR|PORT|PROTO))?)?|NAME)$/;

/** What decides about a broker's environment, and what in it decides nothing. */
export interface BrokerEnvironment {
  readonly properties: ReadonlyMap<string, string>;
  /** Variables that look like a broker's and have no effect: worth a line in the log. */
  readonly ignored: readonly string[];
}

/** Throws INVALID_CONFIG naming the variable. */
export function brokerEnvironment(environment: Environment): BrokerEnvironment {
  const properties = new Map<string, string>();
  const givenBy = new Map<string, string>();
  const ignored: string[] = [];
  const take = (variable: string, key: string, value: string): void => {
    check(variable, key, value);
    const other = givenBy.get(key);
    if (other !== undefined && properties.get(key) !== value) {
      const values = `${other} is ${quoted(properties.get(key))} and ${variable} is ${quoted(value)}`;
      throw new OttlaError("INVALID_CONFIG", `${values}; both mean ${key}: give one of them`, {
        field: variable,
      });
    }
    givenBy.set(key, variable);
    properties.set(key, value);
  };
  for (const [variable, value] of Object.entries(environment)) {
    const match = PREFIXED.exec(variable);
    if (match === null || value === undefined || OF_COMMANDS.has(variable)) continue;
    if (OF_SERVICES.test(variable)) continue;
    if (OF_JAVA.test(variable)) ignored.push(variable);
    else take(variable, keyOf(match[1] as string), value);
  }
  const clusterId = environment[CLUSTER_ID];
  // By itself it may be meant for anything.
  if (clusterId !== undefined && properties.size > 0) take(CLUSTER_ID, "cluster.id", clusterId);
  return { properties, ignored };
}

/** Whether a variable may configure a broker: such as a supervisor keeps from its children. */
export function isBrokerVariable(variable: string): boolean {
  return variable === CLUSTER_ID || PREFIXED.test(variable);
}

function keyOf(name: string): string {
  return name.toLowerCase().replace(/___|__|_/g, (underscores) => {
    return underscores.length === 3 ? "-" : underscores.length === 2 ? "_" : ".";
  });
}

function check(variable: string, key: string, value: string): void {
  try {
    validateConfigValue("broker", key, value);
  } catch (thrown) {
    const { code, message } = toOttlaError(thrown);
    throw new OttlaError(code, `${variable} in the environment: ${message}`, {
      cause: thrown,
      field: variable,
    });
  }
}

function quoted(value: string | undefined): string {
  return JSON.stringify(value ?? "");
}
