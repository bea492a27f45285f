/**
 * How a simulated client reaches a broker: a call takes a while to get there, runs in the broker's
 * process, and its answer takes a while to come back, or never does. Clients run outside every
 * process of the cluster, on the world's own time, as plain callbacks.
 */
import type { Prng } from "../../../src/base/prng.ts";
import type { BrokerApi } from "../../../src/broker/broker-api.ts";
import type { Cluster } from "../cluster/cluster.ts";

export type Outcome<Value> =
  | { readonly type: "ok"; readonly value: Value }
  | { readonly type: "error"; readonly thrown: unknown }
  /** Nobody was there, or no answer came in time. */
  | { readonly type: "lost" };

export interface ClientCallsOptions {
  readonly cluster: Cluster;
  readonly prng: Prng;
  /** An answer is lost once in so many calls; 0: never. */
  readonly lostAnswersOneIn: number;
}

const DELAY_MS = [0, 3] as const;

export class ClientCalls {
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly #lostAnswersOneIn: number;
  readonly #lastArrivalMs = new Map<string, number>();

  constructor(options: ClientCallsOptions) {
    this.#cluster = options.cluster;
    this.#prng = options.prng;
    this.#lostAnswersOneIn = options.lostAnswersOneIn;
  }

  /** `done` is called once, as an event of its own. `served` runs as the answer leaves the broker. */
  call<Value>(options: {
    readonly brokerId: number;
    readonly label: string;
    /** Calls of one stream to one broker arrive in the order in which they were made. */
    readonly stream?: string;
    readonly timeoutMs: number;
    readonly run: (api: BrokerApi) => Promise<Value>;
    readonly served?: (value: Value) => void;
    readonly done: (outcome: Outcome<Value>) => void;
  }): void {
    const { world } = this.#cluster;
    const { node } = this.#cluster.broker(options.brokerId);
    let open = true;
    const finish = (outcome: Outcome<Value>): void => {
      if (!open) return;
      open = false;
      timeout.cancel();
      options.done(outcome);
    };
    const timeout = world.schedule(options.timeoutMs, `${options.label} timed out`, () =>
      finish({ type: "lost" }),
    );
    const answer = (outcome: Outcome<Value>): void => {
      if (this.#lostAnswersOneIn > 0 && this.#prng.chance(1, this.#lostAnswersOneIn)) return;
      world.schedule(this.#delay(), `${options.label} answered`, () => finish(outcome));
    };
    world.schedule(this.#arrivalDelay(options), options.label, () => {
      const { incarnation } = node;
      const running = this.#cluster.broker(options.brokerId).running;
      if (incarnation === undefined || running === undefined) {
        answer({ type: "lost" });
        return;
      }
      incarnation.later(0, "network", `serve ${options.label}`, () => {
        options.run(running.api).then(
          (value) => {
            if (!incarnation.alive) return;
            options.served?.(value);
            answer({ type: "ok", value });
          },
          (thrown: unknown) => {
            if (incarnation.alive) answer({ type: "error", thrown });
          },
        );
      });
    });
  }

  #arrivalDelay({ stream, brokerId }: { stream?: string; brokerId: number }): number {
    const delay = this.#delay();
    if (stream === undefined) return delay;
    const { nowMs } = this.#cluster.world;
    const key = `${brokerId} ${stream}`;
    const atMs = Math.max(nowMs + delay, this.#lastArrivalMs.get(key) ?? 0);
    this.#lastArrivalMs.set(key, atMs);
    return atMs - nowMs;
  }

  #delay(): number {
    return this.#prng.between(...DELAY_MS) + this.#prng.below(1_000) / 1_000;
  }
}
