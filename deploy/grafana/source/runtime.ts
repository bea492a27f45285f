import { BROKER, CLUSTER, type Dashboard, lines, row, stat, table } from "./panels.ts";

const C = 'cluster="$cluster"';
const B = `${C}, instance=~"$instance"`;
const RATE = "[$__rate_interval]";
const legend = "{{instance}}";

const quantile = (which: number, name: string): string =>
  `histogram_quantile(${which}, sum by (instance, le) (rate(${name}_bucket{${B}}${RATE})))`;

export const RUNTIME_DASHBOARD: Dashboard = {
  uid: "ottla-runtime",
  file: "runtime.json",
  title: "Ottla / Broker runtime",
  description: "Process, event loop, memory and disk of each broker.",
  variables: [CLUSTER, BROKER],
  panels: [
    row("Brokers"),
    table(
      "Build",
      [
        { expr: `max by (instance, version, node) (ottla_build_info{${B}})` },
        { expr: `max by (instance, id, address) (kafka_broker_info{${B}})` },
      ],
      { width: 12, height: 6 },
    ),
    lines("State", [{ expr: `kafka_server_kafkaserver_brokerstate{${B}}`, legend }], {
      width: 6,
      height: 6,
      description: "1 starting or fenced, 3 running, 6 stopping.",
    }),
    stat("Youngest process", `min(time() - process_start_time_seconds{${B}})`, {
      width: 6,
      height: 6,
      unit: "s",
    }),
    row("Event loop"),
    lines(
      "Idle",
      [
        {
          expr: `kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent{${B}}`,
          legend,
        },
      ],
      { unit: "percentunit" },
    ),
    lines(
      "Delay",
      [
        { expr: `nodejs_eventloop_lag_p50_seconds{${B}}`, legend: "{{instance}} p50" },
        { expr: `nodejs_eventloop_lag_p99_seconds{${B}}`, legend: "{{instance}} p99" },
        { expr: `nodejs_eventloop_lag_max_seconds{${B}}`, legend: "{{instance}} longest" },
      ],
      { unit: "s" },
    ),
    lines(
      "Processor",
      [
        { expr: `rate(process_cpu_user_seconds_total{${B}}${RATE})`, legend: "{{instance}} user" },
        {
          expr: `rate(process_cpu_system_seconds_total{${B}}${RATE})`,
          legend: "{{instance}} kernel",
        },
      ],
      { unit: "percentunit" },
    ),
    row("Memory"),
    lines("Resident", [{ expr: `process_resident_memory_bytes{${B}}`, legend }], { unit: "bytes" }),
    lines(
      "Heap and buffers",
      [
        { expr: `nodejs_heap_size_used_bytes{${B}}`, legend: "{{instance}} heap" },
        { expr: `nodejs_external_memory_bytes{${B}}`, legend: "{{instance}} external" },
      ],
      { unit: "bytes" },
    ),
    lines(
      "Garbage collection",
      [
        {
          expr: `sum by (instance, kind) (rate(nodejs_gc_duration_seconds_sum{${B}}${RATE}))`,
          legend: "{{instance}} {{kind}}",
        },
      ],
      { unit: "percentunit" },
    ),
    row("Network"),
    lines("Connections", [
      {
        expr: `kafka_server_socket_server_metrics_connection_count{${B}}`,
        legend: "{{instance}} {{listener}}",
      },
    ]),
    lines(
      "Connections taken",
      [
        {
          expr: `rate(kafka_server_socket_server_metrics_connection_creation_total{${B}}${RATE})`,
          legend: "{{instance}} {{listener}}",
        },
      ],
      { unit: "cps" },
    ),
    lines("Requests that wait", [
      {
        expr: `kafka_server_delayedoperationpurgatory_purgatorysize{${B}}`,
        legend: "{{instance}} {{delayedOperation}}",
      },
    ]),
    lines(
      "Bytes that wait for acknowledgement",
      [{ expr: `ottla_produce_in_flight_bytes{${B}}`, legend }],
      { unit: "bytes" },
    ),
    lines("Bytes that wait for the disk", [{ expr: `ottla_storage_queued_bytes{${B}}`, legend }], {
      unit: "bytes",
    }),
    lines("Followers' lag behind what is committed", [
      { expr: `kafka_server_replicafetchermanager_maxlag{${B}}`, legend },
    ]),
    row("Disk"),
    lines(
      "Flush time",
      [
        { expr: quantile(0.5, "ottla_log_flush_duration_seconds"), legend: "{{instance}} p50" },
        { expr: quantile(0.99, "ottla_log_flush_duration_seconds"), legend: "{{instance}} p99" },
      ],
      { unit: "s" },
    ),
    lines(
      "Write time, 99th percentile",
      [{ expr: quantile(0.99, "ottla_log_write_duration_seconds"), legend }],
      { unit: "s" },
    ),
    lines(
      "Write stalls",
      [{ expr: `rate(ottla_storage_write_stall_seconds_total{${B}}${RATE})`, legend }],
      { unit: "percentunit", description: "Time that writes took beyond 100 ms each." },
    ),
    lines(
      "Oldest operation under way",
      [{ expr: `ottla_storage_oldest_operation_seconds{${B}}`, legend }],
      { unit: "s" },
    ),
    lines(
      "Read and written",
      [
        {
          expr: `rate(kafka_server_kafkaserver_linux_disk_read_bytes{${B}}${RATE})`,
          legend: "{{instance}} read",
        },
        {
          expr: `rate(kafka_server_kafkaserver_linux_disk_write_bytes{${B}}${RATE})`,
          legend: "{{instance}} written",
        },
      ],
      { unit: "Bps" },
    ),
    lines(
      "Free",
      [{ expr: `ottla_storage_free_bytes{${B}}`, legend: "{{instance}} {{directory}}" }],
      { unit: "bytes" },
    ),
    lines("Open databases and files", [
      { expr: `ottla_storage_open_databases{${B}}`, legend: "{{instance}} databases" },
      { expr: `process_open_fds{${B}}`, legend: "{{instance}} descriptors" },
    ]),
    lines("Storage errors", [
      { expr: `increase(ottla_storage_errors_total{${B}}${RATE})`, legend },
    ]),
    lines("Offline replicas and directories", [
      {
        expr: `kafka_server_replicamanager_offlinereplicacount{${B}}`,
        legend: "{{instance}} replicas",
      },
      {
        expr: `kafka_log_logmanager_offlinelogdirectorycount{${B}}`,
        legend: "{{instance}} directories",
      },
    ]),
    row("Log cleaner"),
    lines(
      "Dirtiest log",
      [{ expr: `kafka_log_logcleanermanager_max_dirty_percent{${B}}`, legend }],
      { unit: "percent" },
    ),
    lines(
      "Time of the last cleaning",
      [{ expr: `kafka_log_logcleaner_max_clean_time_secs{${B}}`, legend }],
      { unit: "s" },
    ),
    lines(
      "Since the cleaner last looked for work",
      [{ expr: `kafka_log_logcleanermanager_time_since_last_run_ms{${B}}`, legend }],
      { unit: "ms" },
    ),
  ],
};
