import { describe, expect, it } from "vitest";
import { fuzzKafkaWire } from "./kafka-wire.ts";

describe("the codec of Kafka's protocol under damaged frames", () => {
  it("refuses or reads a million of them, and never throws", () => {
    const result = fuzzKafkaWire({ seed: 1, inputs: 1_000_000 });
    // Neither all nor nothing got through: the damage reached the readers, and the readers looked.
    expect(result.accepted).toBeGreaterThan(50_000);
    expect(result.refused).toBeGreaterThan(50_000);
    expect(result.refusals.size).toBeGreaterThanOrEqual(8);
  }, 300_000);
});
