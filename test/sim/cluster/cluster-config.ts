/** Configuration of the simulated brokers: the defaults, with what a seed draws otherwise. */
import type { BrokerConfig, Listener } from "../../../src/model/broker-config.ts";

const INTERNAL_PORT = 9_392;
export const LOG_DIR = "/data";

export interface ClusterShape {
  readonly brokersCount: number;
  readonly votersCount: number;
  readonly properties: ReadonlyMap<string, string>;
  /** Bytes of metadata records between two snapshots: small ones exercise snapshots. */
  readonly snapshotBytes: number;
}

export function brokerName(id: number): string {
  return `broker-${id}`;
}

export function brokerConfig(id: number, shape: ClusterShape): BrokerConfig {
  const internal: Listener = { name: "INTERNAL", host: brokerName(id), port: INTERNAL_PORT };
  const voters = Array.from({ length: shape.votersCount }, (_, index) => ({
    id: index + 1,
    host: brokerName(index + 1),
    port: INTERNAL_PORT,
  }));
  return {
    nodeId: id,
    rack: null,
    logDirs: [LOG_DIR],
    listeners: [internal],
    advertisedListeners: [internal],
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
    retentionCheckIntervalMs: 300_000,
    producerIdExpirationMs: 86_400_000,
    requestTimeoutMs: 30_000,
    fetchMaxBytes: 1024 * 1024,
    metadataMaxRecordBytesBetweenSnapshots: shape.snapshotBytes,
    properties: shape.properties,
  };
}
