/**
 * How fast a growing number grew lately. Who reads decides when: between two scrapes of one reader
 * another may ask, so that the span is bounded from below, not by the last reading.
 */
const SPAN_LEAST_MS = 10_000;

interface Reading {
  readonly atMs: number;
  readonly value: number;
}

export class RecentRate {
  #older: Reading | undefined;
  #newer: Reading | undefined;

  /** Growth a second since a reading at least 10 s ago, or the first; 0 at the first. */
  read(nowMs: number, value: number): number {
    const now = { atMs: nowMs, value };
    if (this.#newer === undefined || nowMs - this.#newer.atMs >= SPAN_LEAST_MS) {
      this.#older = this.#newer;
      this.#newer = now;
    }
    const from = this.#older ?? this.#newer;
    const spanMs = nowMs - from.atMs;
    return spanMs <= 0 ? 0 : (Math.max(0, value - from.value) * 1_000) / spanMs;
  }
}
