/** Configuration of the simulated brokers: the defaults, with what a seed draws otherwise. */
import type { BrokerConfig, Listener } from "../../../src/model/broker-config.ts";

const INTERNAL_PORT = 9_392;
const GRPC_PORT = 9_192;
export const LOG_DIR = "/data";

export interface ClusterShape {
  readonly brokersCount: number;
  readonly votersCount: number;
  readonly properties: ReadonlyMap<string, string>;
  /** Bytes of metadata records between two snapshots: small ones exercise snapshots. */
  readonly snapshotBytes: number;
  /** How often brokers look for what retention may remove. Default 300,000. */
  readonly retentionCheckMs?: number;
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

export function brokerConfig(id: number, shape: ClusterShape): BrokerConfig {
  const internal: Listener = { name: "INTERNAL", host: brokerName(id), port: INTERNAL_PORT };
  const grpc: Listener = { name: "GRPC", host: brokerName(id), port: GRPC_PORT };
  const voters = Array.from({ length: shape.votersCount }, (_, index) => ({
    id: index + 1,
    host: brokerName(index + 1),
    port: INTERNAL_PORT,
  }));
  return {
    nodeId: id,
    rack: null,
    logDirs: [LOG_DIR],
    listeners: [internal, grpc],
    advertisedListeners: [internal, grpc],
    interBrokerListenerName: "INTERNAL",
    voters,
    heartbeatIntervalMs: 250,
    sessionTimeoutMs: 2_000,
    sessionReconnectMs: 300,
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
    properties: shape.properties,
  };
}
