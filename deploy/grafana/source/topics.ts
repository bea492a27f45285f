import {
  CLUSTER,
  type Dashboard,
  lines,
  NONE_IS_BETTER,
  row,
  stat,
  TOPIC,
  table,
} from "./panels.ts";

const C = 'cluster="$cluster"';
const T = `${C}, topic=~"$topic"`;
/** The broker's sums have no topic. */
const OWN = `${T}, topic!=""`;
const RATE = "[$__rate_interval]";

const byTopic = (name: string): string => `sum by (topic) (rate(${name}{${OWN}}${RATE}))`;
const legend = "{{topic}}";

export const TOPICS_DASHBOARD: Dashboard = {
  uid: "ottla-topics",
  file: "topics.json",
  title: "Ottla / Topics",
  description: "Traffic, replicas and logs by topic.",
  variables: [CLUSTER, TOPIC],
  panels: [
    row("At a glance"),
    stat("Topics", `count(kafka_topic_partitions{${T}})`, { width: 4 }),
    stat("Partitions", `sum(kafka_topic_partitions{${T}})`, { width: 4 }),
    stat("Replicas", `sum(kafka_cluster_partition_replicascount{${T}})`, { width: 4 }),
    stat("In sync", `sum(kafka_topic_partition_in_sync_replica{${T}})`, { width: 4 }),
    stat("Under-replicated", `sum(kafka_topic_partition_under_replicated_partition{${T}})`, {
      ...NONE_IS_BETTER,
      width: 4,
    }),
    stat(
      "Not led by the preferred replica",
      `count(kafka_topic_partition_leader_is_preferred{${T}} == 0) or vector(0)`,
      { ...NONE_IS_BETTER, width: 4 },
    ),
    row("Traffic"),
    lines(
      "Messages in",
      [{ expr: byTopic("kafka_server_brokertopicmetrics_messagesin_total"), legend }],
      { unit: "cps" },
    ),
    lines(
      "Bytes in",
      [{ expr: byTopic("kafka_server_brokertopicmetrics_bytesin_total"), legend }],
      { unit: "Bps" },
    ),
    lines(
      "Bytes out",
      [{ expr: byTopic("kafka_server_brokertopicmetrics_bytesout_total"), legend }],
      { unit: "Bps" },
    ),
    lines(
      "Offsets committed to the log",
      [
        {
          expr: `sum by (topic) (rate(kafka_topic_partition_current_offset{${T}}${RATE}))`,
          legend,
        },
      ],
      { unit: "cps", description: "Growth of the high watermarks." },
    ),
    lines(
      "Produce and fetch requests",
      [
        {
          expr: byTopic("kafka_server_brokertopicmetrics_totalproducerequests_total"),
          legend: "{{topic}} produce",
        },
        {
          expr: byTopic("kafka_server_brokertopicmetrics_totalfetchrequests_total"),
          legend: "{{topic}} fetch",
        },
      ],
      { unit: "reqps" },
    ),
    lines("Refused", [
      {
        expr: byTopic("kafka_server_brokertopicmetrics_failedproducerequests_total"),
        legend: "{{topic}} produce",
      },
      {
        expr: byTopic("kafka_server_brokertopicmetrics_failedfetchrequests_total"),
        legend: "{{topic}} fetch",
      },
      {
        expr: byTopic("kafka_server_brokertopicmetrics_bytesrejected_total"),
        legend: "{{topic}} bytes too large",
      },
    ]),
    row("Replication"),
    lines("Replication lag in records", [
      {
        expr: `max by (topic, follower) (ottla_replica_lag_records{${T}})`,
        legend: "{{topic}}, follower {{follower}}",
      },
    ]),
    lines(
      "Replication lag in seconds",
      [
        {
          expr: `max by (topic, follower) (ottla_replica_lag_seconds{${T}})`,
          legend: "{{topic}}, follower {{follower}}",
        },
      ],
      { unit: "s" },
    ),
    lines(
      "Partitions led, by broker",
      [
        {
          expr: `count_values("leader", kafka_topic_partition_leader{${T}})`,
          legend: "{{leader}}",
        },
      ],
      { stacked: true },
    ),
    lines("At or under min ISR", [
      { expr: `sum by (topic) (kafka_cluster_partition_atminisr{${T}})`, legend: "{{topic}} at" },
      {
        expr: `sum by (topic) (kafka_cluster_partition_underminisr{${T}})`,
        legend: "{{topic}} under",
      },
    ]),
    row("Logs"),
    lines(
      "Log size, all replicas",
      [{ expr: `sum by (topic) (kafka_log_log_size{${T}})`, legend }],
      { unit: "bytes", stacked: true },
    ),
    lines("Segments, all replicas", [
      { expr: `sum by (topic) (kafka_log_log_numlogsegments{${T}})`, legend },
    ]),
    table(
      "Each partition",
      [
        {
          expr: `sum by (topic, partition) (kafka_topic_partition_leader{${T}})`,
          legend: "leader",
        },
        { expr: `sum by (topic, partition) (kafka_topic_partition_in_sync_replica{${T}})` },
        { expr: `sum by (topic, partition) (kafka_topic_partition_replicas{${T}})` },
        { expr: `sum by (topic, partition) (kafka_topic_partition_oldest_offset{${T}})` },
        { expr: `sum by (topic, partition) (kafka_topic_partition_current_offset{${T}})` },
      ],
      { description: "Leader, in-sync replicas, replicas, oldest offset, high watermark." },
    ),
  ],
};
