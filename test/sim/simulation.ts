/**
 * One run: everything that happens in it follows from its seed. A cluster forms, clients write and
 * read while faults are injected, then everything heals; what was promised is checked all along
 * and at the end.
 */
import type { Prng } from "../../src/base/prng.ts";
import { Workload } from "./clients/workload.ts";
import { drawWorkload, type WorkloadPlan } from "./clients/workload-plan.ts";
import { Cluster, type StartBroker } from "./cluster/cluster.ts";
import { type ClusterShape, drawProperties } from "./cluster/cluster-config.ts";
import { highWatermarkTap } from "./cluster/high-watermark-tap.ts";
import { watchProbes } from "./cluster/probe-taps.ts";
import type { ProbeCounts } from "./cluster/probes.ts";
import { Beyond } from "./faults/beyond.ts";
import { FAULTS } from "./faults/catalogue.ts";
import { Nemesis } from "./faults/nemesis.ts";
import { drawPlan, type FaultPlan } from "./faults/plan.ts";
import { allInvariants } from "./invariants/all.ts";
import { requestsEnd } from "./invariants/l4-requests-end.ts";
import { Liveness } from "./liveness.ts";
import { type Play, runWorld, type SimulationResult } from "./run-world.ts";
import type { TimelineLine, World } from "./world/world.ts";

export type { SimulationResult } from "./run-world.ts";

export interface SimulationOptions {
  readonly seed: number;
  readonly startBroker: StartBroker;
  /** How long faults are injected, in virtual ms. Default 12,000. */
  readonly faultsMs?: number;
  /** Of which kinds of faults the seed may draw. Default all. */
  readonly faults?: readonly string[];
  /** These faults instead of drawn ones. */
  readonly plan?: FaultPlan;
  readonly onNote?: (line: TimelineLine) => void;
  /** Also what brokers log from `info` up. */
  readonly verbose?: boolean;
}

const TOLD_MESSAGES = new Set([
  "start",
  "stop",
  "refuse",
  "request",
  "reply",
  "vote-request",
  "vote-response",
  "timeout-now",
]);
const FAULTS_MS = 12_000;
const FORM_MS = 30_000;
const HEAL_MS = 90_000;
const TAKEOVER_MS = 15_000;
const EXPLAINED_BY_DISK = /storage|disk|database|log|replica|segment|directory|write|flush|open/i;

interface Drawn {
  readonly shape: ClusterShape;
  readonly minIsr: number;
  readonly workload: WorkloadPlan;
}

function draw(prng: Prng): Drawn {
  const brokersCount = prng.chance(1, 8) ? 5 : 3;
  const minIsr = prng.chance(1, 6) ? 1 : 2;
  const workload = drawWorkload(prng.fork("workload"), minIsr);
  const extreme = prng.fork("properties");
  return {
    shape: {
      brokersCount,
      votersCount: 3,
      properties: new Map(Object.entries(workload.properties)),
      ...(extreme.chance(1, 3) ? { propertiesOf: drawnOf(brokersCount, extreme) } : {}),
      snapshotBytes: prng.pick([600, 3_000, 20 * 1024 * 1024]),
      ...(workload.admin?.deletes === true ? { retentionCheckMs: 1_000 } : {}),
    },
    minIsr,
    workload,
  };
}

function drawnOf(
  brokersCount: number,
  prng: Prng,
): ReadonlyMap<number, ReadonlyMap<string, string>> {
  const ids = Array.from({ length: brokersCount }, (_, index) => index + 1);
  return new Map(ids.map((id) => [id, drawProperties(prng)]));
}

export function runSimulation(options: SimulationOptions): Promise<SimulationResult> {
  return runWorld(options, (world) => new Run(world, options));
}

class Run implements Play {
  readonly #world: World;
  readonly #options: SimulationOptions;
  readonly #drawn: Drawn;
  readonly #cluster: Cluster;
  readonly #nemesis: Nemesis;
  readonly #beyond: Beyond;
  readonly #probes: ProbeCounts;
  readonly #workload: Workload;
  #unknown: string | undefined;

  constructor(world: World, options: SimulationOptions) {
    this.#world = world;
    this.#options = options;
    const drawn = draw(world.prng.fork("shape"));
    this.#drawn = drawn;
    const { startBroker } = options;
    const cluster = new Cluster({ world, shape: drawn.shape, startBroker });
    this.#cluster = cluster;
    this.#probes = watchProbes(cluster);
    cluster.watch([...allInvariants(cluster), requestsEnd(cluster)]);
    cluster.watch([highWatermarkTap(cluster.invariants)]);
    this.#watchLogs();
    if (options.verbose === true) this.#tellMessages();
    const prng = world.prng.fork("workload");
    this.#workload = new Workload({ cluster, prng, plan: drawn.workload });
    const faults = world.prng.fork("nemesis");
    const plan = drawPlan({
      prng: faults,
      allowed: options.faults ?? FAULTS,
      durationMs: options.faultsMs ?? FAULTS_MS,
      brokersCount: drawn.shape.brokersCount,
      mayGoBeyond: options.faults === undefined,
    });
    this.#nemesis = new Nemesis({ cluster, plan: options.plan ?? plan, minIsr: drawn.minIsr });
    this.#beyond = new Beyond(this.#nemesis.stage);
  }

  async play(): Promise<void> {
    const world = this.#world;
    world.note(`${JSON.stringify(this.#drawn, jsonMap)} faults ${this.#nemesis.kinds.join(" ")}`);
    await this.#form();
    this.#workload.start();
    this.#nemesis.start();
    await world.runFor(this.#nemesis.plan.durationMs);
    if (this.#beyond.happened) {
      await this.#endBeyond();
      return;
    }
    await this.#heal();
    this.#workload.heal();
    await world.runFor(1_500);
    this.#workload.endWriters();
    await this.#come("every producer is answered", () => this.#workload.writersEnded);
    await this.#come("the cluster comes to rest", () => this.#cluster.atRest);
    await this.#come("deleted replicas leave the disks", () => this.#cluster.strays.length === 0);
    await this.#come("every group has read everything", () => this.#workload.groupsCaughtUp);
    await this.#loseOneAfterAnother();
    this.#workload.endReaders();
    await this.#come("every client comes to its end", () => this.#workload.ended);
    this.#workload.readFinally();
    await this.#come("everything is read at the end", () => this.#workload.finallyRead);
    this.#judge();
    this.#cluster.rest();
    this.#cluster.finish();
    if (world.failure !== undefined) throw world.failure;
  }

  /** More was lost than is promised to survive: little is left to demand, and that is demanded. */
  async #endBeyond(): Promise<void> {
    this.#nemesis.heal();
    this.#workload.heal();
    await this.#beyond.demand();
    if (this.#world.failure !== undefined) throw this.#world.failure;
  }

  /** First a core alone, if the plan has it so; then everybody, within the bounds of liveness. */
  async #heal(): Promise<void> {
    const liveness = new Liveness(this.#nemesis.stage);
    const core = this.#nemesis.healCore();
    if (core !== undefined) {
      this.#probes.hit("core-healed-alone");
      await liveness.demandCore(core, this.#nemesis.plan);
    }
    this.#nemesis.heal();
    await liveness.demand(this.#cluster.brokers);
  }

  tell(): ReturnType<Play["tell"]> {
    return {
      acknowledgedCount: this.#workload.acknowledgedCount,
      history: this.#workload.lines,
      ...(this.#unknown === undefined ? {} : { unknown: this.#unknown }),
      faultsCount: this.#nemesis.injectedCount,
      plan: this.#nemesis.plan,
      injected: Object.fromEntries(this.#nemesis.injected),
      probes: this.#probes.counts,
    };
  }

  /** The messages that begin and end things; what flows all the time is left out. */
  #tellMessages(): void {
    this.#cluster.network.onSend.push(({ from, to, channel, message }) => {
      const { type } = message as { readonly type: string };
      if (!TOLD_MESSAGES.has(type)) return;
      const text = `${from.node.name} -> ${to} ${channel} ${JSON.stringify(message)}`;
      this.#world.onNote({ atMs: this.#world.nowMs, text });
    });
  }

  #watchLogs(): void {
    const cluster = this.#cluster;
    cluster.onLog = ({ node, level, message, fields }) => {
      const text = `${node} ${level}: ${message} ${JSON.stringify(fields, jsonError)}`;
      if (level === "error") {
        const broker = cluster.brokers.find((each) => each.node.name === node);
        const explained =
          // Drawn values may be too small for what is written.
          fields["code"] === "INVALID_CONFIG" ||
          ((broker?.node.disk.faultsCount ?? 0) > 0 && EXPLAINED_BY_DISK.test(message));
        this.#world.note(text);
        if (!explained) cluster.fail("nothing is logged as an error without a cause", text);
      } else if (level === "warn") this.#world.note(text);
      else if (level === "info" && this.#options.verbose === true) {
        this.#world.onNote({ atMs: this.#world.nowMs, text });
      }
    };
  }

  async #form(): Promise<void> {
    const cluster = this.#cluster;
    for (const broker of cluster.brokers) cluster.start(broker);
    this.#workload.createTopics();
    const formed = (): boolean => this.#workload.ready && cluster.atRest;
    await this.#come("a cluster forms and takes a topic", formed, FORM_MS);
  }

  async #come(what: string, condition: () => boolean, maxMs = HEAL_MS): Promise<void> {
    const came = await this.#world.runUntil(condition, maxMs);
    if (came) return;
    this.#cluster.fail(
      `liveness: ${what}`,
      `not within ${maxMs} ms: ${this.#cluster.describe()}; ${this.#workload.describe()}`,
    );
    throw this.#world.failure;
  }

  /**
   * Once every replica is in sync any broker may be taken down, also right after another one came
   * back, with an empty disk even: the rest must go on without it.
   */
  async #loseOneAfterAnother(): Promise<void> {
    const cluster = this.#cluster;
    const prng = this.#world.prng.fork("one after another");
    const [first, second] = prng.shuffle(cluster.brokers);
    if (first === undefined || second === undefined) return;
    cluster.kill(first, "crash");
    if (this.#drawn.minIsr > 1 && prng.chance(1, 2)) cluster.wipe(first);
    await this.#come("a dead broker is noticed", () => cluster.isFenced(first), TAKEOVER_MS);
    cluster.start(first);
    await this.#come("a broker comes back", () => cluster.atRest);
    cluster.kill(second, "crash");
    await this.#come("the others take over", () => !cluster.leads(second), TAKEOVER_MS);
    cluster.start(second);
    await this.#come("the cluster comes to rest again", () => cluster.atRest);
  }

  /** What clients saw must be what a log that keeps its promises could have shown them. */
  #judge(): void {
    const { anomalies, verdict, why } = this.#workload.check();
    if (verdict === "unknown") this.#unknown = `the history proves little: ${why.join("; ")}`;
    if (verdict !== "invalid") return;
    const [first] = anomalies;
    const example = first === undefined ? [] : [`${first.text} (lines ${first.lines.join(", ")})`];
    this.#cluster.fail(`history: ${first?.name ?? "invalid"}`, [...why, ...example].join("; "));
  }
}

function jsonMap(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}

function jsonError(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}
