import type { CounterName, GaugeName, HistogramName } from "../model/metrics.ts";

export type Labels = Readonly<Record<string, string | number>>;

/** Where numbers go. Names, help, labels and buckets stand in `model/metrics.ts`. */
export interface Meter {
  count(name: CounterName, labels: Labels, amount: number): void;
  observe(name: HistogramName, labels: Labels, value: number): void;
  /** Called at each scrape; sets gauges, whose earlier values are forgotten first. */
  onCollect(collect: (set: (name: GaugeName, labels: Labels, value: number) => void) => void): void;
}
