/** A list of groups while nobody leads the partitions that keep some of them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { jsonLines, ottla } from "../support/cli.ts";

const GROUPS = Array.from({ length: 12 }, (_, index) => `group-${index}`);
const TOPIC = "work";

let cluster: Cluster;
let admin: Admin;

beforeAll(async () => {
  cluster = await startCluster({
    brokers: 3,
    properties: { "offsets.topic.replication.factor": "1", "offsets.topic.num.partitions": "6" },
  });
  admin = new Admin({ bootstrapServers: cluster.bootstrapServers });
  await admin.createTopics([{ name: TOPIC, partitions: 1, replicationFactor: 3 }]);
  for (const groupId of GROUPS) {
    await admin.alterGroupOffsets(groupId, [{ topic: TOPIC, partition: 0, offset: 1 }]);
  }
});

afterAll(async () => {
  await admin.close();
  await cluster.stop();
});

it("shows the others, and says which are missing", async () => {
  const described = await admin.describeGroups(GROUPS);
  const victim = described[0]?.coordinator as number;
  const kept = described.filter(({ coordinator }) => coordinator !== victim);
  expect(kept).not.toEqual([]);
  const names = kept.map(({ groupId }) => groupId).sort();
  await cluster.killBroker(victim);

  const { groups, missing } = await admin.listReachableGroups();
  expect(groups.map(({ groupId }) => groupId)).toEqual(names);
  expect(missing.flatMap(({ partitions }) => partitions)).toHaveLength(2);

  const environment = { OTTLA_BOOTSTRAP_SERVERS: cluster.bootstrapServers.join(",") };
  const listed = await ottla(["group", "list", "--output", "json"], { environment });
  expect(jsonLines(listed.stdout).map((line) => line["groupId"])).toEqual(names);
  expect(listed.stderr).toContain("Not listed: the groups in __consumer_offsets");
  expect(listed.code).toBe(4);
  const shown = await ottla(["group", "describe", "--state"], { environment });
  expect(shown.stdout).toContain(names[0]);
  expect(shown.code).toBe(4);

  await cluster.startBroker(victim);
  expect((await admin.listGroups()).map(({ groupId }) => groupId)).toEqual([...GROUPS].sort());
});
