/** Kafka's rules for topic names (Topic.java). */
import { OttlaError } from "../../model/errors.ts";
import { LIMITS } from "../../model/limits.ts";
import type { MetadataImage } from "../image.ts";

/** Throws INVALID_TOPIC_EXCEPTION. */
export function checkTopicName(name: string): void {
  const refuse = (why: string): never => {
    const shown = name.length > 80 ? `${name.slice(0, 80)}...` : name;
    throw new OttlaError(
      "INVALID_TOPIC_EXCEPTION",
      `topic name ${JSON.stringify(shown)} ${why}; allowed are 1 to ${LIMITS.topicNameCharacters} characters of a-z A-Z 0-9 . _ -, and neither "." nor ".."`,
      { field: "name" },
    );
  };
  if (name === "") refuse("is empty");
  if (name === "." || name === "..") refuse("means a directory");
  if (name.length > LIMITS.topicNameCharacters) refuse(`has ${name.length} characters`);
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) refuse("has a character that is not allowed");
}

/** Names that differ only in `.` and `_` would share their metrics. */
export class NameCollisions {
  readonly #taken = new Map<string, string>();

  constructor(image: MetadataImage) {
    for (const name of image.topicIds.keys()) this.add(name);
  }

  add(name: string): void {
    if (/[._]/.test(name)) this.#taken.set(name.replaceAll(".", "_"), name);
  }

  /** Throws INVALID_TOPIC_EXCEPTION. */
  check(name: string): void {
    if (!/[._]/.test(name)) return;
    const other = this.#taken.get(name.replaceAll(".", "_"));
    if (other !== undefined && other !== name) {
      throw new OttlaError(
        "INVALID_TOPIC_EXCEPTION",
        `topic name ${name} differs from the existing ${other} only in "." and "_", which metrics cannot tell apart`,
        { field: "name" },
      );
    }
  }
}
