/**
 * The time of groups' sessions: it stands still while this process does. Heartbeats that came during
 * a stall lie unread in the sockets while timers are due already; nobody is expelled for a silence
 * that was our own.
 */
import type { Now } from "../../group/calls.ts";
import type { Timer } from "../../ports/clock.ts";
import type { Ports } from "../../ports/ports.ts";

/** The longest wait for one timer, so that a stall in the midst of a long wait is noticed too. */
const LONGEST_MS = 250;
/** What is due all the time (nobody confirms an append) is not looked at more often. */
const SHORTEST_MS = 10;
const STALL_MS = 500;

export class GroupClock {
  readonly #ports: Ports;
  readonly #onTick: (now: Now) => void;
  #stalledMs = 0;
  #timer: { readonly timer: Timer; readonly atMs: number } | undefined;
  #closed = false;

  constructor(ports: Ports, onTick: (now: Now) => void) {
    this.#ports = ports;
    this.#onTick = onTick;
  }

  now(): Now {
    const { clock } = this.#ports;
    return { monotonicMs: clock.monotonicMs() - this.#stalledMs, wallMs: clock.wallMs() };
  }

  /** Makes sure that a tick comes about then, or earlier. Infinity: none is needed. */
  need(atMs: number): void {
    if (this.#closed || atMs === Number.POSITIVE_INFINITY) return;
    const nowMs = this.#ports.clock.monotonicMs();
    const delayMs = Math.ceil(
      Math.min(LONGEST_MS, Math.max(SHORTEST_MS, atMs + this.#stalledMs - nowMs)),
    );
    const dueMs = nowMs + delayMs;
    if (this.#timer !== undefined && this.#timer.atMs <= dueMs) return;
    this.#timer?.timer.cancel();
    const timer = this.#ports.timers.after(delayMs, () => this.#tick(dueMs));
    this.#timer = { timer, atMs: dueMs };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  #tick(dueMs: number): void {
    this.#timer = undefined;
    const lateMs = this.#ports.clock.monotonicMs() - dueMs;
    if (lateMs > STALL_MS) this.#stalledMs += lateMs;
    this.#onTick(this.now());
  }
}
