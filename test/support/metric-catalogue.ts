/** Every metric that a broker exports: the catalogue's, and what the metrics library adds of Node. */
import { COUNTERS, GAUGES, HISTOGRAMS } from "../../src/model/metrics.ts";

export type MetricType = "counter" | "gauge" | "histogram";

export interface KnownMetric {
  readonly name: string;
  readonly type: MetricType;
  readonly labels: readonly string[];
  readonly help: string;
}

/** The library's, whose names and labels are its own; a test holds this table against it. */
export const NODE_METRICS: readonly KnownMetric[] = [
  node("process_cpu_user_seconds_total", "counter", "Processor time in programs."),
  node("process_cpu_system_seconds_total", "counter", "Processor time in the kernel."),
  node("process_cpu_seconds_total", "counter", "Processor time in sum."),
  node("process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970."),
  node("process_resident_memory_bytes", "gauge", "Resident memory."),
  node("process_virtual_memory_bytes", "gauge", "Virtual memory."),
  node("process_heap_bytes", "gauge", "Data segment."),
  node("process_open_fds", "gauge", "Open file descriptors."),
  node("process_max_fds", "gauge", "File descriptors that the process may open."),
  node("nodejs_eventloop_lag_seconds", "gauge", "How long one turn took when it was scraped."),
  node("nodejs_eventloop_lag_min_seconds", "gauge", "Shortest delay since the last scrape."),
  node("nodejs_eventloop_lag_max_seconds", "gauge", "Longest delay since the last scrape."),
  node("nodejs_eventloop_lag_mean_seconds", "gauge", "Mean delay since the last scrape."),
  node("nodejs_eventloop_lag_stddev_seconds", "gauge", "Its standard deviation."),
  node("nodejs_eventloop_lag_p50_seconds", "gauge", "Median delay since the last scrape."),
  node("nodejs_eventloop_lag_p90_seconds", "gauge", "90th percentile of the delay."),
  node("nodejs_eventloop_lag_p99_seconds", "gauge", "99th percentile of the delay."),
  node("nodejs_active_resources", "gauge", "What keeps the event loop alive.", ["type"]),
  node("nodejs_active_resources_total", "gauge", "The same in sum."),
  node("nodejs_active_handles", "gauge", "Open handles of libuv.", ["type"]),
  node("nodejs_active_handles_total", "gauge", "The same in sum."),
  node("nodejs_active_requests", "gauge", "Requests to libuv under way.", ["type"]),
  node("nodejs_active_requests_total", "gauge", "The same in sum."),
  node("nodejs_heap_size_total_bytes", "gauge", "Heap that V8 has taken."),
  node("nodejs_heap_size_used_bytes", "gauge", "Heap in use."),
  node("nodejs_external_memory_bytes", "gauge", "Memory outside the heap: buffers."),
  node("nodejs_heap_space_size_total_bytes", "gauge", "Heap taken, by space.", ["space"]),
  node("nodejs_heap_space_size_used_bytes", "gauge", "Heap in use, by space.", ["space"]),
  node("nodejs_heap_space_size_available_bytes", "gauge", "Heap that is free, by space.", [
    "space",
  ]),
  node("nodejs_version_info", "gauge", "1: the version of Node.", [
    "version",
    "major",
    "minor",
    "patch",
  ]),
  node("nodejs_gc_duration_seconds", "histogram", "Pauses of the garbage collector.", ["kind"]),
];

export const CATALOGUE: readonly KnownMetric[] = [
  ...rows("counter", COUNTERS),
  ...rows("gauge", GAUGES),
  ...rows("histogram", HISTOGRAMS),
];

/** What a scrape adds to every series: Prometheus itself, and `deploy/prometheus/prometheus.yml`. */
export const TARGET_LABELS: readonly string[] = ["instance", "job", "cluster"];

/** Labels by the name of each series, as it is stored: a histogram is three. */
export function seriesLabels(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>([["up", []]]);
  for (const { labels, name, type } of [...CATALOGUE, ...NODE_METRICS]) {
    if (type !== "histogram") found.set(name, labels);
    else {
      found.set(`${name}_bucket`, [...labels, "le"]);
      found.set(`${name}_sum`, labels);
      found.set(`${name}_count`, labels);
    }
  }
  return found;
}

/** Samples of a scrape, by the name that Prometheus stores; each with its labels' names. */
export function samplesOf(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line);
    if (match === null) continue;
    const labels = [...(match[2] ?? "").matchAll(/([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"/g)];
    found.set(
      match[1] as string,
      labels.map(([, label]) => label as string),
    );
  }
  return found;
}

function rows(
  type: MetricType,
  table: Readonly<Record<string, { readonly help: string; readonly labels: readonly string[] }>>,
): readonly KnownMetric[] {
  return Object.entries(table).map(([name, { help, labels }]) => ({ name, type, labels, help }));
}

function node(
  name: string,
  type: MetricType,
  help: string,
  labels: readonly string[] = [],
): KnownMetric {
  return { name, type, labels, help };
}
