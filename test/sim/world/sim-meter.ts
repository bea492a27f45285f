/** Keeps the numbers of one incarnation where a test can read them. */
import { assert } from "../../../src/base/assert.ts";
import {
  COUNTERS,
  type CounterName,
  GAUGES,
  type GaugeName,
  HISTOGRAMS,
  type HistogramName,
} from "../../../src/model/metrics.ts";
import type { Labels, Meter } from "../../../src/ports/meter.ts";

type Collect = Parameters<Meter["onCollect"]>[0];

export class SimMeter implements Meter {
  readonly #counters = new Map<string, number>();
  readonly #histograms = new Map<string, number[]>();
  readonly #collectors: Collect[] = [];

  count(name: CounterName, labels: Labels, amount: number): void {
    assert(amount >= 0, `counter ${name} cannot fall by ${-amount}`);
    const key = keyOf(name, COUNTERS[name].labels, labels);
    this.#counters.set(key, (this.#counters.get(key) ?? 0) + amount);
  }

  forget(name: CounterName, labels: Labels): void {
    this.#counters.delete(keyOf(name, COUNTERS[name].labels, labels));
  }

  observe(name: HistogramName, labels: Labels, value: number): void {
    const key = keyOf(name, HISTOGRAMS[name].labels, labels);
    const values = this.#histograms.get(key);
    if (values === undefined) this.#histograms.set(key, [value]);
    else values.push(value);
  }

  onCollect(collect: Collect): void {
    this.#collectors.push(collect);
  }

  /** 0 if it was never counted. */
  counter(name: CounterName, labels: Labels = {}): number {
    return this.#counters.get(keyOf(name, COUNTERS[name].labels, labels)) ?? 0;
  }

  /** A counter by its whole name, `name{label="value"}`. */
  series(series: string): number | undefined {
    return this.#counters.get(series);
  }

  observed(name: HistogramName, labels: Labels = {}): readonly number[] {
    return this.#histograms.get(keyOf(name, HISTOGRAMS[name].labels, labels)) ?? [];
  }

  /** One scrape, without those who take their time: every gauge by `name{label="value"}`. */
  collect(): ReadonlyMap<string, number> {
    const gauges = new Map<string, number>();
    for (const collect of this.#collectors) {
      collect((name: GaugeName, labels, value) => {
        gauges.set(keyOf(name, GAUGES[name].labels, labels), value);
      })?.catch(() => undefined);
    }
    return gauges;
  }

  /** As `collect`, with all of them. */
  async collectAll(): Promise<ReadonlyMap<string, number>> {
    const gauges = new Map<string, number>();
    for (const collect of this.#collectors) {
      await collect((name: GaugeName, labels, value) => {
        gauges.set(keyOf(name, GAUGES[name].labels, labels), value);
      });
    }
    return gauges;
  }
}

function keyOf(name: string, declared: readonly string[], labels: Labels): string {
  const given = Object.keys(labels);
  assert(
    given.length === declared.length && given.every((label) => declared.includes(label)),
    `metric ${name} has labels ${declared.join(",")}, not ${given.join(",")}`,
  );
  return `${name}{${declared.map((label) => `${label}="${String(labels[label])}"`).join(",")}}`;
}
