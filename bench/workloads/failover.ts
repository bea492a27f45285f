/**
 * kill -9 of a broker, again and again, under a steady trickle of writes with acks=all: how long the
 * killed broker's partition goes without an acknowledgement. Each write is a probe of its own, sent
 * every few milliseconds, so the gap is what an impatient producer sees.
 */
import { Admin, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { type Figure, quantile } from "../report.ts";

const PROBE_PERIOD_MS = 5;
const QUIET_MS = 1_000;

export interface FailoverOptions {
  readonly leaderKills: number;
  readonly controllerKills: number;
  readonly bystanderKills: number;
}

export async function failover(options: FailoverOptions): Promise<Figure[]> {
  const leaderGaps: number[] = [];
  const controllerGaps: number[] = [];
  {
    await using cluster = await startCluster({ brokers: 3 });
    await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
    const assignment = [
      [1, 2, 3],
      [2, 3, 1],
      [3, 1, 2],
    ];
    await admin.createTopics([{ name: "gap", assignment }]);
    for (let kill = 0; kill < options.leaderKills; kill++) {
      leaderGaps.push(await gapOfKill(cluster, admin, "leader"));
    }
    for (let kill = 0; kill < options.controllerKills; kill++) {
      controllerGaps.push(await gapOfKill(cluster, admin, "leading controller"));
    }
  }
  const bystanderGaps = await bystander(options.bystanderKills);
  const sorted = [...leaderGaps].sort((left, right) => left - right);
  const both = [...controllerGaps].sort((left, right) => left - right);
  return [
    {
      name: `kill -9 of a leader that is not the controller, ${leaderGaps.length} kills, p50`,
      unit: "s",
      values: [quantile(sorted, 0.5)],
      bound: { must: 0.4, aim: 0.35, least: false },
    },
    {
      name: "the same, p99",
      unit: "s",
      values: [quantile(sorted, 0.99)],
      bound: { must: 1, aim: 0.6, least: false },
    },
    {
      name: `kill -9 of a leader that is the controller too, ${both.length} kills, p99`,
      unit: "s",
      values: [quantile(both, 0.99)],
      bound: { must: 1.5, aim: 1, least: false },
      note: `p50 ${quantile(both, 0.5).toFixed(2)} s`,
    },
    {
      name: "kill -9 of the controller of five, partition elsewhere: longest gap",
      unit: "ms",
      values: bystanderGaps,
      bound: { must: 50, aim: 20, least: false },
    },
  ];
}

/** Seconds without an acknowledgement around one kill; the broker is started again afterwards. */
async function gapOfKill(
  cluster: Cluster,
  admin: Admin,
  target: "leader" | "leading controller",
): Promise<number> {
  const { controllerId } = await admin.describeCluster();
  const other = (controllerId % 3) + 1;
  const victim = target === "leader" ? other : controllerId;
  await admin.electLeaders({ type: "preferred" });
  await using probe = await Probe.start(cluster.bootstrapServers, "gap", victim - 1);
  await probe.acknowledgedFor(QUIET_MS / 2);
  probe.reset();
  await cluster.killBroker(victim);
  await probe.recovered(QUIET_MS);
  const gap = probe.longestGapMs / 1000;
  await cluster.startBroker(victim);
  await whole(admin);
  return gap;
}

/** Settles once every partition's ISR is its replica set. */
async function whole(admin: Admin): Promise<void> {
  for (;;) {
    const [topic] = await admin.describeTopics(["gap"]);
    if (
      topic?.partitions.every(
        (each) => each.leader !== -1 && each.isr.length === each.replicas.length,
      )
    ) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function bystander(kills: number): Promise<number[]> {
  const gaps: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    await using cluster = await startCluster({ brokers: 5, voters: 3 });
    await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
    const { controllerId } = await admin.describeCluster();
    const others = cluster.brokerIds.filter((id) => id !== controllerId).slice(0, 3);
    await admin.createTopics([{ name: "gap", assignment: [others] }]);
    await using probe = await Probe.start(cluster.bootstrapServers, "gap", 0);
    await probe.acknowledgedFor(2 * QUIET_MS);
    probe.reset();
    await cluster.killBroker(controllerId);
    await probe.acknowledgedFor(3 * QUIET_MS);
    gaps.push(probe.longestGapMs);
  }
  return gaps;
}

/** Sends a record every few milliseconds and remembers the longest time between acknowledgements. */
class Probe implements AsyncDisposable {
  readonly #producer: Producer;
  readonly #timer: NodeJS.Timeout;
  #lastAck = performance.now();
  #longest = 0;

  private constructor(producer: Producer, topic: string, partition: number) {
    this.#producer = producer;
    this.#timer = setInterval(() => {
      const value = new Uint8Array(100);
      producer.send({ topic, partition, value }).then(
        () => this.#acknowledged(),
        () => undefined,
      );
    }, PROBE_PERIOD_MS);
  }

  static async start(
    bootstrapServers: readonly string[],
    topic: string,
    partition: number,
  ): Promise<Probe> {
    const producer = new Producer({ bootstrapServers, lingerMs: 0 });
    await producer.send({ topic, partition, value: new Uint8Array(1) });
    return new Probe(producer, topic, partition);
  }

  get longestGapMs(): number {
    return Math.max(this.#longest, performance.now() - this.#lastAck);
  }

  reset(): void {
    this.#longest = 0;
    this.#lastAck = performance.now();
  }

  /** Waits for a time in which acknowledgements come; the gap so far is kept. */
  async acknowledgedFor(durationMs: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, durationMs));
  }

  /** Settles once acknowledgements have come again after the longest gap, for `durationMs`. */
  async recovered(durationMs: number): Promise<void> {
    const began = performance.now();
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const now = performance.now();
      if (now - began > durationMs && now - this.#lastAck < 100) return;
      if (now - began > 60_000) throw new Error("no acknowledgement for 60 s after a kill");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#producer.close();
  }

  #acknowledged(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#lastAck);
    this.#lastAck = now;
  }
}
