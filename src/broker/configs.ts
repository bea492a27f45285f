/** Configuration values in force, and their description. */
import type { MetadataImage } from "../metadata/image.ts";
import type { BrokerConfig } from "../model/broker-config.ts";
import {
  type ConfigSources,
  configBoolean,
  configNumber,
  describeConfigs as describe,
  effectiveTopicConfig,
} from "../model/config-values.ts";
import { OttlaError, toOttlaError } from "../model/errors.ts";
import type { TopicConfig } from "../model/topic-config.ts";
import type { LogCleanerConfig } from "../storage/log-cleaner.ts";
import type { DescribeConfigsOne, DescribedConfigs } from "./broker-api.ts";
import { itemError } from "./partitions.ts";

export class Configs {
  readonly #config: BrokerConfig;
  readonly #image: () => MetadataImage;
  /** Effective configurations by topic, of the overrides that the image had. */
  readonly #effective = new Map<string, TopicConfig>();
  #of: MetadataImage["configs"] | undefined;

  constructor(config: BrokerConfig, image: () => MetadataImage) {
    this.#config = config;
    this.#image = image;
  }

  /** The same object as long as nothing in it may have changed. */
  topic(image: MetadataImage, name: string): TopicConfig {
    if (this.#of !== image.configs) {
      this.#effective.clear();
      this.#of = image.configs;
    }
    const known = this.#effective.get(name);
    if (known !== undefined) return known;
    const effective = effectiveTopicConfig(this.#topicSources(image, name));
    this.#effective.set(name, effective);
    return effective;
  }

  /** As in force now. */
  logCleaner(): LogCleanerConfig {
    const { configs } = this.#image();
    const { nodeId, properties } = this.#config;
    const sources: ConfigSources = {
      broker: configs.get(`broker:${nodeId}`),
      allBrokers: configs.get("broker:"),
      properties,
    };
    const number = (key: string): number => configNumber("broker", key, sources);
    return {
      enabled: configBoolean("broker", "log.cleaner.enable", sources),
      cleaningsAtOnceCount: number("log.cleaner.threads"),
      backoffMs: number("log.cleaner.backoff.ms"),
      bufferBytes: number("log.cleaner.dedupe.buffer.size"),
      loadFactor: number("log.cleaner.io.buffer.load.factor"),
      bytesPerSecond: Math.max(1, number("log.cleaner.io.max.bytes.per.second")),
    };
  }

  describe(resources: readonly DescribeConfigsOne[]): readonly DescribedConfigs[] {
    return resources.map(({ resource, name, overrides }) => {
      try {
        const entries =
          resource === "topic" ? this.#describeTopic(name, overrides) : this.#describeBroker(name);
        return { resource, name, error: undefined, entries };
      } catch (thrown) {
        return { resource, name, error: itemError(toOttlaError(thrown)), entries: [] };
      }
    });
  }

  #describeTopic(
    name: string,
    overrides: DescribeConfigsOne["overrides"],
  ): DescribedConfigs["entries"] {
    const image = this.#image();
    if (overrides !== undefined) {
      return describe("topic", { ...this.#topicSources(image, name), topic: overrides });
    }
    if (!image.topicIds.has(name)) {
      throw new OttlaError("UNKNOWN_TOPIC_OR_PARTITION", `topic ${name} is not known`);
    }
    return describe("topic", this.#topicSources(image, name));
  }

  /** "" asks for what holds for all brokers. */
  #describeBroker(name: string): DescribedConfigs["entries"] {
    const { configs } = this.#image();
    const { nodeId, properties } = this.#config;
    const allBrokers = configs.get("broker:");
    if (name === "") return describe("broker", { allBrokers, properties: new Map() });
    if (name !== String(nodeId)) {
      throw new OttlaError(
        "INVALID_REQUEST",
        `broker ${nodeId} knows the properties of broker ${nodeId} alone, not of ${name}: ask that broker`,
        { field: "name" },
      );
    }
    return describe("broker", { broker: configs.get(`broker:${name}`), allBrokers, properties });
  }

  #topicSources(image: MetadataImage, name: string): ConfigSources {
    return {
      topic: image.configs.get(`topic:${name}`),
      broker: image.configs.get(`broker:${this.#config.nodeId}`),
      allBrokers: image.configs.get("broker:"),
      properties: this.#config.properties,
    };
  }
}
