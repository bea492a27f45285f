import { afterEach, beforeEach, expect, test } from "vitest";
import { text, utf8 } from "../../../src/base/bytes.ts";
import { LevelLogs } from "../../../src/storage/level-logs.ts";
import type { ReplicaName } from "../../../src/storage/log.ts";
import { createMemoryPorts, type MemoryPorts } from "../../support/memory-ports.ts";
import { appendRecords, readAll, TOPIC_CONFIG } from "../../support/storage.ts";

const REPLICA: ReplicaName = { topic: "events", topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0 };

let memory: MemoryPorts;
beforeEach(() => {
  memory = createMemoryPorts();
});
afterEach(() => memory.dispose());

function open(logDirs: readonly string[] = ["/data"], brokerId = 1): Promise<LevelLogs> {
  return LevelLogs.open(memory.ports, { brokerId, logDirs });
}

test("a directory keeps its identity, and its cluster once it has one", async () => {
  const logs = await open();
  expect(logs.clusterId).toBeUndefined();
  const [id] = logs.directories;
  await logs.adoptCluster("cluster-a");
  await logs.adoptCluster("cluster-a");
  await expect(logs.adoptCluster("cluster-b")).rejects.toMatchObject({
    code: "INCONSISTENT_CLUSTER_ID",
  });
  await logs.close({ cleanShutdownEpoch: undefined });
  const again = await open();
  expect(again.directories).toEqual([id]);
  expect(again.clusterId).toBe("cluster-a");
});

test("a directory that is not ours is refused, and the lock given back", async () => {
  const logs = await open();
  await expect(open()).rejects.toMatchObject({ code: "DIRECTORY_LOCKED" });
  await logs.close({ cleanShutdownEpoch: undefined });
  await expect(open(["/data"], 2)).rejects.toMatchObject({
    code: "DIRECTORY_FOREIGN",
    message: expect.stringContaining("belongs to broker 1, this is broker 2"),
  });
  const { files } = memory.ports;
  const meta = (await files.read("/data/meta.json"))!;
  await files.replace("/data/meta.json", utf8("{"));
  await expect(open()).rejects.toMatchObject({ code: "DIRECTORY_DAMAGED" });
  await files.replace("/data/meta.json", utf8(text(meta).replace('"version": 1', '"version": 9')));
  await expect(open()).rejects.toMatchObject({
    code: "DIRECTORY_DAMAGED",
    message: expect.stringContaining("version is 9, this release reads 1"),
  });
  await files.remove("/data/meta.json");
  await expect(open()).rejects.toMatchObject({ code: "DIRECTORY_DAMAGED" });
  await files.replace("/data/meta.json", meta);
  await (await open()).close({ cleanShutdownEpoch: undefined });
});

test("directories of two clusters do not go together; a new one joins the others'", async () => {
  for (const [path, cluster] of [
    ["/a", "one"],
    ["/b", "two"],
  ] as const) {
    const logs = await open([path]);
    await logs.adoptCluster(cluster);
    await logs.close({ cleanShutdownEpoch: undefined });
  }
  await expect(open(["/a", "/b"])).rejects.toMatchObject({ code: "INCONSISTENT_CLUSTER_ID" });
  const grown = await open(["/a", "/c"]);
  expect(grown.directories).toHaveLength(2);
  await grown.close({ cleanShutdownEpoch: undefined });
  const alone = await open(["/c"]);
  expect(alone.clusterId).toBe("one");
});

test("replicas spread over the directories and are found again where they are", async () => {
  const logs = await open(["/a", "/b"]);
  for (let partition = 0; partition < 6; partition++) {
    const log = await logs.open({ ...REPLICA, partition }, TOPIC_CONFIG);
    appendRecords(log, partition);
  }
  const places = logs.replicas.map(({ directoryId }) => directoryId);
  for (const id of logs.directories) {
    expect(places.filter((place) => place === id)).toHaveLength(3);
  }
  const before = logs.directoryOf({ ...REPLICA, partition: 4 });
  await logs.close({ cleanShutdownEpoch: 9 });
  const again = await open(["/a", "/b"]);
  expect(again.cleanShutdownEpoch).toBe(9);
  expect(again.directoryOf({ ...REPLICA, partition: 4 })).toBe(before);
  const log = await again.open({ ...REPLICA, partition: 4 }, TOPIC_CONFIG);
  expect(log.logEndOffset).toBe(4);
});

test("a clean stop is believed once", async () => {
  const logs = await open();
  await logs.close({ cleanShutdownEpoch: 12 });
  expect((await open()).cleanShutdownEpoch).toBe(12);
  memory.restart();
  expect((await open()).cleanShutdownEpoch).toBe(-1);
});

test("a deleted replica is gone, also after a crash at any moment of it", async () => {
  for (let delayMs = 0; delayMs < 8; delayMs += 0.3) {
    const { disk } = memory.node;
    const logs = await open();
    const log = await logs.open(REPLICA, TOPIC_CONFIG);
    appendRecords(log, 10);
    await log.flush();
    await memory.ports.timers.sleep(2_000);
    void logs.delete(REPLICA);
    await memory.ports.timers.sleep(delayMs);
    memory.restart("power loss");
    const after = await open();
    await after.recover();
    if (after.replicas.length > 0) {
      expect(await readAll(await after.open(REPLICA, TOPIC_CONFIG))).toHaveLength(10);
      await after.delete(REPLICA);
    }
    expect(after.replicas).toEqual([]);
    expect(after.lostReplicas).toEqual([]);
    expect(disk.list("/data/logs")).toEqual([]);
    const fresh = await after.open(REPLICA, TOPIC_CONFIG);
    expect([fresh.logStartOffset, fresh.logEndOffset]).toEqual([0, 0]);
    await after.delete(REPLICA);
    memory.restart();
  }
});

test("a topic name of the greatest length fits a directory and comes back whole", async () => {
  const topic = "t".repeat(249);
  const logs = await open();
  appendRecords(await logs.open({ ...REPLICA, topic }, TOPIC_CONFIG), 1);
  await logs.close({ cleanShutdownEpoch: 1 });
  const [name] = memory.node.disk.list("/data/logs");
  expect(name!.length + ".quarantined-1".length).toBeLessThan(255);
  expect((await open()).replicas[0]?.topic).toBe(topic);
});

test("opening twice gives one log; closing closes the door", async () => {
  const logs = await open();
  const [one, other] = await Promise.all([
    logs.open(REPLICA, TOPIC_CONFIG),
    logs.open(REPLICA, TOPIC_CONFIG),
  ]);
  expect(one).toBe(other);
  await logs.close({ cleanShutdownEpoch: undefined });
  expect(() => appendRecords(one, 1)).toThrow(expect.objectContaining({ code: "CLOSED" }));
  await expect(logs.open(REPLICA, TOPIC_CONFIG)).rejects.toMatchObject({ code: "CLOSED" });
});
