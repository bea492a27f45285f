/**
 * Whether the right alerts fire when the composed cluster is broken, and clear when it is whole again:
 * a Prometheus with the project's rules, their patience cut short, scrapes the containers.
 */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PrometheusApi } from "../../monitoring/prometheus-api.ts";
import { findPrometheus } from "../../monitoring/prometheus-binaries.ts";
import { PrometheusServer } from "../../monitoring/prometheus-server.ts";
import { type ChaosCluster, SMALL_DISK_BYTES } from "../cluster.ts";
import { HTTP_PORT } from "../compose-overlay.ts";
import { until } from "../waiting.ts";
import {
  DRILL_LOAD,
  type Drill,
  type DrillContext,
  type DrillStage,
  type Figure,
  onStage,
  untilFlowing,
} from "./drill.ts";

interface Fault {
  readonly name: string;
  /** All of these fire while it lasts, and clear after it. */
  readonly fires: readonly string[];
  readonly make: (cluster: ChaosCluster) => Promise<void>;
  readonly heal: (cluster: ChaosCluster) => Promise<void>;
}

const ONE_AWAY = ["OttlaBrokerDown", "OttlaUnderReplicated"] as const;
/** What would say that records are lost, or that two decide. */
const NEVER = ["OttlaUncleanLeaderElection", "OttlaSeveralActiveControllers"] as const;
const FIRES_MS = 90_000;
/** Below what a broker keeps in reserve. */
const LITTLE_BYTES = 100 * 1024 * 1024;
/** Its disk can be made full. */
const SMALL = 3;

const FAULTS: readonly Fault[] = [
  {
    name: "a broker killed",
    fires: ONE_AWAY,
    make: (cluster) => cluster.kill([1]),
    heal: (cluster) => cluster.start([1]),
  },
  {
    name: "a broker frozen",
    fires: ONE_AWAY,
    make: (cluster) => cluster.pause(2),
    heal: (cluster) => cluster.unpause(2),
  },
  {
    name: "a broker cut off",
    fires: ONE_AWAY,
    make: (cluster) => cluster.disconnect(3),
    heal: (cluster) => cluster.connect(3),
  },
  {
    name: "a majority killed",
    fires: ["OttlaBrokerDown", "OttlaNoActiveController"],
    make: (cluster) => cluster.kill([1, 2]),
    heal: (cluster) => cluster.start([1, 2]),
  },
  {
    name: "two brokers stopped, one after the other",
    // The second one's leaders move while a majority still agrees: the ISR is down to one.
    fires: ["OttlaBrokerDown", "OttlaUnderMinIsr", "OttlaNoActiveController"],
    make: async (cluster) => {
      await cluster.stop(2);
      await cluster.stop(3);
    },
    heal: (cluster) => cluster.start([2, 3]),
  },
];

const FULL_DISK: Fault = {
  name: "a disk that fills",
  fires: ["OttlaDiskFull", "OttlaUnderReplicated"],
  make: async (cluster) => {
    const { bfree, blocks, bsize } = statfsSync(cluster.dataOf(SMALL));
    await cluster.resizeSmall(SMALL, (blocks - bfree) * bsize + LITTLE_BYTES);
  },
  heal: (cluster) => cluster.resizeSmall(SMALL, SMALL_DISK_BYTES),
};

async function alerts(context: DrillContext): Promise<Figure> {
  const directory = mkdtempSync(join(tmpdir(), "ottla-alerts-"));
  try {
    const binaries = await findPrometheus(directory);
    if (binaries === undefined)
      throw new Error("there is no prometheus here, nor can apt bring it");
    return await onStage(context, { ...DRILL_LOAD, small: SMALL }, async (on) => {
      const { cluster } = on;
      const targets = cluster.ids.map((id) => `${cluster.address(id)}:${HTTP_PORT}`);
      const binary = binaries.prometheus;
      const server = await PrometheusServer.start({ binary, directory, targets });
      try {
        return await play(context, on, server.api);
      } finally {
        await server.stop();
      }
    });
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

async function play(
  { ending, say, site }: DrillContext,
  on: DrillStage,
  api: PrometheusApi,
): Promise<Figure> {
  const began = performance.now();
  const values: number[] = [];
  const complaints: string[] = [];
  const faults = site.noMount === undefined ? [FULL_DISK, ...FAULTS] : FAULTS;
  if (site.noMount !== undefined) say(`${FULL_DISK.name}: cannot be made here, ${site.noMount}`);
  for (const { fires, heal, make, name } of faults) {
    if (ending()) break;
    await untilFlowing(on);
    const firing = async (): Promise<readonly string[]> => {
      const all = await api.firing();
      return fires.filter((each) => all.has(each));
    };
    if (!(await until(async () => (await firing()).length === 0, { timeoutMs: FIRES_MS }))) {
      complaints.push(`before ${name}: ${(await firing()).join(", ")}`);
    }
    const madeMs = performance.now();
    await make(on.cluster);
    const fired = await until(async () => (await firing()).length === fires.length, {
      timeoutMs: FIRES_MS,
    });
    const seconds = (performance.now() - madeMs) / 1_000;
    const seen = [...(await api.firing())].join(", ");
    if (fired) values.push(seconds);
    else complaints.push(`${name}: only ${seen}`);
    await heal(on.cluster);
    const cleared = await until(async () => (await firing()).length === 0, { timeoutMs: FIRES_MS });
    if (!cleared) complaints.push(`${name} is over, and still: ${(await firing()).join(", ")}`);
    say(`${name}: ${seen} after ${seconds.toFixed(1)} s; ${cleared ? "cleared" : "NOT cleared"}`);
  }
  const ever = await api.firedWithin((performance.now() - began) / 1_000);
  complaints.push(...NEVER.filter((each) => ever.has(each)).map((each) => `${each} fired`));
  const what = `${values.length} of ${faults.length} faults had all their alerts`;
  return {
    text:
      complaints.length === 0 ? `${what}, and all cleared` : `${what}; ${complaints.join("; ")}`,
    met: complaints.length === 0 && values.length === faults.length,
    values,
  };
}

export const ALERT_DRILL: Drill = {
  name: "alerts",
  goal: "the right alerts fire for a full disk, a broker killed, frozen or cut off, and a majority lost, and clear",
  run: alerts,
};
