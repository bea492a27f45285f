/** A broker's own configuration after parsing: `parse-broker-config.ts` makes it from properties. */
import type { BrokerId, ClusterId } from "./ids.ts";

/** What is spoken on a listener. */
export type ListenerProtocol = "PLAINTEXT" | "GRPC" | "INTERNAL" | "HTTP";

export interface Listener {
  /** The name before `://`, in capitals: what `advertised.listeners` and clients know it by. */
  readonly name: string;
  /** As `listener.security.protocol.map` says of the name. */
  readonly protocol: ListenerProtocol;
  /** "" listens on every interface. */
  readonly host: string;
  readonly port: number;
}

export interface VoterAddress {
  readonly id: BrokerId;
  readonly host: string;
  readonly port: number;
}

export interface BrokerConfig {
  /** `cluster.id`; null: whichever the quorum or the directories name. */
  readonly clusterId: ClusterId | null;
  /** `node.id` */
  readonly nodeId: BrokerId;
  /** `broker.rack` */
  readonly rack: string | null;
  /** `log.dirs`; the first also holds the metadata log. */
  readonly logDirs: readonly string[];
  /** `listeners`: PLAINTEXT (Kafka clients), GRPC (clients), INTERNAL (brokers), HTTP (metrics, health); names are free. */
  readonly listeners: readonly Listener[];
  /** `advertised.listeners`; those of `listeners` where absent. */
  readonly advertisedListeners: readonly Listener[];
  /** `inter.broker.listener.name` */
  readonly interBrokerListenerName: string;
  /** `controller.quorum.voters`, `id@host:port` each. */
  readonly voters: readonly VoterAddress[];
  readonly heartbeatIntervalMs: number;
  readonly sessionTimeoutMs: number;
  /** A broken session stream that does not come back within this time is a death (300 ms). */
  readonly sessionReconnectMs: number;
  /** `broker.clock.offset.max.ms`; 0: any. */
  readonly clockOffsetMaxMs: number;
  readonly electionTimeoutMs: number;
  readonly replicaLagTimeMaxMs: number;
  readonly autoCreateTopicsEnable: boolean;
  readonly deleteTopicEnable: boolean;
  readonly autoLeaderRebalanceEnable: boolean;
  readonly leaderImbalanceCheckIntervalMs: number;
  readonly controlledShutdownMaxMs: number;
  readonly retentionCheckIntervalMs: number;
  readonly producerIdExpirationMs: number;
  readonly requestTimeoutMs: number;
  readonly fetchMaxBytes: number;
  readonly metadataMaxRecordBytesBetweenSnapshots: number;
  /** All properties as given, by Kafka's key: what topic and dynamic defaults are computed from. */
  readonly properties: ReadonlyMap<string, string>;
}
