/** `ottla/testing` itself, and the main job on it. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { PACKAGE_ROOT } from "../../src/main/package-root.ts";
import { startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("startCluster", () => {
  it("writes, replicates and reads, and leaves nothing behind", async () => {
    let directory: string;
    let pids: number[];
    {
      await using cluster = await startCluster({ brokers: 3 });
      directory = cluster.directory;
      pids = cluster.brokerIds.map((id) => cluster.pidOf(id) as number);
      const { bootstrapServers } = cluster;
      await using admin = new Admin({ bootstrapServers });
      const created = await admin.createTopics([
        { name: "orders", partitions: 6, replicationFactor: 3 },
      ]);
      expect(created).toMatchObject([{ name: "orders", partitions: 6, replicationFactor: 3 }]);
      await using producer = new Producer({ bootstrapServers });
      const places = await Promise.all(
        Array.from({ length: 1_000 }, (_, number) =>
          producer.send({ topic: "orders", key: `key-${number % 17}`, value: String(number) }),
        ),
      );
      await using consumer = new Consumer({ bootstrapServers });
      await consumer.assign(
        Array.from({ length: 6 }, (_, partition) => ({ topic: "orders", partition })),
      );
      const read = new Map<string, number[]>();
      let count = 0;
      for await (const { key, offset, partition, value } of consumer) {
        const number = Number(Buffer.from(value as Uint8Array).toString());
        expect(places[number]).toMatchObject({ offset, partition });
        const name = Buffer.from(key as Uint8Array).toString();
        read.set(name, [...(read.get(name) ?? []), number]);
        if (++count === places.length) break;
      }
      expect(read.size).toBe(17);
      for (const numbers of read.values()) {
        expect(numbers).toEqual([...numbers].sort((left, right) => left - right));
      }
    }
    expect(existsSync(directory)).toBe(false);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("runs more brokers than voters, on one bootstrap address", async () => {
    await using cluster = await startCluster({ brokers: 5 });
    await using admin = new Admin({ bootstrapServers: cluster.bootstrapServers[4] as string });
    await admin.createTopics([{ name: "wide", partitions: 10, replicationFactor: 3 }]);
    const [topic] = await admin.describeTopics(["wide"]);
    const used = new Set(topic?.partitions.flatMap(({ replicas }) => replicas));
    expect([...used].sort((left, right) => left - right)).toEqual([1, 2, 3, 4, 5]);
    const { quorum } = await admin.describeCluster();
    expect(quorum?.voters.map(({ id }) => id).sort()).toEqual([1, 2, 3]);
    expect(quorum?.observers.map(({ id }) => id).sort()).toEqual([4, 5]);
  });

  it("keeps a given directory, and its data over a stop and a start", async () => {
    await using first = await startCluster({ brokers: 3 });
    const { bootstrapServers } = first;
    await using admin = new Admin({ bootstrapServers });
    await admin.createTopics([{ name: "kept", partitions: 1, replicationFactor: 3 }]);
    {
      await using producer = new Producer({ bootstrapServers });
      await producer.send({ topic: "kept", value: "still there" });
    }
    for (const id of first.brokerIds) expect(await first.stopBroker(id)).toBe(0);
    await Promise.all(first.brokerIds.map((id) => first.startBroker(id)));
    await using consumer = new Consumer({ bootstrapServers });
    await consumer.assign([{ topic: "kept", partition: 0, offset: "beginning" }]);
    for await (const { value } of consumer) {
      expect(Buffer.from(value as Uint8Array).toString()).toBe("still there");
      break;
    }
  });

  it("leaves no process behind when its own is killed, and the next one removes the directory", async () => {
    const script = `
      import { startCluster } from ${JSON.stringify(join(PACKAGE_ROOT, "dist/testing/index.js"))};
      const cluster = await startCluster({ brokers: 2 });
      const pids = cluster.brokerIds.map((id) => cluster.pidOf(id));
      console.log(JSON.stringify({ directory: cluster.directory, pids }));
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let told: { readonly directory: string; readonly pids: readonly number[] } | undefined;
    for await (const line of createInterface({ input: parent.stdout })) {
      told = JSON.parse(line);
      break;
    }
    const { directory, pids } = told as NonNullable<typeof told>;
    expect(pids.every(isAlive)).toBe(true);
    parent.kill("SIGKILL");
    await eventually("the brokers have ended", () => !pids.some(isAlive));
    await using next = await startCluster({ brokers: 1 });
    expect(next.brokerIds).toEqual([1]);
    expect(existsSync(directory)).toBe(false);
  });

  it("says what a broker said when it cannot start", async () => {
    await expect(
      startCluster({ brokers: 1, properties: { "min.insync.replicas": "none" } }),
    ).rejects.toMatchObject({ message: expect.stringContaining("min.insync.replicas") });
  });
});

describe("a broker process", () => {
  it("ends at once at a second signal", async () => {
    await using cluster = await startCluster({ brokers: 3 });
    // Frozen peers: a controlled shutdown cannot end by itself.
    cluster.freezeBroker(2);
    cluster.freezeBroker(3);
    const pid = cluster.pidOf(1) as number;
    process.kill(pid, "SIGTERM");
    await eventually("the first signal is heard", () =>
      cluster.logOf(1).includes("the broker stops"),
    );
    process.kill(pid, "SIGTERM");
    await eventually("the process is gone", () => !cluster.isRunning(1));
    cluster.thawBroker(2);
    cluster.thawBroker(3);
  });
});
