/**
 * A machine of the simulation and the lives of the process on it. What belongs to the machine (its
 * name, its disk, how its wall clock is off) outlives a process; an incarnation is one life. All
 * that an incarnation waits for goes through `later`, which is how a crash ends it for ever and how
 * a pause holds everything back at once.
 */
import type { Prng } from "../../../src/base/prng.ts";
import type { LogFields } from "../../../src/ports/logger.ts";
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

export class SimNode {
  readonly world: World;
  readonly name: string;
  readonly prng: Prng;
  readonly disk: SimDisk;
  /** Added to the world's wall clock. */
  wallOffsetMs = 0;
  incarnation: Incarnation | undefined;
  /** The world's event in which its process last ran: observers look only at those that did. */
  ranInEvent = -1;
  /** Called with every line that the process logs. */
  onLog: (line: LogLine) => void = () => {};
  /** The process ended itself. */
  onFatal: (reason: string, cause: unknown) => void = () => {};
  /** Told of each end of an incarnation, so that its connections break. */
  readonly onEnd: ((incarnation: Incarnation, how: EndOfLife) => void)[] = [];
  #lives = 0;
  #paused = false;
  #deferred: SimEvent[] = [];

  constructor(options: SimNodeOptions) {
    this.world = options.world;
    this.name = options.name;
    this.prng = options.prng;
    this.disk = new SimDisk(options.world, options.prng.fork("disk"), options.diskBytes);
  }

  get paused(): boolean {
    return this.#paused;
  }

  start(): Incarnation {
    if (this.incarnation !== undefined) throw new Error(`${this.name} is running already`);
    this.#lives++;
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

  /** Events of this node wait from now on; its clock goes on (SIGSTOP, or a stalled event loop). */
  pause(): void {
    this.#paused = true;
  }

  /** What waited runs at once: timers first or in order of arrival, as a real loop may do either. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const waiting = this.#deferred;
    this.#deferred = [];
    const timersFirst = this.prng.chance(1, 2);
    const ordered = timersFirst
      ? [
          ...waiting.filter(({ kind }) => kind === "timer"),
          ...waiting.filter(({ kind }) => kind !== "timer"),
        ]
      : waiting;
    for (const event of ordered) this.world.postpone(event, 0);
  }

  /** An event of the running process is due: it runs, or waits until the process goes on. */
  take(event: SimEvent): void {
    if (this.#paused) {
      this.#deferred.push(event);
      return;
    }
    this.ranInEvent = this.world.eventsCount;
    const { run } = event;
    event.run = undefined;
    run?.();
  }

  #end(how: EndOfLife): void {
    const incarnation = this.incarnation;
    if (incarnation === undefined) return;
    this.incarnation = undefined;
    this.#paused = false;
    this.#deferred = [];
    incarnation.alive = false;
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
