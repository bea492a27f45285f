/**
 * Calls to whoever coordinates a group, whoever that is at the moment: finds it, follows it when it
 * moves, waits while it loads, and sends again what was not answered. A call settles once, with its
 * answer or with an error that neither waiting nor another broker would change.
 *
 * No clock and no socket: time comes in as `nowMs` (monotonic), what is to be done goes out of
 * `drain`.
 */
import { type ErrorCode, OttlaError } from "../../model/errors.ts";
import type { BrokerId, LeaderEpoch } from "../../model/ids.ts";
import { errorFrom } from "../errors.ts";
import type { GroupAnswer, GroupCallBody } from "../group-messages.ts";
import { type RetryLimits, retryDelayMs } from "./retry-delay.ts";

export interface SessionCallsOptions {
  /** A call unanswered for this long: somebody is asked whether the coordinator is another one. */
  readonly stallMs: number;
  readonly retry: RetryLimits;
}

export interface Coordinator {
  readonly brokerId: BrokerId;
  /** Of the partition of `__consumer_offsets`: a lower one is old news. */
  readonly leaderEpoch: LeaderEpoch;
}

export interface CallOptions {
  /** Then it settles with REQUEST_TIMED_OUT; absent: never, somebody waits for the group itself. */
  readonly deadlineMs?: number;
  /** After so long without an answer the stream is given up, and the call sent by another. */
  readonly patienceMs: number;
  /** Codes that the caller handles although waiting might help. */
  readonly refusals?: ReadonlySet<ErrorCode>;
  readonly settled: (settlement: Settlement) => void;
}

export interface Settlement {
  readonly error: OttlaError | undefined;
  /** Beside an error only if it brings something with it. */
  readonly answer: GroupAnswer | undefined;
  readonly nowMs: number;
}

export interface CallsEffects {
  readonly sends: readonly SendCallsEffect[];
  /** Somebody is to be asked for the coordinator; then `onCoordinator` or `onLookupFailed`. */
  readonly lookupWanted: boolean;
  /** Streams to be closed: what was sent by them is sent again. */
  readonly drops: readonly BrokerId[];
  readonly wakeAtMs: number;
}

export interface SendCallsEffect {
  readonly brokerId: BrokerId;
  readonly calls: readonly (GroupCallBody & { readonly correlationId: number })[];
}

interface Call extends CallOptions {
  readonly id: number;
  readonly body: GroupCallBody;
  /** Undefined: waits to be sent. */
  sentMs: number | undefined;
  retryAtMs: number;
  failingSinceMs: number | undefined;
  lastError: OttlaError | undefined;
}

/** After which another broker may coordinate. */
const MOVED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "NOT_COORDINATOR",
  "COORDINATOR_NOT_AVAILABLE",
]);

export class SessionCalls {
  readonly #options: SessionCallsOptions;
  /** In the order in which they were made, which is the order of sending. */
  readonly #calls = new Map<number, Call>();
  readonly #drops: BrokerId[] = [];
  #coordinator: Coordinator | undefined;
  #nextId = 1;
  #lookingUp = false;
  #lookupAtMs = 0;
  /** When the coordinator was last confirmed. */
  #confirmedMs = 0;
  #lostSinceMs: number | undefined;

  constructor(options: SessionCallsOptions) {
    this.#options = options;
  }

  get coordinator(): BrokerId | undefined {
    return this.#coordinator?.brokerId;
  }

  /** Returns what `cancel` wants. */
  send(body: GroupCallBody, options: CallOptions): number {
    const id = this.#nextId++;
    this.#calls.set(id, {
      ...options,
      id,
      body,
      sentMs: undefined,
      retryAtMs: 0,
      failingSinceMs: undefined,
      lastError: undefined,
    });
    return id;
  }

  /** Its answer interests nobody any more. */
  cancel(id: number): void {
    this.#calls.delete(id);
  }

  /** Nothing is sent or answered any more. */
  failAll(error: OttlaError, nowMs: number): void {
    for (const call of [...this.#calls.values()]) this.#settle(call, error, undefined, nowMs);
  }

  onCoordinator(found: Coordinator, nowMs: number): void {
    this.#lookingUp = false;
    this.#confirmedMs = nowMs;
    const known = this.#coordinator;
    // Brokers lag behind each other. With nobody to go to, old news is better than none: a wrong
    // coordinator says so, and its hint is newer.
    if (known !== undefined && found.leaderEpoch <= known.leaderEpoch) return;
    this.#coordinator = found;
    if (known !== undefined && known.brokerId !== found.brokerId) this.#drop(known.brokerId);
  }

  /** `final`: it will not be found by waiting; all that wait for it fail. */
  onLookupFailed(error: OttlaError, { final }: { readonly final: boolean }, nowMs: number): void {
    this.#lookingUp = false;
    this.#confirmedMs = nowMs;
    this.#lostSinceMs ??= nowMs;
    this.#lookupAtMs = nowMs + retryDelayMs(nowMs - this.#lostSinceMs, this.#options.retry);
    for (const call of [...this.#calls.values()]) {
      call.lastError ??= error;
      if (final && call.sentMs === undefined) this.#settle(call, error, undefined, nowMs);
    }
  }

  /** The stream to the broker has ended, or could not be opened. */
  onLinkLost(brokerId: BrokerId, error: OttlaError, nowMs: number): void {
    if (this.#coordinator?.brokerId !== brokerId) return;
    for (const call of this.#calls.values()) call.lastError = error;
    this.#lose(nowMs);
  }

  onAnswer(brokerId: BrokerId, answer: GroupAnswer, nowMs: number): void {
    // What an earlier coordinator still says counts for nothing: the call was sent again.
    if (this.#coordinator?.brokerId !== brokerId) return;
    const call = this.#calls.get(answer.correlationId);
    if (call?.sentMs === undefined) return;
    const error = answer.error === null ? undefined : errorFrom(answer.error);
    if (error === undefined) {
      this.#confirmedMs = nowMs;
      this.#lostSinceMs = undefined;
      this.#settle(call, undefined, answer, nowMs);
      return;
    }
    if (!error.retriable || call.refusals?.has(error.code) === true) {
      this.#lostSinceMs = undefined;
      this.#settle(call, error, answer, nowMs);
      return;
    }
    call.sentMs = undefined;
    call.lastError = error;
    call.failingSinceMs ??= nowMs;
    call.retryAtMs = nowMs + retryDelayMs(nowMs - call.failingSinceMs, this.#options.retry);
    if (!MOVED.has(error.code)) return;
    const hint = answer.coordinator;
    if (hint !== null && hint.leaderEpoch > (this.#coordinator?.leaderEpoch ?? 0)) {
      call.retryAtMs = nowMs;
      this.onCoordinator(hint, nowMs);
    } else if (error.code === "NOT_COORDINATOR") this.#lose(nowMs);
  }

  /** Settles calls whose time is over: before whoever makes calls is asked for more. */
  expire(nowMs: number): void {
    for (const call of [...this.#calls.values()]) {
      if (call.deadlineMs === undefined || call.deadlineMs > nowMs) continue;
      this.#settle(call, timedOut(call), undefined, nowMs);
    }
  }

  drain(nowMs: number): CallsEffects {
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const { deadlineMs } of this.#calls.values()) {
      if (deadlineMs !== undefined) wakeAtMs = Math.min(wakeAtMs, deadlineMs);
    }
    let suspectSinceMs: number | undefined;
    for (const { patienceMs, sentMs } of this.#calls.values()) {
      if (sentMs === undefined) continue;
      if (sentMs + patienceMs <= nowMs && this.#coordinator !== undefined) {
        this.#drop(this.#coordinator.brokerId);
        this.#lose(nowMs);
        suspectSinceMs = undefined;
        break;
      }
      suspectSinceMs = Math.min(suspectSinceMs ?? sentMs, sentMs);
      wakeAtMs = Math.min(wakeAtMs, sentMs + patienceMs);
    }
    let lookupWanted = false;
    if (this.#coordinator === undefined) {
      if (this.#calls.size > 0 && !this.#lookingUp) {
        if (this.#lookupAtMs <= nowMs) lookupWanted = true;
        else wakeAtMs = Math.min(wakeAtMs, this.#lookupAtMs);
      }
    } else if (suspectSinceMs !== undefined && !this.#lookingUp) {
      // A frozen broker keeps its connection and never answers; another one leads by then.
      const askAtMs = Math.max(suspectSinceMs, this.#confirmedMs) + this.#options.stallMs;
      if (askAtMs <= nowMs) lookupWanted = true;
      else wakeAtMs = Math.min(wakeAtMs, askAtMs);
    }
    if (lookupWanted) this.#lookingUp = true;
    const sends: SendCallsEffect[] = [];
    if (this.#coordinator !== undefined) {
      const calls: (GroupCallBody & { readonly correlationId: number })[] = [];
      for (const call of this.#calls.values()) {
        if (call.sentMs !== undefined) continue;
        if (call.retryAtMs > nowMs) {
          wakeAtMs = Math.min(wakeAtMs, call.retryAtMs);
          continue;
        }
        call.sentMs = nowMs;
        wakeAtMs = Math.min(wakeAtMs, nowMs + Math.min(call.patienceMs, this.#options.stallMs));
        calls.push({ ...call.body, correlationId: call.id });
      }
      if (calls.length > 0) sends.push({ brokerId: this.#coordinator.brokerId, calls });
    }
    return { sends, lookupWanted, drops: this.#drops.splice(0), wakeAtMs };
  }

  #lose(nowMs: number): void {
    this.#coordinator = undefined;
    this.#lostSinceMs ??= nowMs;
    this.#lookupAtMs = nowMs + retryDelayMs(nowMs - this.#lostSinceMs, this.#options.retry);
    for (const call of this.#calls.values()) call.sentMs = undefined;
  }

  #drop(brokerId: BrokerId): void {
    this.#drops.push(brokerId);
    for (const call of this.#calls.values()) call.sentMs = undefined;
  }

  #settle(
    call: Call,
    error: OttlaError | undefined,
    answer: GroupAnswer | undefined,
    nowMs: number,
  ): void {
    this.#calls.delete(call.id);
    call.settled({ error, answer, nowMs });
  }
}

function timedOut({ lastError }: Call): OttlaError {
  const why = lastError === undefined ? "" : `; the last said: ${lastError.message}`;
  return new OttlaError(
    "REQUEST_TIMED_OUT",
    `the group's coordinator did not answer in time${why}`,
    {
      cause: lastError,
    },
  );
}
