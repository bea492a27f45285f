/**
 * The main job on real input: at least a million lines of the package index, keyed by package, in
 * six partitions of three replicas. Leaders, the controller and a whole disk are lost while it runs;
 * then all three brokers at once. Nothing acknowledged may be missing, repeated or out of order, and
 * the replicas' logs must be equal. Ends with `N passed, N failed`; the exit code says the same.
 *
 *     npm run proof [-- --report FILE]
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Admin, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { Checks } from "./checks.ts";
import { fullDisk } from "./full-disk.ts";
import { Ledger } from "./ledger.ts";
import { Load, sleep } from "./load.ts";
import { packageIndex } from "./package-index.ts";
import { readWhole } from "./reader.ts";
import { compareReplicas } from "./replicas.ts";

const TOPIC = "package-index";
const PARTITIONS = 6;
const BROKERS = 3;
const RECORDS_LEAST = 1_000_000;
const RECORDS_PER_SECOND = 40_000;
/** Acknowledgements of the partition that prove it works again after a kill. */
const RECOVERED_ACKS = 1_000;
const BETWEEN_FAULTS_MS = 2_000;
const WAIT_MS = 60_000;
const TOTAL_KILLS = 3;
const TOTAL_KILL_LOAD_MS = 4_000;

const checks = new Checks();
const began = performance.now();

function say(text: string): void {
  process.stdout.write(
    `${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}\n`,
  );
}

async function until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${WAIT_MS / 1000} s`);
    await sleep(20);
  }
}

async function partitions(admin: Admin) {
  const [topic] = await admin.describeTopics([TOPIC]);
  if (topic === undefined) throw new Error(`${TOPIC} is not there`);
  return topic.partitions;
}

async function whole(admin: Admin): Promise<void> {
  await until("every replica in sync", async () =>
    (await partitions(admin)).every(
      ({ leader, isr, replicas }) => leader >= 0 && isr.length === replicas.length,
    ),
  );
}

/** Kills one broker while records flow; `between` happens before it is started again. */
async function kill(
  name: string,
  world: { readonly cluster: Cluster; readonly admin: Admin; readonly load: Load },
  choose: (leaders: readonly number[], controller: number) => number,
  between: (broker: number) => Promise<void> = async () => undefined,
): Promise<void> {
  const { cluster, admin, load } = world;
  await whole(admin);
  await sleep(BETWEEN_FAULTS_MS);
  const leaders = (await partitions(admin)).map(({ leader }) => leader);
  const { controllerId } = await admin.describeCluster();
  const victim = choose(leaders, controllerId);
  const orphans = leaders.flatMap((leader, partition) => (leader === victim ? [partition] : []));
  load.resetGaps();
  await cluster.killBroker(victim);
  await until(`records of ${name}`, () =>
    orphans.every((partition) => load.acks(partition) >= RECOVERED_ACKS),
  );
  const gaps = orphans.map((partition) => load.longestGapMs(partition));
  const role = victim === controllerId ? ", the active controller" : "";
  const gap =
    gaps.length === 0 ? "it led nothing" : `longest gap ${Math.max(...gaps).toFixed(0)} ms`;
  say(`${name}: kill -9 of broker ${victim}${role}, leader of ${orphans.length}; ${gap}`);
  await between(victim);
  await cluster.startBroker(victim);
  await whole(admin);
  say(`broker ${victim} is back, every replica in sync`);
}

async function audit(title: string, cluster: Cluster, ledger: Ledger): Promise<void> {
  const start = performance.now();
  const result = await ledger.audit(readWhole(cluster.bootstrapServers, TOPIC, PARTITIONS));
  const seconds = (performance.now() - start) / 1000;
  say(
    `${title}: read ${result.read} records in ${seconds.toFixed(1)} s; sent ${ledger.sent}, acknowledged ${ledger.acknowledged}, written without acknowledgement ${result.unacknowledged}`,
  );
  checks.expect(
    `${title}: every acknowledged record once, at its offset, in order of its key`,
    result.violations,
  );
  checks.expect(`${title}: no send failed`, ledger.failures.slice(0, 5));
}

async function main(): Promise<void> {
  const ledger = new Ledger();
  const lines = packageIndex();
  await using cluster = await startCluster({ brokers: BROKERS });
  say(`${BROKERS} brokers are ready`);

  {
    await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
    await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
    await admin.createTopics([{ name: TOPIC, partitions: PARTITIONS, replicationFactor: BROKERS }]);
    const load = new Load({
      producer,
      topic: TOPIC,
      partitionsCount: PARTITIONS,
      lines,
      ledger,
      recordsPerSecond: RECORDS_PER_SECOND,
    });
    const world = { cluster, admin, load };
    const loading = load.run();
    const progress = setInterval(() => {
      say(`sent ${ledger.sent}, acknowledged ${ledger.acknowledged}`);
    }, 5_000);
    try {
      await sleep(BETWEEN_FAULTS_MS);
      await kill("first leader", world, notTheController);
      await kill("second leader", world, notTheController);
      await kill("controller", world, (_, controller) => controller);
      await kill("lost disk", world, notTheController, async (broker) => {
        await cluster.wipeBroker(broker);
        say(`broker ${broker}'s directory is wiped`);
      });
      await until("a million records", () => ledger.acknowledged >= RECORDS_LEAST);
    } finally {
      clearInterval(progress);
      load.stop();
      await loading;
    }
    say(
      `sent ${ledger.sent}, acknowledged ${ledger.acknowledged}, failed ${ledger.failures.length}`,
    );
    await whole(admin);
  }
  await audit("after single losses", cluster, ledger);

  for (let round = 1; round <= TOTAL_KILLS; round++) await loseAll(round, cluster, ledger, lines);
  await audit("after the loss of all", cluster, ledger);

  {
    await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
    await whole(admin);
  }
  for (const id of cluster.brokerIds) await cluster.stopBroker(id);
  const compared = await compareReplicas(cluster, TOPIC);
  say(`compared ${compared.batches} batches of ${PARTITIONS} partitions on ${BROKERS} replicas`);
  checks.expect("the three replicas' logs are equal, batch by batch", compared.differences);
}

/** kill -9 of every broker at once under load, then a start; nobody helps. */
async function loseAll(
  round: number,
  cluster: Cluster,
  ledger: Ledger,
  lines: ReturnType<typeof packageIndex>,
): Promise<void> {
  await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
  const load = new Load({
    producer,
    topic: TOPIC,
    partitionsCount: PARTITIONS,
    lines,
    ledger,
    recordsPerSecond: RECORDS_PER_SECOND,
  });
  const loading = load.run();
  try {
    await sleep(TOTAL_KILL_LOAD_MS);
    const ids = cluster.brokerIds;
    const acknowledged = ledger.acknowledged;
    await Promise.all(ids.map((id) => cluster.killBroker(id)));
    load.resetGaps();
    const dead = performance.now();
    await Promise.all(ids.map((id) => cluster.startBroker(id)));
    const started = performance.now();
    await until("acknowledgements after the loss of all", () =>
      Array.from({ length: PARTITIONS }, (_, partition) => partition).every(
        (partition) => load.acks(partition) >= RECOVERED_ACKS,
      ),
    );
    say(
      `kill -9 of all ${ids.length} brokers, round ${round}, after ${acknowledged} acknowledgements: ready after ${seconds(started - dead)}, every partition written again after ${seconds(performance.now() - dead)}`,
    );
  } finally {
    load.stop();
    await loading;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function notTheController(leaders: readonly number[], controller: number): number {
  return leaders.find((leader) => leader !== controller) ?? (leaders[0] as number);
}

async function smallDisk(): Promise<void> {
  const result = await fullDisk();
  if (result === undefined) {
    say("a full disk is not tried: nothing may be mounted here");
    return;
  }
  say(result.summary);
  checks.expect("a full disk loses nothing and heals by itself", result.complaints);
}

try {
  await main();
  await smallDisk();
} catch (thrown) {
  checks.fail(
    "the proof ran to its end",
    thrown instanceof Error ? String(thrown.stack) : String(thrown),
  );
}
say(`took ${seconds(performance.now() - began)}`);
const { values } = parseArgs({ options: { report: { type: "string" } } });
if (values.report !== undefined) {
  writeFileSync(
    values.report,
    JSON.stringify({ passed: checks.passed, failed: checks.failed, failures: checks.failures }),
  );
}
process.stdout.write(`${checks.passed} passed, ${checks.failed} failed\n`);
process.exit(checks.failed === 0 ? 0 : 1);
