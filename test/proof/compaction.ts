/**
 * A compacted topic on three replicas: ten million records over 100,000 keys, `kill -9` of a broker
 * in the midst of cleaning. The last value of each key is where it was acknowledged, no offset has
 * changed, and what is not active is within a tenth of its live records, on all three replicas. Ends
 * with `N passed, N failed`; the exit code says the same.
 *
 *     npm run proof:compaction [-- --records N]
 */
import { parseArgs } from "node:util";
import { levelStores } from "../../src/adapters/level-stores.ts";
import { nativeCodecs } from "../../src/adapters/native-codecs.ts";
import { systemClock } from "../../src/adapters/system-clock.ts";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { PendingOperations } from "../../src/storage/pending-operations.ts";
import { ReplicaStates } from "../../src/storage/replica-states.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { Checks } from "./checks.ts";
import { sleep } from "./load.ts";
import { compareReplicas } from "./replicas.ts";

const TOPIC = "latest";
const KEYS_COUNT = 100_000;
const VALUE = "x".repeat(90);
const SEGMENT_BYTES = 16 * 1024 * 1024;
const IN_FLIGHT_COUNT = 20_000;
const WAIT_MS = 600_000;
const QUIET_MS = 5_000;

const { values } = parseArgs({ options: { records: { type: "string", default: "10000000" } } });
const recordsCount = Number(values.records);
const checks = new Checks();
const began = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  process.stdout.write(`${seconds.padStart(6)} s  ${text}\n`);
}

/** By key, where its last record was acknowledged. */
const acknowledged = new Map<number, number>();

async function write(cluster: Cluster, from: number, to: number): Promise<void> {
  await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
  const pending = new Set<Promise<void>>();
  for (let number = from; number < to; number++) {
    const key = Math.imul(number, 2_654_435_761) >>> 0;
    const index = key % KEYS_COUNT;
    const sent: Promise<void> = producer
      .send({ topic: TOPIC, key: `key-${index}`, value: `${number} ${VALUE}` })
      .then(({ offset }) => {
        acknowledged.set(index, Math.max(offset, acknowledged.get(index) ?? -1));
      })
      .finally(() => pending.delete(sent));
    pending.add(sent);
    if (pending.size >= IN_FLIGHT_COUNT) await Promise.race(pending);
  }
  await Promise.all(pending);
}

async function sizes(cluster: Cluster): Promise<readonly number[]> {
  const line = new RegExp(`^kafka_log_log_size\\{[^}]*topic="${TOPIC}"[^}]*\\} (\\S+)`, "m");
  return Promise.all(
    cluster.brokerIds.map(async (id) => {
      const url = `http://127.0.0.1:${cluster.portsOf(id).httpPort}/metrics`;
      return Number(line.exec(await (await fetch(url)).text())?.[1]);
    }),
  );
}

/** Until no replica's size has changed for a while. */
async function settled(cluster: Cluster): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  let before = "";
  for (let quietMs = 0; quietMs < QUIET_MS; ) {
    await sleep(500);
    const now = (await sizes(cluster)).join();
    quietMs = now === before ? quietMs + 500 : 0;
    before = now;
    if (performance.now() > deadline) throw new Error("the log cleaner does not come to an end");
  }
  say(`replicas have ${before} bytes`);
}

/** Offset of each key's last record, and of every record that is left. */
async function readAll(
  cluster: Cluster,
  end: number,
): Promise<{ readonly last: Map<number, number>; readonly offsets: readonly number[] }> {
  await using consumer = new Consumer({ bootstrapServers: cluster.bootstrapServers });
  await consumer.assign([{ topic: TOPIC, partition: 0 }]);
  const last = new Map<number, number>();
  const offsets: number[] = [];
  for await (const { key, offset } of consumer) {
    last.set(
      Number(
        Buffer.from(key as Uint8Array)
          .toString()
          .slice(4),
      ),
      offset,
    );
    offsets.push(offset);
    if (offset === end - 1) break;
  }
  return { last, offsets };
}

async function verify(cluster: Cluster, admin: Admin, recordBytes: number): Promise<void> {
  const [listed] = await admin.listOffsets([{ topic: TOPIC, partition: 0, offset: "end" }]);
  const end = listed?.offset as number;
  const { last, offsets } = await readAll(cluster, end);
  const wrong = [...acknowledged].filter(([key, offset]) => last.get(key) !== offset);
  checks.expect(
    "the last value of each key is where it was acknowledged",
    wrong.map(([key, offset]) => `key-${key}: ${last.get(key)} where ${offset} was acknowledged`),
  );
  checks.expect(
    "no key has come up from nowhere",
    last.size === acknowledged.size ? [] : [`${last.size} keys, not ${acknowledged.size}`],
  );
  say(`${offsets.length} records of ${end} offsets are left, ${last.size} keys`);
  for (const id of cluster.brokerIds) await cluster.stopBroker(id);
  for (const id of cluster.brokerIds) {
    const states = await ReplicaStates.open({
      stores: levelStores,
      crc32c: nativeCodecs.crc32c,
      pending: new PendingOperations(systemClock),
      path: `${cluster.logDirsOf(id)[0]}/broker`,
      createIfMissing: false,
    });
    const [replica] = states.replicas();
    const segments = [...states.get(replica as string).segments.values()];
    await states.close();
    const sealedEnd = Math.max(...segments.map(({ endOffset }) => endOffset));
    const bytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const live = last.size * recordBytes;
    const ratio = bytes / live;
    say(`broker ${id}: ${bytes} bytes up to ${sealedEnd}, ${ratio.toFixed(3)} of the live records`);
    checks.expect(
      `broker ${id} holds little beside live records`,
      ratio < 1.1 ? [] : [`${ratio.toFixed(3)} times as much`],
    );
  }
  const { differences } = await compareReplicas(cluster, TOPIC);
  checks.expect("the replicas are sound and agree", differences);
}

async function main(): Promise<void> {
  const properties = { "log.cleaner.backoff.ms": "500" };
  await using cluster = await startCluster({ brokers: 3, properties });
  await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  const configs = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": 0.01,
    "segment.bytes": SEGMENT_BYTES,
  };
  await admin.createTopics([{ name: TOPIC, partitions: 1, replicationFactor: 3, configs }]);
  const rounds = cluster.brokerIds.length + 1;
  for (let round = 0; round < rounds; round++) {
    const from = Math.floor((recordsCount * round) / rounds);
    const to = Math.floor((recordsCount * (round + 1)) / rounds);
    const writing = write(cluster, from, to);
    const id = cluster.brokerIds[round];
    if (id !== undefined) {
      await sleep(2_000);
      await cluster.killBroker(id);
      say(`broker ${id} was killed while it wrote and cleaned`);
      await cluster.startBroker(id);
    }
    await writing;
    say(`${to} records are acknowledged`);
  }
  await settled(cluster);
  // A record: length, attributes, two deltas, key, value, headers, as a batch of many holds it.
  const recordBytes = 9 + "key-12345".length + `${recordsCount} ${VALUE}`.length;
  await verify(cluster, admin, recordBytes);
}

try {
  await main();
} catch (thrown) {
  const why = thrown instanceof Error ? String(thrown.stack) : String(thrown);
  checks.fail("the proof ran to its end", why);
}
say("done");
process.stdout.write(`${checks.passed} passed, ${checks.failed} failed\n`);
process.exit(checks.failed === 0 ? 0 : 1);
