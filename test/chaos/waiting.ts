/** Waiting for conditions, each with a deadline. */

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export interface UntilOptions {
  readonly timeoutMs: number;
  /** Between two looks. Default 100 ms. */
  readonly periodMs?: number;
}

const PERIOD_MS = 100;

/**
 * True once the condition holds, false if it never did in time. One that throws (nobody answers) does
 * not hold yet.
 */
export async function until(
  condition: () => Promise<boolean> | boolean,
  { timeoutMs, periodMs = PERIOD_MS }: UntilOptions,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await holds(condition)) return true;
    if (performance.now() >= deadline) return false;
    await sleep(periodMs);
  }
}

async function holds(condition: () => Promise<boolean> | boolean): Promise<boolean> {
  try {
    return await condition();
  } catch {
    return false;
  }
}
