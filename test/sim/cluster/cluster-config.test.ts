import { expect, test } from "vitest";
import { Prng } from "../../../src/base/prng.ts";
import { brokerConfig, drawProperties } from "./cluster-config.ts";

const SHAPE = { brokersCount: 3, votersCount: 3, properties: new Map(), snapshotBytes: 3_000 };

test("what is drawn for one broker is in its configuration, and in no other's", () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 50; seed++) {
    const drawn = drawProperties(new Prng(seed));
    const shape = { ...SHAPE, propertiesOf: new Map([[2, drawn]]) };
    const plain = brokerConfig(1, SHAPE);
    expect(brokerConfig(1, shape)).toEqual(plain);
    const own = brokerConfig(2, shape);
    const lag = drawn.get("replica.lag.time.max.ms");
    expect(own.replicaLagTimeMaxMs).toBe(lag === undefined ? 10_000 : Number(lag));
    const imbalance = drawn.get("leader.imbalance.check.interval.seconds");
    expect(own.leaderImbalanceCheckIntervalMs).toBe(
      imbalance === undefined ? 5_000 : Number(imbalance) * 1_000,
    );
    const changed = Object.entries(brokerConfig(2, SHAPE)).filter(
      ([key, value]) =>
        key !== "properties" &&
        JSON.stringify(value) !== JSON.stringify(own[key as keyof typeof own]),
    );
    expect(changed.length).toBeLessThanOrEqual(drawn.size);
    for (const key of drawn.keys()) seen.add(key);
  }
  expect(seen.size).toBeGreaterThan(5);
});
