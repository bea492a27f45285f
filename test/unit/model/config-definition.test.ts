import { describe, expect, it } from "vitest";
import {
  BROKER_CONFIG_KEYS,
  nearestOf,
  TOPIC_CONFIG_KEYS,
  validateConfigValue,
} from "../../../src/model/config-definition.ts";
import { DEFAULT_DIFFERENCES } from "../../../src/model/config-differences.ts";
import { OttlaError } from "../../../src/model/errors.ts";

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(OttlaError);
    expect((thrown as OttlaError).code).toBe("INVALID_CONFIG");
    return (thrown as OttlaError).message;
  }
  throw new Error("nothing was refused");
}

describe("the tables", () => {
  it("know every key of Kafka 4.3: 360 of brokers, 3 that are only dynamic, 34 of topics; and four of Ottla's own", () => {
    expect(BROKER_CONFIG_KEYS.size).toBe(360 + 3 + 4);
    expect(TOPIC_CONFIG_KEYS.size).toBe(34);
  });

  it("name only broker keys as synonyms and as differences", () => {
    const named = [
      ...[...TOPIC_CONFIG_KEYS.values()].flatMap(({ synonyms }) => synonyms.map(({ key }) => key)),
      ...Object.keys(DEFAULT_DIFFERENCES),
    ];
    expect(named.filter((key) => !BROKER_CONFIG_KEYS.has(key))).toEqual([]);
  });

  it("document each key in a sentence of its own", () => {
    for (const { name, documentation } of [
      ...BROKER_CONFIG_KEYS.values(),
      ...TOPIC_CONFIG_KEYS.values(),
    ]) {
      expect(documentation, name).toMatch(/^[A-Z].{15,}\.$/);
    }
  });

  it("say Kafka's default and the reason where Ottla differs", () => {
    const flush = TOPIC_CONFIG_KEYS.get("flush.messages");
    expect(flush?.defaultValue).toBe("1");
    expect(flush?.documentation).toContain("Kafka's default is 9223372036854775807: ");
  });
});

describe("validateConfigValue", () => {
  it.each([
    ["retention.ms", "-1"],
    ["retention.ms", "9223372036854775807"],
    ["cleanup.policy", "compact, delete"],
    ["cleanup.policy", ""],
    ["compression.type", "zstd"],
    ["compression.gzip.level", "-1"],
    ["min.cleanable.dirty.ratio", "0.25"],
    ["preallocate", "TRUE"],
    ["internal.segment.bytes", "1024"],
  ])("takes %s=%s", (key, value) => {
    expect(() => validateConfigValue("topic", key, value)).not.toThrow();
  });

  it.each([
    ["retention.ms", "-2", 'retention.ms is "-2"; allowed is a long of at least -1'],
    ["retention.ms", "1e3", 'retention.ms is "1e3"; allowed is a long of at least -1'],
    ["retention.ms", "9223372036854775808", "allowed is a long of at least -1"],
    ["segment.bytes", "2147483648", "allowed is an int of at least 1048576"],
    [
      "cleanup.policy",
      "delete,shred",
      "allowed is a list, separated by commas, of compact or delete",
    ],
    ["compression.gzip.level", "0", "allowed is an int of -1 or 1 to 9"],
    ["preallocate", "yes", "allowed is true or false"],
    ["min.cleanable.dirty.ratio", "half", "allowed is a double of 0 to 1"],
  ])("refuses %s=%s and says what is allowed", (key, value, message) => {
    expect(refusal(() => validateConfigValue("topic", key, value))).toContain(message);
  });

  it("names the nearest key for a misspelt one, and the right scope for a displaced one", () => {
    expect(refusal(() => validateConfigValue("topic", "retension.ms", "1"))).toContain(
      "did you mean retention.ms?",
    );
    expect(refusal(() => validateConfigValue("topic", "num.partitions", "1"))).toContain(
      "it is a key of brokers",
    );
    expect(refusal(() => validateConfigValue("topic", "zzzzzzzzz", "1"))).not.toContain("mean");
  });

  it("takes keys of one listener, which no table can hold", () => {
    expect(() =>
      validateConfigValue("broker", "listener.name.grpc.ssl.keystore.type", "PEM"),
    ).not.toThrow();
  });

  it("does not compare a word that is far too long", () => {
    expect(nearestOf("x".repeat(10_000), TOPIC_CONFIG_KEYS.keys())).toBeUndefined();
  });
});
