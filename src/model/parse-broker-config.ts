/**
 * A broker's configuration from its properties, in Kafka's syntax. Every refusal is INVALID_CONFIG
 * and names the key, its value and what is allowed; nothing is read that the table does not know.
 */
import type { BrokerConfig, Listener, VoterAddress } from "./broker-config.ts";
import { BROKER_CONFIG_KEYS, splitList, validateConfigValue } from "./config-definition.ts";
import { configBoolean, configNumber, resolveConfig } from "./config-values.ts";
import { groupsConfig } from "./groups-config.ts";
import type { BrokerId, ClusterId } from "./ids.ts";
import {
  advertisedListeners,
  interBrokerListener,
  listenerProtocols,
  parseAddress,
  parseListeners,
} from "./listeners.ts";
import { refuse } from "./refuse-config.ts";

const DEFAULT_VOTER_PORT = 9392;
const BROKER_ID_BOUND = 2 ** 31;
const SOLE_NODE_ID = 1;

export function parseBrokerConfig(properties: ReadonlyMap<string, string>): BrokerConfig {
  for (const [key, value] of properties) validateConfigValue("broker", key, value);
  groupsConfig(properties);
  const sources = { properties };
  const number = (key: string): number => configNumber("broker", key, sources);
  const boolean = (key: string): boolean => configBoolean("broker", key, sources);
  const text = (key: string): string => resolveConfig("broker", key, sources).value ?? "";

  const nodeId = parseNodeId(properties);
  const controllerNames = splitList(text("controller.listener.names"));
  const protocols = listenerProtocols(text("listener.security.protocol.map"), controllerNames);
  const listeners = parseListeners("listeners", text("listeners"), protocols);
  const interBroker = interBrokerListener(listeners, {
    name: text("inter.broker.listener.name"),
    controllerNames,
  });
  const voters = parseVoters(properties.get("controller.quorum.voters"), nodeId, interBroker);
  checkSpan(
    properties,
    number("broker.heartbeat.interval.ms"),
    number("broker.session.timeout.ms"),
  );
  checkRoles(properties, { nodeId, voters });
  return {
    clusterId: parseClusterId(properties),
    nodeId,
    rack: properties.get("broker.rack") ?? null,
    logDirs: parseLogDirs(properties),
    listeners,
    advertisedListeners: advertisedListeners(properties.get("advertised.listeners"), {
      listeners,
      protocols,
      addressIsKnown: voters.length === 1 || voters.some(({ id }) => id === nodeId),
    }),
    interBrokerListenerName: interBroker.name,
    voters,
    heartbeatIntervalMs: atLeast("broker.heartbeat.interval.ms", number, 1),
    sessionTimeoutMs: number("broker.session.timeout.ms"),
    sessionReconnectMs: number("broker.session.reconnect.ms"),
    clockOffsetMaxMs: number("broker.clock.offset.max.ms"),
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

/** As Kafka's, which are random, and any other that can stand in a file and in a URL. */
function parseClusterId(properties: ReadonlyMap<string, string>): ClusterId | null {
  const key = "cluster.id";
  const value = properties.get(key);
  if (value === undefined) return null;
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(value)) {
    refuse(key, value, "1 to 64 letters, digits, _ and -");
  }
  return value;
}

/** Every broker of Ottla keeps data, and those that the voters' list names vote. */
function checkRoles(
  properties: ReadonlyMap<string, string>,
  own: { readonly nodeId: BrokerId; readonly voters: readonly VoterAddress[] },
): void {
  const key = "process.roles";
  const value = properties.get(key);
  if (value === undefined) return;
  const roles = splitList(value);
  const votes = own.voters.some(({ id }) => id === own.nodeId);
  if (roles.includes("broker") && roles.includes("controller") === votes) return;
  const reason = `controller.quorum.voters ${votes ? "names" : "does not name"} node ${own.nodeId}`;
  refuse(key, value, `${votes ? "broker,controller" : "broker"}: ${reason}`);
}

/** A broker that is a cluster of its own needs no number; of several each must be given its own. */
function parseNodeId(properties: ReadonlyMap<string, string>): BrokerId {
  const value = properties.get("node.id") ?? properties.get("broker.id");
  const allowed = `an integer of 0 to ${BROKER_ID_BOUND - 1}`;
  if (value === undefined) {
    if (!properties.has("controller.quorum.voters")) return SOLE_NODE_ID;
    refuse("node.id", undefined, allowed);
  }
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

/** Keys that are given and stored although nothing reads them: worth a line in the log at start. */
export function keysWithoutEffect(properties: ReadonlyMap<string, string>): readonly string[] {
  return [...properties.keys()].filter((key) => BROKER_CONFIG_KEYS.get(key)?.effect !== true);
}
