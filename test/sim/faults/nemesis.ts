/** Plays a plan of faults on a cluster, by the world's schedule, and ends them all when it heals. */
import type { Cluster, SimBroker } from "../cluster/cluster.ts";
import { Atlas } from "./atlas.ts";
import { faultKind } from "./catalogue.ts";
import type { FaultKind } from "./fault-kind.ts";
import { chooseCore, healCore, healWhole } from "./heal.ts";
import type { FaultPlan } from "./plan.ts";
import { Stage } from "./stage.ts";
import { Roles } from "./target.ts";

export interface NemesisOptions {
  readonly cluster: Cluster;
  readonly plan: FaultPlan;
  /** Of every topic, the smallest: what the promise covers depends on it. */
  readonly minIsr: number;
  /** Default: the cluster is at rest. */
  readonly whole?: () => boolean;
}

export class Nemesis {
  readonly plan: FaultPlan;
  readonly stage: Stage;
  readonly #injected = new Map<string, number>();
  #endOfCore: () => void = () => {};

  constructor({ cluster, plan, minIsr, whole }: NemesisOptions) {
    this.plan = plan;
    const atlas = new Atlas({ cluster, minIsr, whole: whole ?? (() => cluster.atRest) });
    this.stage = new Stage({ cluster, atlas, roles: new Roles(cluster) });
  }

  get injectedCount(): number {
    let count = 0;
    for (const each of this.#injected.values()) count += each;
    return count;
  }

  /** How many of each kind began. */
  get injected(): ReadonlyMap<string, number> {
    return this.#injected;
  }

  /** Kinds that the plan has at all. */
  get kinds(): readonly string[] {
    return [...new Set(this.plan.faults.map(({ kind }) => kind))];
  }

  start(): void {
    for (const fault of this.plan.faults) {
      this.stage.later(fault.atMs, () => {
        const { begin } = faultKind(fault.kind) as FaultKind;
        if (!begin(this.stage, fault)) return;
        this.#injected.set(fault.kind, (this.#injected.get(fault.kind) ?? 0) + 1);
      });
    }
  }

  /**
   * Ends all faults. Gives the members of the core if only one heals at first, as the plan has it
   * and as far as there is one; `heal` then heals the rest.
   */
  healCore(): readonly SimBroker[] | undefined {
    const { heal } = this.plan;
    if (heal.mode === "whole") return undefined;
    const core = chooseCore(this.stage, heal.draw);
    if (core !== undefined) this.#endOfCore = healCore(this.stage, core, heal.rest);
    return core;
  }

  /** Everything works from now on, and everybody is up or on the way there. */
  heal(): void {
    this.#endOfCore();
    healWhole(this.stage);
  }
}
