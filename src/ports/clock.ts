/** Time, as arguments and effects; nothing outside `adapters` and the simulator reads a clock. */
export interface Clock {
  /** Milliseconds since an arbitrary point; never falls. */
  monotonicMs(): number;
  /** Milliseconds since 1970; may jump. Only for timestamps of records and for people. */
  wallMs(): number;
}

export interface Timer {
  /** After this the callback never runs. Idempotent. */
  cancel(): void;
}

export interface Timers {
  /** Runs `callback` once, not before `delayMs`; of [0, 2^31). */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` again and again, `periodMs` apart, until cancelled. */
  every(periodMs: number, callback: () => void): Timer;
  /** Settles after `delayMs`; rejects with ABORTED once `signal` aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
  /** Lets the event loop take in input and run timers: long loops await it every few ms. */
  yield(): Promise<void>;
}
