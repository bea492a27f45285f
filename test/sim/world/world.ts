/**
 * Virtual time: a heap of events ordered by (time, sequence). A turn takes the next event, runs it,
 * lets every microtask that it set free run, and then asks the observers what the event could have
 * broken. Nothing in here reads a real clock; one real `setImmediate` a turn is only the way to
 * learn that the microtask queue is empty.
 */
import { Heap } from "../../../src/base/heap.ts";
import { Prng } from "../../../src/base/prng.ts";

/** Whole microseconds: sums of them are exact, so that two runs compare equal times as equal. */
type Micros = number;

export interface Scheduled {
  cancel(): void;
}

interface SimEvent extends Scheduled {
  readonly atUs: Micros;
  readonly sequence: number;
  readonly label: string;
  run: (() => void) | undefined;
}

/** A statement that must always hold did not. */
export class SimulationFailure extends Error {
  override readonly name = "SimulationFailure";
  readonly invariant: string;
  readonly atMs: number;

  constructor(invariant: string, detail: string, atMs: number) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
    this.atMs = atMs;
  }
}

export interface TimelineLine {
  readonly atMs: number;
  readonly text: string;
}

const TIMELINE_LINES = 600;

export class World {
  readonly seed: number;
  /** Forked once per concern; never drawn from directly while the run goes on. */
  readonly prng: Prng;
  /** Called after each event, once its microtasks have run. */
  readonly observers: (() => void)[] = [];
  /** Called with every note, e.g. to print them as they come. */
  onNote: (line: TimelineLine) => void = () => {};
  readonly #heap = new Heap<SimEvent>((left, right) =>
    left.atUs === right.atUs ? left.sequence < right.sequence : left.atUs < right.atUs,
  );
  readonly #timeline: TimelineLine[] = [];
  #nowUs: Micros = 0;
  #sequence = 0;
  #eventsCount = 0;
  #hash = 0x811c9dc5;
  #failure: SimulationFailure | undefined;
  #wake: (() => void) | undefined;
  #auto = false;

  constructor(seed: number) {
    this.seed = seed;
    this.prng = new Prng(seed);
  }

  get nowMs(): number {
    return this.#nowUs / 1000;
  }

  get eventsCount(): number {
    return this.#eventsCount;
  }

  get failure(): SimulationFailure | undefined {
    return this.#failure;
  }

  get timeline(): readonly TimelineLine[] {
    return this.#timeline;
  }

  /** Over all events with their times, and whatever was mixed in: equal for two runs of one seed. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193);
    this.#hash ^= this.#hash >>> 15;
  }

  mixText(text: string): void {
    for (let index = 0; index < text.length; index++) this.mix(text.charCodeAt(index));
  }

  schedule(delayMs: number, label: string, run: () => void): Scheduled {
    const delayUs = Math.max(0, Math.round(delayMs * 1000));
    const event: SimEvent = {
      atUs: this.#nowUs + delayUs,
      sequence: this.#sequence++,
      label,
      run,
      cancel() {
        event.run = undefined;
      },
    };
    this.#heap.push(event);
    this.#wake?.();
    return event;
  }

  /** A line of the readable timeline; also part of the trace hash. */
  note(text: string): void {
    this.mixText(text);
    const line = { atMs: this.nowMs, text };
    this.#timeline.push(line);
    if (this.#timeline.length > 2 * TIMELINE_LINES) this.#timeline.splice(0, TIMELINE_LINES);
    this.onNote(line);
  }

  /** Ends the run; the first failure is the one that counts. */
  fail(invariant: string, detail: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = new SimulationFailure(invariant, detail, this.nowMs);
    this.note(`FAILED ${invariant}: ${detail}`);
  }

  /** Runs the next event and its microtasks. False: there is none. Throws what `fail` was told. */
  async step(): Promise<boolean> {
    const event = this.#nextEvent();
    if (event === undefined) return false;
    this.#heap.pop();
    this.#nowUs = event.atUs;
    this.#eventsCount++;
    this.mix(event.atUs);
    this.mixText(event.label);
    const run = event.run as () => void;
    event.run = undefined;
    try {
      run();
    } catch (thrown) {
      this.fail("no uncaught exception", describe(thrown));
    }
    await microtasks();
    for (const observe of this.observers) observe();
    if (this.#failure !== undefined) throw this.#failure;
    return true;
  }

  async runFor(durationMs: number): Promise<void> {
    const endUs = this.#nowUs + Math.round(durationMs * 1000);
    for (;;) {
      const event = this.#nextEvent();
      if (event === undefined || event.atUs > endUs) break;
      await this.step();
    }
    this.#nowUs = endUs;
  }

  /** True once `condition` holds; false if it does not within `maxMs` of virtual time. */
  async runUntil(condition: () => boolean, maxMs: number): Promise<boolean> {
    const endUs = this.#nowUs + Math.round(maxMs * 1000);
    while (!condition()) {
      const event = this.#nextEvent();
      if (event === undefined || event.atUs > endUs) return false;
      await this.step();
    }
    return true;
  }

  /** Runs events until `promise` settles, and gives its outcome. Throws past `maxMs` of virtual time. */
  async settle<Value>(promise: Promise<Value>, maxMs = 60_000): Promise<Value> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    await microtasks();
    if (!(await this.runUntil(() => settled, maxMs))) {
      throw new Error(`a promise did not settle within ${maxMs} ms of virtual time`);
    }
    return promise;
  }

  /**
   * From now on events run by themselves as they come, time jumping from one to the next: for unit
   * tests that await a port's promises as if they were real. Ends with the returned function.
   */
  startAuto(): () => void {
    this.#auto = true;
    const loop = async (): Promise<void> => {
      while (this.#auto) {
        if (this.#nextEvent() !== undefined) {
          await this.step();
          continue;
        }
        // Between the question above and this line nothing else can run, so no wake-up is missed.
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    };
    loop().catch((thrown: unknown) => {
      this.#auto = false;
      // Rethrown where nobody catches it: the test run must see it.
      setImmediate(() => {
        throw thrown;
      });
    });
    return () => {
      this.#auto = false;
      this.#wake?.();
    };
  }

  #nextEvent(): SimEvent | undefined {
    for (;;) {
      const event = this.#heap.peek();
      if (event === undefined || event.run !== undefined) return event;
      this.#heap.pop();
    }
  }
}

/** Settles when no microtask waits any more. */
export function microtasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
