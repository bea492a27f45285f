import { describe, expect, it } from "vitest";
import { MetadataCache } from "../../../src/client/core/metadata-cache.ts";

function topic(id: string, ...leaders: readonly (readonly [number, number])[]) {
  return {
    name: "t",
    id,
    partitions: leaders.map(([leader, leaderEpoch], partition) => ({
      partition,
      leader,
      leaderEpoch,
    })),
  };
}

describe("metadata cache", () => {
  it("keeps the newer leader when a broker that lags answers", () => {
    const cache = new MetadataCache();
    cache.updateTopic(topic("a", [2, 5], [1, 1]));
    cache.updateTopic(topic("a", [1, 4], [3, 2]));
    expect(cache.leader("t", 0)).toEqual({ partition: 0, leader: 2, leaderEpoch: 5 });
    expect(cache.leader("t", 1)).toEqual({ partition: 1, leader: 3, leaderEpoch: 2 });
  });

  it("does not lose partitions that a broker that lags has not heard of", () => {
    const cache = new MetadataCache();
    cache.updateTopic(topic("a", [1, 0], [2, 0]));
    expect(cache.updateTopic(topic("a", [1, 0])).partitions).toHaveLength(2);
  });

  it("takes a topic that was created again with its epochs from the beginning", () => {
    const cache = new MetadataCache();
    cache.updateTopic(topic("a", [2, 5], [2, 5]));
    cache.updateTopic(topic("b", [1, 0]));
    expect(cache.topic("t")).toEqual(topic("b", [1, 0]));
  });

  it("learns leader and address from a refusal, once", () => {
    const cache = new MetadataCache();
    cache.updateTopic(topic("a", [1, 3]));
    const change = { topic: "t", partition: 0, leader: 2, leaderEpoch: 4 };
    expect(cache.applyHint(change, { host: "h", port: 9 })).toBe(true);
    expect(cache.applyHint(change, { host: "h", port: 9 })).toBe(false);
    expect(cache.leader("t", 0)?.leader).toBe(2);
    expect(cache.broker(2)).toEqual({ id: 2, host: "h", port: 9 });
  });

  it("ignores a hint that is older, names nobody, or names a broker of unknown address", () => {
    const cache = new MetadataCache();
    cache.updateTopic(topic("a", [1, 3]));
    const base = { topic: "t", partition: 0, leader: 2, leaderEpoch: 4 };
    expect(cache.applyHint({ ...base, leaderEpoch: 2 }, { host: "h", port: 9 })).toBe(false);
    expect(cache.applyHint({ ...base, leader: -1 }, undefined)).toBe(false);
    expect(cache.applyHint(base, undefined)).toBe(false);
  });

  it("keeps its brokers when an answer names none", () => {
    const cache = new MetadataCache();
    cache.updateBrokers([{ id: 1, host: "h", port: 1 }]);
    cache.updateBrokers([]);
    expect(cache.brokers()).toHaveLength(1);
  });
});
