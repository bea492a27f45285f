/** What a campaign adds up over its runs. */
import type { SimulationResult } from "../run-world.ts";
import type { Played } from "./pool.ts";

export interface Failed {
  readonly name: string;
  readonly invariant: string;
}

export class Tally {
  runsCount = 0;
  heldCount = 0;
  twiceCount = 0;
  virtualMs = 0;
  coreSeconds = 0;
  eventsCount = 0;
  faultsCount = 0;
  acknowledgedCount = 0;
  readonly failed: Failed[] = [];
  readonly unknown: { readonly name: string; readonly why: string }[] = [];
  /** Number of runs that took the path, and how often it was taken in all. */
  readonly probes = new Map<string, { runsCount: number; hitsCount: number }>();
  readonly injected = new Map<string, number>();

  add(name: string, { result, coreSeconds }: Played): void {
    this.runsCount++;
    this.virtualMs += result.virtualMs;
    this.coreSeconds += coreSeconds;
    this.eventsCount += result.eventsCount;
    this.faultsCount += result.faultsCount;
    this.acknowledgedCount += result.acknowledgedCount;
    this.#addCounts(result);
    if (result.failure !== undefined) {
      this.failed.push({ name, invariant: result.failure.invariant });
    } else if (result.unknown !== undefined) {
      this.unknown.push({ name, why: result.unknown });
    } else this.heldCount++;
  }

  /** Of virtual time per second of processor time. */
  get speed(): number {
    return this.coreSeconds === 0 ? 0 : this.virtualMs / 1000 / this.coreSeconds;
  }

  #addCounts({ probes, injected }: SimulationResult): void {
    for (const [name, count] of Object.entries(probes ?? {})) {
      const probe = this.probes.get(name) ?? { runsCount: 0, hitsCount: 0 };
      this.probes.set(name, probe);
      probe.hitsCount += count;
      if (count > 0) probe.runsCount++;
    }
    for (const [kind, count] of Object.entries(injected ?? {})) {
      this.injected.set(kind, (this.injected.get(kind) ?? 0) + count);
    }
  }
}
