/**
 * Moves partitions to other brokers (KIP-455). Old and new replicas stand side by side until all of
 * the new ones are in sync; then the old ones go (`endReassignment` of `partition-change.ts`). So there is
 * never a moment at which fewer replicas hold the data than before or after.
 */
import { OttlaError } from "../../model/errors.ts";
import { type BrokerId, type PartitionIndex, partitionKey } from "../../model/ids.ts";
import { LIMITS } from "../../model/limits.ts";
import type {
  ReassignPartition,
  ReassignPartitionResult,
  ReassignPartitions,
} from "../commands.ts";
import { type MetadataImage, type TopicImage, topicByName } from "../image.ts";
import { minIsrOf } from "../image-configs.ts";
import { changePartition, electableIn, withEnd } from "../partition-change.ts";
import type { MetadataRecord, PartitionChangeRecord, PartitionState } from "../records.ts";
import { type Decision, itemErrorOf } from "./decision.ts";

export function decideReassignPartitions(
  image: MetadataImage,
  request: ReassignPartitions,
): Decision<{ readonly partitions: readonly ReassignPartitionResult[] }> {
  if (request.partitions.length > LIMITS.partitionsPerTopicCount) {
    throw new OttlaError(
      "LIMIT_EXCEEDED",
      `a request names ${request.partitions.length} partitions; allowed are ${LIMITS.partitionsPerTopicCount}`,
      { field: "partitions" },
    );
  }
  const records: MetadataRecord[] = [];
  const seen = new Set<string>();
  const partitions = request.partitions.map((item): ReassignPartitionResult => {
    const { partition } = item;
    const error = itemErrorOf(() => {
      const { topic, state } = find(image, item);
      const key = partitionKey(topic.id, partition);
      if (seen.has(key)) {
        throw new OttlaError("DUPLICATE_RESOURCE", `${topic.name}-${partition} stands twice`);
      }
      seen.add(key);
      const wanted =
        item.replicas === null
          ? givenUp(image, topic, state)
          : begun(image, state, item.replicas, request.allowReplicationFactorChange);
      records.push(...recordsOf(image, topic, partition, state, wanted));
    });
    return { topic: item.topic, partition, error };
  });
  return { records, reply: { partitions } };
}

function find(
  image: MetadataImage,
  { topic: name, partition }: ReassignPartition,
): { readonly topic: TopicImage; readonly state: PartitionState } {
  const topic = topicByName(image, name);
  const state = topic?.partitions[partition];
  if (topic !== undefined && state !== undefined) return { topic, state };
  throw new OttlaError(
    "UNKNOWN_TOPIC_OR_PARTITION",
    topic === undefined
      ? `topic ${name} does not exist`
      : `topic ${name} has no partition ${partition}; it has ${topic.partitions.length}`,
  );
}

type Wanted = Pick<PartitionState, "replicas" | "adding" | "removing">;

/** Those that were there before anything was added. */
function originals({ replicas, adding }: PartitionState): readonly BrokerId[] {
  return replicas.filter((id) => !adding.includes(id));
}

/** Throws INVALID_REPLICA_ASSIGNMENT or INVALID_REPLICATION_FACTOR. */
function begun(
  image: MetadataImage,
  state: PartitionState,
  target: readonly BrokerId[],
  mayChangeFactor: boolean,
): Wanted {
  const shown = JSON.stringify(target);
  const refuse = (why: string): never => {
    const message = `replicas ${shown}: ${why}`;
    throw new OttlaError("INVALID_REPLICA_ASSIGNMENT", message, { field: "replicas" });
  };
  if (target.length === 0) refuse("at least one is needed");
  if (new Set(target).size !== target.length) refuse("a broker stands twice");
  const unknown = target.find((id) => !image.brokers.has(id));
  if (unknown !== undefined) refuse(`broker ${unknown} is not registered`);
  const before = originals(state);
  if (!mayChangeFactor && target.length !== before.length) {
    throw new OttlaError(
      "INVALID_REPLICATION_FACTOR",
      `replicas ${shown}: the partition has ${before.length}, and the request allows no other number`,
      { field: "replicas" },
    );
  }
  const removing = state.replicas.filter((id) => !target.includes(id));
  const replicas = [...target, ...removing];
  // What an earlier reassignment was adding and this one does not want is both added and removed: it
  // may be in sync by now, and is still not one of those to go back to.
  return { replicas, adding: replicas.filter((id) => !before.includes(id)), removing };
}

/**
 * Back to the replicas that were there before. Not if that took away in-sync ones that
 * `min.insync.replicas` counts on: what they acknowledged may lie on too few others.
 */
function givenUp(image: MetadataImage, topic: TopicImage, state: PartitionState): Wanted {
  if (state.adding.length === 0 && state.removing.length === 0) {
    throw new OttlaError(
      "NO_REASSIGNMENT_IN_PROGRESS",
      `no reassignment of ${topic.name}-${topic.partitions.indexOf(state)} is under way`,
    );
  }
  const replicas = originals(state);
  const kept = replicas.filter((id) => state.isr.includes(id));
  const enough = Math.min(state.isr.length, minIsrOf(image, topic.name, replicas.length));
  if (replicas.length === 0 || kept.length < Math.max(1, enough)) {
    throw new OttlaError(
      "INVALID_REPLICA_ASSIGNMENT",
      `of the replicas ${JSON.stringify(replicas)} before the reassignment ${kept.length} are in sync, ${Math.max(1, enough)} are needed to go back`,
      { field: "replicas" },
    );
  }
  return { replicas, adding: [], removing: [] };
}

/** None if nothing changes. The end comes with the beginning where nothing has to be copied. */
function recordsOf(
  image: MetadataImage,
  topic: TopicImage,
  partition: PartitionIndex,
  state: PartitionState,
  wanted: Wanted,
): readonly MetadataRecord[] {
  const { replicas, adding, removing } = state;
  if (JSON.stringify(wanted) === JSON.stringify({ replicas, adding, removing })) return [];
  const directories = wanted.replicas.map((id) => state.directories[replicas.indexOf(id)] ?? "");
  const within = (ids: readonly BrokerId[]): readonly BrokerId[] =>
    wanted.replicas.filter((id) => ids.includes(id));
  const changed = {
    ...state,
    ...wanted,
    directories,
    elr: within(state.elr),
    isr: within(state.isr),
  };
  const electable = electableIn(image);
  // Of who is given up: another leads, and the ELR may be void.
  const follows = changePartition(
    topic.id,
    partition,
    changed,
    {},
    {
      electable,
      minIsr: minIsrOf(image, topic.name, wanted.replicas.length),
    },
  );
  const change: PartitionChangeRecord = {
    type: "partition-change",
    topicId: topic.id,
    partition,
    ...wanted,
    directories,
    ...(changed.isr.length === state.isr.length ? {} : { isr: changed.isr }),
    ...(changed.elr.length === state.elr.length ? {} : { elr: changed.elr }),
    ...follows,
  };
  return withEnd(topic.id, partition, state, change, electable);
}
