import { describe, expect, test } from "vitest";
import { GroupMetrics } from "../../../src/broker/groups/group-metrics.ts";
import { LogEnds, type WantedPartition } from "../../../src/broker/groups/log-ends.ts";
import type { MeasuredGroup } from "../../../src/group/shard.ts";
import { LIMITS } from "../../../src/model/limits.ts";
import { createMemoryPorts } from "../../support/memory-ports.ts";
import { image, partition, TOPIC, TOPIC_ID } from "../runtime/cluster-image.ts";
import { ReplicaCluster } from "../runtime/replica-cluster.ts";

/** Broker 1 leads partition 0, broker 2 partition 1; three batches of one record in each. */
async function cluster(): Promise<ReplicaCluster> {
  const brokers = await ReplicaCluster.start();
  await brokers.begin(IMAGE);
  for (const text of ["a", "b", "c"]) {
    brokers.append(1, text, 0);
    brokers.append(2, text, 1);
  }
  await brokers.until(() => [1, 2].every((id) => brokers.leader(id, id - 1)?.highWatermark === 3));
  return brokers;
}

const IMAGE = image([partition(), partition({ leader: 2 })]);
/** As `sealedBatch` writes it. */
const TIMESTAMP = 1_000;

function endsOn(brokers: ReplicaCluster, id: number): LogEnds {
  const { manager, memory } = brokers.member(id);
  return new LogEnds(memory.ports, {
    self: id,
    image: () => IMAGE,
    interBrokerListenerName: "INTERNAL",
    leaderHere: (topicId, index) => manager.get(topicId, index)?.leader,
  });
}

function wanted(index: number, ...offsets: readonly number[]): WantedPartition {
  return { topicId: TOPIC_ID, partition: index, offsets: new Set(offsets) };
}

describe("a coordinator's questions to leaders", () => {
  test("bring the ends of logs, its own and others', and the times of records that wait", async () => {
    const brokers = await cluster();
    const ends = endsOn(brokers, 1);
    await brokers.member(1).memory.world.settle(ends.refresh([wanted(0, 1, 3), wanted(1, 0, 7)]));
    expect([0, 1].map((index) => ends.highWatermark(TOPIC_ID, index))).toEqual([3, 3]);
    expect(ends.timestamp(TOPIC_ID, 0, 1)).toBe(TIMESTAMP);
    expect(ends.timestamp(TOPIC_ID, 1, 0)).toBe(TIMESTAMP);
    // Nothing waits there.
    expect(ends.timestamp(TOPIC_ID, 0, 3)).toBeUndefined();
    expect(ends.timestamp(TOPIC_ID, 1, 7)).toBeUndefined();
    expect(ends.highWatermark("another", 0)).toBeUndefined();
  });

  test("take as many messages as they need", async () => {
    const brokers = await cluster();
    const ends = endsOn(brokers, 1);
    const many = Array.from({ length: 3 * LIMITS.offsetsAskedCount }, (_, index) => index);
    await brokers.member(1).memory.world.settle(ends.refresh([wanted(1, ...many)]));
    expect([0, 1, 2, 3].map((offset) => ends.timestamp(TOPIC_ID, 1, offset))).toEqual([
      TIMESTAMP,
      TIMESTAMP,
      TIMESTAMP,
      undefined,
    ]);
  });

  test("are given up when a leader is silent, and leave what was known", async () => {
    const brokers = await cluster();
    const { world } = brokers.member(1).memory;
    const ends = endsOn(brokers, 1);
    await world.settle(ends.refresh([wanted(0), wanted(1, 1)]));
    brokers.append(1, "d", 0);
    await brokers.until(() => brokers.leader(1, 0)?.highWatermark === 4);
    brokers.holdBack(2);
    const beforeMs = world.nowMs;
    await world.settle(ends.refresh([wanted(0), wanted(1, 1)]));
    expect(world.nowMs - beforeMs).toBeLessThanOrEqual(1_100);
    expect([0, 1].map((index) => ends.highWatermark(TOPIC_ID, index))).toEqual([4, 3]);
    expect(ends.timestamp(TOPIC_ID, 1, 1)).toBe(TIMESTAMP);
    // What nobody wants any more is forgotten.
    await world.settle(ends.refresh([wanted(0)]));
    expect(ends.highWatermark(TOPIC_ID, 1)).toBeUndefined();
  });
});

describe("series about groups", () => {
  const group: MeasuredGroup = {
    state: "Empty",
    generation: 2,
    membersCount: 0,
    offsets: () =>
      Array.from({ length: 10 }, (_, index) => ({ topic: TOPIC, partition: index, offset: 5 })),
  };
  const ends = {
    refresh: () => Promise.resolve(),
    highWatermark: () => 8,
    timestamp: () => undefined,
  };
  const ofGroups = (groupsCount: number) => {
    const ids = Array.from({ length: groupsCount }, (_, index) => `g${index}`);
    const shard = { groupsCount, groupIds: () => ids, measure: () => group };
    const machine = createMemoryPorts();
    new GroupMetrics(machine.ports, { image: () => IMAGE, shards: () => [shard], ends }).register();
    return machine;
  };

  test("are as many as allowed; the rest is counted, and told of once", async () => {
    const { dispose, logs, meter } = ofGroups(3_000);
    const all = await meter.collectAll();
    const ofOne = [...all.keys()].filter((series) => /_consumergroup_[a-z_]*{/.test(series));
    expect(ofOne.length).toBeLessThanOrEqual(LIMITS.groupSeriesCount);
    expect(ofOne.length).toBeGreaterThan(LIMITS.groupSeriesCount / 2);
    const dropped = all.get("ottla_consumergroup_series_dropped{}") ?? 0;
    // Five of each group, two of its topic, three of each of ten partitions.
    expect(dropped).toBeGreaterThan(3_000 * 37 - LIMITS.groupSeriesCount - 40);
    const name = "kafka_server_group_coordinator_metrics_group_count";
    expect(all.get(`${name}{protocol="classic"}`)).toBe(3_000);
    expect((await meter.collectAll()).get("ottla_consumergroup_series_dropped{}")).toBe(dropped);
    expect(logs.filter(({ level }) => level === "warn")).toHaveLength(1);
    dispose();
  });

  test("leave out the age of what nobody could tell", async () => {
    const { dispose, meter } = ofGroups(1);
    const all = await meter.collectAll();
    const labels = `topic="${TOPIC}",partition="4"`;
    expect(all.get(`kafka_consumergroup_lag{consumergroup="g0",${labels}}`)).toBe(3);
    expect(all.has(`kafka_consumergroup_group_lag_seconds{group="g0",${labels}}`)).toBe(false);
    expect(all.get('kafka_consumergroup_group_max_lag{group="g0"}')).toBe(3);
    expect(all.has('kafka_consumergroup_group_max_lag_seconds{group="g0"}')).toBe(false);
    expect(all.has("ottla_consumergroup_series_dropped{}")).toBe(false);
    dispose();
  });
});
