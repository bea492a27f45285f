/**
 * How long to wait before the next attempt, by how long attempts have failed so far: an eighth of
 * it. So a short election is noticed at once, a long outage costs few requests, and whatever the
 * outage lasts the wait prolongs it by an eighth at most.
 */
export interface RetryLimits {
  /** The first wait, in ms. */
  readonly minMs: number;
  /** The longest wait, in ms. */
  readonly maxMs: number;
}

export function retryDelayMs(failingForMs: number, limits: RetryLimits): number {
  return Math.min(limits.maxMs, Math.max(limits.minMs, failingForMs / 8));
}
