/**
 * Virtual time: a heap of events ordered by (time, sequence). A turn takes the next event, runs it,
 * lets every microtask that it set free run, and then asks the observers what the event could have
 * broken. Nothing in here reads a real clock.
 *
 * Turns are taken in bursts, each within one real `setImmediate`: between two events
 * `drainMicrotasks` does what Node does between two immediates, at a fraction of its cost.
 *
 * A run that costs more than its budget ends: `exhausted` then says of what, and the run proves
 * nothing either way. `budget` may be replaced before the run begins.
 */
import { Heap } from "../../../src/base/heap.ts";
import { Prng } from "../../../src/base/prng.ts";
import { drainMicrotasks, microtasks } from "./microtasks.ts";

/** Whole microseconds: sums of them are exact, so that two runs compare equal times as equal. */
type Micros = number;

export interface Scheduled {
  cancel(): void;
}

/** Whoever an event belongs to decides when it runs: a paused process holds it back. */
export interface EventOwner {
  /** Mixed into the trace; a number that is the same in every run of the seed. */
  readonly traceId: number;
  take(event: SimEvent): void;
}

export class SimEvent implements Scheduled {
  readonly label: string;
  readonly kind: string;
  readonly owner: EventOwner | undefined;
  atUs: Micros;
  sequence: number;
  /** Undefined once it has run or was cancelled. */
  run: (() => void) | undefined;

  constructor(
    at: { readonly us: Micros; readonly sequence: number },
    label: string,
    run: () => void,
    owner: EventOwner | undefined,
    kind: string,
  ) {
    this.atUs = at.us;
    this.sequence = at.sequence;
    this.label = label;
    this.run = run;
    this.owner = owner;
    this.kind = kind;
  }

  cancel(): void {
    this.run = undefined;
  }
}

export interface WorldBudget {
  /** Events of the whole run. */
  readonly eventsMax: number;
  /** Events without time going on: a storm of yields and of calls that cost nothing. */
  readonly eventsAtOneInstantMax: number;
  /** Events that one event with its microtasks schedules. */
  readonly scheduledAtOnceMax: number;
  /** Bytes that wait in networks and disks, of all machines together. */
  readonly queuedBytesMax: number;
}

export const DEFAULT_BUDGET: WorldBudget = {
  eventsMax: 30_000_000,
  eventsAtOneInstantMax: 200_000,
  scheduledAtOnceMax: 100_000,
  queuedBytesMax: 1024 * 1024 * 1024,
};

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

/** The run cost more than its budget, so that nobody knows how it would have gone on. */
export class BudgetExhausted extends Error {
  override readonly name = "BudgetExhausted";
}

export interface TimelineLine {
  readonly atMs: number;
  readonly text: string;
}

const TIMELINE_LINES = 600;
/** Events between two returns to Node's loop, which serves signals and whoever watches. */
const BURST_EVENTS = 1_000;
/** Whose hashes are kept: a label may contain a number. */
const LABELS_MAX = 4_096;

type BurstEnd = "condition" | "count" | "time" | "empty" | "more";

interface BurstLimits {
  readonly endUs: Micros;
  readonly eventsCount: number;
  readonly condition: () => boolean;
}

const never = (): boolean => false;

export class World {
  readonly seed: number;
  /** Forked once per concern; never drawn from directly while the run goes on. */
  readonly prng: Prng;
  /** Called after each event, once its microtasks have run. */
  readonly observers: (() => void)[] = [];
  /** Called with every note, e.g. to print them as they come. */
  onNote: (line: TimelineLine) => void = () => {};
  budget: WorldBudget = DEFAULT_BUDGET;
  readonly #heap = new Heap<SimEvent>((left, right) =>
    left.atUs === right.atUs ? left.sequence < right.sequence : left.atUs < right.atUs,
  );
  readonly #labels = new Map<string, number>();
  readonly #timeline: TimelineLine[] = [];
  #nowUs: Micros = 0;
  #sequence = 0;
  #eventsCount = 0;
  #hash = 0x811c9dc5;
  #eventsAtInstant = 0;
  #scheduledInTurn = 0;
  /** An event has run of which the observers do not know. */
  #unobserved = false;
  #queuedBytes = 0;
  #failure: SimulationFailure | undefined;
  #exhausted: string | undefined;
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

  /** Of what the run had more than its budget; undefined: of nothing. */
  get exhausted(): string | undefined {
    return this.#exhausted;
  }

  /** Bytes that wait in networks and disks now. */
  get queuedBytes(): number {
    return this.#queuedBytes;
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

  /** Runs `run` after `delayMs`, or when `owner` lets it. */
  schedule(
    delayMs: number,
    label: string,
    run: () => void,
    owner?: EventOwner,
    kind = "world",
  ): SimEvent {
    const us = this.#nowUs + Math.max(0, Math.round(delayMs * 1000));
    const event = new SimEvent({ us, sequence: this.#sequence++ }, label, run, owner, kind);
    this.#push(event);
    return event;
  }

  /** Puts an event back that its owner took and did not run. */
  postpone(event: SimEvent, delayMs: number): void {
    event.atUs = this.#nowUs + Math.max(0, Math.round(delayMs * 1000));
    event.sequence = this.#sequence++;
    this.#push(event);
  }

  /** Bytes began to wait (or, below 0, wait no more) in a queue of the simulated machines. */
  queue(bytes: number): void {
    this.#queuedBytes += bytes;
    if (this.#queuedBytes > this.budget.queuedBytesMax) {
      this.exhaust(`${this.#queuedBytes} bytes are queued`);
    }
  }

  /** Ends the run without a verdict. */
  exhaust(reason: string): void {
    if (this.#exhausted !== undefined) return;
    this.#exhausted = `${reason} at ${this.nowMs} ms, event ${this.#eventsCount}`;
    this.note(`OUT OF BUDGET: ${this.#exhausted}`);
  }

  /**
   * A line of the readable timeline; its first line is part of the trace hash. What follows may be a
   * stack, which Node's versions write differently.
   */
  note(text: string): void {
    const lineEnd = text.indexOf("\n");
    this.mixText(lineEnd < 0 ? text : text.slice(0, lineEnd));
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
    const end = await this.#run({
      endUs: Number.POSITIVE_INFINITY,
      eventsCount: this.#eventsCount + 1,
      condition: never,
    });
    return end !== "empty";
  }

  async runFor(durationMs: number): Promise<void> {
    const endUs = this.#nowUs + Math.round(durationMs * 1000);
    await this.#run({ endUs, eventsCount: Number.POSITIVE_INFINITY, condition: never });
    this.#nowUs = endUs;
  }

  /** True once `condition` holds; false if it does not within `maxMs` of virtual time. */
  async runUntil(condition: () => boolean, maxMs: number): Promise<boolean> {
    const endUs = this.#nowUs + Math.round(maxMs * 1000);
    const limits = { endUs, eventsCount: Number.POSITIVE_INFINITY, condition };
    return (await this.#run(limits)) === "condition";
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

  async #run(limits: BurstLimits): Promise<BurstEnd> {
    for (;;) {
      const end = await new Promise<BurstEnd>((resolve, reject) => {
        setImmediate(() => {
          try {
            resolve(this.#burst(limits));
          } catch (thrown) {
            reject(thrown);
          }
        });
      });
      if (end !== "more") return end;
    }
  }

  #burst({ endUs, eventsCount, condition }: BurstLimits): BurstEnd {
    const burstEnd = Math.min(eventsCount, this.#eventsCount + BURST_EVENTS);
    for (;;) {
      if (this.#unobserved) this.#afterTurn();
      if (condition()) return "condition";
      const event = this.#nextEvent();
      if (event === undefined) return "empty";
      if (event.atUs > endUs) return "time";
      if (this.#eventsCount === eventsCount) return "count";
      if (this.#eventsCount === burstEnd) return "more";
      this.#turn(event);
      // Where microtasks cannot be drained from here, every event has an immediate of its own.
      if (drainMicrotasks === undefined) return "more";
      drainMicrotasks();
    }
  }

  #turn(event: SimEvent): void {
    this.#heap.pop();
    if (event.atUs !== this.#nowUs) this.#eventsAtInstant = 0;
    this.#nowUs = event.atUs;
    this.#eventsCount++;
    this.#eventsAtInstant++;
    this.#scheduledInTurn = 0;
    this.#unobserved = true;
    const { owner, run } = event;
    this.mix(event.atUs);
    this.mix(this.#labelHash(event.label));
    try {
      if (owner === undefined) {
        event.run = undefined;
        run?.();
      } else {
        this.mix(owner.traceId);
        owner.take(event);
      }
    } catch (thrown) {
      this.fail("no uncaught exception", describe(thrown));
    }
  }

  #afterTurn(): void {
    this.#unobserved = false;
    for (const observe of this.observers) observe();
    if (this.#failure !== undefined) throw this.#failure;
    const { eventsMax, eventsAtOneInstantMax } = this.budget;
    if (this.#eventsCount >= eventsMax) this.exhaust(`${eventsMax} events`);
    if (this.#eventsAtInstant >= eventsAtOneInstantMax) {
      this.exhaust(`${eventsAtOneInstantMax} events at one instant`);
    }
    if (this.#exhausted !== undefined) throw new BudgetExhausted(this.#exhausted);
  }

  #push(event: SimEvent): void {
    this.#heap.push(event);
    if (++this.#scheduledInTurn > this.budget.scheduledAtOnceMax) {
      // Thrown at once: the microtasks that schedule may never come to an end.
      this.exhaust(`${this.#scheduledInTurn} events scheduled by one`);
      throw new BudgetExhausted(this.#exhausted);
    }
    this.#wake?.();
  }

  #labelHash(label: string): number {
    const known = this.#labels.get(label);
    if (known !== undefined) return known;
    const hash = textHash(label);
    if (this.#labels.size < LABELS_MAX) this.#labels.set(label, hash);
    return hash;
  }

  #nextEvent(): SimEvent | undefined {
    for (;;) {
      const event = this.#heap.peek();
      if (event === undefined || event.run !== undefined) return event;
      this.#heap.pop();
    }
  }
}

/** FNV-1a. */
export function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash;
}

export function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
