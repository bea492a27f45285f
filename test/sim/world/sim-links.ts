/**
 * Links: one direction between two machines each. What a link does to what is sent over it:
 *
 * - delay, drawn exponentially with a slow tail, and a bandwidth that all streams of the link share;
 * - `hold`: what is sent waits. A clog is a hold that ends by itself: what has queued up is then
 *   delivered at once;
 * - `reset`: connections break at once, and new ones are refused.
 *
 * Cuts may overlap: a link is as bad as the worst cut that is still in force, and what `set` says.
 */
import type { Prng } from "../../../src/base/prng.ts";

/** What happens to what is sent over a link. */
export type LinkState = "open" | "hold" | "reset";

/** One direction: from a machine's name, to a machine's name. */
export type LinkName = readonly [from: string, to: string];

export interface NetworkDelays {
  readonly minMs: number;
  /** Of what comes on top of `minMs`. */
  readonly meanMs: number;
  /** One message in so many takes 10 to 100 times as long. Default 1,000; 0: none does. */
  readonly tailOneIn?: number;
}

export interface LinkQuality extends NetworkDelays {
  /** Of all streams in sum. Default: no bound. */
  readonly bytesPerSecond?: number;
  /** One message in so many is lost together with its connection. Default 0: none is. */
  readonly resetOneIn?: number;
}

interface Cut {
  readonly state: LinkState;
}

/** Thousandths of the mean at 64 quantiles of an exponential distribution: no logarithm is drawn. */
const EXPONENTIAL = [
  8, 24, 40, 56, 73, 90, 107, 125, 143, 161, 179, 198, 217, 237, 257, 277, 298, 319, 341, 363, 386,
  409, 433, 458, 483, 508, 535, 562, 589, 618, 647, 678, 709, 741, 774, 809, 845, 882, 920, 960,
  1002, 1045, 1091, 1138, 1188, 1241, 1297, 1356, 1418, 1485, 1556, 1633, 1717, 1808, 1908, 2019,
  2144, 2287, 2454, 2655, 2906, 3243, 3753, 4852,
] as const;

/** What was under way as the network healed has arrived after so long. */
export const HEALED_MS = 5;

const SEVERITY = { open: 0, hold: 1, reset: 2 } as const;

export function drawDelayMs(
  prng: Prng,
  { minMs, meanMs, tailOneIn = 1_000 }: NetworkDelays,
): number {
  const drawn = prng.uint32();
  const thousandths = EXPONENTIAL[drawn >>> 26] as number;
  const slow = tailOneIn > 0 && (drawn & 0x3ffffff) % tailOneIn === 0;
  const times = slow ? prng.between(10, 100) : 1;
  return minMs + (meanMs * times * thousandths) / 1_000;
}

export class Link {
  readonly from: string;
  readonly to: string;
  /** Undefined: as the network in general. */
  quality: LinkQuality | undefined;
  #set: LinkState = "open";
  readonly #cuts = new Set<Cut>();
  #busyUntilMs = 0;
  #lastArrivalMs = 0;
  /** When the present hold began. */
  #heldSinceMs: number | undefined;

  constructor(from: string, to: string) {
    this.from = from;
    this.to = to;
  }

  get state(): LinkState {
    let state = this.#set;
    for (const cut of this.#cuts) if (SEVERITY[cut.state] > SEVERITY[state]) state = cut.state;
    return state;
  }

  /** Gives whether that changes anything. */
  change(
    nowMs: number,
    change: { readonly set?: LinkState; readonly cut?: Cut; readonly uncut?: Cut },
  ): boolean {
    const before = this.state;
    if (change.set !== undefined) this.#set = change.set;
    if (change.cut !== undefined) this.#cuts.add(change.cut);
    if (change.uncut !== undefined) this.#cuts.delete(change.uncut);
    const { state } = this;
    if (state === "open") this.#heldSinceMs = undefined;
    else this.#heldSinceMs ??= nowMs;
    return state !== before;
  }

  heal(nowMs: number): boolean {
    this.#cuts.clear();
    this.quality = undefined;
    this.#busyUntilMs = 0;
    this.#lastArrivalMs = Math.min(this.#lastArrivalMs, nowMs + HEALED_MS);
    return this.change(nowMs, { set: "open" });
  }

  /** Whether nothing has passed since then. */
  heldSince(ms: number): boolean {
    return this.#heldSinceMs !== undefined && this.#heldSinceMs <= ms;
  }

  setQuality(quality: LinkQuality | undefined): void {
    this.quality = quality;
    this.#busyUntilMs = 0;
  }

  /** When a message whose turn it is has passed through the link's bandwidth. */
  transmittedMs(nowMs: number, sizeBytes: number): number {
    const bytesPerSecond = this.quality?.bytesPerSecond;
    if (bytesPerSecond === undefined) return nowMs;
    const begin = Math.max(nowMs, this.#busyUntilMs);
    this.#busyUntilMs = begin + (sizeBytes * 1_000) / bytesPerSecond;
    return this.#busyUntilMs;
  }

  /** Of all that the link carries, nothing arrives before what was sent before it. */
  inOrder(arrivalMs: number): number {
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, arrivalMs);
    return this.#lastArrivalMs;
  }
}

export class SimLinks {
  readonly #links = new Map<string, Map<string, Link>>();

  link(from: string, to: string): Link {
    let outgoing = this.#links.get(from);
    if (outgoing === undefined) {
      outgoing = new Map();
      this.#links.set(from, outgoing);
    }
    let link = outgoing.get(to);
    if (link === undefined) {
      link = new Link(from, to);
      outgoing.set(to, link);
    }
    return link;
  }

  *all(): IterableIterator<Link> {
    for (const outgoing of this.#links.values()) yield* outgoing.values();
  }
}
