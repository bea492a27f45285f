/**
 * THE catalogue of metrics: name, help, labels, buckets. Names are those of Kafka's exporters where
 * they have one (kafka_exporter, jmx_exporter), else `ottla_`. Base units: seconds, bytes.
 */
interface MetricRow {
  readonly help: string;
  readonly labels: readonly string[];
}

interface HistogramRow extends MetricRow {
  readonly buckets: readonly number[];
}

const LATENCY_SECONDS = [
  0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
  30,
] as const;

export const COUNTERS = {
  kafka_server_brokertopicmetrics_messagesin_total: {
    help: "Records appended by producers.",
    labels: ["topic"],
  },
  kafka_server_brokertopicmetrics_bytesin_total: {
    help: "Bytes of batches appended by producers.",
    labels: ["topic"],
  },
  kafka_server_brokertopicmetrics_bytesout_total: {
    help: "Bytes of batches sent to consumers.",
    labels: ["topic"],
  },
  kafka_server_brokertopicmetrics_replicationbytesin_total: {
    help: "Bytes of batches received from leaders.",
    labels: [],
  },
  kafka_server_brokertopicmetrics_replicationbytesout_total: {
    help: "Bytes of batches sent to followers.",
    labels: [],
  },
  kafka_server_brokertopicmetrics_totalproducerequests_total: {
    help: "Produce requests, by partition.",
    labels: ["topic"],
  },
  kafka_server_brokertopicmetrics_totalfetchrequests_total: {
    help: "Consumer fetches, by partition.",
    labels: ["topic"],
  },
  kafka_server_brokertopicmetrics_failedproducerequests_total: {
    help: "Produce requests refused.",
    labels: ["topic"],
  },
  kafka_server_brokertopicmetrics_failedfetchrequests_total: {
    help: "Consumer fetches refused.",
    labels: ["topic"],
  },
  kafka_server_replicamanager_isrshrinks_total: {
    help: "Replicas that leaders took out of an ISR.",
    labels: [],
  },
  kafka_server_replicamanager_isrexpands_total: {
    help: "Replicas that leaders took into an ISR.",
    labels: [],
  },
  kafka_controller_controllerstats_uncleanleaderelections_total: {
    help: "Leaders elected from outside ISR and ELR: data may be lost.",
    labels: [],
  },
  kafka_server_group_coordinator_metrics_offset_commit_count: {
    help: "Offsets committed by groups that this broker coordinates, by partition.",
    labels: [],
  },
  kafka_server_group_coordinator_metrics_group_completed_rebalance_count: {
    help: "Rebalances that ended with an assignment.",
    labels: [],
  },
  ottla_request_errors_total: {
    help: "Requests answered with an error.",
    labels: ["request", "error"],
  },
  ottla_storage_errors_total: { help: "Storage errors that took a replica offline.", labels: [] },
  ottla_storage_recoveries_total: {
    help: "Logs verified at open, by what was found.",
    labels: ["result"],
  },
} as const satisfies Record<string, MetricRow>;

export const GAUGES = {
  kafka_brokers: { help: "Brokers that are registered and not fenced.", labels: [] },
  kafka_topic_partitions: { help: "Partitions of the topic.", labels: ["topic"] },
  kafka_topic_partition_current_offset: {
    help: "High watermark of the partition.",
    labels: ["topic", "partition"],
  },
  kafka_topic_partition_oldest_offset: {
    help: "Log start offset of the partition.",
    labels: ["topic", "partition"],
  },
  kafka_topic_partition_leader: {
    help: "Broker that leads the partition; -1 none.",
    labels: ["topic", "partition"],
  },
  kafka_topic_partition_replicas: {
    help: "Replicas of the partition.",
    labels: ["topic", "partition"],
  },
  kafka_topic_partition_in_sync_replica: {
    help: "Members of the partition's ISR.",
    labels: ["topic", "partition"],
  },
  kafka_topic_partition_leader_is_preferred: {
    help: "1 if the preferred replica leads.",
    labels: ["topic", "partition"],
  },
  kafka_topic_partition_under_replicated_partition: {
    help: "1 if the ISR is smaller than the replica set.",
    labels: ["topic", "partition"],
  },
  kafka_server_replicamanager_leadercount: {
    help: "Partitions that this broker leads.",
    labels: [],
  },
  kafka_server_replicamanager_partitioncount: { help: "Replicas on this broker.", labels: [] },
  kafka_server_replicamanager_underreplicatedpartitions: {
    help: "Partitions led here whose ISR lacks a replica.",
    labels: [],
  },
  kafka_server_replicamanager_underminisrpartitioncount: {
    help: "Partitions led here with fewer ISR members than min.insync.replicas.",
    labels: [],
  },
  kafka_server_replicamanager_offlinereplicacount: {
    help: "Replicas on this broker that storage errors took offline.",
    labels: [],
  },
  kafka_controller_kafkacontroller_activecontrollercount: {
    help: "1 on the active controller.",
    labels: [],
  },
  kafka_controller_kafkacontroller_offlinepartitionscount: {
    help: "Partitions without a leader.",
    labels: [],
  },
  kafka_controller_kafkacontroller_fencedbrokercount: {
    help: "Registered brokers that are fenced.",
    labels: [],
  },
  kafka_log_log_logendoffset: {
    help: "Log end offset of the local replica.",
    labels: ["topic", "partition"],
  },
  kafka_log_log_logstartoffset: {
    help: "Log start offset of the local replica.",
    labels: ["topic", "partition"],
  },
  kafka_log_log_size: {
    help: "Bytes of batches in the local replica.",
    labels: ["topic", "partition"],
  },
  kafka_log_logcleaner_cleaner_recopy_percent: {
    help: "Bytes written by the last cleaning of a log, of those read.",
    labels: [],
  },
  kafka_log_logcleaner_max_buffer_utilization_percent: {
    help: "Part of the memory for keys that the last cleaning used.",
    labels: [],
  },
  kafka_log_logcleaner_max_clean_time_secs: {
    help: "Duration of the last cleaning of a log.",
    labels: [],
  },
  kafka_log_logcleaner_max_compaction_delay_secs: {
    help: "Longest time by which max.compaction.lag.ms is exceeded.",
    labels: [],
  },
  kafka_log_logcleanermanager_max_dirty_percent: {
    help: "Largest dirty part of a compacted log on this broker.",
    labels: [],
  },
  kafka_log_logcleanermanager_time_since_last_run_ms: {
    help: "Milliseconds since the log cleaner last looked for work.",
    labels: [],
  },
  kafka_log_logcleanermanager_uncleanable_partitions_count: {
    help: "Compacted logs that cannot be cleaned.",
    labels: ["logDirectory"],
  },
  kafka_log_logcleanermanager_uncleanable_bytes: {
    help: "Bytes of compacted logs that cannot be cleaned.",
    labels: ["logDirectory"],
  },
  ottla_replica_lag_records: {
    help: "Records by which a follower's durable end lags the leader's log end.",
    labels: ["topic", "partition", "follower"],
  },
  kafka_server_group_coordinator_metrics_group_count: {
    help: "Groups that this broker coordinates.",
    labels: ["protocol"],
  },
  kafka_server_group_coordinator_metrics_consumer_group_count: {
    help: "Groups that this broker coordinates, by state.",
    labels: ["state"],
  },
  kafka_consumergroup_members: { help: "Members of the group.", labels: ["consumergroup"] },
  kafka_consumergroup_current_offset: {
    help: "Committed offset of the group.",
    labels: ["consumergroup", "topic", "partition"],
  },
  kafka_consumergroup_current_offset_sum: {
    help: "Committed offsets of the group, summed over the topic's partitions.",
    labels: ["consumergroup", "topic"],
  },
  kafka_consumergroup_lag: {
    help: "Records between the group's committed offset and the high watermark.",
    labels: ["consumergroup", "topic", "partition"],
  },
  kafka_consumergroup_lag_sum: {
    help: "Lag of the group, summed over the topic's partitions.",
    labels: ["consumergroup", "topic"],
  },
  kafka_consumergroup_group_lag_seconds: {
    help: "Age of the first record that the group has not committed; 0 without one.",
    labels: ["group", "topic", "partition"],
  },
  kafka_consumergroup_group_max_lag: {
    help: "Largest lag of the group in a partition.",
    labels: ["group"],
  },
  kafka_consumergroup_group_max_lag_seconds: {
    help: "Largest lag of the group in a partition, in seconds.",
    labels: ["group"],
  },
  ottla_consumergroup_state: {
    help: "1 with the state that the group is in.",
    labels: ["consumergroup", "state"],
  },
  ottla_consumergroup_generation: {
    help: "Generation of the group: rises with each rebalance, whoever coordinates it.",
    labels: ["consumergroup"],
  },
  ottla_consumergroup_series_dropped: {
    help: "Series about groups that are not shown, because there are too many.",
    labels: [],
  },
  kafka_server_raftmetrics_current_leader: {
    help: "Broker that leads the metadata quorum; -1 unknown.",
    labels: [],
  },
  kafka_server_raftmetrics_current_epoch: { help: "Term of the metadata quorum.", labels: [] },
  kafka_server_raftmetrics_high_watermark: {
    help: "Committed end of the metadata log.",
    labels: [],
  },
  kafka_server_raftmetrics_log_end_offset: { help: "End of the local metadata log.", labels: [] },
  ottla_storage_open_databases: { help: "LevelDB databases that are open.", labels: [] },
  ottla_storage_free_bytes: {
    help: "Free bytes of the file system of a log directory.",
    labels: ["directory"],
  },
} as const satisfies Record<string, MetricRow>;

export const HISTOGRAMS = {
  ottla_request_duration_seconds: {
    help: "From the arrival of a request to its answer.",
    labels: ["request"],
    buckets: LATENCY_SECONDS,
  },
  ottla_log_flush_duration_seconds: {
    help: "One durable write of a partition's log.",
    labels: [],
    buckets: LATENCY_SECONDS,
  },
} as const satisfies Record<string, HistogramRow>;

export type CounterName = keyof typeof COUNTERS;
export type GaugeName = keyof typeof GAUGES;
export type HistogramName = keyof typeof HISTOGRAMS;
