/** Too few brokers: for the quorum, for min.insync.replicas, for anything at all. */
import { describe, expect, it } from "vitest";
import { Admin, Consumer, Producer } from "../../src/client/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { jsonLines, ottla } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient, rawBatch } from "../support/raw-client.ts";

describe("too few brokers", () => {
  it("refuses acks=all below min.insync.replicas, takes acks=1, and recovers by itself", async () => {
    await using cluster = await startCluster({ brokers: 5, voters: 3 });
    const { bootstrapServers } = cluster;
    await using admin = new Admin({ bootstrapServers });
    // The replicas are no voters: the quorum lives on while they die.
    await admin.createTopics([
      { name: "guarded", assignment: [[4, 5]], configs: { "min.insync.replicas": 2 } },
    ]);
    await using producer = new Producer({ bootstrapServers });
    await producer.send({ topic: "guarded", value: "before" });
    await cluster.killBroker(5);
    await eventually("the ISR is one broker", async () => {
      const [topic] = await admin.describeTopics(["guarded"]);
      return topic?.partitions[0]?.isr.length === 1;
    });
    const raw = new RawClient(cluster.portsOf(4).grpcPort);
    try {
      const batch = rawBatch([{ value: "alone" }]);
      const refused = await raw.produce({ topic: "guarded", batch });
      expect(refused.error?.code).toBe("NOT_ENOUGH_REPLICAS");
      expect(refused.error?.message).toContain("min.insync.replicas");
      const taken = await raw.produce({ topic: "guarded", batch, acks: 1 });
      expect(taken.error).toBeNull();
    } finally {
      raw.close();
    }
    // The producer waits out the outage: its record is acknowledged once the broker is back.
    const waiting = producer.send({ topic: "guarded", value: "after" });
    await cluster.startBroker(5);
    expect((await waiting).offset).toBe(2);
    await using consumer = new Consumer({ bootstrapServers });
    await consumer.assign([{ topic: "guarded", partition: 0, offset: "beginning" }]);
    const values: string[] = [];
    for await (const message of consumer) {
      values.push(Buffer.from(message.value as Uint8Array).toString());
      if (values.length === 3) break;
    }
    expect(values).toEqual(["before", "alone", "after"]);
  });

  it("says that there is no quorum, goes on where a leader lives, and recovers by itself", async () => {
    await using cluster = await startCluster({ brokers: 5, voters: 3 });
    const { bootstrapServers } = cluster;
    await using admin = new Admin({ bootstrapServers });
    await admin.createTopics([{ name: "apart", assignment: [[4, 5]] }]);
    await using producer = new Producer({ bootstrapServers });
    await producer.send({ topic: "apart", value: "with controllers" });
    await cluster.killBroker(1);
    await cluster.killBroker(2);
    // Losing the controllers stops no data path that does not need them.
    await producer.send({ topic: "apart", value: "without controllers" });
    const server = `127.0.0.1:${cluster.portsOf(4).grpcPort}`;
    const words = ["topic", "create", "new", "--bootstrap-server", server];
    const refused = await ottla([...words, "--timeout-ms", "5000"]);
    expect(refused.stderr).toMatch(/NO_QUORUM|NOT_CONTROLLER|REQUEST_TIMED_OUT/);
    expect(refused.code).toBe(4);
    await cluster.startBroker(1);
    const created = await ottla([...words, "--output", "json"]);
    expect(created.code, created.stderr).toBe(0);
    expect(jsonLines(created.stdout)).toMatchObject([{ name: "new" }]);
  });

  it("says that no broker can be reached", async () => {
    const cluster = await startCluster({ brokers: 1 });
    const servers = cluster.bootstrapServers.join(",");
    await cluster.stop();
    const listed = await ottla(["topic", "list", "--bootstrap-server", servers]);
    expect(listed.code).toBe(4);
    expect(listed.stderr).toContain("NO_BROKER_REACHABLE");
    expect(listed.stderr).toContain(servers);
    const produced = await ottla(["produce", "t", "--bootstrap-server", servers], { input: "a\n" });
    expect(produced.code).toBe(4);
    expect(jsonLines(produced.stdout)).toMatchObject([{ acknowledged: 0, failed: 1 }]);
  });
});
