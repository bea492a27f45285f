/** What brokers show of groups: each group once, with its lag in records and in seconds. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { coordinatorOf, LoneMember } from "../support/group-member.ts";

const TOPIC = "orders";
/** Producers may say when a record came to be: some minutes ago. */
const AGE_SECONDS = 600;

let cluster: Cluster;
let admin: Admin;
let member: LoneMember;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  const { bootstrapServers } = cluster;
  admin = new Admin({ bootstrapServers });
  await admin.createTopics([{ name: TOPIC, partitions: 3, replicationFactor: 3 }]);
  await using producer = new Producer({ bootstrapServers });
  const timestamp = Date.now() - AGE_SECONDS * 1_000;
  for (let partition = 0; partition < 3; partition++) {
    for (let index = 0; index < 10; index++) {
      await producer.send({ topic: TOPIC, partition, value: `${index}`, timestamp });
    }
  }
  member = await LoneMember.join(cluster, {
    groupId: "live",
    clientId: "worker",
    topics: [TOPIC],
    partitions: [{ topic: TOPIC, partitions: [0, 1, 2] }],
  });
  for (let partition = 0; partition < 3; partition++) {
    expect(await member.commit(TOPIC, partition, 10 - 3 * partition)).toBe("");
  }
  await admin.alterGroupOffsets("idle", [{ topic: TOPIC, partition: 1, offset: 0 }]);
});

afterAll(async () => {
  member.close();
  await admin.close();
  await cluster.stop();
});

/** By series; a series that two brokers show is a failure. */
async function scrapeAll(): Promise<ReadonlyMap<string, number>> {
  const all = new Map<string, number>();
  for (const id of cluster.brokerIds.filter((each) => cluster.isRunning(each))) {
    const response = await fetch(`http://127.0.0.1:${cluster.portsOf(id).httpPort}/metrics`);
    expect(response.status).toBe(200);
    for (const line of (await response.text()).split("\n")) {
      const [series = "", value] = line.split(/ (?=[^ ]*$)/);
      if (!/^(kafka|ottla)_consumergroup_/.test(series)) continue;
      expect([series, all.has(series)]).toEqual([series, false]);
      all.set(series, Number(value));
    }
  }
  return all;
}

it("shows members, state, offsets and lag of each group, once", async () => {
  const shown = await scrapeAll();
  const of = (name: string, labels: string) => shown.get(`${name}{${labels}}`);
  const live = 'consumergroup="live"';
  expect(of("kafka_consumergroup_members", live)).toBe(1);
  expect(of("kafka_consumergroup_members", 'consumergroup="idle"')).toBe(0);
  expect(of("ottla_consumergroup_state", `${live},state="Stable"`)).toBe(1);
  expect(of("ottla_consumergroup_generation", live)).toBe(1);
  const lags = [0, 3, 6];
  for (const [partition, lag] of lags.entries()) {
    const labels = `${live},topic="${TOPIC}",partition="${partition}"`;
    expect(of("kafka_consumergroup_current_offset", labels)).toBe(10 - lag);
    expect(of("kafka_consumergroup_lag", labels)).toBe(lag);
    const inSeconds = `group="live",topic="${TOPIC}",partition="${partition}"`;
    const seconds = of("kafka_consumergroup_group_lag_seconds", inSeconds) ?? Number.NaN;
    if (lag === 0) expect(seconds).toBe(0);
    else {
      expect(seconds).toBeGreaterThanOrEqual(AGE_SECONDS);
      expect(seconds).toBeLessThan(2 * AGE_SECONDS);
    }
  }
  expect(of("kafka_consumergroup_lag_sum", `${live},topic="${TOPIC}"`)).toBe(9);
  expect(of("kafka_consumergroup_current_offset_sum", `${live},topic="${TOPIC}"`)).toBe(21);
  expect(of("kafka_consumergroup_group_max_lag", 'group="live"')).toBe(6);
  expect(of("kafka_consumergroup_lag_sum", `consumergroup="idle",topic="${TOPIC}"`)).toBe(10);
  expect(shown.has("ottla_consumergroup_series_dropped")).toBe(false);
});

it("goes on under the next coordinator", async () => {
  const first = await coordinatorOf(cluster, "live");
  await cluster.killBroker(first);
  const series = `kafka_consumergroup_lag_sum{consumergroup="live",topic="${TOPIC}"}`;
  await eventually("the new leaders tell the whole lag", async () => {
    return (await scrapeAll()).get(series) === 9;
  });
  await cluster.startBroker(first);
});
