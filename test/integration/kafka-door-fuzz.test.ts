/**
 * Requests of every API in every version, of random values and damaged, to a real broker: each is
 * answered, refused, or waits for what never comes; none is a defect.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { concatBytes, writeInt32 } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { Admin } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { damage, makeSamples, type Sample } from "../fuzz/kafka-wire.ts";
import { eventually } from "../support/eventually.ts";
import { RawKafkaClient } from "../support/raw-kafka-client.ts";

const CONNECTIONS = 16;
const DAMAGED_COUNT = 3_000;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({
    brokers: 1,
    properties: { "min.insync.replicas": "1", "auto.create.topics.enable": "true" },
  });
  await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  await admin.createTopics([{ name: "a", partitions: 3, replicationFactor: 1 }]);
});

afterAll(() => cluster?.stop());

/** Several to each connection, each behind the last: some wait for long, and are left there. */
async function deliver(frames: readonly Uint8Array[]): Promise<void> {
  const { kafkaPort } = cluster.portsOf(1);
  for (let at = 0; at < frames.length; at += CONNECTIONS) {
    await Promise.all(
      frames.slice(at, at + CONNECTIONS).map(async (frame) => {
        const client = new RawKafkaClient(kafkaPort);
        const size = new Uint8Array(4);
        writeInt32(size, 0, frame.length);
        client.socket.write(concatBytes([size, frame]));
        // Half-closed: the broker answers what it has at once, and ends the connection.
        client.socket.end();
        await client.ended;
      }),
    );
  }
}

function defects(): string[] {
  return cluster
    .logOf(1)
    .split("\n")
    .filter((line) => line.includes('"level":"error"'));
}

async function brokerIsWell(): Promise<void> {
  expect(cluster.isRunning(1), cluster.logOf(1, 20)).toBe(true);
  expect(defects()).toEqual([]);
  const client = new RawKafkaClient(cluster.portsOf(1).kafkaPort);
  await eventually("it answers", async () => {
    const names = { clientSoftwareName: "fuzz", clientSoftwareVersion: "1" };
    return (await client.ask("ApiVersions", 3, names)).errorCode === 0;
  });
  client.close();
}

describe("the door under fire", () => {
  const chance = new Prng(20);
  const samples: readonly Sample[] = makeSamples(chance.fork("samples")).filter(
    ({ part }) => part === "request",
  );

  it("stands requests of random values", async () => {
    expect(samples.length).toBeGreaterThan(1_000);
    await deliver(samples.map(({ frame }) => frame));
    await brokerIsWell();
  });

  it("stands damaged requests", async () => {
    const frames = Array.from({ length: DAMAGED_COUNT }, () =>
      damage(chance.pick(samples).frame, chance.pick(samples).frame, chance),
    );
    await deliver(frames);
    await brokerIsWell();
  });
});
