/**
 * THE catalogue of metrics: name, help, labels, buckets. Names are those of Kafka's exporters where
 * they have one (kafka_exporter, jmx_exporter), else `ottla_`. Base units: seconds, bytes; where
 * Kafka's name says otherwise (`..._ms`, `totaltimems`), the name's.
 */
export interface MetricRow {
  readonly help: string;
  readonly labels: readonly string[];
}

export interface HistogramRow extends MetricRow {
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
  kafka_server_brokertopicmetrics_bytesrejected_total: {
    help: "Bytes of batches refused for their size.",
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
  kafka_server_replicamanager_failedisrupdates_total: {
    help: "ISR changes that leaders here proposed and the controller refused, or did not answer.",
    labels: [],
  },
  kafka_controller_controllerstats_uncleanleaderelections_total: {
    help: "Leaders elected from outside ISR and ELR: data may be lost.",
    labels: [],
  },
  kafka_controller_controllerstats_electionfromeligibleleaderreplicas_total: {
    help: "Leaders elected from the ELR, while the ISR was empty: nothing is lost.",
    labels: [],
  },
  ottla_controller_leader_elections_total: {
    help: "Leaders that this active controller elected: clean (from the ISR), elr or unclean.",
    labels: ["kind"],
  },
  kafka_server_group_coordinator_metrics_offset_commit_count: {
    help: "Offsets committed by groups that this broker coordinates, by partition.",
    labels: [],
  },
  kafka_server_group_coordinator_metrics_group_completed_rebalance_count: {
    help: "Rebalances that ended with an assignment.",
    labels: [],
  },
  kafka_network_requestmetrics_requests_total: {
    help: "Requests that were answered, well or not.",
    labels: ["request"],
  },
  kafka_network_requestmetrics_errors_total: {
    help: "Requests answered with an error.",
    labels: ["request", "error"],
  },
  kafka_server_socket_server_metrics_connection_creation_total: {
    help: "Connections that were taken, by listener.",
    labels: ["listener"],
  },
  kafka_server_socket_server_metrics_connection_close_total: {
    help: "Connections that ended, by listener.",
    labels: ["listener"],
  },
  kafka_server_raftchannelmetrics_incoming_byte_total: {
    help: "Bytes of messages received over streams of the metadata quorum.",
    labels: [],
  },
  kafka_server_raftchannelmetrics_outgoing_byte_total: {
    help: "Bytes of messages sent over streams of the metadata quorum.",
    labels: [],
  },
  kafka_server_raftchannelmetrics_request_total: {
    help: "Requests sent over streams of the metadata quorum.",
    labels: [],
  },
  kafka_server_raftchannelmetrics_response_total: {
    help: "Responses received over streams of the metadata quorum.",
    labels: [],
  },
  ottla_raft_leader_changes_total: {
    help: "Leaders of the metadata quorum that this broker came to know.",
    labels: [],
  },
  ottla_connections_refused_total: {
    help: "Connections of Kafka's protocol that the broker ended, by reason.",
    labels: ["listener", "reason"],
  },
  ottla_storage_errors_total: { help: "Storage errors that took a replica offline.", labels: [] },
  ottla_storage_write_stall_seconds_total: {
    help: "Time that writes took beyond 100 ms each: a slow disk, or LevelDB compacting.",
    labels: [],
  },
  ottla_storage_recoveries_total: {
    help: "Logs verified at open, by what was found.",
    labels: ["result"],
  },
} as const satisfies Record<string, MetricRow>;

export const GAUGES = {
  kafka_brokers: {
    help: "Brokers that are registered and not fenced, as this broker knows.",
    labels: [],
  },
  kafka_broker_info: {
    help: "1: this broker, and where its clients connect.",
    labels: ["id", "address"],
  },
  kafka_server_kafkaserver_brokerstate: {
    help: "1 starting or fenced, 3 running, 6 stopping.",
    labels: [],
  },
  ottla_build_info: { help: "1: what runs here.", labels: ["version", "node"] },
  kafka_topic_partitions: {
    help: "Partitions of the topic. Shown by the leader of its first one that has a leader.",
    labels: ["topic"],
  },
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
  kafka_cluster_partition_replicascount: {
    help: "Replicas of the partition, shown by its leader.",
    labels: ["topic", "partition"],
  },
  kafka_cluster_partition_atminisr: {
    help: "1 if the loss of one more ISR member stops acks=all.",
    labels: ["topic", "partition"],
  },
  kafka_cluster_partition_underminisr: {
    help: "1 if the ISR is smaller than min.insync.replicas: acks=all is refused.",
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
  kafka_server_replicamanager_atminisrpartitioncount: {
    help: "Partitions led here with exactly min.insync.replicas ISR members.",
    labels: [],
  },
  kafka_server_replicamanager_reassigningpartitions: {
    help: "Partitions led here whose replicas are being moved.",
    labels: [],
  },
  kafka_server_replicafetchermanager_maxlag: {
    help: "Largest number of committed records that a follower here lacks on its disk.",
    labels: ["clientId"],
  },
  kafka_server_delayedoperationpurgatory_purgatorysize: {
    help: "Requests that wait: Produce for replicas, Fetch for records, DeleteRecords for log starts.",
    labels: ["delayedOperation"],
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
  kafka_controller_kafkacontroller_activebrokercount: {
    help: "Registered brokers that are not fenced.",
    labels: [],
  },
  kafka_controller_kafkacontroller_globaltopiccount: { help: "Topics of the cluster.", labels: [] },
  kafka_controller_kafkacontroller_globalpartitioncount: {
    help: "Partitions of the cluster.",
    labels: [],
  },
  kafka_controller_kafkacontroller_preferredreplicaimbalancecount: {
    help: "Partitions that another than their preferred replica leads.",
    labels: [],
  },
  kafka_controller_kafkacontroller_lastcommittedrecordoffset: {
    help: "Last index of the metadata log that is known to be committed.",
    labels: [],
  },
  kafka_controller_kafkacontroller_lastappliedrecordoffset: {
    help: "Last index of the metadata log that this controller has applied.",
    labels: [],
  },
  ottla_controller_pending_requests: {
    help: "Requests that wait in this active controller.",
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
  kafka_log_log_numlogsegments: {
    help: "Segments of the local replica.",
    labels: ["topic", "partition"],
  },
  kafka_log_logmanager_offlinelogdirectorycount: {
    help: "Entries of log.dirs with a replica that a storage error keeps offline.",
    labels: [],
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
  ottla_replica_lag_seconds: {
    help: "Time since a follower last held all that its leader had then; 0 while it does.",
    labels: ["topic", "partition", "follower"],
  },
  ottla_partition_series_dropped: {
    help: "Series about partitions that are not shown, because there are too many.",
    labels: [],
  },
  ottla_produce_in_flight_bytes: {
    help: "Bytes of batches that wait for acknowledgement.",
    labels: [],
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
  kafka_server_raftmetrics_current_vote: {
    help: "Node that this one voted for in the current term; -1 none.",
    labels: [],
  },
  kafka_server_raftmetrics_current_state: {
    help: "1 with the role of this node in the metadata quorum.",
    labels: ["current_state"],
  },
  kafka_server_raftmetrics_append_records_rate: {
    help: "Entries a second that this node lately appended as leader of the metadata quorum.",
    labels: [],
  },
  kafka_server_raftmetrics_fetch_records_rate: {
    help: "Entries a second that this node lately took from the leader of the metadata quorum.",
    labels: [],
  },
  kafka_server_raftmetrics_commit_latency_avg: {
    help: "Milliseconds from proposal to commit, lately, on the leader.",
    labels: [],
  },
  ottla_raft_follower_lag_entries: {
    help: "Entries that a node lacks of the metadata log, as its leader knows.",
    labels: ["follower"],
  },
  kafka_server_broker_metadata_metrics_last_applied_record_offset: {
    help: "Last index of the metadata log that this broker has applied.",
    labels: [],
  },
  kafka_network_requestmetrics_totaltimems: {
    help: "Milliseconds from arrival to answer, lately: a quantile of ottla_request_duration_seconds.",
    labels: ["request", "quantile"],
  },
  kafka_network_socketserver_networkprocessoravgidle_percent: {
    help: "Part of the time in which the event loop lately had nothing to do, 0 to 1.",
    labels: [],
  },
  kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent: {
    help: "The same: one event loop does what Kafka's network and handler threads do.",
    labels: [],
  },
  kafka_server_socket_server_metrics_connection_count: {
    help: "Open connections, by listener.",
    labels: ["listener"],
  },
  kafka_server_kafkaserver_linux_disk_read_bytes: {
    help: "Bytes that this process has had read from disks.",
    labels: [],
  },
  kafka_server_kafkaserver_linux_disk_write_bytes: {
    help: "Bytes that this process has had written to disks.",
    labels: [],
  },
  ottla_storage_open_databases: { help: "LevelDB databases that are open.", labels: [] },
  ottla_storage_queued_bytes: {
    help: "Bytes of batches that wait for the disk.",
    labels: [],
  },
  ottla_storage_oldest_operation_seconds: {
    help: "For how long the oldest storage operation has been under way; 0 without one.",
    labels: [],
  },
  ottla_storage_total_bytes: {
    help: "Size of the file system of a log directory.",
    labels: ["directory"],
  },
  ottla_storage_free_bytes: {
    help: "Free bytes of the file system of a log directory.",
    labels: ["directory"],
  },
} as const satisfies Record<string, MetricRow>;

export const HISTOGRAMS = {
  ottla_request_duration_seconds: {
    help: "From the arrival of a request to its answer; a Produce of one partition.",
    labels: ["request"],
    buckets: LATENCY_SECONDS,
  },
  ottla_log_write_duration_seconds: {
    help: "One write of a partition's log, with fsync or without.",
    labels: [],
    buckets: LATENCY_SECONDS,
  },
  ottla_log_flush_duration_seconds: {
    help: "One write of a partition's log that was fsynced.",
    labels: [],
    buckets: LATENCY_SECONDS,
  },
  ottla_raft_write_duration_seconds: {
    help: "One fsynced write of the metadata log.",
    labels: [],
    buckets: LATENCY_SECONDS,
  },
  ottla_raft_commit_duration_seconds: {
    help: "From a proposal of the active controller to its commit.",
    labels: [],
    buckets: LATENCY_SECONDS,
  },
} as const satisfies Record<string, HistogramRow>;

export type CounterName = keyof typeof COUNTERS;
export type GaugeName = keyof typeof GAUGES;
export type HistogramName = keyof typeof HISTOGRAMS;
