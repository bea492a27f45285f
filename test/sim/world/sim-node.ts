/**
 * A machine of the simulation and the lives of the process on it. What belongs to the machine (its
 * name, its disk, its clock) outlives a process; an incarnation is one life. All that an
 * incarnation waits for goes through `later`, which is how a crash ends it for ever and how a pause
 * holds everything back at once.
 *
 * What faults are made of:
 *
 * - `crash`, `losePower`, `exit`: the process ends;
 * - `crashAt(point)`: it ends just there, see `crash-points.ts`; with `kind: "event"` at any await,
 *   with `inNextLife` during recovery;
 * - `pause`, `resume`: SIGSTOP, or a stalled event loop;
 * - `slowTimes`: each event takes so many times as long, and those that come meanwhile wait;
 * - `memoryCapBytes`: more than that in its queues, and the operating system kills it;
 * - `clock`: offset, jumps, drift, freezing, a step over a restart; see `machine-clock.ts`;
 * - `disk`: see `sim-disk.ts`.
 *
 * `heal` ends what lasts.
 */
import type { Prng } from "../../../src/base/prng.ts";
import type { LogFields } from "../../../src/ports/logger.ts";
import { type CrashAt, CrashPoints, type PointKind } from "./crash-points.ts";
import { MachineClock } from "./machine-clock.ts";
import { SimDisk } from "./sim-disk.ts";
import { type EventOwner, type Scheduled, type SimEvent, textHash, type World } from "./world.ts";

export type EventKind = "timer" | "disk" | "network" | "compute";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogLine {
  readonly atMs: number;
  readonly node: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export interface SimNodeOptions {
  readonly world: World;
  /** Also the host name under which others reach it. */
  readonly name: string;
  readonly prng: Prng;
  /** Bytes; default 1 TiB. */
  readonly diskBytes?: number;
}

/** About what an event of a broker costs a core. */
const EVENT_MS = 0.05;

export class SimNode {
  readonly world: World;
  readonly name: string;
  readonly prng: Prng;
  readonly disk: SimDisk;
  readonly clock: MachineClock;
  /** 1: events take no time. */
  slowTimes = 1;
  memoryCapBytes = Number.POSITIVE_INFINITY;
  incarnation: Incarnation | undefined;
  /** The world's event in which its process last ran: observers look only at those that did. */
  ranInEvent = -1;
  /** Called with every line that the process logs. */
  onLog: (line: LogLine) => void = () => {};
  /** The process ended itself. */
  onFatal: (reason: string, cause: unknown) => void = () => {};
  /** It was killed by the operating system, or by a crash point that says no more. */
  onKilled: (reason: string) => void = () => {};
  /** Told of each end of an incarnation, so that its connections break. */
  readonly onEnd: ((incarnation: Incarnation, how: EndOfLife) => void)[] = [];
  readonly #points = new CrashPoints();
  #lives = 0;
  /** Which pause it is: a keepalive that began in an earlier one must not fail in this. */
  pausesCount = 0;
  #paused = false;
  /** What is due and cannot run yet. */
  #deferred: SimEvent[] = [];
  /** A slow event is still running; `#goesOn` is its end. */
  #busy = false;
  #goesOn: Scheduled | undefined;

  constructor(options: SimNodeOptions) {
    this.world = options.world;
    this.name = options.name;
    this.prng = options.prng;
    this.clock = new MachineClock(options.world);
    this.clock.onPace = () => {
      for (const timer of this.incarnation?.timers ?? []) timer.retime();
    };
    this.disk = new SimDisk(options.world, options.prng.fork("disk"), options.diskBytes);
  }

  get wallOffsetMs(): number {
    return this.clock.wallOffsetMs;
  }

  set wallOffsetMs(offsetMs: number) {
    this.clock.wallOffsetMs = offsetMs;
  }

  get paused(): boolean {
    return this.#paused;
  }

  start(): Incarnation {
    if (this.incarnation !== undefined) throw new Error(`${this.name} is running already`);
    this.#lives++;
    this.clock.processStarts();
    this.incarnation = new Incarnation(this, this.#lives);
    return this.incarnation;
  }

  /** The process is gone; what was written stays. */
  crash(): void {
    this.#end("crash");
  }

  /** The machine is gone: what was not synced may be gone too, and peers are not told. */
  losePower(): void {
    this.#end("power loss");
  }

  /** The process ended in order: everything closed, nothing in flight. */
  exit(): void {
    this.#end("exit");
  }

  /** The process ends once it reaches that point. The returned function takes that back. */
  crashAt(crash: CrashAt): () => void {
    const running = this.incarnation === undefined ? 0 : 1;
    const begins = crash.inNextLife === true || running === 0 ? this.#lives + 1 : this.#lives;
    return this.#points.add(crash, begins);
  }

  /** Whatever the process does with the world passes here. */
  reach(kind: PointKind, stage: "issued" | "completed", detail: string): void {
    if (this.#points.size === 0 || this.incarnation === undefined) return;
    const crash = this.#points.reach({ kind, stage, detail }, this.#lives);
    if (crash === undefined) return;
    const where = `${kind} ${stage} (${detail})`;
    this.world.note(`${this.name}: ${crash.how ?? "crash"} at ${where}`);
    if (crash.then !== undefined) {
      crash.then();
      return;
    }
    this.#end(crash.how ?? "crash");
    this.onKilled(`at ${where}`);
  }

  checkMemory(incarnation: Incarnation): void {
    const { queuedBytes } = incarnation;
    if (queuedBytes <= this.memoryCapBytes || incarnation !== this.incarnation) return;
    this.#end("crash");
    this.onKilled(`out of memory with ${queuedBytes} bytes in queues`);
  }

  /** No more pause, slowness, cap or crash to come; the clock is right. */
  heal(): void {
    this.slowTimes = 1;
    this.memoryCapBytes = Number.POSITIVE_INFINITY;
    this.#points.clear();
    this.clock.heal();
    this.resume();
  }

  /** Events of this node wait from now on; its clock goes on (SIGSTOP, or a stalled event loop). */
  pause(): void {
    if (!this.#paused) this.pausesCount++;
    this.#paused = true;
  }

  /** What waited runs at once: timers first or in order of arrival, as a real loop may do either. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const waiting = this.#deferred;
    const timersFirst = this.prng.chance(1, 2);
    this.#deferred = timersFirst
      ? [
          ...waiting.filter(({ kind }) => kind === "timer"),
          ...waiting.filter(({ kind }) => kind !== "timer"),
        ]
      : waiting;
    if (!this.#busy) this.#goOn();
  }

  /** An event of the running process is due: it runs, or waits until the process goes on. */
  take(event: SimEvent): void {
    if (this.#paused || this.#busy) {
      this.#deferred.push(event);
      return;
    }
    this.#run(event);
  }

  #run(event: SimEvent): void {
    const { run } = event;
    if (run === undefined) return;
    this.reach("event", "issued", event.label);
    if (!(event.owner as Incarnation).alive) return;
    this.ranInEvent = this.world.eventsCount;
    event.run = undefined;
    run();
    if (this.slowTimes > 1) this.#beBusy();
  }

  #beBusy(): void {
    const lastsMs = (EVENT_MS * this.slowTimes * this.prng.between(50, 150)) / 100;
    this.#busy = true;
    this.#goesOn = this.world.schedule(lastsMs, `${this.name} goes on`, () => this.#goOn());
  }

  /** What has waited runs, in that order: all of it or, where the process is slow, the first. */
  #goOn(): void {
    this.#busy = false;
    if (this.#paused) return;
    if (this.slowTimes === 1) {
      const waiting = this.#deferred;
      this.#deferred = [];
      for (const event of waiting) this.world.postpone(event, 0);
      return;
    }
    while (!this.#busy) {
      const next = this.#deferred.shift();
      if (next === undefined) return;
      this.#run(next);
    }
  }

  #end(how: EndOfLife): void {
    const incarnation = this.incarnation;
    if (incarnation === undefined) return;
    this.incarnation = undefined;
    this.#paused = false;
    this.#deferred = [];
    this.#busy = false;
    this.#goesOn?.cancel();
    this.#points.ended(incarnation.life);
    incarnation.ended();
    for (const told of this.onEnd) told(incarnation, how);
    this.disk.processEnded(how === "power loss");
  }
}

export type EndOfLife = "crash" | "power loss" | "exit";

export class Incarnation implements EventOwner {
  readonly node: SimNode;
  /** 1 for the first life. */
  readonly life: number;
  readonly traceId: number;
  alive = true;
  /** Timers that are set and have neither fired nor been cancelled. */
  timersCount = 0;
  /** Those, in the order in which they were set. */
  readonly timers = new Set<{ retime(): void }>();
  /** In its queues to peers and to its disk. */
  queuedBytes = 0;
  #diskBytes = 0;

  constructor(node: SimNode, life: number) {
    this.node = node;
    this.life = life;
    this.traceId = textHash(node.name) ^ life;
  }

  get world(): World {
    return this.node.world;
  }

  /** Runs `run` after `delayMs`, unless the incarnation has ended by then. */
  later(delayMs: number, kind: EventKind, label: string, run: () => void): Scheduled {
    return this.world.schedule(delayMs, label, run, this, kind);
  }

  take(event: SimEvent): void {
    if (this.alive) this.node.take(event);
  }

  /** Bytes began to wait in its queues or, below 0, wait no more. */
  queue(bytes: number): void {
    this.queuedBytes += bytes;
    this.world.queue(bytes);
    if (this.alive && bytes > 0) this.node.checkMemory(this);
  }

  queueToDisk(bytes: number): void {
    this.#diskBytes += bytes;
    this.queue(bytes);
  }

  /** Its queues are gone with it; what it has sent is on its way. */
  ended(): void {
    this.alive = false;
    this.world.queue(-this.#diskBytes);
    this.#diskBytes = 0;
  }

  /** A promise that settles with `run`'s outcome after `delayMs`; never, if the incarnation ends. */
  promise<Value>(
    delayMs: number,
    kind: EventKind,
    label: string,
    run: () => Value,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.later(delayMs, kind, label, () => {
        try {
          resolve(run());
        } catch (thrown) {
          reject(thrown);
        }
      });
    });
  }
}
