/** Configuration in force, as an image tells it. */
import type { ConfigSources } from "../model/config-values.ts";
import { configBoolean, configNumber } from "../model/config-values.ts";
import type { MetadataImage } from "./image.ts";
import type { ConfigResourceType } from "./records.ts";

/** The key that must mean the same to the controller and to every leader; see `minIsrOf`. */
export const MIN_INSYNC_REPLICAS = "min.insync.replicas";

const NO_PROPERTIES: ReadonlyMap<string, string> = new Map();

/** Key of an image's `configs`. */
export function configResource(resource: ConfigResourceType, name: string): string {
  return `${resource}:${name}`;
}

/** `properties`: those of the broker that asks. */
export function topicSources(
  image: MetadataImage,
  topic: string,
  properties: ReadonlyMap<string, string>,
): ConfigSources {
  return {
    topic: image.configs.get(configResource("topic", topic)),
    allBrokers: image.configs.get(configResource("broker", "")),
    properties,
  };
}

/**
 * Effective `min.insync.replicas` of a partition: never more than its replicas, as Kafka computes
 * it. Only the image is asked: a leader that counted to another number than the controller would
 * let the high watermark pass what members of the ELR hold (KIP-966). A cluster's first record
 * therefore writes down the value that its first controller was started with.
 */
export function minIsrOf(image: MetadataImage, topic: string, replicasCount: number): number {
  const configured = configNumber(
    "topic",
    MIN_INSYNC_REPLICAS,
    topicSources(image, topic, NO_PROPERTIES),
  );
  return Math.min(configured, replicasCount);
}

export function isUncleanAllowed(
  image: MetadataImage,
  topic: string,
  properties: ReadonlyMap<string, string>,
): boolean {
  return configBoolean(
    "topic",
    "unclean.leader.election.enable",
    topicSources(image, topic, properties),
  );
}

/** Whether acknowledgements wait for fsync, so that a replica vouches for its log after a crash. */
export function isStrict(
  image: MetadataImage,
  topic: string,
  properties: ReadonlyMap<string, string>,
): boolean {
  return configNumber("topic", "flush.messages", topicSources(image, topic, properties)) === 1;
}
