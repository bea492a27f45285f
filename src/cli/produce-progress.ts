import { SingleBar } from "cli-progress";

const REDRAWS_PER_SECOND = 10;

/** One line on standard error that counts; only where a person watches and types nothing. */
export class ProduceProgress {
  readonly #bar: SingleBar;
  readonly #began = performance.now();

  private constructor(bar: SingleBar) {
    this.#bar = bar;
  }

  static onTerminal(): ProduceProgress | undefined {
    if (!process.stderr.isTTY || process.stdin.isTTY) return undefined;
    const bar = new SingleBar({
      format: "{acknowledged} acknowledged, {failed} failed, {rate} records/s, {seconds} s",
      fps: REDRAWS_PER_SECOND,
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
    });
    bar.start(1, 0, { acknowledged: 0, failed: 0, rate: 0, seconds: 0 });
    return new ProduceProgress(bar);
  }

  /** Cheap: the line is drawn by a timer. */
  update(acknowledged: number, failed: number): void {
    if (acknowledged % 1_000 !== 0) return;
    const seconds = (performance.now() - this.#began) / 1000;
    this.#bar.update({
      acknowledged,
      failed,
      rate: Math.round(acknowledged / Math.max(seconds, 0.001)),
      seconds: seconds.toFixed(1),
    });
  }

  end(): void {
    this.#bar.stop();
  }
}
