/**
 * Where faults act. Several may hold the same thing at once (two cuts over one link, a crash while
 * another has the broker down), so each takes hold and lets go, and a thing works again when the
 * last one lets go.
 */
import type { Cluster, SimBroker } from "../cluster/cluster.ts";
import { type DiskLatency, QUIET_LATENCY } from "../world/sim-disk.ts";
import {
  type LinkName,
  type LinkQuality,
  type NetworkDelays,
  QUIET_DELAYS,
} from "../world/sim-network.ts";
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

export class Stage {
  readonly cluster: Cluster;
  readonly atlas: Atlas;
  readonly roles: Roles;
  readonly #holds = new Map<string, unknown[]>();
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
    return this.cutLinks(linksBetween(options), options.state);
  }

  cutLinks(links: readonly LinkName[], state: "hold" | "reset"): Release {
    const open = this.cluster.network.cut(links, state);
    return () => {
      if (!this.#healed) open();
    };
  }

  quality(links: readonly LinkName[], quality: LinkQuality): Release {
    const { network } = this.cluster;
    const releases = links.map((link) => {
      network.setQuality([link], quality);
      return this.#hold(`quality ${link.join(">")}`, quality, (others) => {
        network.setQuality([link], others.at(-1));
      });
    });
    return () => {
      for (const release of releases) release();
    };
  }

  delays(delays: NetworkDelays): Release {
    const { network } = this.cluster;
    network.delays = delays;
    return this.#hold("delays", delays, (others) => {
      network.delays = others.at(-1) ?? QUIET_DELAYS;
    });
  }

  slow({ node }: SimBroker, times: number): Release {
    node.slowTimes = times;
    return this.#hold(`slow ${node.name}`, times, (others) => {
      node.slowTimes = others.at(-1) ?? 1;
    });
  }

  memoryCap({ node }: SimBroker, bytes: number): Release {
    node.memoryCapBytes = bytes;
    return this.#hold(`memory ${node.name}`, bytes, (others) => {
      node.memoryCapBytes = others.at(-1) ?? Number.POSITIVE_INFINITY;
    });
  }

  drift({ node }: SimBroker, ppm: number): Release {
    node.clock.driftPpm = ppm;
    return this.#hold(`drift ${node.name}`, ppm, (others) => {
      node.clock.driftPpm = others.at(-1) ?? 0;
    });
  }

  latency({ node }: SimBroker, latency: DiskLatency): Release {
    node.disk.latency = latency;
    return this.#hold(`latency ${node.name}`, latency, (others) => {
      node.disk.latency = others.at(-1) ?? QUIET_LATENCY;
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
  }

  /** The machine works as it should, and its process goes on if there is one. */
  mend(broker: SimBroker): void {
    const { node } = broker;
    node.disk.full = false;
    node.disk.latency = QUIET_LATENCY;
    node.disk.disarm();
    if (node.paused) this.note(`broker ${broker.id} goes on`);
    node.heal();
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
}

export function linksBetween(options: {
  readonly left: readonly string[];
  readonly right: readonly string[];
  readonly oneWay?: boolean;
}): readonly LinkName[] {
  const links: LinkName[] = [];
  for (const left of options.left) {
    for (const right of options.right) {
      if (left === right) continue;
      links.push([left, right]);
      if (options.oneWay !== true) links.push([right, left]);
    }
  }
  return links;
}
