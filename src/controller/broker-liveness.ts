/**
 * Who is alive, as this voter hears it on its own streams. Every voter keeps it, active or not, so
 * that a new controller judges by what it heard itself and knows at once who died with the old one.
 */
import type { BrokerId, IncarnationId } from "../model/ids.ts";

export type Verdict = "alive" | "unheard" | "broken" | "silent";

interface Life {
  readonly brokerId: BrokerId;
  readonly incarnationId: IncarnationId;
  /** Streams on which this life has said who it is. */
  readonly streams: Set<object>;
  lastHeardMs: number;
  brokenSinceMs: number;
}

export class BrokerLiveness {
  readonly #lives = new Map<string, Life>();
  readonly #sessionTimeoutMs: number;
  readonly #reconnectMs: number;

  constructor(options: { readonly sessionTimeoutMs: number; readonly reconnectMs: number }) {
    this.#sessionTimeoutMs = options.sessionTimeoutMs;
    this.#reconnectMs = options.reconnectMs;
  }

  heard(stream: object, brokerId: BrokerId, incarnationId: IncarnationId, nowMs: number): void {
    const key = `${brokerId}/${incarnationId}`;
    let life = this.#lives.get(key);
    if (life === undefined) {
      life = { brokerId, incarnationId, streams: new Set(), lastHeardMs: nowMs, brokenSinceMs: 0 };
      this.#lives.set(key, life);
    }
    life.streams.add(stream);
    life.lastHeardMs = nowMs;
  }

  ended(stream: object, nowMs: number): void {
    for (const life of this.#lives.values()) {
      if (life.streams.delete(stream) && life.streams.size === 0) life.brokenSinceMs = nowMs;
    }
  }

  /** `unheard`: this life has never said anything here; how long that may last is not decided here. */
  verdict(brokerId: BrokerId, incarnationId: IncarnationId, nowMs: number): Verdict {
    const life = this.#lives.get(`${brokerId}/${incarnationId}`);
    if (life === undefined) return "unheard";
    if (life.streams.size === 0 && nowMs - life.brokenSinceMs >= this.#reconnectMs) return "broken";
    return nowMs - life.lastHeardMs > this.#sessionTimeoutMs ? "silent" : "alive";
  }

  /** Forgets lives that ended long ago, except those that `isRegistered`. */
  forget(nowMs: number, isRegistered: (id: BrokerId, incarnation: IncarnationId) => boolean): void {
    for (const [key, life] of this.#lives) {
      const silentMs = nowMs - life.lastHeardMs;
      const over = life.streams.size === 0 && silentMs > 10 * this.#sessionTimeoutMs;
      if (over && !isRegistered(life.brokerId, life.incarnationId)) this.#lives.delete(key);
    }
  }
}
