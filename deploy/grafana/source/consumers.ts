import { CLUSTER, type Dashboard, GROUP, lines, row, stat, TOPIC, table } from "./panels.ts";

const C = 'cluster="$cluster"';
const G = `${C}, consumergroup=~"$consumergroup"`;
const GT = `${G}, topic=~"$topic"`;
/** The names from kafka-lag-exporter have another label for the same. */
const LATE = `${C}, group=~"$consumergroup"`;
const RATE = "[$__rate_interval]";

export const CONSUMERS_DASHBOARD: Dashboard = {
  uid: "ottla-consumers",
  file: "consumers.json",
  title: "Ottla / Consumers and lag",
  description: "Who consumes, how far behind, and whether it moves.",
  variables: [CLUSTER, GROUP, TOPIC],
  panels: [
    row("At a glance"),
    stat("Groups", `count(kafka_consumergroup_members{${G}})`, { width: 4 }),
    stat("Members", `sum(kafka_consumergroup_members{${G}})`, { width: 4 }),
    stat("Lag, in sum", `sum(kafka_consumergroup_lag{${GT}})`, { width: 4 }),
    stat("Longest lag", `max(kafka_consumergroup_group_max_lag_seconds{${LATE}})`, {
      width: 4,
      unit: "s",
      thresholds: [
        { from: null, color: "green" },
        { from: 60, color: "orange" },
        { from: 300, color: "red" },
      ],
    }),
    stat(
      "Groups that rebalance",
      `count(ottla_consumergroup_state{${G}, state=~"PreparingRebalance|CompletingRebalance"}) or vector(0)`,
      { width: 4 },
    ),
    stat("Groups without members", `count(kafka_consumergroup_members{${G}} == 0) or vector(0)`, {
      width: 4,
    }),
    row("Lag"),
    lines(
      "Lag in records",
      [
        {
          expr: `sum by (consumergroup, topic) (kafka_consumergroup_lag{${GT}})`,
          legend: "{{consumergroup}} {{topic}}",
        },
      ],
      { width: 12 },
    ),
    lines(
      "Lag in seconds",
      [
        {
          expr: `max by (group, topic) (kafka_consumergroup_group_lag_seconds{${LATE}, topic=~"$topic"})`,
          legend: "{{group}} {{topic}}",
        },
      ],
      { width: 12, unit: "s", description: "Age of the oldest record that is not committed." },
    ),
    lines("Largest lag of a partition", [
      { expr: `kafka_consumergroup_group_max_lag{${LATE}}`, legend: "{{group}}" },
    ]),
    lines("Lag by topic, from the sums", [
      {
        expr: `kafka_consumergroup_lag_sum{${GT}}`,
        legend: "{{consumergroup}} {{topic}}",
      },
    ]),
    lines(
      "Produced and committed",
      [
        {
          expr: `sum by (topic) (rate(kafka_topic_partition_current_offset{${C}, topic=~"$topic"}${RATE}))`,
          legend: "{{topic}} produced",
        },
        {
          expr: `sum by (consumergroup, topic) (rate(kafka_consumergroup_current_offset_sum{${GT}}${RATE}))`,
          legend: "{{topic}} committed by {{consumergroup}}",
        },
      ],
      { unit: "cps" },
    ),
    row("Each group"),
    lines("Members of each group", [
      { expr: `kafka_consumergroup_members{${G}}`, legend: "{{consumergroup}}" },
    ]),
    lines(
      "Generation",
      [{ expr: `ottla_consumergroup_generation{${G}}`, legend: "{{consumergroup}}" }],
      { description: "Rises with each rebalance." },
    ),
    lines(
      "Groups by state",
      [
        {
          expr: `sum by (state) (kafka_server_group_coordinator_metrics_consumer_group_count{${C}})`,
          legend: "{{state}}",
        },
      ],
      { stacked: true },
    ),
    lines(
      "Groups by coordinator",
      [
        {
          expr: `sum by (instance, protocol) (kafka_server_group_coordinator_metrics_group_count{${C}})`,
          legend: "{{instance}} {{protocol}}",
        },
      ],
      { stacked: true },
    ),
    lines(
      "Commits",
      [
        {
          expr: `sum by (instance) (rate(kafka_server_group_coordinator_metrics_offset_commit_count{${C}}${RATE}))`,
          legend: "{{instance}}",
        },
      ],
      { unit: "cps" },
    ),
    lines(
      "Rebalances",
      [
        {
          expr: `sum by (instance) (rate(kafka_server_group_coordinator_metrics_group_completed_rebalance_count{${C}}${RATE}))`,
          legend: "{{instance}}",
        },
      ],
      { unit: "cps" },
    ),
    table(
      "Each partition",
      [
        {
          expr: `sum by (consumergroup, topic, partition) (kafka_consumergroup_current_offset{${GT}})`,
        },
        { expr: `sum by (consumergroup, topic, partition) (kafka_consumergroup_lag{${GT}})` },
      ],
      { description: "Committed offset and lag." },
    ),
  ],
};
