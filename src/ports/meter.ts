import type { CounterName, GaugeName, HistogramName } from "../model/metrics.ts";

export type Labels = Readonly<Record<string, string | number>>;

export type SetGauge = (name: GaugeName, labels: Labels, value: number) => void;

/** Where numbers go. Names, help, labels and buckets stand in `model/metrics.ts`. */
export interface Meter {
  count(name: CounterName, labels: Labels, amount: number): void;
  /** What the labels speak of is gone: the series is shown no more, and begins at 0 if it comes back. */
  forget(name: CounterName, labels: Labels): void;
  observe(name: HistogramName, labels: Labels, value: number): void;
  /**
   * Called at each scrape; sets gauges, whose earlier values are forgotten first. One that has much
   * to set, or must ask somebody, returns a promise, and what it sets until then is shown.
   */
  onCollect(collect: (set: SetGauge) => void | Promise<void>): void;
}
