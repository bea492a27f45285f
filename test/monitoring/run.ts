/**
 * Prometheus for real: the project's configuration and rules, a cluster under load, the query of
 * every panel of every dashboard, every rule; then a broker is killed, and the right alerts fire and
 * clear. Ends with `N passed, N failed`; the exit code says the same.
 *
 *     npm run monitoring [-- --required] [-- --report FILE]
 *
 * Without Prometheus it says so and passes, unless `--required`.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { Checks } from "../proof/checks.ts";
import { eventually } from "../support/eventually.ts";
import {
  dashboardExpressions,
  PROMETHEUS_DIRECTORY,
  readAlerts,
} from "../support/monitoring-files.ts";
import { parsePromql } from "../support/promql.ts";
import { LightLoad, TOPICS } from "./light-load.ts";
import type { PrometheusApi } from "./prometheus-api.ts";
import { findPrometheus, type PrometheusBinaries } from "./prometheus-binaries.ts";
import { PrometheusServer } from "./prometheus-server.ts";

const WITHIN_MS = 120_000;
const VICTIM = 2;
/** What the loss of one broker of three must bring up, and what it must not. */
const MUST_FIRE = ["OttlaBrokerDown", "OttlaUnderReplicated"];
const MUST_NOT_FIRE = [
  "OttlaOfflinePartitions",
  "OttlaUnderMinIsr",
  "OttlaUncleanLeaderElection",
  "OttlaSeveralActiveControllers",
  "OttlaReplicaOffline",
];
/** Has data only when a leader was elected lately: after the kill. */
const AFTER_FAULT = "annotation Leaders elected";

const run = promisify(execFile);
const checks = new Checks();
const began = performance.now();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { required: { type: "boolean", default: false }, report: { type: "string" } },
  });
  const directory = mkdtempSync(join(tmpdir(), "ottla-monitoring-"));
  try {
    const binaries = await findPrometheus(directory);
    if (binaries !== undefined) await monitor(directory, binaries);
    else if (values.required) checks.fail("Prometheus", "it is neither installed nor to be had");
    else say("!!! MONITORING WAS NOT TESTED: there is no prometheus here, and apt cannot bring it");
  } catch (thrown) {
    checks.fail("the run", String(thrown instanceof Error ? thrown.stack : thrown));
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
  const { failed, failures, passed } = checks;
  if (values.report !== undefined) {
    writeFileSync(values.report, JSON.stringify({ passed, failed, failures }));
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

async function monitor(directory: string, binaries: PrometheusBinaries): Promise<void> {
  const file = (...parts: readonly string[]): string => join(PROMETHEUS_DIRECTORY, ...parts);
  await promtool(binaries, ["check", "config", file("prometheus.yml")]);
  await promtool(binaries, ["test", "rules", file("tests", "ottla.yml")]);
  await using cluster = await startCluster({ brokers: 3, startTimeoutMs: WITHIN_MS });
  const targets = cluster.brokerIds.map((id) => `127.0.0.1:${cluster.portsOf(id).httpPort}`);
  const server = await PrometheusServer.start({ binary: binaries.prometheus, directory, targets });
  const load = await LightLoad.start(cluster.bootstrapServers);
  try {
    say("a cluster under load is scraped");
    await rulesAreWell(server.api);
    await panelsHaveData(server.api, (where) => !where.endsWith(AFTER_FAULT));
    await exporterSeesOne(server.api);
    await alertsFireAndClear(cluster, server.api);
    // Leaders have moved meanwhile: their series went on.
    await exporterSeesOne(server.api);
    await panelsHaveData(server.api, (where) => where.endsWith(AFTER_FAULT));
    await load.stop();
    checks.expect(
      "the load went on",
      load.acknowledgedCount > 0 && load.consumedCount > 0 ? [] : ["nothing was produced or read"],
    );
  } finally {
    await load.stop().catch((error: unknown) => checks.fail("the load", String(error)));
    await server.stop();
  }
}

async function promtool(
  { promtool: binary }: PrometheusBinaries,
  args: readonly string[],
): Promise<void> {
  const complaints = await run(binary, [...args], { timeout: WITHIN_MS }).then(
    () => [],
    (thrown: Error & { readonly stdout?: string; readonly stderr?: string }) => [
      `${thrown.stdout ?? ""}${thrown.stderr ?? ""}` || thrown.message,
    ],
  );
  checks.expect(`promtool ${args.slice(0, 2).join(" ")}`, complaints);
}

/** Every rule is evaluated, and what it asks for is there, whether it fires or not. */
async function rulesAreWell(api: PrometheusApi): Promise<void> {
  const alerts = readAlerts();
  let missing: readonly string[] = [];
  const look = async (): Promise<boolean> => {
    const states = new Map((await api.rules()).map((state) => [state.name, state]));
    const found: string[] = [];
    for (const { alert, expr } of alerts) {
      const state = states.get(alert);
      if (state?.health !== "ok") found.push(`${alert} is ${state?.health}: ${state?.lastError}`);
      for (const { metric } of parsePromql(expr).selectors) {
        if ((await api.query(metric)).length === 0) found.push(`${alert}: no data of ${metric}`);
      }
    }
    missing = found;
    return found.length === 0;
  };
  await eventually("every rule is evaluated", look, WITHIN_MS).catch(() => undefined);
  checks.expect(`${alerts.length} rules are evaluated, with data`, missing);
}

async function panelsHaveData(
  api: PrometheusApi,
  isWanted: (where: string) => boolean,
): Promise<void> {
  const placeholders = { cluster: "ottla", interval: "1m" };
  const expressions = dashboardExpressions(placeholders).filter(({ where }) => isWanted(where));
  let missing: readonly string[] = [];
  const look = async (): Promise<boolean> => {
    const found: string[] = [];
    for (const { expr, where } of expressions) {
      const samples = await api.query(expr);
      // A quantile of nothing is no number: a panel would stay empty.
      if (!samples.some(({ value }) => Number.isFinite(value))) found.push(`${where}: ${expr}`);
    }
    missing = found;
    return found.length === 0;
  };
  await eventually("every panel has data", look, WITHIN_MS).catch(() => undefined);
  checks.expect(`${expressions.length} queries of dashboards find data`, missing);
}

/**
 * kafka_exporter's dashboard sums over everything that there is, and picks one instance: what is shown
 * once for the whole cluster must be there once, and under one.
 */
async function exporterSeesOne(api: PrometheusApi): Promise<void> {
  const complaints: string[] = [];
  const expectOne = async (expr: string, value: number): Promise<void> => {
    const samples = await api.query(expr);
    const [sample] = samples;
    if (samples.length === 1 && sample?.value === value) return;
    complaints.push(`${expr}: ${JSON.stringify(samples)}, not ${value} once`);
  };
  const look = async (): Promise<boolean> => {
    complaints.length = 0;
    await expectOne(`sum by (topic) (kafka_topic_partitions{topic="${TOPICS[0]}"})`, 6);
    await expectOne(`count(kafka_topic_partition_current_offset{topic="${TOPICS[0]}"})`, 6);
    await expectOne("count(count by (instance) (kafka_topic_partition_leader))", 1);
    await expectOne("count(count by (instance) (kafka_consumergroup_lag))", 1);
    await expectOne("count(kafka_broker_info)", 3);
    return complaints.length === 0;
  };
  await eventually("the exporter's view is right", look, WITHIN_MS).catch(() => undefined);
  checks.expect("sums as kafka_exporter's dashboards make them are right", complaints);
}

async function alertsFireAndClear(cluster: Cluster, api: PrometheusApi): Promise<void> {
  await eventually(
    "no alert fires",
    async () => (await firingOf(api, MUST_FIRE)).length === 0,
    WITHIN_MS,
  );
  await cluster.killBroker(VICTIM);
  say(`broker ${VICTIM} was killed`);
  const fired = await eventually(
    "the alerts fire",
    async () => (await firingOf(api, MUST_FIRE)).length === MUST_FIRE.length,
    WITHIN_MS,
  ).then(
    () => [],
    async () => [`only these fire: ${[...(await api.firing())].join(", ")}`],
  );
  checks.expect(`a killed broker brings up ${MUST_FIRE.join(" and ")}`, fired);
  await cluster.startBroker(VICTIM);
  say(`broker ${VICTIM} is back`);
  const cleared = await eventually(
    "the alerts clear",
    async () => (await firingOf(api, MUST_FIRE)).length === 0,
    WITHIN_MS,
  ).then(
    () => [],
    async () => [`these still fire: ${[...(await api.firing())].join(", ")}`],
  );
  checks.expect("which clear once it is back", cleared);
  const seconds = (performance.now() - began) / 1_000;
  const ever = await api.firedWithin(seconds);
  const wrong = MUST_NOT_FIRE.filter((name) => ever.has(name));
  checks.expect(`and none of ${MUST_NOT_FIRE.length} that would mean worse`, wrong);
  say(`fired in all: ${[...ever].join(", ")}`);
}

async function firingOf(api: PrometheusApi, names: readonly string[]): Promise<readonly string[]> {
  const firing = await api.firing();
  return names.filter((name) => firing.has(name));
}

function say(text: string): void {
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  process.stdout.write(`${seconds.padStart(6)} s  ${text}\n`);
}

await main();
