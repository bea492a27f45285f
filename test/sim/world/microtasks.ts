/**
 * Two ways to let every promise go on that can. Both are free of time and chance.
 */

/** Settles when no microtask waits any more. */
export function microtasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * Runs all microtasks, and reports rejections that nobody handles, within this call: what Node does
 * between two callbacks of its loop. Must be called from a callback of the loop, never from a
 * microtask. Undefined where the running Node does not offer it; one immediate an event then does
 * the same, at three times the cost.
 */
export const drainMicrotasks: (() => void) | undefined = (
  process as unknown as { readonly _tickCallback?: () => void }
)._tickCallback?.bind(process);
