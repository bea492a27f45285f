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
  table,
} from "./panels.ts";

const C = 'cluster="$cluster"';
const B = `${C}, instance=~"$instance"`;
const RATE = "[$__rate_interval]";
const CONTROLLER = "kafka_controller_kafkacontroller_";
const RAFT = "kafka_server_raftmetrics_";
const legend = "{{instance}}";

export const CONTROLLER_DASHBOARD: Dashboard = {
  uid: "ottla-controller",
  file: "controller.json",
  title: "Ottla / Controller and Raft",
  description: "Who decides, whether a majority follows, and what was decided.",
  variables: [CLUSTER, BROKER],
  panels: [
    row("Controller"),
    stat("Active controllers", `sum(${CONTROLLER}activecontrollercount{${C}})`, ONE_IS_GOOD),
    stat("Leader of the quorum", `max(${RAFT}current_leader{${C}})`),
    stat("Epoch", `max(${RAFT}current_epoch{${C}})`),
    stat("Brokers", `max(${CONTROLLER}activebrokercount{${C}})`),
    stat("Fenced brokers", `max(${CONTROLLER}fencedbrokercount{${C}})`, NONE_IS_BETTER),
    stat("Topics", `max(${CONTROLLER}globaltopiccount{${C}})`),
    stat("Partitions", `max(${CONTROLLER}globalpartitioncount{${C}})`),
    stat("Offline partitions", `max(${CONTROLLER}offlinepartitionscount{${C}})`, NONE_IS_GOOD),
    lines(
      "Leaders elected",
      [
        {
          expr: `sum by (kind) (increase(ottla_controller_leader_elections_total{${C}}${RATE}))`,
          legend: "{{kind}}",
        },
      ],
      {
        description:
          "clean: from the ISR; elr: from the eligible replicas; unclean: may lose records.",
      },
    ),
    lines("Not led by the preferred replica", [
      { expr: `max(${CONTROLLER}preferredreplicaimbalancecount{${C}})`, legend: "partitions" },
    ]),
    lines("Requests that wait in the controller", [
      { expr: `max(ottla_controller_pending_requests{${C}})`, legend: "requests" },
    ]),
    row("Raft"),
    table(
      "State of each node",
      [{ expr: `max by (instance, current_state) (${RAFT}current_state{${B}})` }],
      { width: 8, height: 8 },
    ),
    lines("Current leader, as each node knows", [{ expr: `${RAFT}current_leader{${B}}`, legend }]),
    lines("Vote in the current epoch", [{ expr: `${RAFT}current_vote{${B}}`, legend }]),
    lines("Epoch, as each node knows", [{ expr: `${RAFT}current_epoch{${B}}`, legend }]),
    lines("High watermark", [{ expr: `${RAFT}high_watermark{${B}}`, legend }]),
    lines("Log end offset", [{ expr: `${RAFT}log_end_offset{${B}}`, legend }]),
    lines("Entries that nodes lack", [
      { expr: `max by (follower) (ottla_raft_follower_lag_entries{${C}})`, legend: "{{follower}}" },
    ]),
    lines("Metadata not yet applied", [
      {
        expr: `scalar(max(${CONTROLLER}lastcommittedrecordoffset{${C}})) - max by (instance) (kafka_server_broker_metadata_metrics_last_applied_record_offset{${C}})`,
        legend,
      },
      {
        expr: `max by (instance) (${CONTROLLER}lastcommittedrecordoffset{${B}}) - max by (instance) (${CONTROLLER}lastappliedrecordoffset{${B}})`,
        legend: "{{instance}} controller",
      },
    ]),
    lines("Leader changes", [
      {
        expr: `sum by (instance) (increase(ottla_raft_leader_changes_total{${B}}${RATE}))`,
        legend,
      },
    ]),
    row("Speed"),
    lines(
      "Commit latency",
      [
        { expr: `max(${RAFT}commit_latency_avg{${C}})`, legend: "mean" },
        {
          expr: `1000 * histogram_quantile(0.99, sum by (le) (rate(ottla_raft_commit_duration_seconds_bucket{${C}}${RATE})))`,
          legend: "p99",
        },
      ],
      { unit: "ms" },
    ),
    lines(
      "Write of the metadata log, 99th percentile",
      [
        {
          expr: `histogram_quantile(0.99, sum by (instance, le) (rate(ottla_raft_write_duration_seconds_bucket{${B}}${RATE})))`,
          legend,
        },
      ],
      { unit: "s" },
    ),
    lines(
      "Entries",
      [
        { expr: `${RAFT}append_records_rate{${B}}`, legend: "{{instance}} appended" },
        { expr: `${RAFT}fetch_records_rate{${B}}`, legend: "{{instance}} fetched" },
      ],
      { unit: "cps" },
    ),
    lines(
      "Requests between nodes",
      [
        {
          expr: `sum by (instance) (rate(kafka_server_raftchannelmetrics_request_total{${B}}${RATE}))`,
          legend: "{{instance}} sent",
        },
        {
          expr: `sum by (instance) (rate(kafka_server_raftchannelmetrics_response_total{${B}}${RATE}))`,
          legend: "{{instance}} answers",
        },
      ],
      { unit: "reqps" },
    ),
    lines(
      "Bytes between nodes",
      [
        {
          expr: `sum by (instance) (rate(kafka_server_raftchannelmetrics_incoming_byte_total{${B}}${RATE}))`,
          legend: "{{instance}} in",
        },
        {
          expr: `sum by (instance) (rate(kafka_server_raftchannelmetrics_outgoing_byte_total{${B}}${RATE}))`,
          legend: "{{instance}} out",
        },
      ],
      { unit: "Bps" },
    ),
  ],
};
