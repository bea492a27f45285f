/**
 * Liveness, within bounds of virtual time, once faults are over for all brokers or for a core of
 * them (L8):
 * - L1: somebody leads the metadata quorum within five election timeouts;
 * - L2: no partition is without a leader for more than two seconds while somebody of its ISR or ELR
 *   is up and unfenced;
 * - L3: every replica on a healed broker is in sync within 30 s and what its bytes take;
 * - L9: whoever flaps, or hears or is heard one way only, changes the quorum's leader at most once an
 *   election timeout.
 */

import type { Cluster, SimBroker } from "./cluster/cluster.ts";
import { brokerConfig } from "./cluster/cluster-config.ts";
import { partitionsOf } from "./cluster/run-context.ts";
import type { FaultPlan } from "./faults/plan.ts";
import type { Stage } from "./faults/stage.ts";

/** A process may be stopping in order when everything heals, and is cut off after eight seconds. */
const START_MS = 20_000;
const LEADER_ELECTION_TIMEOUTS = 5;
const LEADERLESS_MS = 2_000;
const LOOK_MS = 100;
const UNFENCED_MS = 15_000;
const IN_SYNC_MS = 30_000;
/** How long a core is left alone with those that are cut off from it. */
const DISTURBED_MS = 5_000;
/** What a follower fetches at least, on a disk that takes 0.8 ms to sync. */
const BYTES_PER_MS = 1_000;

export class Liveness {
  readonly #cluster: Cluster;
  readonly #stage: Stage;
  readonly #electionTimeoutMs: number;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#cluster = stage.cluster;
    this.#electionTimeoutMs = brokerConfig(1, stage.cluster.shape).electionTimeoutMs;
  }

  /**
   * Plays on until all bounds were kept, with `members` healed; fails and throws at the first not
   * kept. `reachable`: those that may lead the quorum too, because they are not cut off for good.
   */
  async demand(
    members: readonly SimBroker[],
    reachable: readonly SimBroker[] = members,
  ): Promise<void> {
    const stage = this.#stage;
    await this.#come("a healed broker starts", START_MS, () =>
      members.every((broker) => stage.isUp(broker)),
    );
    await this.#come(
      "L1 the metadata quorum has a leader",
      LEADER_ELECTION_TIMEOUTS * this.#electionTimeoutMs,
      () => this.#isLed(reachable),
    );
    const stop = this.#watchLeaders(members);
    await this.#come("a healed broker is unfenced", UNFENCED_MS, () =>
      members.every((broker) => !this.#cluster.isFenced(broker)),
    );
    await this.#come(
      "L3 replicas are in sync",
      IN_SYNC_MS + this.#bytesBehind() / BYTES_PER_MS,
      () => this.#inSync(members),
    );
    stop();
  }

  /** One of them leads the newest term that any of them knows. */
  #isLed(brokers: readonly SimBroker[]): boolean {
    const statuses = brokers.map(({ node }) => this.#cluster.quorumOf(node.name));
    const newest = Math.max(...statuses.map((status) => status?.term ?? 0));
    return statuses.some((status) => status?.role === "leader" && status.term === newest);
  }

  /** L8: the core alone keeps the bounds, and whoever is cut off from it does not disturb it. */
  async demandCore(core: readonly SimBroker[], { heal }: FaultPlan): Promise<void> {
    const flapping = heal.mode === "core" && heal.rest === "flapping";
    await this.demand(core, flapping ? this.#cluster.brokers : core);
    await this.#undisturbed(core);
  }

  /** L2 from now on, until the returned function is called. */
  #watchLeaders(members: readonly SimBroker[]): () => void {
    const cluster = this.#cluster;
    const { world } = cluster;
    const since = new Map<string, number>();
    let over = false;
    const look = (): void => {
      if (over) return;
      for (const [key, { leader, isr, elr }] of partitionsOf(cluster.newestImage())) {
        const holder = members.find(
          (broker) =>
            [...isr, ...elr].includes(broker.id) &&
            this.#stage.isUp(broker) &&
            !cluster.isFenced(broker),
        );
        if (leader !== -1 || holder === undefined) since.delete(key);
        else if (!since.has(key)) since.set(key, world.nowMs);
        else if (world.nowMs - (since.get(key) ?? 0) > LEADERLESS_MS) {
          cluster.fail(
            "L2 a partition has a leader",
            `${key} has none for ${LEADERLESS_MS} ms although broker ${holder.id} holds it: ${cluster.describe()}`,
          );
        }
      }
      world.schedule(LOOK_MS, "look for leaders", look);
    };
    look();
    return () => {
      over = true;
    };
  }

  /** L9 for a while. */
  async #undisturbed(members: readonly SimBroker[]): Promise<void> {
    const cluster = this.#cluster;
    const { world } = cluster;
    const { roles } = this.#stage;
    let { term } = roles;
    let changedMs = Number.NEGATIVE_INFINITY;
    const endMs = world.nowMs + DISTURBED_MS;
    while (world.nowMs < endMs) {
      const changed = await world.runUntil(() => roles.term !== term, endMs - world.nowMs);
      if (!changed) return;
      if (world.nowMs - changedMs < this.#electionTimeoutMs) {
        const names = members.map(({ id }) => id).join(",");
        cluster.fail(
          "L9 leadership changes at most once an election timeout",
          `terms ${term} and ${roles.term} began within ${this.#electionTimeoutMs} ms although brokers ${names} are well`,
        );
        throw world.failure;
      }
      changedMs = world.nowMs;
      ({ term } = roles);
    }
  }

  /** Of those that have somebody to be in sync with. */
  #inSync(members: readonly SimBroker[]): boolean {
    for (const [, partition] of partitionsOf(this.#cluster.newestImage())) {
      const { leader, isr, elr, replicas } = partition;
      const held = members.some(({ id }) => isr.includes(id) || elr.includes(id));
      if (!held) continue;
      if (leader === -1) return false;
      if (members.some(({ id }) => replicas.includes(id) && !isr.includes(id))) return false;
    }
    return true;
  }

  #bytesBehind(): number {
    let bytes = 0;
    for (const log of this.#cluster.logs.all()) {
      for (const batch of log.batches) bytes += batch.bytes.length;
    }
    return bytes;
  }

  async #come(what: string, maxMs: number, condition: () => boolean): Promise<void> {
    const cluster = this.#cluster;
    if (await cluster.world.runUntil(condition, maxMs)) return;
    cluster.fail(what, `not within ${maxMs} ms: ${cluster.describe()}`);
    throw cluster.world.failure;
  }
}
