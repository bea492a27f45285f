import { describe, expect, it } from "vitest";
import {
  describeConfigs,
  effectiveTopicConfig,
  resolveConfig,
} from "../../../src/model/config-values.ts";

const none = new Map<string, string>();

describe("resolveConfig", () => {
  it("asks topic, broker, all brokers, properties and default, in this order", () => {
    const key = "min.insync.replicas";
    const properties = new Map([[key, "3"]]);
    const allBrokers = new Map([[key, "4"]]);
    const broker = new Map([[key, "5"]]);
    const topic = new Map([[key, "6"]]);
    const ask = (sources: Parameters<typeof resolveConfig>[2]) =>
      resolveConfig("topic", key, sources);
    expect(ask({ properties: none })).toEqual({ value: "2", source: "DEFAULT_CONFIG" });
    expect(ask({ properties })).toEqual({ value: "3", source: "STATIC_BROKER_CONFIG" });
    expect(ask({ properties, allBrokers })).toEqual({
      value: "4",
      source: "DYNAMIC_DEFAULT_BROKER_CONFIG",
    });
    expect(ask({ properties, allBrokers, broker })).toEqual({
      value: "5",
      source: "DYNAMIC_BROKER_CONFIG",
    });
    expect(ask({ properties, allBrokers, broker, topic })).toEqual({
      value: "6",
      source: "DYNAMIC_TOPIC_CONFIG",
    });
  });

  it("takes the finest unit that is set, in milliseconds", () => {
    const retention = (properties: readonly (readonly [string, string])[]) =>
      resolveConfig("topic", "retention.ms", { properties: new Map(properties) }).value;
    expect(retention([])).toBe(String(7 * 24 * 3_600_000));
    expect(retention([["log.retention.hours", "2"]])).toBe("7200000");
    expect(
      retention([
        ["log.retention.hours", "2"],
        ["log.retention.minutes", "3"],
      ]),
    ).toBe("180000");
    expect(
      retention([
        ["log.retention.minutes", "3"],
        ["log.retention.ms", "4"],
      ]),
    ).toBe("4");
    expect(retention([["log.retention.hours", "-1"]])).toBe("-1");
  });
});

describe("effectiveTopicConfig", () => {
  it("has Ottla's defaults: fsync before the acknowledgement, two in-sync replicas", () => {
    const config = effectiveTopicConfig({ properties: none });
    expect(config).toEqual({
      cleanupPolicy: ["delete"],
      compressionType: "producer",
      deleteRetentionMs: 86_400_000,
      fileDeleteDelayMs: 60_000,
      flushMessages: 1,
      flushMs: Number.MAX_SAFE_INTEGER,
      maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
      maxMessageBytes: 1_048_588,
      messageTimestampType: "CreateTime",
      messageTimestampBeforeMaxMs: Number.MAX_SAFE_INTEGER,
      messageTimestampAfterMaxMs: 3_600_000,
      minCleanableDirtyRatio: 0.5,
      minCompactionLagMs: 0,
      minInsyncReplicas: 2,
      retentionBytes: -1,
      retentionMs: 604_800_000,
      segmentBytes: 1_073_741_824,
      segmentMs: 604_800_000,
      uncleanLeaderElectionEnable: false,
    });
  });

  it("reads overrides, lists and Kafka's word for no compression", () => {
    const config = effectiveTopicConfig({
      properties: none,
      topic: new Map([
        ["cleanup.policy", "compact, delete"],
        ["compression.type", "uncompressed"],
        ["internal.segment.bytes", "4096"],
        ["unclean.leader.election.enable", "TRUE"],
      ]),
    });
    expect(config.cleanupPolicy).toEqual(["compact", "delete"]);
    expect(config.compressionType).toBe("none");
    expect(config.segmentBytes).toBe(4096);
    expect(config.uncleanLeaderElectionEnable).toBe(true);
  });
});

describe("describeConfigs", () => {
  it("shows what would be in force if what comes first were not", () => {
    const described = describeConfigs("topic", {
      topic: new Map([["retention.ms", "1"]]),
      broker: new Map([["log.retention.ms", "2"]]),
      allBrokers: new Map([["log.retention.ms", "3"]]),
      properties: new Map([["log.retention.hours", "1"]]),
    });
    const retention = described.find(({ key }) => key === "retention.ms");
    expect(retention?.fallbacks).toEqual([
      { key: "retention.ms", value: "1", source: "DYNAMIC_TOPIC_CONFIG" },
      { key: "log.retention.ms", value: "2", source: "DYNAMIC_BROKER_CONFIG" },
      { key: "log.retention.ms", value: "3", source: "DYNAMIC_DEFAULT_BROKER_CONFIG" },
      { key: "log.retention.hours", value: "3600000", source: "STATIC_BROKER_CONFIG" },
      { key: "log.retention.hours", value: "604800000", source: "DEFAULT_CONFIG" },
    ]);
    for (const { value, isSet, fallbacks } of described) {
      // The first of them is what is in force.
      expect(fallbacks[0]?.value).toBe(isSet ? value : undefined);
    }
  });

  it("tells unset from empty", () => {
    const isSet = (key: string): boolean | undefined =>
      describeConfigs("topic", { properties: none }).find((each) => each.key === key)?.isSet;
    expect(isSet("internal.segment.bytes")).toBe(false);
    expect(isSet("leader.replication.throttled.replicas")).toBe(true);
  });

  it("shows each key once, and no password", () => {
    const described = describeConfigs("broker", {
      properties: new Map([["ssl.keystore.password", "hunter2"]]),
    });
    expect(new Set(described.map(({ key }) => key)).size).toBe(described.length);
    const password = described.find(({ key }) => key === "ssl.keystore.password");
    expect(password).toMatchObject({ value: "", source: "STATIC_BROKER_CONFIG", hasEffect: false });
  });
});
