/** Configuration of the simulated brokers: the defaults, with what a seed draws otherwise. */
import type { Prng } from "../../../src/base/prng.ts";
import type { BrokerConfig, Listener } from "../../../src/model/broker-config.ts";
import { parseBrokerConfig } from "../../../src/model/parse-broker-config.ts";

const INTERNAL_PORT = 9_392;
const GRPC_PORT = 9_192;
export const KAFKA_PORT = 9_092;
export const LOG_DIR = "/data";

export interface ClusterShape {
  readonly brokersCount: number;
  readonly votersCount: number;
  readonly properties: ReadonlyMap<string, string>;
  /** Bytes of metadata records between two snapshots: small ones exercise snapshots. */
  readonly snapshotBytes: number;
  /** What single brokers have otherwise than all, by id and Kafka's key: see `drawProperties`. */
  readonly propertiesOf?: ReadonlyMap<number, ReadonlyMap<string, string>>;
  /** How often brokers look for what retention may remove. Default 300,000. */
  readonly retentionCheckMs?: number;
  /** Brokers also serve Kafka's protocol, at port `KAFKA_PORT`. Default false. */
  readonly kafkaDoor?: boolean;
}

export function brokerName(id: number): string {
  return `broker-${id}`;
}

/** What clients begin with. */
export function bootstrapServers(shape: ClusterShape): readonly string[] {
  return Array.from(
    { length: shape.brokersCount },
    (_, index) => `${brokerName(index + 1)}:${GRPC_PORT}`,
  );
}

/**
 * Extremes, as FoundationDB's Buggify draws its knobs: each key of a broker is left alone three times
 * in four. Only what every value of is allowed by the promise: a broker that is dropped from the ISR
 * at once, or that takes a snapshot after each record, is slow and not wrong. Not the election
 * timeout: voters must agree about it, and R15 and R16 count in it.
 */
const EXTREMES: ReadonlyMap<string, readonly number[]> = new Map([
  ["replica.lag.time.max.ms", [600, 2_000, 60_000]],
  ["fetch.max.bytes", [1_024, 5_000, 57_671_680]],
  ["metadata.log.max.record.bytes.between.snapshots", [1, 600, 3_000, 20 * 1024 * 1024]],
  ["log.retention.check.interval.ms", [50, 1_000]],
  ["leader.imbalance.check.interval.seconds", [1, 300]],
  ["controlled.shutdown.max.ms", [0, 100, 30_000]],
  ["broker.heartbeat.interval.ms", [20, 500]],
  ["request.timeout.ms", [3_000, 30_000]],
]);

export function drawProperties(prng: Prng): ReadonlyMap<string, string> {
  const properties = new Map<string, string>();
  for (const [key, values] of EXTREMES) {
    const value = prng.pick(values);
    if (prng.chance(1, 4)) properties.set(key, String(value));
  }
  return properties;
}

/** Parsed as a real broker's are; fields of keys that are not given stay out. */
function given(id: number, properties: ReadonlyMap<string, string>): Partial<BrokerConfig> {
  const parsed = parseBrokerConfig(
    new Map([
      ["node.id", String(id)],
      ["log.dirs", LOG_DIR],
      ["listeners", `INTERNAL://${brokerName(id)}:${INTERNAL_PORT}`],
      ["controller.quorum.voters", `${id}@${brokerName(id)}:${INTERNAL_PORT}`],
      ...properties,
    ]),
  );
  const fields = new Map<string, Partial<BrokerConfig>>([
    ["replica.lag.time.max.ms", { replicaLagTimeMaxMs: parsed.replicaLagTimeMaxMs }],
    ["fetch.max.bytes", { fetchMaxBytes: parsed.fetchMaxBytes }],
    [
      "metadata.log.max.record.bytes.between.snapshots",
      {
        metadataMaxRecordBytesBetweenSnapshots: parsed.metadataMaxRecordBytesBetweenSnapshots,
      },
    ],
    [
      "log.retention.check.interval.ms",
      { retentionCheckIntervalMs: parsed.retentionCheckIntervalMs },
    ],
    [
      "leader.imbalance.check.interval.seconds",
      { leaderImbalanceCheckIntervalMs: parsed.leaderImbalanceCheckIntervalMs },
    ],
    ["controlled.shutdown.max.ms", { controlledShutdownMaxMs: parsed.controlledShutdownMaxMs }],
    ["broker.heartbeat.interval.ms", { heartbeatIntervalMs: parsed.heartbeatIntervalMs }],
    ["request.timeout.ms", { requestTimeoutMs: parsed.requestTimeoutMs }],
  ]);
  return Object.assign({}, ...[...properties.keys()].map((key) => fields.get(key) ?? {}));
}

export function brokerConfig(id: number, shape: ClusterShape): BrokerConfig {
  const host = brokerName(id);
  const internal: Listener = { name: "INTERNAL", protocol: "INTERNAL", host, port: INTERNAL_PORT };
  const own = shape.propertiesOf?.get(id) ?? new Map<string, string>();
  const grpc: Listener = { name: "GRPC", protocol: "GRPC", host, port: GRPC_PORT };
  const kafka = { name: "PLAINTEXT", protocol: "PLAINTEXT", host, port: KAFKA_PORT } as const;
  const listeners = [internal, grpc, ...(shape.kafkaDoor === true ? [kafka] : [])];
  const voters = Array.from({ length: shape.votersCount }, (_, index) => ({
    id: index + 1,
    host: brokerName(index + 1),
    port: INTERNAL_PORT,
  }));
  return {
    clusterId: null,
    nodeId: id,
    rack: null,
    logDirs: [LOG_DIR],
    listeners,
    advertisedListeners: listeners,
    interBrokerListenerName: "INTERNAL",
    voters,
    heartbeatIntervalMs: 250,
    sessionTimeoutMs: 2_000,
    sessionReconnectMs: 300,
    // Clocks jump here as they like, and brokers start with any: nothing may depend on what they show.
    clockOffsetMaxMs: 0,
    electionTimeoutMs: 1_000,
    replicaLagTimeMaxMs: 10_000,
    autoCreateTopicsEnable: false,
    deleteTopicEnable: true,
    autoLeaderRebalanceEnable: true,
    leaderImbalanceCheckIntervalMs: 5_000,
    controlledShutdownMaxMs: 5_000,
    retentionCheckIntervalMs: shape.retentionCheckMs ?? 300_000,
    producerIdExpirationMs: 86_400_000,
    requestTimeoutMs: 30_000,
    fetchMaxBytes: 1024 * 1024,
    metadataMaxRecordBytesBetweenSnapshots: shape.snapshotBytes,
    properties: new Map([...shape.properties, ...own]),
    ...(own.size === 0 ? {} : given(id, own)),
  };
}
