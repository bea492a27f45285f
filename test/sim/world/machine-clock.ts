/**
 * A machine's clock: a monotonic one that may run too fast, too slowly or not at all for a while,
 * and a wall clock, which is the same oscillator with an offset that may jump. Times of the world
 * are true times. All values are computed from whole microseconds and parts per million.
 */
import type { World } from "./world.ts";

/** Virtual time begins here: 2026-01-01T00:00:00Z. */
export const WALL_EPOCH_MS = 1_767_225_600_000;

const MILLION = 1_000_000;
const DRIFT_PPM_MAX = 500_000;

export class MachineClock {
  /** Added to the wall clock; may be set at any time: a jump. */
  wallOffsetMs = 0;
  /** The clock goes on at another pace: who waits by it may be due earlier. */
  onPace: () => void = () => {};
  readonly #world: World;
  /** The monotonic clock showed `#shownMs` at `#sinceMs`, and has run at `#ratePpm` since. */
  #shownMs = 0;
  #sinceMs = 0;
  #driftPpm = 0;
  #frozenUntilMs = 0;
  #offsetAtNextStartMs: number | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** By how much it runs too fast, in millionths of true time; ±100,000 are ±10 %. */
  get driftPpm(): number {
    return this.#driftPpm;
  }

  set driftPpm(driftPpm: number) {
    if (Math.abs(driftPpm) > DRIFT_PPM_MAX) {
      throw new RangeError(`a drift of ${driftPpm} ppm; allowed are ±${DRIFT_PPM_MAX}`);
    }
    this.#settle();
    this.#driftPpm = driftPpm;
    this.onPace();
  }

  /** For that long it shows the same time, and no timer fires. */
  freeze(durationMs: number): void {
    this.#settle();
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.#world.nowMs + durationMs);
  }

  /** The next process on the machine finds the wall clock there: NTP has set it meanwhile. */
  setOffsetAtNextStart(wallOffsetMs: number): void {
    this.#offsetAtNextStartMs = wallOffsetMs;
  }

  processStarts(): void {
    this.wallOffsetMs = this.#offsetAtNextStartMs ?? this.wallOffsetMs;
    this.#offsetAtNextStartMs = undefined;
  }

  /** True time from now on, without a jump of the monotonic clock. */
  heal(): void {
    const isRight = this.#driftPpm === 0 && this.#frozenUntilMs <= this.#world.nowMs;
    this.#settle();
    this.#driftPpm = 0;
    this.#frozenUntilMs = 0;
    this.wallOffsetMs = 0;
    this.#offsetAtNextStartMs = undefined;
    if (!isRight) this.onPace();
  }

  get monotonicMs(): number {
    const running = this.#world.nowMs - Math.max(this.#sinceMs, this.#frozenUntilMs);
    if (running <= 0) return this.#shownMs;
    return this.#shownMs + (running * (MILLION + this.#driftPpm)) / MILLION;
  }

  get wallMs(): number {
    return Math.floor(WALL_EPOCH_MS + this.monotonicMs + this.wallOffsetMs);
  }

  /** How much true time passes until the monotonic clock has gone on by so much. */
  trueMs(durationMs: number): number {
    const frozenMs = Math.max(0, this.#frozenUntilMs - this.#world.nowMs);
    return frozenMs + (durationMs * MILLION) / (MILLION + this.#driftPpm);
  }

  #settle(): void {
    const shownMs = this.monotonicMs;
    this.#shownMs = shownMs;
    this.#sinceMs = this.#world.nowMs;
  }
}
