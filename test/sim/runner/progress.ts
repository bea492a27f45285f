import { SingleBar } from "cli-progress";
import type { Tally } from "./tally.ts";

const REDRAWS_PER_SECOND = 4;

/** One line on standard error that counts; only where a person watches. */
export class Progress {
  readonly #bar: SingleBar;
  readonly #tally: Tally;
  readonly #began = performance.now();

  private constructor(bar: SingleBar, tally: Tally) {
    this.#bar = bar;
    this.#tally = tally;
  }

  /** `total`: runs, or seconds if the campaign ends by the clock. */
  static onTerminal(tally: Tally, total: number, unit: "runs" | "s"): Progress | undefined {
    if (!process.stderr.isTTY) return undefined;
    const bar = new SingleBar({
      format: `{bar} {value}/{total} ${unit}, {runs} runs, {failed} failed, {unknown} unknown, {speed} virtual seconds per core second`,
      fps: REDRAWS_PER_SECOND,
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
    });
    bar.start(total, 0, { runs: 0, failed: 0, unknown: 0, speed: 0 });
    return new Progress(bar, tally);
  }

  update(unit: "runs" | "s"): void {
    const { runsCount, failed, unknown, speed } = this.#tally;
    const seconds = Math.floor((performance.now() - this.#began) / 1000);
    this.#bar.update(unit === "runs" ? runsCount : seconds, {
      runs: runsCount,
      failed: failed.length,
      unknown: unknown.length,
      speed: speed.toFixed(0),
    });
  }

  end(): void {
    this.#bar.stop();
  }
}
