/** The broker's gauges, read when the meter asks. */

import { RecentRate } from "../base/recent-rate.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { type BrokerId, NONE } from "../model/ids.ts";
import type { SetGauge } from "../ports/meter.ts";
import type { Ports } from "../ports/ports.ts";
import type { MetadataLog } from "../runtime/metadata-log.ts";
import type { ReplicaManager } from "../runtime/replica-manager.ts";
import type { Logs } from "../storage/log.ts";
import type { BrokerHealth } from "./broker-api.ts";
import { showPartitions } from "./partition-metrics.ts";
import { TimeSlices } from "./time-slices.ts";

export interface BrokerMetricsOptions {
  readonly self: BrokerId;
  readonly image: () => MetadataImage;
  readonly replicas: ReplicaManager;
  readonly metadataLog: MetadataLog;
  readonly logs: Logs;
  readonly health: () => BrokerHealth;
  readonly isStopping: () => boolean;
  readonly produceInFlightBytes: () => number;
  readonly openFetchesCount: () => number;
}

/** Kafka's numbers of a broker's states. */
const STARTING = 1;
const RUNNING = 3;
const STOPPING = 6;

export function registerBrokerMetrics(ports: Ports, options: BrokerMetricsOptions): void {
  const { logs } = options;
  const quorum = new QuorumMetrics(ports, options.metadataLog);
  let spaces: Awaited<ReturnType<Logs["spaces"]>> = [];
  ports.meter.onCollect(async (set) => {
    cluster(set, options);
    broker(set, options);
    quorum.show(set);
    set("ottla_storage_open_databases", {}, logs.openDatabasesCount());
    set("ottla_storage_oldest_operation_seconds", {}, logs.oldestPendingMs() / 1_000);
    for (const { directory, freeBytes, totalBytes } of spaces) {
      set("ottla_storage_free_bytes", { directory }, freeBytes);
      set("ottla_storage_total_bytes", { directory }, totalBytes);
    }
    // Asked of the operating system between two scrapes, shown at the next: a disk that hangs must
    // not keep the metrics from saying so.
    logs.spaces().then(
      (measured) => {
        spaces = measured;
      },
      () => {
        spaces = [];
      },
    );
    await showPartitions(set, ports, options);
    await showTopics(set, ports, options);
  });
}

function cluster(set: SetGauge, { image: imageOf }: BrokerMetricsOptions): void {
  const image = imageOf();
  const unfenced = [...image.brokers.values()].filter(({ fenced }) => !fenced);
  set("kafka_brokers", {}, unfenced.length);
  set("kafka_server_broker_metadata_metrics_last_applied_record_offset", {}, image.index);
}

/** One broker of them all shows a topic, so that sums are right; no call is needed to agree on it. */
async function showTopics(
  set: SetGauge,
  ports: Ports,
  { image, self }: BrokerMetricsOptions,
): Promise<void> {
  const slices = new TimeSlices(ports);
  for (const { name, partitions } of image().topics.values()) {
    const showing = partitions.find(({ leader }) => leader !== NONE)?.leader;
    if (showing === self) set("kafka_topic_partitions", { topic: name }, partitions.length);
    if (slices.due) await slices.pause();
  }
}

function broker(set: SetGauge, options: BrokerMetricsOptions): void {
  const { health, image, isStopping, openFetchesCount, produceInFlightBytes, self } = options;
  const [endpoint] = image().brokers.get(self)?.endpoints ?? [];
  if (endpoint !== undefined) {
    set("kafka_broker_info", { id: self, address: `${endpoint.host}:${endpoint.port}` }, 1);
  }
  const state = isStopping() ? STOPPING : health().ready ? RUNNING : STARTING;
  set("kafka_server_kafkaserver_brokerstate", {}, state);
  set("ottla_produce_in_flight_bytes", {}, produceInFlightBytes());
  set(
    "kafka_server_delayedoperationpurgatory_purgatorysize",
    { delayedOperation: "Fetch" },
    openFetchesCount(),
  );
}

class QuorumMetrics {
  readonly #ports: Ports;
  readonly #log: MetadataLog;
  /** Of entries appended as leader and of those taken from one. */
  readonly #appended = new RecentRate();
  readonly #fetched = new RecentRate();
  #appendedCount = 0;
  #fetchedCount = 0;
  #lastIndex: number;

  constructor(ports: Ports, log: MetadataLog) {
    this.#ports = ports;
    this.#log = log;
    this.#lastIndex = log.status().lastIndex;
  }

  show(set: SetGauge): void {
    const { commitIndex, followers, lastIndex, leaderId, role, term, votedForId } =
      this.#log.status();
    set("kafka_server_raftmetrics_current_leader", {}, leaderId);
    set("kafka_server_raftmetrics_current_epoch", {}, term);
    set("kafka_server_raftmetrics_current_vote", {}, votedForId);
    set("kafka_server_raftmetrics_current_state", { current_state: role }, 1);
    set("kafka_server_raftmetrics_high_watermark", {}, commitIndex);
    set("kafka_server_raftmetrics_log_end_offset", {}, lastIndex + 1);
    for (const { node, matchIndex } of followers) {
      const lag = Math.max(0, lastIndex - matchIndex);
      set("ottla_raft_follower_lag_entries", { follower: node.id }, lag);
    }
    const grown = Math.max(0, lastIndex - this.#lastIndex);
    this.#lastIndex = lastIndex;
    if (role === "leader") this.#appendedCount += grown;
    else this.#fetchedCount += grown;
    const nowMs = this.#ports.clock.monotonicMs();
    const appended = this.#appended.read(nowMs, this.#appendedCount);
    const fetched = this.#fetched.read(nowMs, this.#fetchedCount);
    set("kafka_server_raftmetrics_append_records_rate", {}, appended);
    set("kafka_server_raftmetrics_fetch_records_rate", {}, fetched);
  }
}
