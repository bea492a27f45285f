import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import {
  COUNTERS,
  type CounterName,
  GAUGES,
  type GaugeName,
  HISTOGRAMS,
  type HistogramName,
} from "../model/metrics.ts";
import type { Labels, Meter } from "../ports/meter.ts";
import { systemClock } from "./system-clock.ts";
import { systemTimers } from "./system-timers.ts";

type Collect = Parameters<Meter["onCollect"]>[0];

/** What is set of one gauge, by label values. */
type Rows = Map<string, { readonly labels: Labels; readonly value: number }>;

const SLICE_MS = 2;
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
  readonly #histograms = new Map<HistogramName, Children<Histogram.Internal<string>>>();
  readonly #gauges = new Map<GaugeName, Gauge>();
  readonly #collects: Collect[] = [];
  #scraping: Promise<string> | undefined;

  constructor() {
    const registers = [this.#registry];
    for (const [name, { help, labels }] of entries(COUNTERS)) {
      const counter = new Counter({ name, help, labelNames: labels, registers });
      this.#counters.set(name, new Children(labels, (values) => counter.labels(...values)));
    }
    for (const [name, { help, labels, buckets }] of entries(HISTOGRAMS)) {
      const histogram = new Histogram({
        name,
        help,
        labelNames: labels,
        buckets: [...buckets],
        registers,
      });
      this.#histograms.set(name, new Children(labels, (values) => histogram.labels(...values)));
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

  observe(name: HistogramName, labels: Labels, value: number): void {
    this.#histograms.get(name)?.of(labels).observe(value);
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
    for (const collect of this.#collects) {
      await collect((name, labels, value) => {
        const own = rows.get(name) ?? new Map();
        rows.set(name, own);
        const values = GAUGES[name].labels.map((label) => labels[label]);
        own.set(values.join("\u0000"), { labels, value });
      });
    }
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

/** Gives way to the event loop every few milliseconds. */
class Slice {
  #sinceMs = systemClock.monotonicMs();

  async pause(): Promise<void> {
    if (systemClock.monotonicMs() - this.#sinceMs < SLICE_MS) return;
    await systemTimers.yield();
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
  readonly #children = new Map<string, Child>();

  constructor(labels: readonly string[], make: (values: string[]) => Child) {
    this.#labels = labels;
    this.#make = make;
  }

  of(labels: Labels): Child {
    const values = this.#labels.map((label) => String(labels[label]));
    const key = values.length === 1 ? (values[0] as string) : values.join("\u0000");
    let child = this.#children.get(key);
    if (child === undefined) {
      child = this.#make(values);
      this.#children.set(key, child);
    }
    return child;
  }
}
