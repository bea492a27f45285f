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

const SLICE_MS = 2;

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
   * All metrics in Prometheus's text format. Who asks during a scrape gets what that one finds.
   * Between metrics the event loop has its turn; one alone, whose series are limited, has not.
   */
  scrape(): Promise<string> {
    this.#scraping ??= this.#scrape().finally(() => {
      this.#scraping = undefined;
    });
    return this.#scraping;
  }

  async #scrape(): Promise<string> {
    for (const [name, gauge] of this.#gauges) {
      gauge.reset();
      // Without labels a reset means 0; an absent series is what was meant.
      if (GAUGES[name].labels.length === 0) gauge.remove();
    }
    for (const collect of this.#collects) {
      await collect((name, labels, value) => this.#gauges.get(name)?.set({ ...labels }, value));
    }
    const parts: string[] = [];
    let sliceMs = systemClock.monotonicMs();
    for (const { name } of this.#registry.getMetricsAsArray()) {
      parts.push(await this.#registry.getSingleMetricAsString(name));
      if (systemClock.monotonicMs() - sliceMs < SLICE_MS) continue;
      await systemTimers.yield();
      sliceMs = systemClock.monotonicMs();
    }
    return `${parts.join("\n\n")}\n`;
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
