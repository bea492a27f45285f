/** Plays a plan of faults on a cluster, by the world's schedule, and ends them all when it heals. */
import type { Cluster } from "../cluster/cluster.ts";
import { Atlas } from "./atlas.ts";
import { faultKind } from "./catalogue.ts";
import type { FaultKind } from "./fault-kind.ts";
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

  /** Everything works from now on, and everybody is up or on the way there. */
  heal(): void {
    const { stage } = this;
    const { cluster } = stage;
    stage.end();
    stage.note("everything heals");
    stage.mendNetwork();
    for (const broker of cluster.brokers) {
      stage.mend(broker);
      cluster.resume(broker);
      cluster.start(broker);
    }
  }
}
