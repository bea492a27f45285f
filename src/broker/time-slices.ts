/** Long work in small steps: gives way to the event loop by time, and by count where time stands. */
import type { Ports } from "../ports/ports.ts";

const SLICE_MS = 2;
const SLICE_STEPS_COUNT = 250;

export class TimeSlices {
  readonly #ports: Pick<Ports, "clock" | "timers">;
  #sinceMs: number;
  #stepsCount = 0;

  constructor(ports: Pick<Ports, "clock" | "timers">) {
    this.#ports = ports;
    this.#sinceMs = ports.clock.monotonicMs();
  }

  /** Called after each step; true: `pause` is due. A step without a pause costs no promise. */
  get due(): boolean {
    if (++this.#stepsCount >= SLICE_STEPS_COUNT) return true;
    return this.#ports.clock.monotonicMs() - this.#sinceMs >= SLICE_MS;
  }

  async pause(): Promise<void> {
    await this.#ports.timers.yield();
    this.#stepsCount = 0;
    this.#sinceMs = this.#ports.clock.monotonicMs();
  }
}
