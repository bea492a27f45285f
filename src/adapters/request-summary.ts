/**
 * Kafka's quantiles of request times, from the histogram that is kept anyway: of the requests of
 * the last minute or two, interpolated within a bucket as Prometheus does it.
 */

/** One request's histogram: how many took at most so many seconds, in rising order. */
export type Buckets = readonly { readonly le: number; readonly count: number }[];

export const QUANTILES = ["0.50", "0.75", "0.95", "0.99", "0.999"] as const;
const SPAN_LEAST_MS = 60_000;

interface Reading {
  readonly atMs: number;
  readonly buckets: Buckets;
}

export class RequestSummary {
  #older: Reading | undefined;
  #newer: Reading | undefined;

  /** Milliseconds by quantile; undefined where nothing was asked lately. */
  read(
    nowMs: number,
    buckets: Buckets,
  ): Readonly<Record<(typeof QUANTILES)[number], number>> | undefined {
    const lately = buckets.map(({ le, count }, at) => ({
      le,
      count: count - (this.#older?.buckets[at]?.count ?? 0),
    }));
    if (this.#newer === undefined || nowMs - this.#newer.atMs >= SPAN_LEAST_MS) {
      this.#older = this.#newer;
      this.#newer = { atMs: nowMs, buckets };
    }
    if ((lately.at(-1)?.count ?? 0) === 0) return undefined;
    const entries = QUANTILES.map(
      (name) => [name, 1_000 * quantile(Number(name), lately)] as const,
    );
    return Object.fromEntries(entries) as Record<(typeof QUANTILES)[number], number>;
  }
}

function quantile(which: number, buckets: Buckets): number {
  const total = buckets.at(-1)?.count ?? 0;
  const rank = which * total;
  let below = { le: 0, count: 0 };
  for (const bucket of buckets) {
    if (bucket.count >= rank) {
      // What took longer than the last bound took at least that long: more is not known.
      if (bucket.le === Number.POSITIVE_INFINITY) return below.le;
      const inBucket = bucket.count - below.count;
      const part = inBucket === 0 ? 1 : (rank - below.count) / inBucket;
      return below.le + (bucket.le - below.le) * part;
    }
    below = bucket;
  }
  return below.le;
}
