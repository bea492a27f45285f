/** What a cluster that works shows: all of the catalogue, and nothing beside it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Admin, Producer } from "../../src/client/index.ts";
import { type Cluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { LoneMember } from "../support/group-member.ts";
import { CATALOGUE, samplesOf, seriesLabels } from "../support/metric-catalogue.ts";

const TOPIC = "orders";

/** What a cluster without troubles has no sample of, and why. */
const QUIET: Readonly<Record<string, string>> = {
  ottla_connections_refused_total: "only after clients that break the rules, by what they did",
  ottla_consumergroup_series_dropped: "only where there are too many groups",
  ottla_storage_recoveries_total: "only after an unclean stop, by what was found",
};

let cluster: Cluster;
let admin: Admin;
let member: LoneMember;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  const { bootstrapServers } = cluster;
  admin = new Admin({ bootstrapServers });
  await admin.createTopics([
    { name: TOPIC, partitions: 3, replicationFactor: 3 },
    {
      name: "states",
      partitions: 1,
      replicationFactor: 3,
      configs: { "cleanup.policy": "compact" },
    },
  ]);
  await using producer = new Producer({ bootstrapServers });
  for (let partition = 0; partition < 3; partition++) {
    await producer.send({ topic: TOPIC, partition, value: "one" });
  }
  member = await LoneMember.join(cluster, {
    groupId: "live",
    clientId: "worker",
    topics: [TOPIC],
    partitions: [{ topic: TOPIC, partitions: [0, 1, 2] }],
  });
  expect(await member.commit(TOPIC, 0, 1)).toBe("");
  // A leader that moves; then a request that is refused, by a broker that will not forget it.
  await cluster.stopBroker(3);
  await cluster.startBroker(3);
  await expect(admin.createTopics([{ name: TOPIC }])).rejects.toThrow();
});

afterAll(async () => {
  member.close();
  await admin.close();
  await cluster.stop();
});

async function scrape(): Promise<readonly string[]> {
  return Promise.all(
    cluster.brokerIds.map(async (id) => {
      const response = await fetch(`http://127.0.0.1:${cluster.portsOf(id).httpPort}/metrics`);
      return response.text();
    }),
  );
}

it("shows every metric of the catalogue, with its labels", async () => {
  const missing = (text: string): readonly string[] => {
    const samples = samplesOf(text);
    return CATALOGUE.map(({ name, type }) =>
      type === "histogram" ? `${name}_count` : name,
    ).filter((name) => !samples.has(name) && QUIET[name] === undefined);
  };
  let text = "";
  await eventually("every metric has a sample", async () => {
    text = (await scrape()).join("\n");
    return missing(text).length === 0;
  }).catch((error: unknown) => {
    throw new Error(`no sample of ${missing(text).join(", ")}`, { cause: error });
  });
  const known = seriesLabels();
  for (const [name, labels] of samplesOf(text)) {
    expect([name, new Set(labels)]).toEqual([name, new Set(known.get(name))]);
  }
  for (const name of Object.keys(QUIET)) expect([name, known.has(name)]).toEqual([name, true]);
});

it("shows what belongs to the whole cluster once", async () => {
  const once = /^kafka_(topic_|consumergroup_|cluster_partition_)/;
  await eventually("no two brokers show the same series", async () => {
    const seen = new Set<string>();
    let repeatedCount = 0;
    for (const text of await scrape()) {
      for (const line of text.split("\n").filter((each) => once.test(each))) {
        const series = line.slice(0, line.lastIndexOf(" "));
        if (seen.has(series)) repeatedCount++;
        seen.add(series);
      }
    }
    const partitions = [0, 1, 2].map((each) => `topic="${TOPIC}",partition="${each}"`);
    const all = partitions.every((each) => seen.has(`kafka_topic_partition_leader{${each}}`));
    return repeatedCount === 0 && all && seen.has(`kafka_topic_partitions{topic="${TOPIC}"}`);
  });
});
