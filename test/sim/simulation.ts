/**
 * One run: everything that happens in it follows from its seed. A cluster forms, clients write and
 * read while faults are injected, then everything heals; what was promised is checked all along
 * and at the end.
 */
import type { Prng } from "../../src/base/prng.ts";
import { topicByName } from "../../src/metadata/image.ts";
import { ClientCalls } from "./clients/client-calls.ts";
import { SimConsumer } from "./clients/sim-consumer.ts";
import { SimProducer } from "./clients/sim-producer.ts";
import { Cluster, type StartBroker } from "./cluster/cluster.ts";
import type { ClusterShape } from "./cluster/cluster-config.ts";
import { highWatermarkTap } from "./cluster/high-watermark-tap.ts";
import { FAULTS } from "./faults/catalogue.ts";
import { Nemesis } from "./faults/nemesis.ts";
import { drawPlan, type FaultPlan } from "./faults/plan.ts";
import { allInvariants } from "./invariants/all.ts";
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
const TOPIC = "orders";
const FAULTS_MS = 12_000;
const FORM_MS = 30_000;
const HEAL_MS = 90_000;
const TAKEOVER_MS = 15_000;
const EXPLAINED_BY_DISK = /storage|disk|database|log|replica|segment|directory|write|flush|open/i;

interface Drawn {
  readonly shape: ClusterShape;
  readonly partitionsCount: number;
  readonly minIsr: number;
  readonly topicConfigs: Readonly<Record<string, string>>;
  readonly producersCount: number;
  readonly inFlightMax: number;
  readonly intervalMs: number;
  readonly valueBytes: number;
  readonly lostAnswersOneIn: number;
}

function draw(prng: Prng): Drawn {
  const brokersCount = prng.chance(1, 8) ? 5 : 3;
  const minIsr = prng.chance(1, 6) ? 1 : 2;
  return {
    shape: {
      brokersCount,
      votersCount: 3,
      properties: new Map(),
      snapshotBytes: prng.pick([600, 3_000, 20 * 1024 * 1024]),
    },
    partitionsCount: prng.between(1, 4),
    minIsr,
    topicConfigs: {
      "min.insync.replicas": String(minIsr),
      ...(prng.chance(1, 3) ? { "segment.bytes": String(1024 * 1024) } : {}),
    },
    producersCount: prng.between(1, 2),
    inFlightMax: prng.between(1, 5),
    intervalMs: prng.pick([10, 25, 60]),
    valueBytes: prng.pick([10, 200, 2_000]),
    lostAnswersOneIn: prng.pick([0, 20, 200]),
  };
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
  readonly #producers: readonly SimProducer[];
  readonly #consumers: readonly SimConsumer[];
  readonly #calls: ClientCalls;

  constructor(world: World, options: SimulationOptions) {
    this.#world = world;
    this.#options = options;
    const drawn = draw(world.prng.fork("shape"));
    this.#drawn = drawn;
    const { startBroker } = options;
    const cluster = new Cluster({ world, shape: drawn.shape, startBroker });
    this.#cluster = cluster;
    const invariants = allInvariants(cluster);
    cluster.watch([...invariants, highWatermarkTap(invariants)]);
    this.#watchLogs();
    if (options.verbose === true) this.#tellMessages();
    const prng = world.prng.fork("workload");
    const { lostAnswersOneIn, partitionsCount } = drawn;
    this.#calls = new ClientCalls({ cluster, prng: prng.fork("calls"), lostAnswersOneIn });
    this.#producers = Array.from({ length: drawn.producersCount }, (_, index) => {
      const name = `producer-${index + 1}`;
      return new SimProducer({
        ...drawn,
        cluster,
        calls: this.#calls,
        prng: prng.fork(name),
        name,
        topic: TOPIC,
      });
    });
    this.#consumers = Array.from({ length: partitionsCount }, (_, partition) => {
      const name = `consumer-${partition}`;
      return new SimConsumer({ cluster, prng: prng.fork(name), name, topic: TOPIC, partition });
    });
    const faults = world.prng.fork("nemesis");
    const plan = drawPlan({
      prng: faults,
      allowed: options.faults ?? FAULTS,
      durationMs: options.faultsMs ?? FAULTS_MS,
      brokersCount: drawn.shape.brokersCount,
      mayGoBeyond: false,
    });
    this.#nemesis = new Nemesis({ cluster, plan: options.plan ?? plan, minIsr: drawn.minIsr });
  }

  async play(): Promise<void> {
    const world = this.#world;
    world.note(`${JSON.stringify(this.#drawn, jsonMap)} faults ${this.#nemesis.kinds.join(" ")}`);
    await this.#form();
    for (const producer of this.#producers) producer.start();
    for (const consumer of this.#consumers) consumer.start();
    this.#nemesis.start();
    await world.runFor(this.#nemesis.plan.durationMs);
    this.#nemesis.heal();
    await world.runFor(1_500);
    for (const producer of this.#producers) producer.stop();
    await this.#come("every producer is answered", () => this.#producers.every((p) => p.drained));
    await this.#come("the cluster comes to rest", () => this.#cluster.atRest);
    await this.#loseOneAfterAnother();
    await this.#come("consumers reach the end", () => this.#allConsumed);
    for (const consumer of this.#consumers) consumer.stop();
    this.#checkConsumed();
    this.#cluster.finish();
    if (world.failure !== undefined) throw world.failure;
  }

  tell(): ReturnType<Play["tell"]> {
    const acknowledged = this.#producers.map(({ acknowledgedCount }) => acknowledgedCount);
    return {
      acknowledgedCount: acknowledged.reduce((left, right) => left + right, 0),
      faultsCount: this.#nemesis.injectedCount,
      plan: this.#nemesis.plan,
      injected: Object.fromEntries(this.#nemesis.injected),
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
          (broker?.node.disk.faultsCount ?? 0) > 0 && EXPLAINED_BY_DISK.test(message);
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
    let created = false;
    const create = (): void => {
      const { partitionsCount, topicConfigs } = this.#drawn;
      this.#calls.call({
        brokerId: 1,
        label: "create topic",
        timeoutMs: 5_000,
        run: (api) =>
          api.controller(
            "create-topics",
            {
              topics: [
                {
                  name: TOPIC,
                  partitionsCount,
                  replicationFactor: 3,
                  assignment: [],
                  configs: topicConfigs,
                },
              ],
              validateOnly: false,
            },
            4_000,
          ),
        done: (outcome) => {
          if (outcome.type === "ok") {
            const error = outcome.value.topics[0]?.error ?? null;
            if (error === null || error.code === "TOPIC_ALREADY_EXISTS") {
              created = true;
              return;
            }
          }
          this.#world.schedule(100, "create topic again", create);
        },
      });
    };
    create();
    const formed = (): boolean => created && cluster.atRest;
    await this.#come("a cluster forms and takes a topic", formed, FORM_MS);
  }

  async #come(what: string, condition: () => boolean, maxMs = HEAL_MS): Promise<void> {
    const came = await this.#world.runUntil(condition, maxMs);
    if (came) return;
    const waiting = this.#producers.map((producer) => producer.describe()).filter(Boolean);
    this.#cluster.fail(
      `liveness: ${what}`,
      `not within ${maxMs} ms: ${this.#cluster.describe()}; ${waiting.join("; ")}`,
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

  get #allConsumed(): boolean {
    const { logs } = this.#cluster;
    const image = this.#cluster.newestImage();
    const topic = topicByName(image, TOPIC);
    return this.#consumers.every((consumer, partition) => {
      const leader = topic?.partitions[partition]?.leader ?? -1;
      const log = logs.log(this.#cluster.nodeOf(leader), `${topic?.id ?? ""}-${partition}`);
      return consumer.position >= (log?.endOffset ?? 0);
    });
  }

  /** Each acknowledged value is read exactly once, those of a producer in order, and nothing else. */
  #checkConsumed(): void {
    for (const [partition, consumer] of this.#consumers.entries()) {
      for (const [index, producer] of this.#producers.entries()) {
        const mine = `producer-${index + 1}/`;
        const read = consumer.values.filter((value) => value.startsWith(mine));
        const sent = producer.acknowledged[partition] ?? [];
        if (read.length === sent.length && sameValues(read, sent)) {
          const order = read.map((value) => Number(value.slice(value.lastIndexOf("/") + 1)));
          if (order.every((number, at) => at === 0 || number > (order[at - 1] as number))) continue;
        }
        this.#cluster.fail(
          "what was acknowledged is read exactly once and in order",
          `${TOPIC}-${partition} of ${mine} ${sent.length} acknowledged, ${read.length} read`,
        );
      }
    }
  }
}

function jsonMap(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}

function jsonError(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}

function sameValues(left: readonly string[], right: readonly string[]): boolean {
  const values = new Set(right);
  return values.size === right.length && left.every((value) => values.delete(value));
}
