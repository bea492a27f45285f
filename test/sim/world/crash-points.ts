/**
 * Points of a process's dealings with the world, seen from outside: a write is issued, a sync has
 * completed, a message leaves. A crash just there is a crash between two named steps of the
 * program, without a word of it in the program.
 *
 * `issued`: handed over, so that a crash now leaves it done or not. `completed`: done, but the
 * process has not been told: it cannot have acted upon it.
 */
import type { EndOfLife } from "./sim-node.ts";

export type PointKind =
  | "write"
  | "sync"
  | "store-open"
  | "store-close"
  | "replace"
  | "rename"
  | "remove"
  | "make-directory"
  | "slot"
  | "send"
  | "deliver"
  /** Any event of the process: with `n` drawn, any await. */
  | "event";

export interface Point {
  readonly kind: PointKind;
  readonly stage: "issued" | "completed";
  /** Path, or channel, or the event's label. */
  readonly detail: string;
}

export interface CrashAt {
  readonly kind: PointKind;
  readonly stage: "issued" | "completed";
  /** Only those whose detail contains this. */
  readonly detail?: string;
  /** Which of them, from 1; default 1. */
  readonly n?: number;
  /** Count in the next life, from its start: a crash during recovery. Default: from now on. */
  readonly inNextLife?: boolean;
  /** Default "crash". */
  readonly how?: Exclude<EndOfLife, "exit">;
  /** What happens instead of the process just ending; e.g. so that somebody restarts it. */
  readonly then?: () => void;
}

interface Armed {
  readonly crash: CrashAt;
  /** The life in which it counts. */
  readonly life: number;
  seenCount: number;
}

export class CrashPoints {
  #armed: Armed[] = [];

  get size(): number {
    return this.#armed.length;
  }

  add(crash: CrashAt, life: number): () => void {
    const armed = { crash, life, seenCount: 0 };
    this.#armed.push(armed);
    return () => {
      this.#armed = this.#armed.filter((each) => each !== armed);
    };
  }

  clear(): void {
    this.#armed = [];
  }

  /** The crash that is due at this point, if one is. */
  reach(point: Point, life: number): CrashAt | undefined {
    for (const armed of this.#armed) {
      const { kind, stage, detail, n = 1 } = armed.crash;
      if (armed.life !== life || kind !== point.kind || stage !== point.stage) continue;
      if (detail !== undefined && !point.detail.includes(detail)) continue;
      armed.seenCount++;
      if (armed.seenCount < n) continue;
      this.#armed = this.#armed.filter((each) => each !== armed);
      return armed.crash;
    }
    return undefined;
  }

  /** A life has ended: what should have happened in it does not any more. */
  ended(life: number): void {
    this.#armed = this.#armed.filter((each) => each.life > life);
  }
}
