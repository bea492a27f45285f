/**
 * Many waits on one signal of the program's. A signal keeps its listeners in a list that is searched
 * for each that goes, and Node warns of a leak beyond ten of them: a thousand sends with one signal
 * would be slow and accused. It gets one listener, which stays as long as the signal itself.
 */
import { abortedError } from "./errors.ts";

const WAITS = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back once if the signal aborts later on; one that has aborted already calls nobody.
 * @returns ends the wait. Idempotent.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let waits = WAITS.get(signal);
  if (waits === undefined) {
    const all = new Set<() => void>();
    waits = all;
    WAITS.set(signal, all);
    const tell = (): void => {
      for (const each of all) each();
      all.clear();
    };
    signal.addEventListener("abort", tell, { once: true });
  }
  const mine = waits;
  // A function of its own: the same callback may wait twice.
  const wait = (): void => callback();
  mine.add(wait);
  return () => mine.delete(wait);
}

/** The promise, or ABORTED once the signal aborts. */
export function abortable<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  if (signal.aborted) {
    // Nobody waits for it any more: that it rejects is no news.
    promise.catch(() => undefined);
    return Promise.reject(abortedError(signal));
  }
  return new Promise((resolve, reject) => {
    const forget = onAbort(signal, () => reject(abortedError(signal)));
    promise.then(resolve, reject).finally(forget);
  });
}
