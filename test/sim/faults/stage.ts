/**
 * Where faults act. Several may hold the same thing at once (two cuts over one link, a crash while
 * another has the broker down), so each takes hold and lets go, and a thing works again when the
 * last one lets go.
 */
import type { Cluster, SimBroker } from "../cluster/cluster.ts";
import type { DiskLatency } from "../world/sim-disk.ts";
import type { NetworkDelays } from "../world/sim-network.ts";
import type { Incarnation } from "../world/sim-node.ts";
import type { Atlas } from "./atlas.ts";
import type { Roles, Target } from "./target.ts";

export interface StageOptions {
  readonly cluster: Cluster;
  readonly atlas: Atlas;
  readonly roles: Roles;
}

/** Lets go; a second call does nothing. */
export type Release = () => void;

interface Cut {
  readonly links: ReadonlySet<string>;
  readonly state: "hold" | "reset";
}

const USUAL_DELAYS: NetworkDelays = { minMs: 0.05, meanMs: 0.3 };
const USUAL_LATENCY: DiskLatency = { readMs: 0.1, writeMs: 0.1, syncMs: 0.8 };

export class Stage {
  readonly cluster: Cluster;
  readonly atlas: Atlas;
  readonly roles: Roles;
  readonly #holds = new Map<string, unknown[]>();
  readonly #cuts = new Set<Cut>();
  readonly #stopping = new WeakSet<Incarnation>();
  #healed = false;

  constructor({ cluster, atlas, roles }: StageOptions) {
    this.cluster = cluster;
    this.atlas = atlas;
    this.roles = roles;
  }

  get names(): readonly string[] {
    return this.cluster.brokers.map(({ node }) => node.name);
  }

  resolve(target: Target): SimBroker | undefined {
    return this.roles.resolve(target);
  }

  note(text: string): void {
    this.cluster.world.note(text);
  }

  /** Runs `run` later, unless everything has healed by then. */
  later(delayMs: number, run: () => void): void {
    this.cluster.world.schedule(delayMs, "fault", () => {
      if (!this.#healed) run();
    });
  }

  /** The process is gone until the last one lets go. */
  down(broker: SimBroker, how: "crash" | "power loss"): Release {
    this.cluster.kill(broker, how);
    return this.#up(broker);
  }

  /** Asked to stop, cut off after `maxMs`; started again when the last one lets go. */
  stopped(broker: SimBroker, maxMs: number): Release {
    if (broker.node.incarnation !== undefined) this.#stopping.add(broker.node.incarnation);
    this.cluster.stop(broker, maxMs);
    return this.#up(broker);
  }

  /** Its process runs, and was not asked to stop. */
  isUp({ node, running }: SimBroker): boolean {
    const { incarnation } = node;
    return incarnation !== undefined && running !== undefined && !this.#stopping.has(incarnation);
  }

  paused(broker: SimBroker): Release {
    if (!broker.node.paused) this.cluster.pause(broker);
    return this.#hold(`paused ${broker.id}`, true, (others) => {
      if (others.length === 0) this.cluster.resume(broker);
    });
  }

  /** Both directions between each of `left` and each of `right`, or only from `left` to `right`. */
  cut(options: {
    readonly left: readonly string[];
    readonly right: readonly string[];
    readonly state: "hold" | "reset";
    readonly oneWay?: boolean;
  }): Release {
    const links = new Set<string>();
    for (const left of options.left) {
      for (const right of options.right) {
        if (left === right) continue;
        links.add(`${left}>${right}`);
        if (options.oneWay !== true) links.add(`${right}>${left}`);
      }
    }
    const cut: Cut = { links, state: options.state };
    this.#cuts.add(cut);
    this.#setLinks(links);
    return () => {
      if (this.#healed || !this.#cuts.delete(cut)) return;
      this.#setLinks(links);
    };
  }

  delays(delays: NetworkDelays): Release {
    const { network } = this.cluster;
    network.delays = delays;
    return this.#hold("delays", delays, (others) => {
      network.delays = others.at(-1) ?? USUAL_DELAYS;
    });
  }

  latency({ node }: SimBroker, latency: DiskLatency): Release {
    node.disk.latency = latency;
    return this.#hold(`latency ${node.name}`, latency, (others) => {
      node.disk.latency = others.at(-1) ?? USUAL_LATENCY;
    });
  }

  full({ node }: SimBroker): Release {
    node.disk.full = true;
    return this.#hold(`full ${node.name}`, true, (others) => {
      node.disk.full = others.length > 0;
    });
  }

  clockOffset({ node }: SimBroker, offsetMs: number): Release {
    node.wallOffsetMs = offsetMs;
    return this.#hold(`clock ${node.name}`, offsetMs, (others) => {
      node.wallOffsetMs = others.at(-1) ?? 0;
    });
  }

  /** From now on no fault begins or ends any more. */
  end(): void {
    this.#healed = true;
    this.#holds.clear();
    this.#cuts.clear();
  }

  /** The machine's disk and clock rate work as they should; whether the process runs is not touched. */
  mend({ node }: SimBroker): void {
    node.disk.full = false;
    node.disk.latency = USUAL_LATENCY;
    node.disk.disarm();
  }

  mendNetwork(): void {
    const { network } = this.cluster;
    network.delays = USUAL_DELAYS;
    network.healAll();
  }

  #up(broker: SimBroker): Release {
    return this.#hold(`down ${broker.id}`, true, (others) => {
      if (others.length === 0) this.cluster.start(broker);
    });
  }

  /** `ended` is told what others still hold, each time that one lets go. */
  #hold<Value>(key: string, value: Value, ended: (others: readonly Value[]) => void): Release {
    const holds = (this.#holds.get(key) ?? []) as Value[];
    this.#holds.set(key, holds);
    holds.push(value);
    let held = true;
    return () => {
      if (!held || this.#healed) return;
      held = false;
      holds.splice(holds.indexOf(value), 1);
      ended(holds);
    };
  }

  #setLinks(links: ReadonlySet<string>): void {
    const { network } = this.cluster;
    for (const link of links) {
      const [from, to] = link.split(">") as [string, string];
      const cuts = [...this.#cuts].filter((cut) => cut.links.has(link));
      const state = cuts.some((cut) => cut.state === "reset")
        ? "reset"
        : cuts.length > 0
          ? "hold"
          : "open";
      if (network.linkState(from, to) !== state) network.setLink(from, to, state);
    }
  }
}
