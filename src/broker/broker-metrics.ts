/** The broker's gauges, read when the meter asks. */
import type { MetadataImage } from "../metadata/image.ts";
import type { GaugeName } from "../model/metrics.ts";
import type { Labels } from "../ports/meter.ts";
import type { Ports } from "../ports/ports.ts";
import type { LeaderReplica } from "../runtime/leader-replica.ts";
import type { MetadataLog } from "../runtime/metadata-log.ts";
import type { ReplicaHost } from "../runtime/replica-host.ts";
import type { ReplicaManager } from "../runtime/replica-manager.ts";
import type { Logs } from "../storage/log.ts";

export interface BrokerMetricsOptions {
  readonly image: () => MetadataImage;
  readonly replicas: ReplicaManager;
  readonly metadataLog: MetadataLog;
  readonly logs: Logs;
}

type Set = (name: GaugeName, labels: Labels, value: number) => void;

export function registerBrokerMetrics(ports: Ports, options: BrokerMetricsOptions): void {
  const { logs, replicas } = options;
  let freeBytes: Awaited<ReturnType<Logs["freeBytes"]>> = [];
  ports.meter.onCollect((set) => {
    cluster(set, options);
    quorum(set, options);
    local(set, replicas);
    set("ottla_storage_open_databases", {}, logs.openDatabasesCount());
    for (const { directory, bytes } of freeBytes) {
      set("ottla_storage_free_bytes", { directory }, bytes);
    }
    // Asked of the operating system between two scrapes, shown at the next.
    logs.freeBytes().then(
      (measured) => {
        freeBytes = measured;
      },
      () => {
        freeBytes = [];
      },
    );
  });
}

function cluster(set: Set, { image: imageOf }: BrokerMetricsOptions): void {
  const image = imageOf();
  const unfenced = [...image.brokers.values()].filter(({ fenced }) => !fenced);
  set("kafka_brokers", {}, unfenced.length);
  for (const { name, partitions } of image.topics.values()) {
    set("kafka_topic_partitions", { topic: name }, partitions.length);
  }
}

function quorum(set: Set, { metadataLog }: BrokerMetricsOptions): void {
  const { leaderId, term, commitIndex, lastIndex } = metadataLog.status();
  set("kafka_server_raftmetrics_current_leader", {}, leaderId);
  set("kafka_server_raftmetrics_current_epoch", {}, term);
  set("kafka_server_raftmetrics_high_watermark", {}, commitIndex);
  set("kafka_server_raftmetrics_log_end_offset", {}, lastIndex + 1);
}

function local(set: Set, replicas: ReplicaManager): void {
  let leaders = 0;
  let partitions = 0;
  let underReplicated = 0;
  let underMinIsr = 0;
  let offline = 0;
  for (const host of replicas.hosts()) {
    partitions++;
    if (host.offline) offline++;
    const { topic, partition } = host.name;
    const { log, leader } = host;
    if (log !== undefined) {
      const labels = { topic, partition };
      set("kafka_log_log_logendoffset", labels, log.logEndOffset);
      set("kafka_log_log_logstartoffset", labels, log.logStartOffset);
      set("kafka_log_log_size", labels, log.sizeBytes);
    }
    if (leader === undefined) continue;
    leaders++;
    if (led(set, host, leader)) underReplicated++;
    if (leader.underMinIsr) underMinIsr++;
  }
  set("kafka_server_replicamanager_leadercount", {}, leaders);
  set("kafka_server_replicamanager_partitioncount", {}, partitions);
  set("kafka_server_replicamanager_underreplicatedpartitions", {}, underReplicated);
  set("kafka_server_replicamanager_underminisrpartitioncount", {}, underMinIsr);
  set("kafka_server_replicamanager_offlinereplicacount", {}, offline);
}

/** A partition is shown by its leader alone, so that sums over brokers are right. */
function led(set: Set, host: ReplicaHost, leader: LeaderReplica): boolean {
  const { topic, partition } = host.name;
  const { state } = host.assignment;
  const labels = { topic, partition };
  const underReplicated = leader.isr.length < state.replicas.length;
  set("kafka_topic_partition_current_offset", labels, leader.highWatermark);
  set("kafka_topic_partition_oldest_offset", labels, leader.log.logStartOffset);
  set("kafka_topic_partition_leader", labels, state.leader);
  set("kafka_topic_partition_replicas", labels, state.replicas.length);
  set("kafka_topic_partition_in_sync_replica", labels, leader.isr.length);
  const preferred = state.replicas[0] === state.leader;
  set("kafka_topic_partition_leader_is_preferred", labels, preferred ? 1 : 0);
  const under = underReplicated ? 1 : 0;
  set("kafka_topic_partition_under_replicated_partition", labels, under);
  for (const { id, lagRecords } of leader.followers()) {
    set("ottla_replica_lag_records", { topic, partition, follower: id }, lagRecords);
  }
  return underReplicated;
}
