import {
  BROKER,
  CLUSTER,
  type Dashboard,
  lines,
  NONE_IS_BETTER,
  NONE_IS_GOOD,
  ONE_IS_GOOD,
  row,
  stat,
} from "./panels.ts";

const C = 'cluster="$cluster"';
const B = `${C}, instance=~"$instance"`;
const SUM = `${B}, topic=""`;
const RATE = "[$__rate_interval]";

export const CLUSTER_DASHBOARD: Dashboard = {
  uid: "ottla-cluster",
  file: "cluster.json",
  title: "Ottla / Cluster",
  description: "Is data safe, and what does the cluster do.",
  variables: [CLUSTER, BROKER],
  panels: [
    row("Is data safe"),
    stat("Brokers online", `sum(up{job="ottla", ${C}})`, {
      thresholds: [
        { from: null, color: "red" },
        { from: 1, color: "green" },
      ],
    }),
    stat(
      "Active controllers",
      `sum(kafka_controller_kafkacontroller_activecontrollercount{${C}})`,
      ONE_IS_GOOD,
    ),
    stat(
      "Unclean elections",
      `sum(increase(kafka_controller_controllerstats_uncleanleaderelections_total{${C}}[$__range]))`,
      { ...NONE_IS_GOOD, description: "In the time shown. Each may have lost records." },
    ),
    stat(
      "Online replicas",
      `sum(kafka_server_replicamanager_partitioncount{${C}}) - sum(kafka_server_replicamanager_offlinereplicacount{${C}})`,
      { thresholds: [{ from: null, color: "blue" }] },
    ),
    stat(
      "Under-replicated",
      `sum(kafka_server_replicamanager_underreplicatedpartitions{${C}})`,
      NONE_IS_BETTER,
    ),
    stat("At min ISR", `sum(kafka_server_replicamanager_atminisrpartitioncount{${C}})`, {
      ...NONE_IS_BETTER,
      description: "One failure more, and acks=all is refused there.",
    }),
    stat("Under min ISR", `sum(kafka_server_replicamanager_underminisrpartitioncount{${C}})`, {
      ...NONE_IS_GOOD,
      description: "acks=all is refused there.",
    }),
    stat(
      "Offline partitions",
      `max(kafka_controller_kafkacontroller_offlinepartitionscount{${C}})`,
      NONE_IS_GOOD,
    ),
    row("Throughput"),
    lines(
      "Messages in",
      [
        {
          expr: `sum by (instance) (rate(kafka_server_brokertopicmetrics_messagesin_total{${SUM}}${RATE}))`,
          legend: "{{instance}}",
        },
      ],
      { unit: "cps", stacked: true },
    ),
    lines(
      "Bytes in",
      [
        {
          expr: `sum by (instance) (rate(kafka_server_brokertopicmetrics_bytesin_total{${SUM}}${RATE}))`,
          legend: "{{instance}}",
        },
      ],
      { unit: "Bps", stacked: true },
    ),
    lines(
      "Bytes out",
      [
        {
          expr: `sum by (instance) (rate(kafka_server_brokertopicmetrics_bytesout_total{${SUM}}${RATE}))`,
          legend: "{{instance}}",
        },
      ],
      { unit: "Bps", stacked: true },
    ),
    lines(
      "Replication",
      [
        {
          expr: `sum by (instance) (rate(kafka_server_brokertopicmetrics_replicationbytesin_total{${B}}${RATE}))`,
          legend: "{{instance}} in",
        },
        {
          expr: `sum by (instance) (rate(kafka_server_brokertopicmetrics_replicationbytesout_total{${B}}${RATE}))`,
          legend: "{{instance}} out",
        },
      ],
      { unit: "Bps" },
    ),
    lines(
      "Replication lag",
      [
        {
          expr: `max by (follower) (ottla_replica_lag_seconds{${B}})`,
          legend: "follower {{follower}}",
        },
      ],
      { unit: "s", description: "Largest of each follower's partitions." },
    ),
    lines(
      "ISR changes",
      [
        {
          expr: `sum(rate(kafka_server_replicamanager_isrshrinks_total{${B}}${RATE}))`,
          legend: "shrinks",
        },
        {
          expr: `sum(rate(kafka_server_replicamanager_isrexpands_total{${B}}${RATE}))`,
          legend: "expands",
        },
        {
          expr: `sum(rate(kafka_server_replicamanager_failedisrupdates_total{${B}}${RATE}))`,
          legend: "refused",
        },
      ],
      { unit: "cps" },
    ),
    row("Requests and errors"),
    lines(
      "Requests",
      [
        {
          expr: `sum by (request) (rate(kafka_network_requestmetrics_requests_total{${B}}${RATE}))`,
          legend: "{{request}}",
        },
      ],
      { unit: "reqps" },
    ),
    lines(
      "Errors",
      [
        {
          expr: `sum by (request, error) (rate(kafka_network_requestmetrics_errors_total{${B}}${RATE}))`,
          legend: "{{request}} {{error}}",
        },
      ],
      { unit: "reqps" },
    ),
    lines(
      "Failed produce and fetch",
      [
        {
          expr: `sum(rate(kafka_server_brokertopicmetrics_failedproducerequests_total{${SUM}}${RATE}))`,
          legend: "produce",
        },
        {
          expr: `sum(rate(kafka_server_brokertopicmetrics_failedfetchrequests_total{${SUM}}${RATE}))`,
          legend: "fetch",
        },
      ],
      { unit: "reqps" },
    ),
    row("Latency"),
    lines(
      "Produce",
      [
        {
          expr: `histogram_quantile(0.5, sum by (le) (rate(ottla_request_duration_seconds_bucket{${B}, request="Produce"}${RATE})))`,
          legend: "p50",
        },
        {
          expr: `histogram_quantile(0.99, sum by (le) (rate(ottla_request_duration_seconds_bucket{${B}, request="Produce"}${RATE})))`,
          legend: "p99",
        },
      ],
      { unit: "s", description: "From arrival to the acknowledgement by the in-sync replicas." },
    ),
    lines(
      "Requests, 99th percentile",
      [
        {
          expr: `max by (request) (kafka_network_requestmetrics_totaltimems{${B}, quantile="0.99"})`,
          legend: "{{request}}",
        },
      ],
      { unit: "ms" },
    ),
    lines(
      "fsync, 99th percentile",
      [
        {
          expr: `histogram_quantile(0.99, sum by (instance, le) (rate(ottla_log_flush_duration_seconds_bucket{${B}}${RATE})))`,
          legend: "{{instance}}",
        },
      ],
      { unit: "s" },
    ),
    row("Event loop and connections"),
    lines(
      "Idle",
      [
        {
          expr: `kafka_network_socketserver_networkprocessoravgidle_percent{${B}}`,
          legend: "{{instance}}",
        },
      ],
      {
        unit: "percentunit",
        description: "Part of the time in which the event loop has nothing to do.",
      },
    ),
    lines(
      "Event loop delay, longest",
      [{ expr: `nodejs_eventloop_lag_max_seconds{${B}}`, legend: "{{instance}}" }],
      { unit: "s" },
    ),
    lines("Connections", [
      {
        expr: `sum by (instance, listener) (kafka_server_socket_server_metrics_connection_count{${B}})`,
        legend: "{{instance}} {{listener}}",
      },
    ]),
    row("Logs and groups"),
    lines(
      "Log size",
      [{ expr: `sum by (instance) (kafka_log_log_size{${B}})`, legend: "{{instance}}" }],
      { unit: "bytes", stacked: true },
    ),
    lines(
      "Disk free",
      [
        {
          expr: `ottla_storage_free_bytes{${B}} / ottla_storage_total_bytes{${B}}`,
          legend: "{{instance}} {{directory}}",
        },
      ],
      { unit: "percentunit" },
    ),
    lines("Lag of groups, the ten largest", [
      {
        expr: `topk(10, sum by (consumergroup) (kafka_consumergroup_lag{${C}}))`,
        legend: "{{consumergroup}}",
      },
    ]),
    row("Processor and memory"),
    lines(
      "Processor",
      [{ expr: `rate(process_cpu_seconds_total{${B}}${RATE})`, legend: "{{instance}}" }],
      { unit: "percentunit" },
    ),
    lines(
      "Resident memory",
      [{ expr: `process_resident_memory_bytes{${B}}`, legend: "{{instance}}" }],
      { unit: "bytes" },
    ),
    lines(
      "Garbage collection",
      [
        {
          expr: `sum by (instance) (rate(nodejs_gc_duration_seconds_sum{${B}}${RATE}))`,
          legend: "{{instance}}",
        },
      ],
      { unit: "percentunit" },
    ),
  ],
};
