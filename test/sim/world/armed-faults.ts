/** Faults of a disk that wait for the operation that they hit. */
export type DiskFault =
  /** The write fails; it may be there at reopening, and later ones are lost. */
  | "write-error"
  /** The sync fails, and every later write with it; the write may be there at reopening. */
  | "sync-error"
  | "read-error"
  /** A store does not open: an input/output error, held by another process, or damaged. */
  | "open-error"
  | "open-locked"
  | "open-damaged"
  /** A store takes `delayMs` to open. */
  | "slow-open"
  /** One bit of what is read is wrong, this once. */
  | "flipped-read"
  /** A key is read as it was one change ago. */
  | "stale-read"
  /** An iterator says that it has reached its end. */
  | "short-iterator"
  /** An iterator returns an entry with a wrong bit. */
  | "damaged-iterator";

export interface ArmedFault {
  /** Only operations on paths that contain this. Default: all. */
  readonly path?: string;
  /** Which of the operations is the first to be hit, counted from now. Default 1. */
  readonly nth?: number;
  /** How many are hit, one after another; Infinity: until disarmed. Default 1. */
  readonly times?: number;
  /** Of writes and syncs that fail: whether they are there at reopening. Default: drawn. */
  readonly visible?: boolean;
  /** Of slow operations. */
  readonly delayMs?: number;
}

interface Armed {
  readonly fault: DiskFault;
  readonly how: ArmedFault;
  seenCount: number;
}

export class ArmedFaults {
  #armed: Armed[] = [];

  add(fault: DiskFault, how: ArmedFault): () => void {
    const armed = { fault, how, seenCount: 0 };
    this.#armed.push(armed);
    return () => this.#remove(armed);
  }

  clear(): void {
    this.#armed = [];
  }

  /** The fault that hits this operation, if one does. */
  take(fault: DiskFault, path: string): ArmedFault | undefined {
    for (const armed of this.#armed) {
      const { nth = 1, times = 1, path: part = "" } = armed.how;
      if (armed.fault !== fault || !path.includes(part)) continue;
      armed.seenCount++;
      if (armed.seenCount < nth) continue;
      if (armed.seenCount - nth + 1 >= times) this.#remove(armed);
      return armed.how;
    }
    return undefined;
  }

  #remove(armed: Armed): void {
    this.#armed = this.#armed.filter((each) => each !== armed);
  }
}
