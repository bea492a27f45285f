/** Names of replicas' directories: `<topic>-<partition>.<topicId>`. */
import type { ReplicaName } from "./log.ts";

/** A directory's name has at most 255 bytes; partition, id and a suffix need room beside the topic. */
const TOPIC_CHARACTERS_MAX = 200;
export const DELETED_SUFFIX = ".deleted";
const QUARANTINED = /\.quarantined-\d+$/;

/** A very long topic name is cut; its whole is remembered in the replica's state. */
export function directoryName({ topic, partition, topicId }: ReplicaName): string {
  return `${topic.slice(0, TOPIC_CHARACTERS_MAX)}-${partition}.${topicId}`;
}

/** Undefined for what is no replica's directory: deleted, quarantined, or not Ottla's. */
export function parseDirectoryName(name: string): ReplicaName | undefined {
  if (name.endsWith(DELETED_SUFFIX) || QUARANTINED.test(name)) return undefined;
  const match = /^(.+)-(\d+)\.([^.]+)$/.exec(name);
  if (match === null) return undefined;
  const [, topic, partition, topicId] = match as unknown as [string, string, string, string];
  return { topic, partition: Number(partition), topicId };
}
