/**
 * One fault after the other: waits until the cluster is whole and the load flows, makes the fault,
 * heals it, and measures what it cost. A fault that could not be made, or had nothing to disturb, is
 * `unknown`; it is tried once more, and then reported.
 */
import type { Prng } from "../../src/base/prng.ts";
import type { HistoryWriter } from "../history/format.ts";
import type { FaultKind, InjectedFault } from "./faults/fault-kind.ts";
import { flush } from "./faults/network-faults.ts";
import type { ClusterView, Stage } from "./stage.ts";
import { sleep, until } from "./waiting.ts";

export interface FaultResult {
  readonly fault: string;
  readonly outcome: "made" | "unknown";
  readonly targets: readonly number[];
  readonly detail: string;
  /** Longest time between two acknowledgements of one partition, over the fault and its end. */
  readonly gapMs: number;
  /** From the beginning of healing until every replica is in sync; undefined if it never was. */
  readonly wholeMs: number | undefined;
  readonly acknowledged: number;
}

export interface NemesisOptions {
  readonly stage: Stage;
  readonly history: HistoryWriter;
  /** Acknowledgements a second without which a fault proves nothing. */
  readonly leastPerSecond: number;
}

const WARM_UP_MS = 60_000;
const RATE_WINDOW_MS = 1_000;
const RECOVERED_MS = 180_000;
/** Longer than it should take: then it is said what took so long. */
const SLOW_MS = 6_000;
/** Acknowledgements of every partition after which it counts as working again. */
const RECOVERED_ACKS = 20;

export class Nemesis {
  readonly #options: NemesisOptions;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async strike(kind: FaultKind, prng: Prng): Promise<FaultResult> {
    const first = await this.#try(kind, prng.fork("first"));
    if (first.outcome === "made" || kind.obstacle(this.#options.stage.cluster.site) !== undefined) {
      return first;
    }
    this.#options.stage.say(`${kind.name}: unknown, ${first.detail}; once more`);
    return await this.#try(kind, prng.fork("second"));
  }

  async #try(kind: FaultKind, prng: Prng): Promise<FaultResult> {
    const { history, stage } = this.#options;
    const { cluster } = stage;
    const obstacle = kind.obstacle(cluster.site);
    if (obstacle !== undefined) return unknown(kind, obstacle);
    const ready = await this.#ready();
    if (typeof ready === "string") return unknown(kind, ready);
    const before = stage.load.acknowledged;
    stage.load.resetGaps();
    const fault = (phase: "begin" | "end", targets: readonly string[]): void => {
      const line = { p: "nemesis", type: "info", f: "fault", kind: kind.name } as const;
      history.write({ ...line, targets, phase });
    };
    fault("begin", []);
    let injected: InjectedFault;
    try {
      injected = await kind.inject({ cluster, prng, view: ready, stage });
    } catch (thrown) {
      fault("end", []);
      await this.#repair();
      return unknown(kind, `it could not be made: ${oneLine(thrown)}`);
    }
    const targets = injected.targets.map((id) => `broker-${id}`);
    await sleep(injected.holdMs);
    const healing = performance.now();
    let seen: string | undefined;
    try {
      seen = await injected.heal();
    } catch (thrown) {
      seen = `it could not be healed: ${oneLine(thrown)}`;
      await this.#repair();
    }
    fault("end", targets);
    const lacking = await stage.untilWhole(RECOVERED_MS);
    const wholeMs = performance.now() - healing;
    const slow = wholeMs > SLOW_MS ? [`last to come was ${stage.lastLacking}`] : [];
    const flows = await this.#flows();
    const gapMs = Math.max(...stage.load.partitions.map((each) => stage.load.longestGapMs(each)));
    const held = `held ${(injected.holdMs / 1000).toFixed(1)} s`;
    const told = [injected.detail, held, ...(seen === undefined ? [] : [seen]), ...slow].join("; ");
    const result = {
      fault: kind.name,
      targets: injected.targets,
      gapMs,
      acknowledged: stage.load.acknowledged - before,
    };
    if (lacking === undefined && flows)
      return { ...result, outcome: "made", detail: told, wholeMs };
    const missing = lacking ?? "a partition takes no records";
    await this.#repair();
    const detail = `${told}; ${RECOVERED_MS / 1000} s after healing: ${missing}`;
    return { ...result, outcome: "made", detail, wholeMs: undefined };
  }

  /** The view to begin with, or why a fault would prove nothing. */
  async #ready(): Promise<ClusterView | string> {
    const { leastPerSecond, stage } = this.#options;
    const lacking = await stage.untilWhole(WARM_UP_MS);
    if (lacking !== undefined) return `the cluster is not whole: ${lacking}`;
    let perSecond = 0;
    const flows = await until(
      async () => {
        const before = stage.load.acknowledged;
        await sleep(RATE_WINDOW_MS);
        perSecond = ((stage.load.acknowledged - before) * 1_000) / RATE_WINDOW_MS;
        return perSecond >= leastPerSecond;
      },
      { timeoutMs: WARM_UP_MS, periodMs: 0 },
    );
    if (!flows) return `only ${perSecond} records a second, at least ${leastPerSecond} are wanted`;
    try {
      return await stage.view();
    } catch (thrown) {
      return `nobody says who leads: ${oneLine(thrown)}`;
    }
  }

  async #flows(): Promise<boolean> {
    const { load } = this.#options.stage;
    const { partitions } = load;
    const counts = partitions.map((each) => load.acks(each));
    return await until(
      () =>
        partitions.every((each) => load.acks(each) - (counts[each] as number) >= RECOVERED_ACKS),
      { timeoutMs: WARM_UP_MS, periodMs: 20 },
    );
  }

  /** Takes back everything that a fault may have left behind, whichever it was. */
  async #repair(): Promise<void> {
    const { cluster } = this.#options.stage;
    for (const id of cluster.ids) {
      cluster.shim(id).calm();
      try {
        const { paused, running } = await cluster.state(id);
        if (paused) await cluster.unpause(id);
        if (!running) await cluster.start([id]);
        await cluster.update(id, ["--cpu-quota", "-1"]);
        await cluster.limitMemory(id);
        // Refused where it is connected.
        await cluster.connect(id).catch(() => undefined);
      } catch (thrown) {
        this.#options.stage.say(`broker ${id} could not be repaired: ${oneLine(thrown)}`);
      }
    }
    await flush(cluster);
  }
}

function unknown({ name }: FaultKind, detail: string): FaultResult {
  const nothing = { targets: [], gapMs: 0, wholeMs: undefined, acknowledged: 0 };
  return { fault: name, outcome: "unknown", detail, ...nothing };
}

export function oneLine(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return (text.split("\n")[0] ?? "").slice(0, 300);
}
