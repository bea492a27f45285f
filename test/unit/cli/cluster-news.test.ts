import { describe, expect, it } from "vitest";
import { ClusterNews, tally } from "../../../src/cli/cluster-news.ts";
import type { ClusterDescription, TopicDescription } from "../../../src/client/index.ts";

function cluster(
  controllerId: number,
  ...states: readonly ("alive" | "fenced" | "shutting down")[]
): ClusterDescription {
  return {
    clusterId: "cluster",
    controllerId,
    metadataVersion: 1,
    quorum: null,
    brokers: states.map((state, index) => ({
      id: index + 1,
      endpoints: [],
      rack: "",
      fenced: state === "fenced",
      inControlledShutdown: state === "shutting down",
      brokerEpoch: 1,
    })),
  };
}

function topic(...leaders: readonly (readonly [number, number])[]): TopicDescription {
  return {
    name: "orders",
    id: "id",
    partitions: leaders.map(([leader, leaderEpoch], partition) => ({
      partition,
      leader,
      leaderEpoch,
      replicas: [1, 2, 3],
      isr: [1, 2, 3].filter((id) => leader >= 0 && id >= leader),
      elr: [],
      lastKnownElr: [],
      offlineReplicas: [],
    })),
  };
}

describe("ClusterNews", () => {
  it("tells in order who fell, who controls and who leads, and nothing twice", () => {
    const news = new ClusterNews();
    expect(news.update(cluster(1, "alive", "alive"), [topic([1, 0], [2, 0])])).toEqual([]);
    const after = cluster(2, "fenced", "alive", "alive");
    const told = news.update(after, [topic([2, 1], [2, 0])]);
    expect(told).toEqual([
      "broker 1 is fenced",
      "broker 3 is new",
      "broker 2 is the active controller (before: broker 1)",
      "orders-0 is led by broker 2 (before: broker 1; leader epoch 1)",
    ]);
    expect(news.update(after, [topic([2, 1], [2, 0])])).toEqual([]);
    expect(news.update(cluster(-1, "alive", "shutting down", "alive"), [])).toEqual([
      "broker 1 is alive",
      "broker 2 is shutting down",
      "there is no active controller (before: broker 2)",
    ]);
  });

  it("counts what would fill the screen", () => {
    const news = new ClusterNews();
    const partitions = (leader: number, epoch: number) =>
      topic(...Array.from({ length: 20 }, () => [leader, epoch] as const));
    news.update(cluster(1), [partitions(1, 0)]);
    const told = news.update(cluster(1), [partitions(-1, 1)]);
    expect(told).toHaveLength(9);
    expect(told[0]).toBe("orders-0 has no leader (before: broker 1; leader epoch 1)");
    expect(told.at(-1)).toBe("12 more partitions have another leader");
  });
});

it("tally counts leaders, replicas and who is in sync", () => {
  expect(tally([topic([1, 0], [2, 0]), topic([-1, 4])])).toEqual({
    byBroker: new Map([
      [1, { leaders: 1, replicas: 3, inSync: 1 }],
      [2, { leaders: 1, replicas: 3, inSync: 2 }],
      [3, { leaders: 0, replicas: 3, inSync: 2 }],
    ]),
    partitionsCount: 3,
    underReplicatedCount: 2,
    offlineCount: 1,
  });
});
