/** A drill: one measurement, made again and again, with the figure that is wanted. */
import { Prng } from "../../../src/base/prng.ts";
import { Admin } from "../../../src/client/index.ts";
import { HistoryWriter } from "../../history/format.ts";
import { TOPIC, untilReady } from "../chaos-run.ts";
import { ChaosCluster } from "../cluster.ts";
import { GROUP } from "../crew.ts";
import { Load } from "../load.ts";
import type { Site } from "../site.ts";
import { Stage } from "../stage.ts";
import { until } from "../waiting.ts";

export interface DrillContext {
  readonly seed: number;
  readonly project: string;
  readonly image: string;
  readonly composeFiles: readonly string[];
  readonly site: Site;
  readonly say: (text: string) => void;
  readonly ending: () => boolean;
  readonly onCluster: (cluster: ChaosCluster) => void;
  /** Default: the drill's own. */
  readonly trials?: number;
}

export interface Figure {
  readonly text: string;
  readonly met: boolean;
  /** What was measured, in the order of measurement. */
  readonly values: readonly number[];
}

export interface Drill {
  readonly name: string;
  readonly goal: string;
  readonly run: (context: DrillContext) => Promise<Figure>;
}

export interface DrillStage {
  readonly cluster: ChaosCluster;
  readonly stage: Stage;
  readonly load: Load;
  readonly prng: Prng;
}

export interface DrillLoad {
  readonly recordsPerSecond: number;
  readonly valueBytes: number;
  readonly partitions: number;
  /** This broker's data lies on a file system of its own, which can be made full. Default: nobody's. */
  readonly small?: number;
}

export const DRILL_LOAD: DrillLoad = { recordsPerSecond: 1_000, valueBytes: 100, partitions: 6 };
const PRODUCERS = 2;
const FLOW_MS = 60_000;
const FLOW_ACKS = 100;

/** A composed cluster under load, with no other clients; taken down whatever happens. */
export async function onStage<Result>(
  context: DrillContext,
  wanted: DrillLoad,
  work: (on: DrillStage) => Promise<Result>,
): Promise<Result> {
  const { composeFiles, image, project, say, seed, site } = context;
  const prng = new Prng(seed);
  const cluster = new ChaosCluster({
    ...{ project, image, composeFiles, site },
    brokers: 3,
    small: wanted.small,
    properties: {},
  });
  context.onCluster(cluster);
  try {
    await cluster.up();
    await untilReady(cluster);
    const { bootstrapServers } = cluster;
    await using admin = new Admin({ bootstrapServers });
    await admin.createTopics([
      { name: TOPIC, partitions: wanted.partitions, replicationFactor: 3 },
    ]);
    const load = new Load({
      bootstrapServers,
      // Nobody judges a drill: its lines go nowhere.
      history: new HistoryWriter({ nowMs: () => performance.now(), sink: () => undefined }),
      topic: TOPIC,
      partitionsCount: wanted.partitions,
      producersCount: PRODUCERS,
      recordsPerSecond: wanted.recordsPerSecond,
      valueBytes: wanted.valueBytes,
      prng: prng.fork("load"),
      full: () => false,
    });
    load.start();
    await using stage = new Stage({ cluster, load, topic: TOPIC, groupId: GROUP.groupId, say });
    const result = await work({ cluster, stage, load, prng });
    await load.stop();
    return result;
  } finally {
    for (const complaint of await cluster.down()) say(`could not be removed: ${complaint}`);
  }
}

/** Throws if it does not get there in a minute. */
export async function untilFlowing({ load, stage }: DrillStage): Promise<void> {
  const lacking = await stage.untilWhole(FLOW_MS);
  if (lacking !== undefined) throw new Error(`the cluster is not whole: ${lacking}`);
  const counts = load.partitions.map((each) => load.acks(each));
  const flowing = await until(
    () => load.partitions.every((each) => load.acks(each) - (counts[each] as number) >= FLOW_ACKS),
    { timeoutMs: FLOW_MS },
  );
  if (!flowing) throw new Error("a partition takes no records");
}

/** The smallest value that `percent` of a hundred do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  const index = Math.min(sorted.length - 1, Math.ceil((sorted.length * percent) / 100) - 1);
  return sorted[Math.max(0, index)] ?? Number.NaN;
}
