import { setTimeout as sleep } from "node:timers/promises";
import { write } from "./output.ts";

const CLEAR_SCREEN = "\u001b[2J\u001b[H";

/**
 * Calls `show` again and again, `periodMs` apart, until Ctrl-C. It clears the screen itself, once it
 * has what it shows: what is seen meanwhile stays.
 */
export async function watch(
  show: (clear: () => Promise<void>) => Promise<void>,
  periodMs: number,
): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  try {
    while (!stop.signal.aborted) {
      await show(clearScreen);
      await sleep(periodMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

async function clearScreen(): Promise<void> {
  if (process.stdout.isTTY) await write(CLEAR_SCREEN);
}
