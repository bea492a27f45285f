/**
 * Data directories that are damaged while their broker is down, or run out of space while it is up.
 * Nothing acknowledged is lost, nothing damaged is served, and the replica is rebuilt by itself.
 */
import { readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { jsonLines, ottla } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";

const TOPIC = "ledger";
const RECORDS = 400;
/** Written once the damaged broker is back: a log that was closed in order is opened for it. */
const LAST = RECORDS;
const VALUE_BYTES = 10_000;

let cluster: Cluster;
let admin: Admin;

beforeEach(async () => {
  cluster = await startCluster({ brokers: 3 });
  admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  await admin.createTopics([{ name: TOPIC, partitions: 1, replicationFactor: 3 }]);
  await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
  for (let number = 0; number < RECORDS; number += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        producer.send({ topic: TOPIC, value: textOf(number + index) }),
      ),
    );
  }
});

afterEach(async () => {
  await admin.close();
  await cluster.stop();
});

function textOf(number: number): string {
  return `${number}:${String.fromCharCode(97 + (number % 26)).repeat(VALUE_BYTES)}`;
}

async function partition() {
  const [topic] = await admin.describeTopics([TOPIC]);
  return topic?.partitions[0];
}

async function follower(): Promise<number> {
  const leader = (await partition())?.leader;
  return cluster.brokerIds.find((id) => id !== leader) as number;
}

async function whole(): Promise<void> {
  await eventually("every replica is in sync", async () => {
    const now = await partition();
    return now !== undefined && now.leader >= 0 && now.isr.length === 3;
  });
}

/** The files of the broker's only segment of the topic. */
async function segmentFiles(id: number): Promise<readonly string[]> {
  const logs = join(cluster.logDirsOf(id)[0] as string, "logs");
  const replica = (await readdir(logs)).find((name) => name.startsWith(`${TOPIC}-0.`)) as string;
  const files: string[] = [];
  for (const segment of await readdir(join(logs, replica))) {
    const directory = join(logs, replica, segment);
    if (!(await stat(directory)).isDirectory()) continue;
    for (const name of await readdir(directory)) files.push(join(directory, name));
  }
  return files;
}

async function largest(files: readonly string[]): Promise<string> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return files[sizes.indexOf(Math.max(...sizes))] as string;
}

/** Every record once and in order, as written. */
async function readAll(): Promise<void> {
  await using consumer = new Consumer({ bootstrapServers: cluster.bootstrapServers });
  await consumer.assign([{ topic: TOPIC, partition: 0, offset: "beginning" }]);
  let number = 0;
  for await (const { value } of consumer) {
    expect(Buffer.from(value as Uint8Array).toString() === textOf(number)).toBe(true);
    if (number++ === LAST) break;
  }
}

async function writeLast(): Promise<void> {
  await using producer = new Producer({ bootstrapServers: cluster.bootstrapServers });
  const { offset } = await producer.send({ topic: TOPIC, value: textOf(LAST) });
  expect(offset).toBe(LAST);
}

/** The damaged broker comes back whole: it leads, alone with the last of the others, and has all. */
async function servesAlone(id: number): Promise<void> {
  await whole();
  for (const other of cluster.brokerIds.filter((each) => each !== id)) {
    await cluster.stopBroker(other);
    await cluster.startBroker(other);
    await whole();
  }
  await readAll();
  for (const each of cluster.brokerIds) await cluster.stopBroker(each);
  const [first, ...others] = cluster.brokerIds.map((each) => cluster.logDirsOf(each)[0] as string);
  for (const other of others) {
    const words = ["log", "verify", first as string, "--compare", other, "--output", "json"];
    const compared = await ottla(words);
    expect(compared.stderr).toBe("");
    expect(compared.code).toBe(0);
    const found = jsonLines(compared.stdout).filter(({ topic }) => topic === TOPIC);
    expect(found).toMatchObject([{ topic: TOPIC, partition: 0, equal: true, upTo: LAST + 1 }]);
  }
}

describe("a damaged directory", () => {
  it("with a broken manifest is rebuilt", async () => {
    const id = await follower();
    await cluster.stopBroker(id);
    const manifest = (await segmentFiles(id)).find((file) => file.includes("MANIFEST")) as string;
    await writeFile(manifest, Buffer.alloc(100, 0xa5));
    await cluster.startBroker(id);
    await writeLast();
    await servesAlone(id);
  });

  it("with a manifest that is gone is rebuilt", async () => {
    const id = await follower();
    await cluster.killBroker(id);
    for (const file of await segmentFiles(id)) {
      if (/MANIFEST|CURRENT/.test(file)) await rm(file);
    }
    await cluster.startBroker(id);
    await writeLast();
    await servesAlone(id);
  });

  it("with a torn tail is completed from its peers", async () => {
    const id = await follower();
    await cluster.killBroker(id);
    const log = await largest((await segmentFiles(id)).filter((file) => file.endsWith(".log")));
    const { size } = await stat(log);
    await truncate(log, size - 3 * VALUE_BYTES);
    await cluster.startBroker(id);
    await writeLast();
    await servesAlone(id);
  });

  it("with a flipped bit is found by the offline check, and never served", async () => {
    const id = await follower();
    await cluster.stopBroker(id);
    const file = await largest(await segmentFiles(id));
    const bytes = await readFile(file);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] as number) ^ 0x10;
    await writeFile(file, bytes);

    const verified = await ottla(["log", "verify", cluster.logDirsOf(id)[0] as string]);
    expect(verified.code).toBe(5);
    expect(verified.stderr).toContain(`${TOPIC}-0`);

    await cluster.startBroker(id);
    await writeLast();
    await whole();
    // Make it the leader, so that consumers read from its disk.
    for (const other of cluster.brokerIds.filter((each) => each !== id)) {
      await cluster.stopBroker(other);
      await readAll();
      await cluster.startBroker(other);
      await whole();
    }
    await readAll();
  });
});
