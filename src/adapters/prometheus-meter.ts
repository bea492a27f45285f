import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { RecentRate } from "../base/recent-rate.ts";
import {
  COUNTERS,
  type CounterName,
  GAUGES,
  type GaugeName,
  HISTOGRAMS,
  type HistogramName,
} from "../model/metrics.ts";
import type { Labels, Meter, SetGauge } from "../ports/meter.ts";
import { type Buckets, QUANTILES, RequestSummary } from "./request-summary.ts";
import { systemClock } from "./system-clock.ts";
import { systemTimers } from "./system-timers.ts";

type Collect = Parameters<Meter["onCollect"]>[0];

/** What is set of one gauge, by label values. */
type Rows = Map<string, { readonly labels: Labels; readonly value: number }>;

const SLICE_MS = 2;
/** Pages of a metric, or small metrics. */
const SLICE_STEPS_COUNT = 10;
const REQUESTS = "kafka_network_requestmetrics_requests_total";
const PAGE_SERIES_COUNT = 100;
/** HELP and TYPE. */
const HEAD_LINES_COUNT = 2;

/**
 * The catalogue of `model/metrics.ts`, and Node's own metrics (event-loop delay, heap, garbage
 * collection), in a registry of this meter's own.
 */
export class PrometheusMeter implements Meter {
  readonly #registry = new Registry();
  readonly #counters = new Map<CounterName, Children<Counter.Internal>>();
  readonly #histograms = new Map<
    HistogramName,
    { readonly whole: Histogram; readonly children: Children<Histogram.Internal<string>> }
  >();
  readonly #gauges = new Map<GaugeName, Gauge>();
  readonly #collects: Collect[] = [];
  readonly #requests: Counter;
  readonly #summaries = new Map<string, RequestSummary>();
  readonly #commits = { count: new RecentRate(), seconds: new RecentRate() };
  #scraping: Promise<string> | undefined;

  constructor() {
    const registers = [this.#registry];
    for (const [name, { help, labels }] of entries(COUNTERS)) {
      const counter = new Counter({ name, help, labelNames: labels, registers });
      const make = (values: string[]): Counter.Internal => counter.labels(...values);
      const drop = (values: string[]): void => counter.remove(...values);
      this.#counters.set(name, new Children(labels, make, drop));
    }
    this.#requests = this.#registry.getSingleMetric(REQUESTS) as Counter;
    for (const [name, { help, labels, buckets }] of entries(HISTOGRAMS)) {
      const histogram = new Histogram({
        name,
        help,
        labelNames: labels,
        buckets: [...buckets],
        registers,
      });
      const make = (values: string[]): Histogram.Internal<string> => histogram.labels(...values);
      const drop = (values: string[]): void => histogram.remove(...values);
      this.#histograms.set(name, {
        whole: histogram,
        children: new Children(labels, make, drop),
      });
    }
    for (const [name, { help, labels }] of entries(GAUGES)) {
      this.#gauges.set(name, new Gauge({ name, help, labelNames: labels, registers }));
    }
    collectDefaultMetrics({ register: this.#registry });
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  count(name: CounterName, labels: Labels, amount: number): void {
    this.#counters.get(name)?.of(labels).inc(amount);
  }

  forget(name: CounterName, labels: Labels): void {
    this.#counters.get(name)?.drop(labels);
  }

  observe(name: HistogramName, labels: Labels, value: number): void {
    this.#histograms.get(name)?.children.of(labels).observe(value);
  }

  onCollect(collect: Collect): void {
    this.#collects.push(collect);
  }

  /**
   * All metrics in Prometheus's text format. Who asks during a scrape gets what that one finds. It
   * gives way to the event loop: there may be tens of thousands of series.
   */
  scrape(): Promise<string> {
    this.#scraping ??= this.#scrape().finally(() => {
      this.#scraping = undefined;
    });
    return this.#scraping;
  }

  async #scrape(): Promise<string> {
    const rows = new Map<GaugeName, Rows>();
    const set: SetGauge = (name, labels, value) => {
      const own = rows.get(name) ?? new Map();
      rows.set(name, own);
      const values = GAUGES[name].labels.map((label) => labels[label]);
      own.set(values.join("\u0000"), { labels, value });
    };
    for (const collect of this.#collects) await collect(set);
    await this.#derive(set);
    const parts: string[] = [];
    const slice = new Slice();
    for (const { name } of this.#registry.getMetricsAsArray()) {
      const gauge = this.#gauges.get(name as GaugeName);
      if (gauge === undefined) parts.push(await this.#registry.getSingleMetricAsString(name));
      else parts.push(await this.#pages(gauge, rows.get(name as GaugeName), slice));
      await slice.pause();
    }
    return `${parts.join("\n\n")}\n`;
  }

  /** What Kafka names and a histogram here has counted already. */
  async #derive(set: SetGauge): Promise<void> {
    const nowMs = systemClock.monotonicMs();
    this.#requests.reset();
    for (const [request, buckets] of await this.#bucketsOf("ottla_request_duration_seconds")) {
      this.#requests.inc({ request }, buckets.at(-1)?.count ?? 0);
      const summary = this.#summaries.get(request) ?? new RequestSummary();
      this.#summaries.set(request, summary);
      const milliseconds = summary.read(nowMs, buckets);
      if (milliseconds === undefined) continue;
      for (const quantile of QUANTILES) {
        const labels = { request, quantile };
        set("kafka_network_requestmetrics_totaltimems", labels, milliseconds[quantile]);
      }
    }
    const commits = await this.#histograms.get("ottla_raft_commit_duration_seconds")?.whole.get();
    const ending = (end: string): number =>
      commits?.values.find(({ metricName }) => metricName?.endsWith(end))?.value ?? 0;
    const perSecond = this.#commits.count.read(nowMs, ending("_count"));
    const seconds = this.#commits.seconds.read(nowMs, ending("_sum"));
    const averageMs = perSecond === 0 ? 0 : (seconds * 1_000) / perSecond;
    set("kafka_server_raftmetrics_commit_latency_avg", {}, averageMs);
  }

  async #bucketsOf(name: "ottla_request_duration_seconds"): Promise<ReadonlyMap<string, Buckets>> {
    const found = new Map<string, { le: number; count: number }[]>();
    for (const { labels, metricName, value } of (await this.#histograms.get(name)?.whole.get())
      ?.values ?? []) {
      if (metricName?.endsWith("_bucket") !== true) continue;
      const request = String(labels["request"]);
      const buckets = found.get(request) ?? [];
      found.set(request, buckets);
      const { le } = labels;
      buckets.push({ le: le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le), count: value });
    }
    return found;
  }

  /** The library writes a metric in one go: of one with many series it is given some at a time. */
  async #pages(gauge: Gauge, rows: Rows | undefined, slice: Slice): Promise<string> {
    const all = [...(rows?.values() ?? [])];
    const { name } = await gauge.get();
    const isLabelled = GAUGES[name as GaugeName].labels.length > 0;
    const pages: string[] = [];
    for (let at = 0; at === 0 || at < all.length; at += PAGE_SERIES_COUNT) {
      gauge.reset();
      // Without labels a reset means 0; an absent series is what was meant.
      if (!isLabelled) gauge.remove();
      for (const { labels, value } of all.slice(at, at + PAGE_SERIES_COUNT)) {
        gauge.set({ ...labels }, value);
      }
      const text = await this.#registry.getSingleMetricAsString(name);
      pages.push(at === 0 ? text : text.split("\n").slice(HEAD_LINES_COUNT).join("\n"));
      await slice.pause();
    }
    gauge.reset();
    return pages.join("\n");
  }
}

/** Gives way to the event loop every few milliseconds, and every few steps. */
class Slice {
  #sinceMs = systemClock.monotonicMs();
  #stepsCount = 0;

  async pause(): Promise<void> {
    const elapsedMs = systemClock.monotonicMs() - this.#sinceMs;
    if (++this.#stepsCount < SLICE_STEPS_COUNT && elapsedMs < SLICE_MS) return;
    await systemTimers.yield();
    this.#stepsCount = 0;
    this.#sinceMs = systemClock.monotonicMs();
  }
}

function entries<Row extends object>(table: Row): [keyof Row & string, Row[keyof Row]][] {
  return Object.entries(table) as [keyof Row & string, Row[keyof Row]][];
}

/** Series by their label values; asking the library each time would sort and join them anew. */
class Children<Child> {
  readonly #labels: readonly string[];
  readonly #make: (values: string[]) => Child;
  readonly #remove: (values: string[]) => void;
  readonly #children = new Map<string, Child>();

  constructor(
    labels: readonly string[],
    make: (values: string[]) => Child,
    remove: (values: string[]) => void,
  ) {
    this.#labels = labels;
    this.#make = make;
    this.#remove = remove;
  }

  drop(labels: Labels): void {
    const values = this.#valuesOf(labels);
    if (this.#children.delete(keyOf(values))) this.#remove(values);
  }

  of(labels: Labels): Child {
    const values = this.#valuesOf(labels);
    const key = keyOf(values);
    let child = this.#children.get(key);
    if (child === undefined) {
      child = this.#make(values);
      this.#children.set(key, child);
    }
    return child;
  }

  #valuesOf(labels: Labels): string[] {
    return this.#labels.map((label) => String(labels[label]));
  }
}

function keyOf(values: readonly string[]): string {
  return values.length === 1 ? (values[0] as string) : values.join("\u0000");
}
