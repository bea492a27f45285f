/**
 * Draws faults from the seed, swarm style: each run first draws which kinds it has at all, so that
 * some runs are all network, some all disk, and some quiet; then one fault after another, each with
 * an end. `heal` ends everything.
 */
import type { Prng } from "../../../src/base/prng.ts";
import type { Cluster, SimBroker } from "../cluster/cluster.ts";
import { partitionsOf } from "../cluster/run-context.ts";

export const FAULTS = [
  "crash",
  "crash-all",
  "power-loss",
  "power-loss-all",
  "graceful-restart",
  "restart-storm",
  "pause",
  "stall",
  "isolate",
  "split",
  "one-way",
  "reset-link",
  "slow-network",
  "slow-disk",
  "hung-disk",
  "write-error",
  "sync-error",
  "full-disk",
  "clock-jump",
  "wipe",
] as const;
export type Fault = (typeof FAULTS)[number];

export interface NemesisOptions {
  readonly cluster: Cluster;
  readonly prng: Prng;
  /** Those of which the run may draw. */
  readonly allowed: readonly Fault[];
}

export class Nemesis {
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly faults: readonly Fault[];
  readonly #pauseMs: readonly [number, number];
  #healed = false;
  #wiped = false;
  injectedCount = 0;

  constructor({ cluster, prng, allowed }: NemesisOptions) {
    this.#cluster = cluster;
    this.#prng = prng;
    this.faults = allowed.filter(() => prng.chance(2, 5));
    this.#pauseMs = prng.chance(1, 2) ? [100, 1_500] : [1_000, 4_000];
  }

  start(): void {
    if (this.faults.length === 0) return;
    const { world } = this.#cluster;
    world.schedule(this.#prng.between(...this.#pauseMs), "nemesis", () => {
      if (this.#healed) return;
      this.#inject(this.#prng.pick(this.faults));
      this.injectedCount++;
      this.start();
    });
  }

  /** Everything works from now on, and everybody is up or on the way there. */
  heal(): void {
    this.#healed = true;
    const { network, brokers, world } = this.#cluster;
    world.note("everything heals");
    network.healAll();
    network.delays = { minMs: 0.05, meanMs: 0.3 };
    for (const broker of brokers) {
      const { disk } = broker.node;
      disk.full = false;
      disk.latency = { readMs: 0.1, writeMs: 0.1, syncMs: 0.8 };
      disk.disarm();
      this.#cluster.resume(broker);
      this.#cluster.start(broker);
    }
  }

  #inject(fault: Fault): void {
    const cluster = this.#cluster;
    const prng = this.#prng;
    const { network, brokers } = cluster;
    const victim = prng.pick(brokers);
    const names = brokers.map(({ node }) => node.name);
    switch (fault) {
      case "crash":
      case "power-loss":
        this.#kill([victim], fault === "crash" ? "crash" : "power loss");
        return;
      case "crash-all":
      case "power-loss-all":
        this.#kill(brokers, fault === "crash-all" ? "crash" : "power loss");
        return;
      case "graceful-restart":
        if (victim.running === undefined) return;
        cluster.stop(victim, 8_000);
        this.#later(prng.between(6_000, 9_000), () => this.#startWhenDown(victim));
        return;
      case "restart-storm":
        for (let at = 0, times = prng.between(2, 5); times > 0; times--) {
          at += prng.between(20, 1_200);
          this.#later(at, () => this.#kill([victim], "crash", prng.between(1, 300)));
        }
        return;
      case "pause":
        this.#pause(victim, prng.between(1_000, 6_000));
        return;
      case "stall":
        this.#pause(victim, prng.between(20, 900));
        return;
      case "isolate":
        this.#cut([victim.node.name], names, "hold", prng.chance(1, 3), prng.between(300, 8_000));
        return;
      case "split": {
        const shuffled = prng.shuffle(names);
        const size = prng.between(1, Math.max(1, names.length - 1));
        this.#cut(shuffled.slice(0, size), names, "hold", false, prng.between(300, 6_000));
        return;
      }
      case "one-way":
        this.#cut([victim.node.name], names, "hold", true, prng.between(300, 6_000));
        return;
      case "reset-link": {
        const other = prng.pick(brokers);
        if (other === victim) return;
        const pair = [victim.node.name, other.node.name];
        this.#cut([victim.node.name], pair, "reset", false, prng.between(1, 3_000));
        return;
      }
      case "slow-network":
        cluster.world.note("the network is slow");
        network.delays = { minMs: prng.between(0, 20), meanMs: prng.between(5, 80) };
        this.#later(prng.between(500, 5_000), () => {
          network.delays = { minMs: 0.05, meanMs: 0.3 };
        });
        return;
      case "slow-disk":
        cluster.world.note(`broker ${victim.id}: disk is slow`);
        victim.node.disk.latency = { readMs: 2, writeMs: 3, syncMs: prng.between(5, 100) };
        this.#later(prng.between(500, 6_000), () => {
          victim.node.disk.latency = { readMs: 0.1, writeMs: 0.1, syncMs: 0.8 };
        });
        return;
      case "hung-disk": {
        const durationMs = prng.between(300, 6_000);
        cluster.world.note(`broker ${victim.id}: disk hangs for ${durationMs} ms`);
        victim.node.disk.hang(durationMs);
        return;
      }
      case "write-error":
      case "sync-error":
        cluster.world.note(`broker ${victim.id}: next ${fault}`);
        victim.node.disk.arm(fault);
        return;
      case "full-disk":
        cluster.world.note(`broker ${victim.id}: disk is full`);
        victim.node.disk.full = true;
        this.#later(prng.between(200, 5_000), () => {
          cluster.world.note(`broker ${victim.id}: disk has space again`);
          victim.node.disk.full = false;
        });
        return;
      case "wipe":
        this.#wipe(victim);
        return;
      case "clock-jump":
        victim.node.wallOffsetMs = prng.between(-3_600_000, 3_600_000);
        cluster.world.note(`broker ${victim.id}: clock is off by ${victim.node.wallOffsetMs} ms`);
        return;
    }
  }

  /**
   * A new disk, once a run: only of a broker without which every partition still has somebody who
   * holds all that was committed, because more than that is not promised.
   */
  #wipe(victim: SimBroker): void {
    const cluster = this.#cluster;
    // A sole voter that forgets everything forms another cluster, as it must.
    if (this.#wiped || cluster.shape.votersCount < 3) return;
    for (const [, { isr, elr }] of partitionsOf(cluster.newestImage())) {
      if (![...isr, ...elr].some((id) => id !== victim.id)) return;
    }
    this.#wiped = true;
    cluster.kill(victim, "crash");
    cluster.wipe(victim);
    this.#later(this.#prng.between(10, 5_000), () => cluster.start(victim));
  }

  #kill(
    victims: readonly SimBroker[],
    how: "crash" | "power loss",
    downMs = this.#prng.between(10, 5_000),
  ): void {
    for (const victim of victims) {
      this.#cluster.kill(victim, how);
      const spread = victims.length === 1 ? 0 : this.#prng.between(0, 1_000);
      this.#later(downMs + spread, () => this.#cluster.start(victim));
    }
  }

  #startWhenDown(victim: SimBroker): void {
    if (victim.wanted) return;
    if (victim.node.incarnation === undefined) this.#cluster.start(victim);
    else this.#later(500, () => this.#startWhenDown(victim));
  }

  #pause(victim: SimBroker, durationMs: number): void {
    if (victim.running === undefined || victim.node.paused) return;
    this.#cluster.pause(victim);
    this.#later(durationMs, () => this.#cluster.resume(victim));
  }

  /** Cuts everything between `side` and the rest; one way: only what `side` hears, or says. */
  #cut(
    side: readonly string[],
    all: readonly string[],
    state: "hold" | "reset",
    oneWay: boolean,
    durationMs: number,
  ): void {
    const { network, world } = this.#cluster;
    const rest = all.filter((name) => !side.includes(name));
    const incoming = !oneWay || this.#prng.chance(1, 2);
    const outgoing = !oneWay || !incoming;
    const way = oneWay ? (incoming ? "hears nobody" : "is not heard") : "is cut off";
    world.note(`${side.join(",")} ${way} for ${durationMs} ms (${state})`);
    const set = (link: "hold" | "reset" | "open"): void => {
      for (const left of side) {
        for (const right of rest) {
          if (outgoing) network.setLink(left, right, link);
          if (incoming) network.setLink(right, left, link);
        }
      }
    };
    set(state);
    this.#later(durationMs, () => {
      world.note(`${side.join(",")} ${way} no more`);
      set("open");
    });
  }

  #later(delayMs: number, run: () => void): void {
    this.#cluster.world.schedule(delayMs, "nemesis ends", () => {
      if (!this.#healed) run();
    });
  }
}
