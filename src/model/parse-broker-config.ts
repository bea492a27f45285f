/**
 * A broker's configuration from its properties, in Kafka's syntax. Every refusal is INVALID_CONFIG
 * and names the key, its value and what is allowed; nothing is read that the table does not know.
 */
import type { BrokerConfig, Listener, VoterAddress } from "./broker-config.ts";
import { BROKER_CONFIG_KEYS, splitList, validateConfigValue } from "./config-definition.ts";
import { configBoolean, configNumber, resolveConfig } from "./config-values.ts";
import { OttlaError } from "./errors.ts";
import { groupsConfig } from "./groups-config.ts";
import type { BrokerId } from "./ids.ts";

/** Ottla's listeners and the ports they have by default. */
export const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ["GRPC", 9192],
  ["INTERNAL", 9392],
  ["HTTP", 9292],
]);
const DEFAULT_VOTER_PORT = 9392;
const BROKER_ID_BOUND = 2 ** 31;

export function parseBrokerConfig(properties: ReadonlyMap<string, string>): BrokerConfig {
  for (const [key, value] of properties) validateConfigValue("broker", key, value);
  groupsConfig(properties);
  const sources = { properties };
  const number = (key: string): number => configNumber("broker", key, sources);
  const boolean = (key: string): boolean => configBoolean("broker", key, sources);
  const text = (key: string): string => resolveConfig("broker", key, sources).value ?? "";

  const nodeId = parseNodeId(properties);
  const listeners = parseListeners("listeners", text("listeners"));
  const advertised = properties.get("advertised.listeners");
  const interBrokerListenerName = text("inter.broker.listener.name").toUpperCase();
  const interBroker = listeners.find((listener) => listener.name === interBrokerListenerName);
  if (interBroker === undefined) {
    refuse("inter.broker.listener.name", interBrokerListenerName, namesOf(listeners));
  }
  checkSpan(
    properties,
    number("broker.heartbeat.interval.ms"),
    number("broker.session.timeout.ms"),
  );
  return {
    nodeId,
    rack: properties.get("broker.rack") ?? null,
    logDirs: parseLogDirs(properties),
    listeners,
    advertisedListeners:
      advertised === undefined
        ? listeners
        : advertisedListeners(listeners, parseListeners("advertised.listeners", advertised)),
    interBrokerListenerName,
    voters: parseVoters(properties.get("controller.quorum.voters"), nodeId, interBroker),
    heartbeatIntervalMs: atLeast("broker.heartbeat.interval.ms", number, 1),
    sessionTimeoutMs: number("broker.session.timeout.ms"),
    sessionReconnectMs: number("broker.session.reconnect.ms"),
    electionTimeoutMs: atLeast("controller.quorum.election.timeout.ms", number, 50),
    replicaLagTimeMaxMs: atLeast("replica.lag.time.max.ms", number, 1),
    autoCreateTopicsEnable: boolean("auto.create.topics.enable"),
    deleteTopicEnable: boolean("delete.topic.enable"),
    autoLeaderRebalanceEnable: boolean("auto.leader.rebalance.enable"),
    leaderImbalanceCheckIntervalMs: number("leader.imbalance.check.interval.seconds") * 1000,
    controlledShutdownMaxMs: boolean("controlled.shutdown.enable")
      ? number("controlled.shutdown.max.ms")
      : 0,
    retentionCheckIntervalMs: number("log.retention.check.interval.ms"),
    producerIdExpirationMs: number("producer.id.expiration.ms"),
    requestTimeoutMs: atLeast("request.timeout.ms", number, 1),
    fetchMaxBytes: number("fetch.max.bytes"),
    metadataMaxRecordBytesBetweenSnapshots: number(
      "metadata.log.max.record.bytes.between.snapshots",
    ),
    properties,
  };
}

/** Kafka's listener list: `NAME://host:port`, an IPv6 host in brackets, no host for all interfaces. */
export function parseListeners(key: string, value: string): readonly Listener[] {
  const parts = splitList(value);
  if (parts.length === 0) refuse(key, value, "at least one NAME://host:port");
  const listeners = parts.map((part) => parseListener(key, part));
  const names = new Set<string>();
  const ports = new Set<string>();
  for (const { name, host, port } of listeners) {
    if (names.has(name)) refuse(key, value, `each listener name once, but ${name} stands twice`);
    names.add(name);
    const address = `${host}:${port}`;
    if (key === "listeners" && port !== 0 && ports.has(address)) {
      refuse(key, value, `each address once, but ${address} stands twice`);
    }
    ports.add(address);
  }
  return listeners;
}

function parseListener(key: string, part: string): Listener {
  const match = /^([A-Za-z0-9_]+):\/\/(.*)$/.exec(part);
  if (match === null) refuse(key, part, "NAME://host:port");
  const name = (match[1] as string).toUpperCase();
  const defaultPort = DEFAULT_PORTS.get(name);
  if (defaultPort === undefined) {
    refuse(key, part, `a listener name of ${[...DEFAULT_PORTS.keys()].join(", ")}`);
  }
  return { name, ...parseAddress(key, match[2] as string, defaultPort) };
}

/** `host:port`, `[IPv6]:port`, either part may be missing. */
function parseAddress(
  key: string,
  address: string,
  defaultPort: number,
): { readonly host: string; readonly port: number } {
  const allowed = "host:port, with an IPv6 host in brackets and a port of 0 to 65535";
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^[\]:/\s]*))(?::(\d{1,5}))?$/.exec(address);
  if (match === null) refuse(key, address, allowed);
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port > 65_535) refuse(key, address, allowed);
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "0.0.0.0" || host === "::" ? "" : host, port };
}

/** Listeners that are not advertised by name keep their own address. */
function advertisedListeners(
  listeners: readonly Listener[],
  advertised: readonly Listener[],
): readonly Listener[] {
  for (const { name } of advertised) {
    if (!listeners.some((listener) => listener.name === name)) {
      refuse("advertised.listeners", name, namesOf(listeners));
    }
  }
  return listeners.map(
    (listener) => advertised.find(({ name }) => name === listener.name) ?? listener,
  );
}

function parseNodeId(properties: ReadonlyMap<string, string>): BrokerId {
  const value = properties.get("node.id") ?? properties.get("broker.id");
  const allowed = `an integer of 0 to ${BROKER_ID_BOUND - 1}`;
  if (value === undefined) refuse("node.id", undefined, allowed);
  const other = properties.get("broker.id");
  if (other !== undefined && Number(other) !== Number(value)) {
    refuse("broker.id", other, `the value of node.id, ${value}`);
  }
  const id = Number(value);
  if (!Number.isInteger(id) || id < 0 || id >= BROKER_ID_BOUND) refuse("node.id", value, allowed);
  return id;
}

function parseLogDirs(properties: ReadonlyMap<string, string>): readonly string[] {
  const value = properties.get("log.dirs") ?? properties.get("log.dir");
  const allowed = "one or more directories, separated by commas, each once";
  const directories = splitList(value ?? "");
  if (directories.length === 0 || new Set(directories).size !== directories.length) {
    refuse("log.dirs", value, allowed);
  }
  return directories;
}

/** A broker without `controller.quorum.voters` is the only voter of its own cluster. */
function parseVoters(
  value: string | undefined,
  nodeId: BrokerId,
  interBroker: Listener,
): readonly VoterAddress[] {
  const key = "controller.quorum.voters";
  if (value === undefined) {
    const host = interBroker.host === "" ? "127.0.0.1" : interBroker.host;
    return [{ id: nodeId, host, port: interBroker.port }];
  }
  const voters = splitList(value).map((part) => {
    const match = /^(\d{1,10})@(.+)$/.exec(part);
    if (match === null || Number(match[1]) >= BROKER_ID_BOUND) refuse(key, part, "id@host:port");
    const address = parseAddress(key, match[2] as string, DEFAULT_VOTER_PORT);
    if (address.host === "" || address.port === 0) {
      refuse(key, part, "id@host:port with a host and a port that others can connect to");
    }
    return { id: Number(match[1]), ...address };
  });
  if (voters.length === 0) refuse(key, value, "at least one id@host:port");
  const ids = new Set(voters.map(({ id }) => id));
  if (ids.size !== voters.length) refuse(key, value, "each id once");
  return voters;
}

/** Several heartbeats must fit a session, or one that is late fences a healthy broker. */
function checkSpan(
  properties: ReadonlyMap<string, string>,
  heartbeatMs: number,
  sessionMs: number,
): void {
  if (sessionMs >= 2 * heartbeatMs) return;
  const key = properties.has("broker.session.timeout.ms")
    ? "broker.session.timeout.ms"
    : "broker.heartbeat.interval.ms";
  refuse(
    key,
    properties.get(key),
    `a session timeout of at least two heartbeat intervals; they are ${sessionMs} and ${heartbeatMs} ms`,
  );
}

function atLeast(key: string, number: (key: string) => number, least: number): number {
  const value = number(key);
  if (value < least) refuse(key, String(value), `at least ${least}`);
  return value;
}

function namesOf(listeners: readonly Listener[]): string {
  return `a name of listeners: ${listeners.map(({ name }) => name).join(", ")}`;
}

function refuse(key: string, value: string | undefined, allowed: string): never {
  const given = value === undefined ? "missing" : JSON.stringify(value);
  throw new OttlaError("INVALID_CONFIG", `${key} is ${given}; allowed is ${allowed}`, {
    field: key,
  });
}

/** Keys that are given and stored although nothing reads them: worth a line in the log at start. */
export function keysWithoutEffect(properties: ReadonlyMap<string, string>): readonly string[] {
  return [...properties.keys()].filter((key) => BROKER_CONFIG_KEYS.get(key)?.effect !== true);
}
