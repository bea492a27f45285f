/** Configuration of topics and brokers: read, changed, refused. */
import type { RequestInputs } from "../../../src/kafka-wire/messages.ts";
import { type Target, versionsOf } from "../target.ts";

const TOPIC = 2;
const BROKER = 4;
const BROKER_LOGGER = 8;
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3];

export async function configsScript(target: Target): Promise<void> {
  await target.topic("configured", { configs: { "retention.ms": "7654321" } });
  await describe(target);
  await change(target);
  await replace(target);
  await list(target);
}

async function describe(target: Target): Promise<void> {
  const name = target.name("configured");
  for (const version of versionsOf("DescribeConfigs")) {
    const asked = (
      label: string,
      resourceType: number,
      resourceName: string,
      configurationKeys: readonly string[] | null,
      options: Partial<RequestInputs["DescribeConfigs"]> = {},
    ) =>
      target.observe(label, 1, "DescribeConfigs", version, {
        resources: [{ resourceType, resourceName, configurationKeys }],
        ...options,
      });
    const keys = ["retention.ms", "cleanup.policy", "segment.bytes", "min.insync.replicas"];
    await asked("all of a topic", TOPIC, name, null);
    await asked("some of a topic with synonyms", TOPIC, name, keys, { includeSynonyms: true });
    await asked("some of a topic with documentation", TOPIC, name, keys, {
      includeDocumentation: true,
    });
    await asked("no keys of a topic", TOPIC, name, []);
    await asked("a key that nobody knows", TOPIC, name, ["no.such.key"]);
    await asked("of a topic that is not there", TOPIC, "nowhere", null);
    await asked("of a topic with an empty name", TOPIC, "", null);
    await asked("of a topic with an illegal name", TOPIC, "a b", null);
    await asked(
      "some of a broker",
      BROKER,
      "1",
      ["log.retention.ms", "num.partitions", "log.segment.bytes", "node.id"],
      { includeSynonyms: true },
    );
    await asked("of all brokers", BROKER, "", null);
    await asked("of a broker that is another", BROKER, "99", null);
    await asked("of a broker whose id is no number", BROKER, "one", null);
    await asked("of a type that nobody knows", 99, name, null);
    await asked("of type 0", 0, name, null);
    await asked("of client metrics", 16, "none", null);
    await target.observe("of nothing", 1, "DescribeConfigs", version, { resources: [] });
    const resource = {
      resourceType: TOPIC,
      resourceName: name,
      configurationKeys: ["retention.ms"],
    };
    await target.observe("of a topic twice", 1, "DescribeConfigs", version, {
      resources: [resource, resource],
    });
  }
}

async function change(target: Target): Promise<void> {
  const name = target.name("configured");
  for (const version of versionsOf("IncrementalAlterConfigs")) {
    type Config = RequestInputs["IncrementalAlterConfigs"]["resources"][number]["configs"][number];
    const asked = (
      label: string,
      resourceType: number,
      resourceName: string,
      configs: readonly Config[],
      validateOnly = false,
    ) =>
      target.observe(label, 1, "IncrementalAlterConfigs", version, {
        resources: [{ resourceType, resourceName, configs }],
        validateOnly,
      });
    const one = (
      key: string,
      configOperation: number | undefined,
      value: string | null,
    ): Config => ({ name: key, configOperation: configOperation ?? 0, value });
    await asked("a value that is allowed", TOPIC, name, [one("retention.ms", SET, "1234567")]);
    await asked("a value back to its default", TOPIC, name, [one("retention.ms", DELETE, null)]);
    await asked("what is not set back to its default", TOPIC, name, [
      one("segment.ms", DELETE, "7"),
    ]);
    await asked("appended", TOPIC, name, [one("cleanup.policy", APPEND, "compact")]);
    await asked("appended again", TOPIC, name, [one("cleanup.policy", APPEND, "compact")]);
    await asked("subtracted", TOPIC, name, [one("cleanup.policy", SUBTRACT, "compact")]);
    await asked("subtracted what is not there", TOPIC, name, [
      one("cleanup.policy", SUBTRACT, "compact"),
    ]);
    await asked("appended to what is no list", TOPIC, name, [one("retention.ms", APPEND, "1")]);
    await asked("no value", TOPIC, name, [one("retention.ms", SET, null)], true);
    await asked("an empty value", TOPIC, name, [one("retention.ms", SET, "")], true);
    await asked("a value that is no number", TOPIC, name, [one("retention.ms", SET, "x")], true);
    await asked("a value out of range", TOPIC, name, [one("retention.ms", SET, "-9")], true);
    await asked("a key that nobody knows", TOPIC, name, [one("no.such.key", SET, "1")], true);
    await asked(
      "a key that nobody knows, back to its default",
      TOPIC,
      name,
      [one("no.such.key", DELETE, null)],
      true,
    );
    await asked("an empty key", TOPIC, name, [one("", SET, "1")], true);
    await asked("an operation that nobody knows", TOPIC, name, [one("retention.ms", 9, "1")], true);
    await asked(
      "a key twice",
      TOPIC,
      name,
      [one("retention.ms", SET, "1"), one("retention.ms", SET, "2")],
      true,
    );
    await asked("no changes", TOPIC, name, []);
    await asked("a topic that is not there", TOPIC, "nowhere", [one("retention.ms", SET, "1")]);
    await asked("a topic that is not there, no changes", TOPIC, "nowhere", []);
    await asked("an empty name", TOPIC, "", [one("retention.ms", SET, "1")]);
    await asked("an illegal name", TOPIC, "a b", [one("retention.ms", SET, "1")]);
    await asked("all brokers", BROKER, "", [one("log.retention.ms", SET, "604800000")], true);
    await asked("a broker", BROKER, "1", [one("log.retention.ms", SET, "604800000")], true);
    await asked(
      "a broker's key that cannot be changed",
      BROKER,
      "1",
      [one("node.id", SET, "9")],
      true,
    );
    await asked("a broker that is none", BROKER, "99", [one("log.retention.ms", SET, "1")], true);
    await asked(
      "a broker whose id is no number",
      BROKER,
      "one",
      [one("log.retention.ms", SET, "1")],
      true,
    );
    await asked("a type that nobody knows", 99, name, [one("retention.ms", SET, "1")], true);
    await asked("type 0", 0, name, [one("retention.ms", SET, "1")], true);
    const resource = {
      resourceType: TOPIC,
      resourceName: name,
      configs: [one("retention.ms", SET, "1")],
    };
    await target.observe("a topic twice", 1, "IncrementalAlterConfigs", version, {
      resources: [resource, resource],
      validateOnly: true,
    });
    await target.observe("nothing", 1, "IncrementalAlterConfigs", version, {
      resources: [],
      validateOnly: false,
    });
    await target.observe("a broker's logger", 1, "IncrementalAlterConfigs", version, {
      resources: [
        {
          resourceType: BROKER_LOGGER,
          resourceName: "1",
          configs: [one("no.such.logger", SET, "DEBUG")],
        },
      ],
      validateOnly: true,
    });
  }
}

async function replace(target: Target): Promise<void> {
  const name = target.name("configured");
  for (const version of versionsOf("AlterConfigs")) {
    const asked = (
      label: string,
      resourceType: number,
      resourceName: string,
      configs: readonly { name: string; value: string | null }[],
      validateOnly = true,
    ) =>
      target.observe(label, 1, "AlterConfigs", version, {
        resources: [{ resourceType, resourceName, configs }],
        validateOnly,
      });
    await asked(
      "a value that is allowed",
      TOPIC,
      name,
      [{ name: "retention.ms", value: "1" }],
      false,
    );
    await asked("all back to the defaults", TOPIC, name, [], false);
    await asked("no value", TOPIC, name, [{ name: "retention.ms", value: null }]);
    await asked("a value that is no number", TOPIC, name, [{ name: "retention.ms", value: "x" }]);
    await asked("a key that nobody knows", TOPIC, name, [{ name: "no.such.key", value: "1" }]);
    await asked("a key twice", TOPIC, name, [
      { name: "retention.ms", value: "1" },
      { name: "retention.ms", value: "2" },
    ]);
    await asked("a topic that is not there", TOPIC, "nowhere", [
      { name: "retention.ms", value: "1" },
    ]);
    await asked("an empty name", TOPIC, "", [{ name: "retention.ms", value: "1" }]);
    await asked("a broker that is none", BROKER, "99", [{ name: "log.retention.ms", value: "1" }]);
    await asked("a type that nobody knows", 99, name, [{ name: "retention.ms", value: "1" }]);
    await target.observe("nothing", 1, "AlterConfigs", version, {
      resources: [],
      validateOnly: true,
    });
  }
}

async function list(target: Target): Promise<void> {
  for (const version of versionsOf("ListConfigResources")) {
    const asked = (label: string, resourceTypes: readonly number[]) =>
      target.observe(label, 1, "ListConfigResources", version, { resourceTypes });
    await asked("brokers", [BROKER]);
    await asked("brokers twice", [BROKER, BROKER]);
    await asked("loggers of brokers", [BROKER_LOGGER]);
    await asked("client metrics", [16]);
    await asked("groups", [32]);
    await asked("a type that nobody knows", [99]);
    await asked("type 0", [0]);
  }
}
