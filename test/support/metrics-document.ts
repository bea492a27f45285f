/** METRICS.md, made from the catalogue. */
import { LIMITS } from "../../src/model/limits.ts";
import { CATALOGUE, type KnownMetric, NODE_METRICS } from "./metric-catalogue.ts";

interface Section {
  readonly title: string;
  readonly intro: string;
  readonly holds: (name: string) => boolean;
}

const begins =
  (...prefixes: readonly string[]) =>
  (name: string): boolean =>
    prefixes.some((prefix) => name.startsWith(prefix));

/** In order: a metric stands in the first that holds it. */
const SECTIONS: readonly Section[] = [
  {
    title: "Cluster, topics and partitions",
    intro:
      "kafka_exporter's names. A partition is shown by its leader, a topic by the leader of its first partition that has one: no two brokers show the same, and sums over brokers are right. `kafka_brokers` is each broker's own view: take the maximum, not the sum.",
    holds: begins("kafka_brokers", "kafka_broker_info", "kafka_topic_", "kafka_cluster_partition_"),
  },
  {
    title: "Consumer groups",
    intro:
      "Shown by the broker that coordinates the group, and by no other. Names are kafka_exporter's and, for time, kafka-lag-exporter's.",
    holds: begins(
      "kafka_consumergroup_",
      "ottla_consumergroup_",
      "kafka_server_group_coordinator_",
    ),
  },
  {
    title: "Traffic",
    intro:
      'By topic, and with an empty `topic` the broker\'s sum: to Prometheus that is no label, as in Kafka. Filter `topic!=""` or `topic=""`; a sum over both counts twice. Series of a deleted topic go with the next scrape.',
    holds: begins("kafka_server_brokertopicmetrics_"),
  },
  {
    title: "Replicas of a broker, and replication",
    intro: "jmx_exporter's names, and lag by follower, shown by the leader.",
    holds: begins(
      "kafka_server_replica",
      "kafka_server_delayedoperationpurgatory_",
      "ottla_replica_",
      "ottla_partition_",
      "ottla_produce_",
    ),
  },
  {
    title: "Controller and metadata quorum",
    intro:
      "What speaks of the whole cluster (`offlinepartitionscount`, `globaltopiccount`, ...) is shown by the active controller alone; the others show that they are not active.",
    holds: begins(
      "kafka_controller_",
      "ottla_controller_",
      "kafka_server_raft",
      "kafka_server_broker_metadata_",
      "ottla_raft_",
    ),
  },
  {
    title: "Requests and connections",
    intro:
      "One event loop reads, works and answers: there are no queues between threads whose times could be told apart, and its idle part stands for Kafka's two.",
    holds: begins(
      "kafka_network_",
      "ottla_request_",
      "ottla_connections_",
      "kafka_server_socket",
      "kafka_server_kafkarequest",
    ),
  },
  {
    title: "Storage",
    intro: "Logs, the disk below them, and the log cleaner.",
    holds: begins("kafka_log_", "ottla_log_", "ottla_storage_", "kafka_server_kafkaserver_linux_"),
  },
  {
    title: "The broker itself",
    intro: "State and build.",
    holds: begins("kafka_server_kafkaserver_", "ottla_build_"),
  },
];

const PREAMBLE = `# Metrics

Every broker serves these at \`/metrics\` of its HTTP listener, in Prometheus's text format. Names are
those of Kafka's exporters (kafka_exporter, jmx_exporter) where they have one; what Kafka has no name
for begins with \`ottla_\`. Durations of histograms are in seconds. This text is made from the
catalogue, [src/model/metrics.ts](src/model/metrics.ts); a test holds it, the dashboards and the
alerts against that, and against what brokers export.

[deploy/prometheus](deploy/prometheus) has a scrape configuration, rules and their tests,
[deploy/grafana](deploy/grafana) five dashboards, [deploy/RUNBOOK.md](deploy/RUNBOOK.md) what to do
when an alert fires. Dashboards for kafka_exporter work as they are: the scrape configuration gives
what is shown once for the whole cluster one \`instance\`, the cluster's name.

## How many series

| What | Series | Bound |
|---|---|---|
| each replica | 4 | \`partitionSeriesCount\` |
| each partition, on its leader | 10, and 2 for each follower | \`partitionSeriesCount\` |
| each topic with traffic | 8 | topics of the cluster; a deleted one's go |
| each group, on its coordinator | 5, 2 for each topic, 3 for each partition with an offset | \`groupSeriesCount\` |
| each kind of request | 25 | the kinds that the doors have |
| each listener | 3 | \`listeners\` |
| everything else | about 250 | fixed |

\`partitionSeriesCount\` is ${LIMITS.partitionSeriesCount.toLocaleString("en")} and \`groupSeriesCount\` ${LIMITS.groupSeriesCount.toLocaleString("en")}, for each broker: what is beyond is not
shown, but counted in \`ottla_partition_series_dropped\` and \`ottla_consumergroup_series_dropped\`. No
label holds what a client sends, other than names of topics and groups that exist.

## What it costs

A scrape is done in slices: after every 2 ms, or 250 replicas, the event loop is given back. A broker
that leads 1,000 partitions with two followers each has 19,400 lines to show: 60 to 200 ms of processor
in 60 slices, of which the longest took 6 ms, or 24 ms while the code was still cold.

Nothing is done for a record. A batch costs a few additions to plain numbers, a Produce one look into a
histogram (0.4 us), a write of a log two (0.2 us each), a message of the metadata quorum two counters
(0.04 us each).
`;

const ABSENT = `## What Kafka has and Ottla has not

| Kafka's | Why |
|---|---|
| \`kafka_network_requestmetrics_{requestqueue,local,remote,responsequeue,responsesend}timems\` | no queues between threads; \`ottla_log_flush_duration_seconds\` and \`ottla_replica_lag_seconds\` say where a Produce waits |
| \`kafka_network_requestchannel_requestqueuesize\`, \`responsequeuesize\` | the same; \`nodejs_eventloop_lag_seconds\` is what they warn of |
| \`version\` of \`kafka_network_requestmetrics_requests_total\` | the gRPC API has one version |
| \`kafka_controller_kafkacontroller_metadataerrorcount\` | a broker that cannot apply metadata ends |
| \`kafka_server_quota_*\`, \`kafka_server_transaction_coordinator_metrics_*\` | no quotas, no transactions yet |
| \`jvm_*\` | \`process_*\` and \`nodejs_*\` |
`;

export function renderMetricsDocument(): string {
  const parts = [PREAMBLE];
  const left = new Set(CATALOGUE);
  for (const { holds, intro, title } of SECTIONS) {
    const rows = [...left].filter(({ name }) => holds(name));
    for (const row of rows) left.delete(row);
    parts.push(`## ${title}\n\n${intro}\n\n${table(rows)}`);
  }
  if (left.size > 0) {
    throw new Error(`no section of METRICS.md holds ${[...left].map(({ name }) => name).join()}`);
  }
  parts.push(
    `## Node and the process\n\nThe metrics library's own names. The event loop's delays are those since the last scrape, whoever\nmade it: with two Prometheus servers each sees a part.\n\n${table(NODE_METRICS)}`,
  );
  parts.push(ABSENT);
  return parts.join("\n");
}

function table(rows: readonly KnownMetric[]): string {
  const lines = rows.map(({ help, labels, name, type }) => {
    const shown = labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${shown} | ${help.replaceAll("|", "\\|")} |`;
  });
  return `| Metric | Type | Labels | What it is |\n|---|---|---|---|\n${lines.join("\n")}\n`;
}
