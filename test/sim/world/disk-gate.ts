/**
 * Holds back completions while a disk hangs or stores stall. What waits goes on in the order in
 * which it came, and what comes meanwhile stands behind it: writes of one store settle in order.
 */
import type { Incarnation } from "./sim-node.ts";
import type { World } from "./world.ts";

interface Waiting {
  readonly incarnation: Incarnation;
  readonly run: () => void;
}

export class DiskGate {
  readonly #world: World;
  /** Whole microseconds: a sum of fractions may lie just behind the event that is to end it. */
  #closedUntilUs = 0;
  #waiting: Waiting[] = [];
  #letting = false;

  constructor(world: World) {
    this.#world = world;
  }

  get closed(): boolean {
    return Math.round(this.#world.nowMs * 1_000) < this.#closedUntilUs;
  }

  /** For that long; Infinity: until `open` is called. */
  close(durationMs: number): void {
    const untilUs = Math.round(this.#world.nowMs * 1_000) + Math.round(durationMs * 1_000);
    this.#closedUntilUs = Math.max(this.#closedUntilUs, untilUs);
    if (durationMs < Number.POSITIVE_INFINITY) {
      this.#world.schedule(durationMs, "disk goes on", () => {
        if (!this.closed) this.#letNext();
      });
    }
  }

  open(): void {
    this.#closedUntilUs = 0;
    this.#letNext();
  }

  pass(incarnation: Incarnation, run: () => void): void {
    if (this.closed || this.#waiting.length > 0) {
      this.#waiting.push({ incarnation, run });
      return;
    }
    run();
  }

  /** Nobody is left to be told. */
  clear(): void {
    this.#waiting = [];
    this.#letting = false;
  }

  #letNext(): void {
    const next = this.#waiting[0];
    if (next === undefined || this.#letting) return;
    this.#letting = true;
    next.incarnation.later(0, "disk", "disk goes on", () => {
      this.#letting = false;
      if (this.closed) return;
      this.#waiting.shift();
      next.run();
      this.#letNext();
    });
  }
}
